"""The operations of a UNet at its shapes: what each computes, here and in PyTorch, and what it costs by its formula.

Operations (FLOPs) and bytes are those of the formula, not of the kernel: each addition, multiplication, comparison,
exponential or logarithm counts one; inputs, saved arrays and results move once. So a kernel that is cleverer than its
formula (Winograd needs half the multiplications) can pass the machine's peak, and data that stays in a cache its copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import functional as F
from . import pytorch


@dataclass(frozen=True)
class Case:
    """A differentiable operation on random inputs.

    `ours` takes Tensors, `torch` the module torch and its tensors. `flops` are those of forward and of backward.
    `other_bytes` are read forward besides the inputs (labels). Where the gradients are mere views of the upstream
    gradient, `backward` is False: there is nothing to time.
    """

    op: str
    detail: str
    shapes: tuple[tuple[int, ...], ...]
    ours: Callable
    torch: Callable
    flops: tuple[int, int]
    other_bytes: int = 0
    backward: bool = True

    def __str__(self) -> str:
        return f"{self.op} {self.detail}"

    def inputs(self) -> list[np.ndarray]:
        """Return random inputs, always the same."""
        rng = np.random.default_rng(0)
        return [rng.standard_normal(shape, dtype=np.float32) for shape in self.shapes]


def conv2d(C: int, O: int, size: int, kernel_size: int = 3, N: int = 4) -> Case:
    """Return a "same" convolution C -> O with bias: twice a multiply-add per output, channel and kernel offset."""
    k, options = kernel_size, {"padding": kernel_size // 2}
    flops = 2 * N * O * size * size * C * k * k
    return Case(
        "conv2d",
        f"{k}x{k} {C}->{O}, {N}x{size}x{size}",
        ((N, C, size, size), (O, C, k, k), (O,)),
        lambda x, w, b: F.conv2d(x, w, b, **options),
        lambda torch, x, w, b: torch.nn.functional.conv2d(x, w, b, **options),
        (flops, 2 * flops),
    )


def conv_transpose2d(C: int, O: int, size: int, N: int = 4) -> Case:
    """Return an up-convolution C -> O from `size` to 2 `size` pixels."""
    flops = 2 * N * C * size * size * O * 4
    return Case(
        "conv_transpose2d",
        f"2x2 {C}->{O}, {N}x{size}x{size}",
        ((N, C, size, size), (C, O, 2, 2), (O,)),
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2),
        lambda torch, x, w, b: torch.nn.functional.conv_transpose2d(x, w, b, stride=2),
        (flops, 2 * flops),
    )


def max_pool2d(C: int, size: int, N: int = 4) -> Case:
    """Return a 2 x 2 pooling: three comparisons per output, and one addition backward."""
    outputs = N * C * size * size // 4
    return Case(
        "max_pool2d",
        f"2x2 {C}, {N}x{size}x{size}",
        ((N, C, size, size),),
        lambda x: F.max_pool2d(x, 2),
        lambda torch, x: torch.nn.functional.max_pool2d(x, 2),
        (3 * outputs, outputs),
    )


def relu(C: int, size: int, N: int = 4) -> Case:
    """Return a rectifier: a comparison per number."""
    shape = (N, C, size, size)
    flops = math.prod(shape)
    return Case("relu", f"{C}, {N}x{size}x{size}", (shape,), F.relu, lambda torch, x: torch.relu(x), (flops, flops))


def batch_norm2d(C: int, size: int, N: int = 4) -> Case:
    """Return batch normalisation in training; per number 6 operations forward (formula 1) and 9 backward (2 to 4)."""
    count = N * C * size * size

    def ours(x, weight, bias):
        running = {"running_mean": np.zeros(C, x.dtype), "running_var": np.ones(C, x.dtype)}
        return F.batch_norm2d(x, weight, bias, training=True, **running)

    def in_torch(torch, x, weight, bias):
        return torch.nn.functional.batch_norm(x, torch.zeros(C), torch.ones(C), weight, bias, training=True)

    shapes = ((N, C, size, size), (C,), (C,))
    return Case("batch_norm2d", f"{C}, {N}x{size}x{size}", shapes, ours, in_torch, (6 * count, 9 * count))


def concat(C: int, size: int, N: int = 4) -> Case:
    """Return the joining of two arrays of C channels: a copy, no arithmetic."""
    return Case(
        "concat",
        f"{C}+{C}, {N}x{size}x{size}",
        ((N, C, size, size),) * 2,
        lambda *xs: F.concat(xs),
        lambda torch, *xs: torch.cat(xs, 1),
        (0, 0),
        backward=False,
    )


def loss(name: str, C: int, size: int, flops: tuple[int, int], N: int = 4) -> Case:
    """Return a loss of C classes with `flops` operations per score."""
    target = np.random.default_rng(1).integers(0, C, (N, size, size))
    in_torch = {
        "cross_entropy": lambda torch, z: torch.nn.functional.cross_entropy(z, torch.from_numpy(target)),
        "dice_loss": lambda torch, z: pytorch.dice_loss(torch, z, torch.from_numpy(target)),
    }
    shape = (N, C, size, size)
    return Case(
        name,
        f"{C}, {N}x{size}x{size}",
        (shape,),
        lambda z: getattr(F, name)(z, target),
        in_torch[name],
        tuple(math.prod(shape) * k for k in flops),
        target.nbytes,
    )


CASES = (
    conv2d(32, 32, 128),  # the first case of an operation is also its ladder
    conv2d(1, 16, 128),
    conv2d(32, 16, 128),
    conv2d(32, 32, 64),
    conv2d(64, 64, 32),
    conv2d(128, 128, 16),
    conv2d(16, 2, 128, kernel_size=1),
    conv_transpose2d(32, 16, 64),
    conv_transpose2d(128, 64, 16),
    max_pool2d(16, 128),
    relu(16, 128),
    batch_norm2d(16, 128),
    concat(16, 128),
    loss("cross_entropy", 2, 128, (4, 4)),  # forward: largest, minus it, exp, sum; backward: the same, then the factor
    loss("dice_loss", 2, 128, (8, 8)),  # besides softmax three sums of products, and their derivatives
)
