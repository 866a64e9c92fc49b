"""Output sizes and shape checks, shared by the operations; every error tells how to mend the input."""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple

Pair = int | tuple[int, int]


class ShapeError(ValueError):
    """An array has a shape that the operation cannot take."""


def pair(value: Pair, name: str, least: int) -> tuple[int, int]:
    """Return `value` as (vertical, horizontal); an int counts for both.

    Raises
    ------
    ShapeError
        If it is not an int or two ints, or one of them is below `least`.
    """
    both = value if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2 or not all(isinstance(k, Integral) and k >= least for k in both):
        raise ShapeError(f"{name} must be an int or a pair of ints, each at least {least}, got {value!r}")
    return int(both[0]), int(both[1])


def require_4d(x, what: str = "x") -> None:
    """Require an array (N, C, H, W).

    Raises
    ------
    ShapeError
        If `x` has another number of axes or an empty axis; for 2 and 3 axes the text gives the reshape.
    """
    if x.ndim != 4:
        mend = {
            2: "for one grey image (H, W) use x[None, None]",
            3: "for one image (C, H, W) use x[None]; for grey images (N, H, W) use x[:, None]",
        }.get(x.ndim, "arrange the axes as image, channel, row, column")
        raise ShapeError(f"{what} must have 4 axes (N, C, H, W), got shape {x.shape}; {mend}")
    if 0 in x.shape:
        raise ShapeError(f"{what} must not be empty, got shape {x.shape}")


class ConvGeometry(NamedTuple):
    """All sizes of a 2-D convolution: OH = floor((H + 2 PH - KH) / SH) + 1, and OW likewise."""

    N: int
    C: int
    H: int
    W: int
    O: int
    KH: int
    KW: int
    SH: int
    SW: int
    PH: int
    PW: int
    OH: int
    OW: int

    @classmethod
    def of(cls, x_shape, w_shape, stride: Pair, padding: Pair) -> ConvGeometry:
        """Compute the geometry of conv2d from the shapes (N, C, H, W) and (O, C, KH, KW).

        Raises
        ------
        ShapeError
            If channels disagree or the kernel is larger than the padded image.
        """
        (N, C, H, W), (O, WC, KH, KW) = x_shape, w_shape
        (SH, SW), (PH, PW) = pair(stride, "stride", 1), pair(padding, "padding", 0)
        if WC != C:
            raise ShapeError(
                f"the weight {tuple(w_shape)} is made for {WC} input channels, but x {tuple(x_shape)} has {C}; "
                f"give images with {WC} channels or build the layer with in_channels={C}"
            )
        if KH > H + 2 * PH or KW > W + 2 * PW:
            raise ShapeError(
                f"the kernel {KH} x {KW} is larger than the image {H} x {W} with padding {PH}, {PW}; "
                "use a larger image, a smaller kernel or more padding"
            )
        OH, OW = (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1
        return cls(N, C, H, W, O, KH, KW, SH, SW, PH, PW, OH, OW)

    @classmethod
    def transposed(cls, x_shape, w_shape, stride: Pair, padding: Pair, output_padding: Pair) -> ConvGeometry:
        """Compute the geometry of conv_transpose2d from the shapes (N, C, H, W) and (C, O, KH, KW).

        Here OH = (H - 1) SH - 2 PH + KH + output_padding, the size from which a convolution makes H.

        Raises
        ------
        ShapeError
            If channels disagree, output_padding is not below the stride, or nothing is left of the output.
        """
        (N, C, H, W), (WC, O, KH, KW) = x_shape, w_shape
        (SH, SW), (PH, PW) = pair(stride, "stride", 1), pair(padding, "padding", 0)
        extra_h, extra_w = pair(output_padding, "output_padding", 0)
        if WC != C:
            raise ShapeError(
                f"the weight {tuple(w_shape)} is made for {WC} input channels, but x {tuple(x_shape)} has {C}"
            )
        if extra_h >= SH or extra_w >= SW:
            raise ShapeError(
                f"output_padding {extra_h}, {extra_w} must be smaller than the stride {SH}, {SW}: "
                "it chooses among the sizes that a convolution with this stride maps to one size"
            )
        OH, OW = (H - 1) * SH - 2 * PH + KH + extra_h, (W - 1) * SW - 2 * PW + KW + extra_w
        if OH < 1 or OW < 1:
            raise ShapeError(f"padding {PH}, {PW} leaves an output of {OH} x {OW}; use less padding")
        return cls(N, C, H, W, O, KH, KW, SH, SW, PH, PW, OH, OW)

    @classmethod
    def upsampled(cls, x_shape, w_shape, scale: Pair, padding: str) -> ConvGeometry:
        """Compute the geometry of upsample_conv2d from the shapes (N, C, H, W) and (O, C, KH, KW).

        SH, SW are the scale; PH, PW the zeros before the first row and column of the up-sampled image.

        Raises
        ------
        ShapeError
            If channels disagree, `padding` is unknown, or the kernel is larger than the up-sampled image.
        """
        (N, C, H, W), (O, WC, KH, KW) = x_shape, w_shape
        SH, SW = pair(scale, "scale", 1)
        if WC != C:
            raise ShapeError(
                f"the weight {tuple(w_shape)} is made for {WC} input channels, but x {tuple(x_shape)} has {C}"
            )
        if padding == "same":
            return cls(N, C, H, W, O, KH, KW, SH, SW, (KH - 1) // 2, (KW - 1) // 2, SH * H, SW * W)
        if padding != "valid":
            raise ShapeError(f"padding must be 'valid' or 'same', got {padding!r}")
        OH, OW = SH * H - KH + 1, SW * W - KW + 1
        if OH < 1 or OW < 1:
            raise ShapeError(
                f"the kernel {KH} x {KW} is larger than the up-sampled image {SH * H} x {SW * W}; "
                "use padding='same' or a larger image"
            )
        return cls(N, C, H, W, O, KH, KW, SH, SW, 0, 0, OH, OW)

    def adjoint(self) -> ConvGeometry:
        """Return the geometry of the convolution whose adjoint this transposed convolution is."""
        return self._replace(C=self.O, O=self.C, H=self.OH, W=self.OW, OH=self.H, OW=self.W)


class PoolGeometry(NamedTuple):
    """All sizes of a 2-D pooling: OH = floor((H + 2 PH - KH) / SH) + 1, and OW likewise."""

    N: int
    C: int
    H: int
    W: int
    KH: int
    KW: int
    SH: int
    SW: int
    PH: int
    PW: int
    OH: int
    OW: int

    @classmethod
    def of(cls, x_shape, kernel_size: Pair, stride: Pair | None, padding: Pair) -> PoolGeometry:
        """Compute the geometry of a pooling; `stride` None means the kernel size.

        Raises
        ------
        ShapeError
            If the window is larger than the padded image or a padding exceeds half the window.
        """
        N, C, H, W = x_shape
        KH, KW = pair(kernel_size, "kernel_size", 1)
        SH, SW = pair((KH, KW) if stride is None else stride, "stride", 1)
        PH, PW = pair(padding, "padding", 0)
        if 2 * PH > KH or 2 * PW > KW:
            raise ShapeError(
                f"padding {PH}, {PW} exceeds half the window {KH} x {KW}: some windows would hold only padding"
            )
        if KH > H + 2 * PH or KW > W + 2 * PW:
            raise ShapeError(
                f"the pooling window {KH} x {KW} is larger than the image {H} x {W} with padding {PH}, {PW}; "
                "use a larger image or fewer pooling levels"
            )
        OH, OW = (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1
        return cls(N, C, H, W, KH, KW, SH, SW, PH, PW, OH, OW)
