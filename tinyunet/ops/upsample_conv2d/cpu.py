"""The article's "deconvolution" on the CPU: see composed.py."""

from ..conv2d import cpu as conv2d
from ..upsample_nearest2d import cpu as nearest
from .composed import Composed

_kernels = Composed(conv2d, nearest)
forward, backward_input = _kernels.forward, _kernels.backward_input
backward_weight, backward_bias = _kernels.backward_weight, _kernels.backward_bias
