"""The layers: an operation of `functional` together with its parameters and settings.

Layers that have weights need `rng`, a numpy.random.Generator, and draw their starting values from it. Each layer knows
what it looks at: `sees(first, last)` takes output rows, first to last, and returns the first and last input row that
they depend on, as if the image went on for ever. The receptive field in `summary` follows from it.
"""

from __future__ import annotations

import numpy as np

from .. import functional as F
from ..ops.shapes import Pair, pair
from .init import Init, he, torch_default
from .module import Module, Parameter


class _Layer(Module):
    def sees(self, first, last):
        """Return the first and last input row behind the output rows `first` to `last` (ints or int arrays)."""
        return first, last


class _Convolution(_Layer):
    """What the three convolution layers share: weight, bias and where they start."""

    def set_parameters(self, shape, channels: int, fan_in: float, bias: bool, init: Init, rng) -> None:
        if init not in ("he", "torch"):
            raise ValueError(f"init must be 'he' or 'torch', got {init!r}")
        torch_fan = shape[1] * shape[2] * shape[3]
        self.weight = Parameter(he(rng, shape, fan_in) if init == "he" else torch_default(rng, shape, torch_fan))
        if bias:
            start = np.zeros(channels, np.float32) if init == "he" else torch_default(rng, (channels,), torch_fan)
            self.bias = Parameter(start)
        else:
            self.bias = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}{tuple(self.weight.shape)}"


class Conv2d(_Convolution):
    """`functional.conv2d` with a weight (O, C, KH, KW) and a bias (O,).

    Parameters
    ----------
    in_channels, out_channels : int
        C and O.
    kernel_size, stride, padding : int or pair
    bias : bool
    init : "he" or "torch"
        Starting values: He's, with zero bias, or PyTorch's default.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        bias: bool = True,
        init: Init = "he",
        rng: np.random.Generator,
    ):
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride, self.padding = pair(stride, "stride", 1), pair(padding, "padding", 0)
        KH, KW = self.kernel_size
        shape = (out_channels, in_channels, KH, KW)
        self.set_parameters(shape, out_channels, in_channels * KH * KW, bias, init, rng)

    def forward(self, x):
        return F.conv2d(x, self.weight, self.bias, stride=self.stride, padding=self.padding)

    def sees(self, first, last):
        KH, SH, PH = self.kernel_size[0], self.stride[0], self.padding[0]
        return first * SH - PH, last * SH - PH + KH - 1


class ConvTranspose2d(_Convolution):
    """`functional.conv_transpose2d` with a weight (C, O, KH, KW) and a bias (O,).

    Parameters
    ----------
    in_channels, out_channels : int
        C and O.
    kernel_size, stride, padding, output_padding : int or pair
    bias : bool
    init : "he" or "torch"
        Starting values: He's, with zero bias, or PyTorch's default.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        bias: bool = True,
        init: Init = "he",
        rng: np.random.Generator,
    ):
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride, self.padding = pair(stride, "stride", 1), pair(padding, "padding", 0)
        self.output_padding = pair(output_padding, "output_padding", 0)
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        # An output pixel receives a stamp from one in SH SW of the offsets.
        fan_in = in_channels * KH * KW / (SH * SW)
        self.set_parameters((in_channels, out_channels, KH, KW), out_channels, fan_in, bias, init, rng)

    def forward(self, x):
        options = {"stride": self.stride, "padding": self.padding, "output_padding": self.output_padding}
        return F.conv_transpose2d(x, self.weight, self.bias, **options)

    def sees(self, first, last):
        KH, SH, PH = self.kernel_size[0], self.stride[0], self.padding[0]
        return -((KH - 1 - PH - first) // SH), (last + PH) // SH  # row p stamps the rows p SH - PH + (0 .. KH - 1)


class UpsampleConv2d(_Convolution):
    """`functional.upsample_conv2d` (the article's 4.3) with a weight (O, C, KH, KW) and a bias (O,).

    Parameters
    ----------
    in_channels, out_channels : int
        C and O.
    kernel_size, scale : int or pair
    padding : "same" or "valid"
    bias : bool
    init : "he" or "torch"
        Starting values: He's, with zero bias, or PyTorch's default.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        scale: Pair = 2,
        padding: str = "same",
        bias: bool = True,
        init: Init = "he",
        rng: np.random.Generator,
    ):
        self.kernel_size, self.scale = pair(kernel_size, "kernel_size", 1), pair(scale, "scale", 1)
        self.padding = padding
        KH, KW = self.kernel_size
        shape = (out_channels, in_channels, KH, KW)
        self.set_parameters(shape, out_channels, in_channels * KH * KW, bias, init, rng)

    def forward(self, x):
        return F.upsample_conv2d(x, self.weight, self.bias, scale=self.scale, padding=self.padding)

    def sees(self, first, last):
        KH, SH = self.kernel_size[0], self.scale[0]
        PH = (KH - 1) // 2 if self.padding == "same" else 0
        return (first - PH) // SH, (last - PH + KH - 1) // SH


class UpsampleNearest2d(_Layer):
    """`functional.upsample_nearest2d`."""

    def __init__(self, scale: Pair = 2):
        self.scale = pair(scale, "scale", 1)

    def forward(self, x):
        return F.upsample_nearest2d(x, scale=self.scale)

    def sees(self, first, last):
        return first // self.scale[0], last // self.scale[0]


class UpsampleBilinear2d(_Layer):
    """`functional.upsample_bilinear2d`."""

    def __init__(self, scale: Pair = 2):
        self.scale = pair(scale, "scale", 1)

    def forward(self, x):
        return F.upsample_bilinear2d(x, scale=self.scale)

    def sees(self, first, last):
        # Row i lies at i (H - 1) / (SH H - 1), which is i / SH less at most 1 - 1 / SH, between two input rows.
        SH = self.scale[0]
        return (first - SH + 1) // SH, -(-last // SH)


class _Pool(_Layer):
    def __init__(self, kernel_size: Pair, *, stride: Pair | None = None, padding: Pair = 0):
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = self.kernel_size if stride is None else pair(stride, "stride", 1)
        self.padding = pair(padding, "padding", 0)

    def sees(self, first, last):
        KH, SH, PH = self.kernel_size[0], self.stride[0], self.padding[0]
        return first * SH - PH, last * SH - PH + KH - 1


class MaxPool2d(_Pool):
    """`functional.max_pool2d`."""

    def forward(self, x):
        return F.max_pool2d(x, self.kernel_size, stride=self.stride, padding=self.padding)


class AvgPool2d(_Pool):
    """`functional.avg_pool2d`."""

    def forward(self, x):
        return F.avg_pool2d(x, self.kernel_size, stride=self.stride, padding=self.padding)


class ReLU(_Layer):
    """`functional.relu`."""

    def forward(self, x):
        return F.relu(x)


class BatchNorm2d(_Layer):
    """`functional.batch_norm2d` with weight 1, bias 0 and running mean and variance to start from.

    Once frozen (neither weight nor bias requires a gradient) it uses and keeps its running arrays in training as well:
    they belong to the weights that are not to change.

    Parameters
    ----------
    channels : int
        C.
    momentum : float
        Share of the newest batch in the running mean and variance.
    eps : float
        Added to the variance.
    """

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5):
        self.weight = Parameter(np.ones(channels, np.float32))
        self.bias = Parameter(np.zeros(channels, np.float32))
        self.running_mean = np.zeros(channels, np.float32)
        self.running_var = np.ones(channels, np.float32)
        self.num_batches_tracked = np.zeros((), np.int64)  # for PyTorch's state_dict
        self.momentum, self.eps = momentum, eps

    def forward(self, x):
        training = self.training and (self.weight.requires_grad or self.bias.requires_grad)
        if training:
            self.num_batches_tracked += 1
        running = {"running_mean": self.running_mean, "running_var": self.running_var}
        return F.batch_norm2d(
            x, self.weight, self.bias, training=training, momentum=self.momentum, eps=self.eps, **running
        )


class GroupNorm(_Layer):
    """`functional.group_norm` with weight 1 and bias 0 to start from.

    Parameters
    ----------
    groups : int
        A divisor of the number of channels.
    channels : int
        C.
    eps : float
        Added to the variance.
    """

    def __init__(self, groups: int, channels: int, *, eps: float = 1e-5):
        self.weight = Parameter(np.ones(channels, np.float32))
        self.bias = Parameter(np.zeros(channels, np.float32))
        self.groups, self.eps = groups, eps

    def forward(self, x):
        return F.group_norm(x, self.weight, self.bias, groups=self.groups, eps=self.eps)


class Dropout(_Layer):
    """`functional.dropout` in training, nothing in inference.

    Parameters
    ----------
    p : float
        Probability of a zero.
    rng : numpy.random.Generator
        Its state moves on with every training step; a checkpoint for resuming holds it.
    """

    def __init__(self, p: float, *, rng: np.random.Generator):
        self.p, self.rng = p, rng

    def forward(self, x):
        return F.dropout(x, self.p, generator=self.rng) if self.training else x
