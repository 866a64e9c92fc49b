"""What a case of the table in `cases.py` is, and how cases of like operations are made: each call beside PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyunet import functional as F


@dataclass(frozen=True)
class Case:
    """A function of tensors and where to try it.

    `run` takes tinyunet tensors; `torch` takes the module torch, then PyTorch tensors. `inputs` are shapes, to be
    filled with random numbers, or arrays. The first `linear` inputs enter linearly (the others, biases, can be left
    out). `smooth` is False where finite differences mean nothing: at kinks, and where an op changes its state.
    """

    run: Callable
    torch: Callable
    inputs: tuple
    linear: int = 0
    smooth: bool = True

    def arrays(self, dtype=np.float64) -> list[np.ndarray]:
        rng = np.random.RandomState(0)  # unlike default_rng, the same numbers in every version of NumPy
        shapes_filled = (x if isinstance(x, np.ndarray) else rng.uniform(-2, 2, x) for x in self.inputs)
        return [x.astype(dtype) for x in shapes_filled]


def upstream(shape, dtype=np.float64) -> np.ndarray:
    """Return the random upstream gradient with which a result of this shape is differentiated."""
    return np.asarray(np.random.RandomState(1).uniform(-1, 1, shape), dtype)


def conv2d(x, w, bias=False, **options):
    return Case(
        lambda x, w, b=None: F.conv2d(x, w, b, **options),
        lambda torch, x, w, b=None: torch.nn.functional.conv2d(x, w, b, **options),
        (x, w, w[:1]) if bias else (x, w),
        linear=2,
    )


def conv_transpose2d(x, w, bias=False, **options):
    return Case(
        lambda x, w, b=None: F.conv_transpose2d(x, w, b, **options),
        lambda torch, x, w, b=None: torch.nn.functional.conv_transpose2d(x, w, b, **options),
        (x, w, w[1:2]) if bias else (x, w),
        linear=2,
    )


def upsample_conv2d(x, w, bias=False, *, scale, padding="valid"):
    def in_torch(torch, x, w, b=None):
        KH, KW = w.shape[2:]
        large = torch.nn.functional.interpolate(x, scale_factor=scale, mode="nearest")
        if padding == "same":
            large = torch.nn.functional.pad(large, ((KW - 1) // 2, KW // 2, (KH - 1) // 2, KH // 2))
        return torch.nn.functional.conv2d(large, w, b)

    return Case(
        lambda x, w, b=None: F.upsample_conv2d(x, w, b, scale=scale, padding=padding),
        in_torch,
        (x, w, w[:1]) if bias else (x, w),
        linear=2,
    )


def upsample_bilinear2d(x, *, scale):
    return Case(
        lambda x: F.upsample_bilinear2d(x, scale=scale),
        lambda torch, x: torch.nn.functional.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=True),
        (x,),
        linear=1,
    )


def pool(name, x, kernel_size, **options):
    return Case(
        lambda x: getattr(F, name)(x, kernel_size, **options),
        lambda torch, x: getattr(torch.nn.functional, name)(x, kernel_size, **options),
        (x,),
        linear=name == "avg_pool2d",
    )


def batch_norm2d(x, training):
    """Start from running arrays that are not 0 and 1."""
    C = x[1]

    def running():
        return 0.1 * np.arange(C), 0.5 + np.arange(C)

    def run(x, weight, bias):
        mean, var = (a.astype(x.dtype) for a in running())
        return F.batch_norm2d(x, weight, bias, running_mean=mean, running_var=var, training=training, eps=1e-3)

    def in_torch(torch, x, weight, bias):
        mean, var = map(torch.tensor, running())
        return torch.nn.functional.batch_norm(x, mean, var, weight, bias, training=training, eps=1e-3)

    return Case(run, in_torch, (x, (C,), (C,)))


def running_arrays(x):
    """Train on two batches, then use the running arrays: the result shows what these have become."""
    C = x[1]

    def run(x, weight, bias):
        state = {"running_mean": np.zeros(C, x.dtype), "running_var": np.ones(C, x.dtype)}
        F.batch_norm2d(x, weight, bias, training=True, momentum=0.3, **state)
        F.batch_norm2d(x * x, weight, bias, training=True, momentum=0.2, **state)
        return F.batch_norm2d(x, weight, bias, training=False, **state)

    def in_torch(torch, x, weight, bias):
        batch_norm, state = torch.nn.functional.batch_norm, (torch.zeros(C).double(), torch.ones(C).double())
        batch_norm(x.detach(), *state, training=True, momentum=0.3)
        batch_norm(x.detach() ** 2, *state, training=True, momentum=0.2)
        return batch_norm(x, *state, weight, bias, training=False)

    return Case(run, in_torch, (x, (C,), (C,)), smooth=False)


def group_norm(x, groups):
    return Case(
        lambda x, weight, bias: F.group_norm(x, weight, bias, groups=groups),
        lambda torch, x, weight, bias: torch.nn.functional.group_norm(x, groups, weight, bias),
        (x, x[1:2], x[1:2]),
    )


def pad(x, margins, mode="constant", value=0.0):
    top, bottom, left, right = margins
    mode_in_torch = "replicate" if mode == "edge" else "constant"
    return Case(
        lambda x: F.pad(x, margins, mode=mode, value=value),
        lambda torch, x: torch.nn.functional.pad(x, (left, right, top, bottom), mode_in_torch, value or None),
        (x,),
        linear=value == 0,
    )


class SetGenerator:
    """Stands for a random generator where the test must know the numbers: 0, .3, .6, .9, .2, .5, .8, .1, .4, .7."""

    def random(self, shape, dtype):
        return (np.arange(np.prod(shape)) * 3 % 10 / 10).astype(dtype).reshape(shape)


def dropout(x, p):
    factor = (SetGenerator().random(x, np.float32) >= p) / (1 - p)
    return Case(
        lambda x: F.dropout(x, p, generator=SetGenerator()),
        lambda torch, x: x * torch.from_numpy(factor),
        (x,),
        linear=1,
    )


def labels(N, classes, H, W, ignored=None):
    """Return label maps in which every class occurs, with the first two pixels of each image ignored on demand."""
    target = (np.arange(N * H * W) * 7 % 11 % classes).reshape(N, H, W)
    if ignored is not None:
        target[:, 0, :2] = ignored
    return target


def weights(N, H, W):
    return (np.arange(N * H * W) * 5 % 9 / 4).reshape(N, H, W)


def cross_entropy_in_torch(torch, z, target, class_weights=None, pixel_weights=None, ignore_index=-1):
    target = torch.from_numpy(target)
    shares = torch.ones(max(z.shape[1], 2)).double() if class_weights is None else torch.tensor(class_weights).double()
    shares = shares[torch.where(target == ignore_index, 0, target)] * (target != ignore_index)
    if pixel_weights is not None:
        shares = shares * torch.from_numpy(pixel_weights)
    if z.shape[1] == 1:
        binary = torch.nn.functional.binary_cross_entropy_with_logits
        losses = binary(z[:, 0], (target == 1).double(), reduction="none")
    else:
        losses = torch.nn.functional.cross_entropy(z, target, ignore_index=ignore_index, reduction="none")
    return (losses * shares).sum() / shares.sum()


def dice_in_torch(
    torch, z, target, include_background=False, per_image=False, squared=False, eps=1.0, empty="skip", ignore_index=-1
):
    C, target = z.shape[1], torch.from_numpy(target)
    counted = (target != ignore_index)[:, None]
    classes = torch.arange(C) if C > 1 else torch.tensor([1])
    p = (z.softmax(1) if C > 1 else z.sigmoid()) * counted
    y = ((target[:, None] == classes[:, None, None]) & counted).double()
    axes = (2, 3) if per_image else (0, 2, 3)
    dice = (2 * (p * y).sum(axes) + eps) / ((p * p if squared else p).sum(axes) + y.sum(axes) + eps)
    counts = torch.ones_like(dice)
    if C > 1 and not include_background:
        counts[..., 0] = 0
    if empty == "skip":
        counts = counts * (y.sum(axes) > 0)
    return ((1 - dice) * counts).sum() / counts.sum()


def loss(name, z, target, **options):
    def combined(torch, z, target, dice_weight=1.0, per_image=False, **options):
        ignore = {key: value for key, value in options.items() if key == "ignore_index"}
        entropy = cross_entropy_in_torch(torch, z, target, **options)
        return entropy + dice_weight * dice_in_torch(torch, z, target, per_image=per_image, **ignore)

    in_torch = {"dice_loss": dice_in_torch, "cross_entropy_dice": combined}.get(name, cross_entropy_in_torch)
    return Case(
        lambda z: getattr(F, name)(z, target, **options), lambda torch, z: in_torch(torch, z, target, **options), (z,)
    )


def operators(run, *inputs, linear=0, smooth=True):
    """Make a case of a function that reads the same in both libraries."""
    return Case(run, lambda torch, *tensors: run(*tensors), inputs, linear, smooth)


def module_function(name, *inputs, smooth=True, **options):
    """Make a case of a function of the same name in both libraries; PyTorch calls the axis dim."""
    in_torch = {"dim": options["axis"]} if options else {}
    return Case(
        lambda x: getattr(F, name)(x, **options),
        lambda torch, x: getattr(torch, name)(x, **in_torch),
        inputs,
        smooth=smooth,
    )
