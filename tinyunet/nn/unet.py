"""The UNet: an encoder that sees wider and wider, a decoder that goes back to full size, and skips between them."""

from __future__ import annotations

import copy
from functools import partial
from typing import Literal

import numpy as np

from .. import functional as F
from ..autograd import Tensor, as_tensor
from ..ops.shapes import ShapeError, require_4d
from .init import Init
from .layers import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    GroupNorm,
    MaxPool2d,
    ReLU,
    UpsampleBilinear2d,
    UpsampleConv2d,
    UpsampleNearest2d,
)
from .module import Module, Sequential
from .recompute import recompute
from .summary import summarize


class UNet(Module):
    """Segment images of any height and width: scores of every class for every pixel.

    With D = depth, level k = 1..D+1 has base_channels 2^(k-1) channels:

        x -> encoder1 -> pool -> encoder2 -> ... -> pool -> encoder{D+1}
               | skip              | skip                     | up{D+1}
        y <- decoder1 <- decoder2 <- concat ... <- decoder{D+1} <- concat

    Each encoder and decoder block is twice (convolution 3 x 3, normalisation, ReLU); decoder1 is a 1 x 1 convolution to
    the scores. The skip is taken before the pool.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    classes : int
        Channels of the output. 1 means one foreground class, read with a sigmoid; otherwise softmax.
    base_channels : int
        Channels of the first level; they double from level to level.
    depth : int
        Number of poolings.
    up : "transposed", "article", "nearest" or "bilinear"
        How the decoder enlarges by 2: a 2 x 2 transposed convolution with stride 2; the article's 4.3 with a 3 x 3
        kernel; or, without weights, by repeating pixels or by straight lines between them. The first two halve the
        channels as well. With "bilinear" the channels are those of a much used network, milesial/Pytorch-UNet: level
        D+1 has only as many as level D, and each decoder block ends with as many as the next level above has.
    padding : "same" or "valid"
        "same": the output has the image's size; sizes that 2^depth does not divide are padded with edge pixels and
        cropped back. "valid": convolutions without padding, as in the paper; the output is smaller, skips are cropped.
    norm : "batch", "group" or None
        Normalisation after each 3 x 3 convolution, which then has no bias. "group" uses up to 8 groups.
    dropout : float
        Probability of dropping a value after the two deepest encoder blocks.
    deep_supervision : bool
        Also compute scores at every lower level of the decoder but the deepest, by a 1 x 1 convolution, in training
        only: they bring the loss closer to the deep layers (see `training.supervision`). Needs depth 2.
    init : "he" or "torch"
        Starting weights.
    seed : int or numpy.random.Generator
        Source of the starting weights and of dropout.

    Attributes
    ----------
    arguments : dict
        What it was built with, so that a checkpoint can rebuild it.
    recompute : bool
        Whether training keeps only the inputs of every block and computes what is inside again in backward (see
        `nn.recompute`): less memory, more time, the same bits. False at first; it belongs to a run, not to the network.

    Raises
    ------
    ValueError
        If an argument is out of range, with the choices.

    References
    ----------
    Ronneberger et al., U-Net, 2015. State names follow the article's listing (section 5).
    """

    recompute = False

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 2,
        base_channels: int = 32,
        depth: int = 4,
        *,
        up: Literal["transposed", "article", "nearest", "bilinear"] = "transposed",
        padding: Literal["same", "valid"] = "same",
        norm: Literal["batch", "group"] | None = "batch",
        dropout: float = 0.0,
        deep_supervision: bool = False,
        init: Init = "he",
        seed: int | np.random.Generator = 0,
    ):
        sizes = {"in_channels": in_channels, "classes": classes, "base_channels": base_channels, "depth": depth}
        options = {"up": up, "padding": padding, "norm": norm, "dropout": dropout, "init": init}
        for name, value in sizes.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive int, got {value!r}")
        choices = {"up": ("transposed", "article", "nearest", "bilinear"), "padding": ("same", "valid")}
        choices["norm"] = ("batch", "group", None)
        for name, allowed in choices.items():
            if options[name] not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {options[name]!r}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        if deep_supervision and depth < 2:
            raise ValueError(f"deep_supervision needs a depth of 2 or more, got {depth}")
        self.arguments = sizes | options | {"deep_supervision": deep_supervision}
        self.depth, self.padding = depth, padding
        self.rng = np.random.default_rng(seed)

        width = [base_channels * 2**k for k in range(depth + 1)]
        if up == "bilinear":
            width[depth] = width[depth - 1]
        for level in range(1, depth + 2):
            block = self._block(in_channels if level == 1 else width[level - 2], width[level - 1], width[level - 1])
            if dropout and level >= depth:
                block = Sequential(*(layer for _, layer in block.named_children()), Dropout(dropout, rng=self.rng))
            setattr(self, f"encoder{level}", block)
        self.pool = MaxPool2d(2)
        for level in range(depth + 1, 1, -1):
            deep, wide = width[level - 1], width[level - 2]
            setattr(self, f"up{level}", self._enlarge(deep, wide))
            joined = wide + (deep if up == "nearest" else wide)
            narrow = width[max(level - 3, 0)] if up == "bilinear" else wide
            setattr(self, f"decoder{level}", self._block(joined, wide, narrow))
        self.decoder1 = Conv2d(base_channels, classes, 1, init=init, rng=self.rng)
        for level in range(2, depth + 1 if deep_supervision else 0):  # drawn last: the rest starts as it would without
            narrow = width[level - 2 if up == "bilinear" else level - 1]
            setattr(self, f"head{level}", Conv2d(narrow, classes, 1, init=init, rng=self.rng))

    def _block(self, in_channels: int, mid_channels: int, out_channels: int) -> Sequential:
        norm, init, layers = self.arguments["norm"], self.arguments["init"], []
        pad = 1 if self.padding == "same" else 0
        for C, O in ((in_channels, mid_channels), (mid_channels, out_channels)):
            bias = norm is None  # normalisation subtracts the mean, and a bias with it
            layers.append(Conv2d(C, O, 3, padding=pad, bias=bias, init=init, rng=self.rng))
            if norm == "batch":
                layers.append(BatchNorm2d(O))
            elif norm == "group":
                layers.append(GroupNorm(int(np.gcd(8, O)), O))
            layers.append(ReLU())
        return Sequential(*layers)

    def _enlarge(self, in_channels: int, out_channels: int) -> Module:
        up, init = self.arguments["up"], self.arguments["init"]
        if up == "transposed":
            return ConvTranspose2d(in_channels, out_channels, 2, stride=2, init=init, rng=self.rng)
        if up == "article":
            return UpsampleConv2d(in_channels, out_channels, 3, scale=2, init=init, rng=self.rng)
        return UpsampleBilinear2d(2) if up == "bilinear" else UpsampleNearest2d(2)

    def forward(self, x) -> Tensor | list[Tensor]:
        """Return scores (N, classes, OH, OW) of images x (N, in_channels, H, W).

        In training with deep supervision, a list: these scores, then those of level 2 (N, classes, OH/2, OW/2), 3, ...;
        the lower ones are of the padded image.
        """
        x = as_tensor(x).to(self.device)  # images come from main memory
        require_4d(x)
        if x.shape[1] != self.arguments["in_channels"]:
            raise ShapeError(
                f"this UNet takes images with {self.arguments['in_channels']} channels, got x of shape {x.shape}; "
                f"convert the images or build it with in_channels={x.shape[1]}"
            )
        H, W = x.shape[2:]
        missing = self.next_size(H) - H, self.next_size(W) - W
        if self.padding == "valid" and any(missing):
            raise ShapeError(
                f"an unpadded UNet of depth {self.depth} cannot take images of {H} x {W}; the next size that it takes "
                f"is {H + missing[0]} x {W + missing[1]} (pad the image, or use padding='same')"
            )
        margins = (missing[0] // 2, missing[0] - missing[0] // 2, missing[1] // 2, missing[1] - missing[1] // 2)
        if any(margins):
            x = F.pad(x, margins, mode="edge")

        def run(block, modules, *inputs):
            return recompute(block, *inputs, modules=modules) if self.recompute else block(*inputs)

        skips, lower = [], []
        for level in range(1, self.depth + 1):
            encoder = getattr(self, f"encoder{level}")
            x = run(encoder, [encoder], x)
            skips.append(x)
            x = self.pool(x)
        encoder = getattr(self, f"encoder{self.depth + 1}")
        x = run(encoder, [encoder], x)
        for level in range(self.depth + 1, 1, -1):
            layers = getattr(self, f"up{level}"), getattr(self, f"decoder{level}")
            x = run(partial(_join, *layers), layers, x, skips.pop())
            if level > 2 and self.training and self.arguments["deep_supervision"]:
                lower.append(getattr(self, f"head{level - 1}")(x))
        y = self.decoder1(x)
        y = F.crop(y, margins) if any(margins) else y
        return [y, *reversed(lower)] if lower else y

    def without_heads(self) -> UNet:
        """Return a network that shares all arrays with this one, but has no deep supervision."""
        plain = copy.copy(self)
        plain.arguments = self.arguments | {"deep_supervision": False}
        for name in [name for name, _ in self.named_children() if name.startswith("head")]:
            delattr(plain, name)
        return plain

    @property
    def border(self) -> int:
        """Rows (and columns) by which the output is smaller than the image: 0 with padding "same"."""
        return 0 if self.padding == "same" else 12 * 2**self.depth - 8

    def next_size(self, size: int) -> int:
        """Return the smallest height or width, at least `size`, that halves evenly at every pooling."""
        step = 2**self.depth
        if self.padding == "same":
            return -(-size // step) * step
        # Every level takes 4 pixels in each of its two blocks; the output must keep at least one pixel.
        offset = 4 * (step - 1)
        deepest = max(-(-(size - offset) // step), -(-(self.border + 1 - offset) // step))
        return deepest * step + offset

    @classmethod
    def article(cls, in_channels: int = 1, classes: int = 1, **options) -> UNet:
        """Build the article's network (its listing, repaired): 7,781,761 parameters for 1 -> 1 channels.

        The listing runs for no input size: it pools in the decoder, joins maps of different size, and nothing enlarges.
        Repaired, the pools stand between the encoder blocks, skips are taken before them, and the decoder repeats
        pixels before each join. Every parameter keeps its name and shape.
        """
        return cls(in_channels, classes, 64, 3, **{"up": "nearest", "norm": None, "init": "torch"} | options)

    @classmethod
    def paper(cls, in_channels: int = 1, classes: int = 2, **options) -> UNet:
        """Build the paper's network: five levels up to 1024 channels, unpadded, 572 x 572 -> 388 x 388."""
        return cls(in_channels, classes, 64, 4, **{"padding": "valid", "norm": None, "dropout": 0.5} | options)

    def summary(self, height: int = 256, width: int | None = None) -> str:
        """Return a table of the layers for one image: output shape, parameters, receptive field, bytes."""
        return summarize(self, (1, self.arguments["in_channels"], height, width or height))


def _join(up, decoder, x, skip):
    """One level of the decoder: enlarge, join with the skip, and convolve."""
    x = up(x)
    return decoder(F.concat([x, _crop_to(skip, x.shape)]))


def _crop_to(x, shape):
    """Cut the middle out of x, to the height and width of `shape`."""
    H, W = x.shape[2] - shape[2], x.shape[3] - shape[3]
    return F.crop(x, (H // 2, H - H // 2, W // 2, W - W // 2)) if H or W else x
