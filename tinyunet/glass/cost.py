"""What an operation costs by its formula: floating-point operations (FLOPs) and bytes.

These are the counts of the formula, not of the kernel: each addition, multiplication, comparison, exponential or
logarithm is one FLOP; each input, saved array, label map and result moves once, and a view moves nothing. So a kernel
that is cleverer than its formula (Winograd needs half the multiplications) can pass the machine's peak, and data that
stays in a cache its copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Literal, NamedTuple

import numpy as np

from ..autograd import Op
from ..ops.shapes import ConvGeometry, PoolGeometry, pair

Shape = tuple[int, ...]
Direction = Literal["forward", "backward"]


class Cost(NamedTuple):
    """FLOPs and bytes of one operation in one direction."""

    flops: int
    bytes: int


class _Count(NamedTuple):
    """The parts of both costs. Labels and positions of maxima have a size of their own, so `other` is in bytes."""

    result: int  # numbers in y
    forward: int  # FLOPs
    gradients: Sequence[tuple[int, int]]  # of each input: FLOPs, and the saved numbers that are read for it
    other: tuple[int, int] = (0, 0)  # bytes besides, forward and backward
    views: tuple[bool, bool] = (False, False)  # whether nothing moves, forward and backward


def name_of(op: Op | type[Op]) -> str:
    """Return the name of an op's function: "conv2d" for a `Conv2d`, "log_softmax" for a `LogSoftmax`."""
    name = (op if isinstance(op, type) else type(op)).__name__
    return re.sub("(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name).lower()


def cost_of(
    op: str,
    shapes: Sequence[Shape | None],
    options: Mapping | None = None,
    *,
    direction: Direction = "forward",
    needs_grad: Sequence[bool] | None = None,
    itemsize: int = 4,
) -> Cost | None:
    """Return what an operation costs by its formula.

    Parameters
    ----------
    op : str
        Name of the function, for example "conv2d"; of an operator "add", "subtract", "multiply", "divide" or "power".
    shapes : sequence of tuple of int, or None
        Of each input; None where an optional one is absent.
    options : mapping, optional
        The keyword arguments of the function; what is not given has its default.
    direction : "forward" or "backward"
    needs_grad : sequence of bool, optional
        For each input, whether backward computes its gradient; all if not given.
    itemsize : int
        Bytes of a number: 4 for float32, 8 for float64.

    Returns
    -------
    Cost, or None
        (flops, bytes); None for an operation that is not in the table of this file, such as one of your own.
    """
    if op not in _COUNTS:
        return None
    count = _COUNTS[op](shapes, options or {})
    sizes = [0 if shape is None else prod(shape) for shape in shapes]
    backward = direction == "backward"
    if backward:
        needed = [k for k, size in enumerate(sizes) if size and (needs_grad is None or needs_grad[k])]
        flops = sum(count.gradients[k][0] for k in needed)
        numbers = count.result + sum(count.gradients[k][1] + sizes[k] for k in needed)
    else:
        flops, numbers = count.forward, sum(sizes) + count.result
    return Cost(flops, 0 if count.views[backward] else numbers * itemsize + count.other[backward])


# Convolutions: twice a multiply-add per output, input channel and kernel offset, and as much for gx and for gw. The
# bias is the value that the sum starts from. gx reads w, and gw reads x.


def _convolution(macs: int, result: int, shapes) -> _Count:
    x, w = prod(shapes[0]), prod(shapes[1])
    return _Count(result, 2 * macs, ((2 * macs, w), (2 * macs, x), (0, 0)))


def _conv2d(shapes, options) -> _Count:
    g = ConvGeometry.of(*shapes[:2], options.get("stride", 1), options.get("padding", 0))
    y = g.N * g.O * g.OH * g.OW
    return _convolution(y * g.C * g.KH * g.KW, y, shapes)


def _upsample_conv2d(shapes, options) -> _Count:
    g = ConvGeometry.upsampled(*shapes[:2], options.get("scale", 2), options.get("padding", "valid"))
    y = g.N * g.O * g.OH * g.OW
    return _convolution(y * g.C * g.KH * g.KW, y, shapes)


def _conv_transpose2d(shapes, options) -> _Count:
    given = (options.get(*option) for option in (("stride", 1), ("padding", 0), ("output_padding", 0)))
    g = ConvGeometry.transposed(*shapes[:2], *given)
    return _convolution(g.N * g.C * g.H * g.W * g.O * g.KH * g.KW, g.N * g.O * g.OH * g.OW, shapes)


# Pools and enlargements


def _pool(shapes, options) -> tuple[int, int]:
    """Return the number of outputs and of pixels in a window."""
    given = options.get("kernel_size", 2), options.get("stride"), options.get("padding", 0)
    g = PoolGeometry.of(shapes[0], *given)
    return g.N * g.C * g.OH * g.OW, g.KH * g.KW


def _max_pool2d(shapes, options) -> _Count:
    y, window = _pool(shapes, options)
    return _Count(y, (window - 1) * y, ((y, 0),), other=(0, 2 * y))  # a saved position has two bytes


def _avg_pool2d(shapes, options) -> _Count:
    y, window = _pool(shapes, options)
    return _Count(y, window * y, ((window * y, 0),))


def _enlargement(forward: int, backward: int) -> Callable:
    """Return the count of an enlargement with so many FLOPs per output."""

    def count(shapes, options):
        y = prod(shapes[0]) * prod(pair(options.get("scale", 2), "scale", 1))
        return _Count(y, forward * y, ((backward * y, 0),))

    return count


# Normalisation: (x - mean) scale + shift, and in training before it mean and variance; backward (3), (4), then (2).


def _norm(shapes, options) -> _Count:
    (N, C), x, training = shapes[0][:2], prod(shapes[0]), options.get("training", True)
    forward, gx = (6, 5) if training else (3, 1)
    return _Count(x, forward * x, ((gx * x, x + N * C + C), (3 * x, 0), (x, 0)))


# Number by number


def _unary(forward: int, backward: int) -> Callable:
    """Return the count of a function of each number that saves as many numbers."""

    def count(shapes, options):
        x = prod(shapes[0])
        return _Count(x, forward * x, ((backward * x, x),))

    return count


def _binary(ga: int, gb: int, *, saves: bool) -> Callable:
    """Return the count of an operator: FLOPs per number of ga and gb, and whether each needs the other operand.

    Where an operand was repeated by broadcasting, its gradient is summed.
    """

    def count(shapes, options):
        y, (a, b) = prod(np.broadcast_shapes(*shapes)), map(prod, shapes)
        of_a = ga * y + (y if a < y else 0), b if saves else 0
        of_b = gb * y + (y if b < y else 0), a if saves else 0
        return _Count(y, y, (of_a, of_b))

    return count


# Losses: per score, then the arrays that go with the pixels: labels of 8 bytes, and weights


def _cross_entropy(shapes, options) -> _Count:
    z = prod(shapes[0])  # the largest, minus it, exp, sum; backward the same, with the factor
    pixels = z // shapes[0][1]
    return _Count(1, 4 * z, ((4 * z, z + pixels),), other=(8 * pixels, 8 * pixels))


def _binary_cross_entropy(shapes, options) -> _Count:
    z = prod(shapes[0])
    return _Count(1, 10 * z, ((6 * z, 2 * z),), other=(8 * z, 8 * z))


def _dice_loss(shapes, options) -> _Count:
    z = prod(shapes[0])  # besides softmax three sums of products, and their derivatives
    pixels = z // shapes[0][1]
    return _Count(1, 8 * z, ((8 * z, z),), other=(8 * pixels, 9 * pixels))  # saved: labels, and which pixels count


# Copies and views


def _concat(shapes, options) -> _Count:
    return _Count(sum(map(prod, shapes)), 0, [(0, 0)] * len(shapes), views=(False, True))


def _pad(shapes, options) -> _Count:
    return _Count(_margins(shapes, options, 1), 0, ((0, 0),))


def _crop(shapes, options) -> _Count:
    return _Count(_margins(shapes, options, -1), 0, ((0, 0),), views=(True, False))


def _margins(shapes, options, sign: int) -> int:
    (N, C, H, W), (top, bottom, left, right) = shapes[0], options["margins"]
    return N * C * (H + sign * (top + bottom)) * (W + sign * (left + right))


def _sum(shapes, options) -> _Count:
    x, axis = shapes[0], options.get("axis")
    axes = range(len(x)) if axis is None else {k % len(x) for k in np.atleast_1d(axis)}
    return _Count(prod(n for k, n in enumerate(x) if k not in axes), prod(x), ((0, 0),), views=(False, True))


def _reshape(shapes, options) -> _Count:
    return _Count(prod(shapes[0]), 0, ((0, 0),), views=(True, True))


def _to_device(shapes, options) -> _Count:
    return _Count(prod(shapes[0]), 0, ((0, 0),))


_COUNTS: dict[str, Callable[[Sequence, Mapping], _Count]] = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "upsample_conv2d": _upsample_conv2d,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "upsample_nearest2d": _enlargement(0, 1),
    "upsample_bilinear2d": _enlargement(7, 8),  # four products and their sum
    "batch_norm2d": _norm,
    "group_norm": _norm,
    "relu": _unary(1, 1),
    "sigmoid": _unary(4, 3),
    "softmax": _unary(5, 4),  # the largest, minus it, exp, sum, divide
    "log_softmax": _unary(5, 4),
    "exp": _unary(1, 1),
    "log": _unary(1, 1),
    "power": _unary(1, 3),
    "dropout": _unary(2, 1),
    "add": _binary(0, 0, saves=False),
    "subtract": _binary(0, 1, saves=False),
    "multiply": _binary(1, 1, saves=True),
    "divide": _binary(1, 4, saves=True),
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _binary_cross_entropy,
    "dice_loss": _dice_loss,
    "concat": _concat,
    "pad": _pad,
    "crop": _crop,
    "sum": _sum,
    "reshape": _reshape,
    "to_device": _to_device,
}
