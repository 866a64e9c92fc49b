"""The operations of a UNet at its shapes: what each computes, here and in PyTorch.

What an operation costs is that of its formula, not of the kernel; see `tinyunet/glass/cost.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .. import functional as F
from ..glass.cost import Cost, cost_of
from . import pytorch


@dataclass(frozen=True)
class Case:
    """A differentiable operation on random inputs.

    `ours` takes Tensors, `torch` the module torch and its tensors. `options` are those that the cost depends on.
    """

    op: str
    detail: str
    shapes: tuple[tuple[int, ...], ...]
    ours: Callable
    torch: Callable
    options: dict = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.op} {self.detail}"

    def cost(self, direction: str) -> Cost:
        """Return the FLOPs and bytes of "forward" or "backward"."""
        return cost_of(self.op, self.shapes, self.options, direction=direction)

    def inputs(self) -> list[np.ndarray]:
        """Return random inputs, always the same."""
        rng = np.random.default_rng(0)
        return [rng.standard_normal(shape, dtype=np.float32) for shape in self.shapes]


def conv2d(C: int, O: int, size: int, kernel_size: int = 3, N: int = 4) -> Case:
    """Return a "same" convolution C -> O with bias."""
    k, options = kernel_size, {"padding": kernel_size // 2}
    return Case(
        "conv2d",
        f"{k}x{k} {C}->{O}, {N}x{size}x{size}",
        ((N, C, size, size), (O, C, k, k), (O,)),
        lambda x, w, b: F.conv2d(x, w, b, **options),
        lambda torch, x, w, b: torch.nn.functional.conv2d(x, w, b, **options),
        options,
    )


def conv_transpose2d(C: int, O: int, size: int, N: int = 4) -> Case:
    """Return an up-convolution C -> O from `size` to 2 `size` pixels."""
    return Case(
        "conv_transpose2d",
        f"2x2 {C}->{O}, {N}x{size}x{size}",
        ((N, C, size, size), (C, O, 2, 2), (O,)),
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2),
        lambda torch, x, w, b: torch.nn.functional.conv_transpose2d(x, w, b, stride=2),
        {"stride": 2},
    )


def max_pool2d(C: int, size: int, N: int = 4) -> Case:
    """Return a 2 x 2 pooling."""
    return Case(
        "max_pool2d",
        f"2x2 {C}, {N}x{size}x{size}",
        ((N, C, size, size),),
        lambda x: F.max_pool2d(x, 2),
        lambda torch, x: torch.nn.functional.max_pool2d(x, 2),
        {"kernel_size": 2},
    )


def relu(C: int, size: int, N: int = 4) -> Case:
    """Return a rectifier."""
    shape = (N, C, size, size)
    return Case("relu", f"{C}, {N}x{size}x{size}", (shape,), F.relu, lambda torch, x: torch.relu(x))


def batch_norm2d(C: int, size: int, N: int = 4) -> Case:
    """Return batch normalisation in training."""

    def ours(x, weight, bias):
        running = {"running_mean": np.zeros(C, x.dtype), "running_var": np.ones(C, x.dtype)}
        return F.batch_norm2d(x, weight, bias, training=True, **running)

    def in_torch(torch, x, weight, bias):
        return torch.nn.functional.batch_norm(x, torch.zeros(C), torch.ones(C), weight, bias, training=True)

    shapes = ((N, C, size, size), (C,), (C,))
    return Case("batch_norm2d", f"{C}, {N}x{size}x{size}", shapes, ours, in_torch)


def concat(C: int, size: int, N: int = 4) -> Case:
    """Return the joining of two arrays of C channels: a copy, no arithmetic."""
    return Case(
        "concat",
        f"{C}+{C}, {N}x{size}x{size}",
        ((N, C, size, size),) * 2,
        lambda *xs: F.concat(xs),
        lambda torch, *xs: torch.cat(xs, 1),
    )


def loss(name: str, C: int, size: int, N: int = 4) -> Case:
    """Return a loss of C classes."""
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
    loss("cross_entropy", 2, 128),
    loss("dice_loss", 2, 128),
)
