"""Transposed convolution on the CPU: see adjoint.py."""

from ..conv2d import cpu as conv2d
from .adjoint import Adjoint

_kernels = Adjoint(conv2d)
forward, backward_input = _kernels.forward, _kernels.backward_input
backward_weight, backward_bias = _kernels.backward_weight, _kernels.backward_bias
