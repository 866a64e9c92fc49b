"""T3: the operations on arrays that need many blocks of threads, the last one partly; the tables' arrays need only one.

Planes have more pixels than a block has threads, so that sums of one block take several turns as well.
"""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import Tensor, use_kernels
from tinyunet import functional as F

from .nvrtc import OPS

N, C, H, W, O = 3, 2, 17, 19, 4
LABELS = (np.arange(N * H * W) * 7 % 13 % C).reshape(N, H, W)
LABELS[:, 3, 2:9] = -1
SHARES = (np.arange(N * H * W) * 5 % 9 / 4).reshape(N, H, W)
LOSS = {"class_weights": [0.5, 2.0], "pixel_weights": SHARES}
X, ONE, KERNEL, BIAS, PER_CHANNEL = (N, C, H, W), (N, 1, H, W), (O, C, 3, 2), (O,), (C,)


def batch_norm(x, weight, bias):
    running = {"running_mean": 0 * x.data[0, :, 0, 0], "running_var": 1 + 0 * x.data[0, :, 0, 0]}
    return F.batch_norm2d(x, weight, bias, training=True, **running)


CALLS = {
    "avg_pool2d": (lambda x: F.avg_pool2d(x, (3, 2), stride=(1, 2), padding=1), X),
    "binary_cross_entropy": (lambda z: F.binary_cross_entropy(z, LABELS, **LOSS), ONE),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, stride=(1, 2), padding=(2, 1)), X, KERNEL, BIAS),
    "conv_transpose2d": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride=(2, 1), padding=(0, 1)), X, (C, O, 3, 2), BIAS
    ),
    "cross_entropy": (lambda z: F.cross_entropy(z, LABELS, **LOSS), X),
    "dice": (lambda z: F.dice_loss(z, LABELS, include_background=True, per_image=True), X),
    "dice/ignored-class": (lambda z: F.dice_loss(z, LABELS % 2, ignore_index=1, include_background=True), X),
    "max_pool2d": (lambda x: F.max_pool2d(x, (3, 2), stride=(1, 2), padding=(1, 0)), X),
    "norm": (batch_norm, X, PER_CHANNEL, PER_CHANNEL),
    "norm/group": (lambda x, weight, bias: F.group_norm(x, weight, bias, groups=1), X, PER_CHANNEL, PER_CHANNEL),
    "relu": (F.relu, X),
    "sigmoid": (F.sigmoid, X),
    "softmax": (lambda x: F.softmax(x), X),
    "softmax/log": (lambda x: F.log_softmax(x, axis=2), X),
    "upsample_bilinear2d": (lambda x: F.upsample_bilinear2d(x, scale=(1, 2)), X),
    "upsample_conv2d": (lambda x, w, b: F.upsample_conv2d(x, w, b, scale=(1, 2), padding="same"), X, KERNEL, BIAS),
    "upsample_nearest2d": (lambda x: F.upsample_nearest2d(x, scale=(2, 1)), X),
}  # fmt: skip


def test_every_operation_with_kernels_is_here_and_has_all_rungs():
    folders = {path.parent.name: path.parent for path in OPS.glob("*/op.py")}
    assert {name.partition("/")[0] for name in CALLS} == folders.keys()
    for folder in folders.values():
        assert all((folder / rung).is_file() for rung in ("reference.py", "cpu.py", "gpu.py")), folder


def check(name, gpu) -> None:
    """Compare the result and the gradients of one call with the reference."""
    call, *shapes = CALLS[name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    exact = [Tensor(a.astype(np.float64), requires_grad=True) for a in arrays]
    with use_kernels("reference"):
        y = call(*exact)
        gy = rng.standard_normal(y.shape).astype(np.float32)
        y.backward(gy.astype(np.float64))
    found = [Tensor(gpu.asarray(a), requires_grad=True) for a in arrays]
    z = call(*found)
    z.backward(gpu.asarray(gy))
    pairs = [(z.numpy(), y.data)] + [(f.grad.get(), e.grad) for f, e in zip(found, exact, strict=True)]
    for what, (a, b) in zip(("result", "gx", "gw", "gb"), pairs, strict=False):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max(), err_msg=what)


@pytest.mark.parametrize("name", CALLS)
def test_many_blocks_equal_the_reference(gpu, name):
    check(name, gpu)
