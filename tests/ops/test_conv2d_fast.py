"""What is special to the fast convolution kernels: who is chosen, odd sizes, threads, accuracy, NaN."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from tinyunet import use_kernels
from tinyunet.backend import choose_kernels
from tinyunet.ops.conv2d import cpu, cpu_fast, cpu_patch, reference
from tinyunet.ops.shapes import ConvGeometry


def make(N, C, H, W, O, K, stride=1, padding=0, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N, C, H, W), dtype=np.float32)
    w = rng.standard_normal((O, C, *K), dtype=np.float32)
    b = rng.standard_normal(O, dtype=np.float32)
    g = ConvGeometry.of(x.shape, w.shape, stride, padding)
    return x, w, b, rng.standard_normal((N, O, g.OH, g.OW), dtype=np.float32), g


def passes(kernels, x, w, b, gy, g):
    return (
        kernels.forward(x, w, b, g),
        kernels.backward_input(gy, w, g),
        kernels.backward_weight(gy, x, g),
        kernels.backward_bias(gy),
    )


def error(got, expected):
    return np.abs(got - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize(
    ("O", "K", "stride", "padding", "dtype", "module"),
    [
        (8, (3, 3), 1, 1, np.float32, cpu_fast),
        (8, (3, 3), 1, 0, np.float32, cpu_fast),
        (8, (3, 3), 1, 1, np.float64, None),
        (8, (3, 3), 2, 1, np.float32, None),
        (8, (3, 2), 1, 1, np.float32, None),
        (8, (1, 1), 1, 0, np.float32, cpu_patch),
        (7, (1, 1), 1, 0, np.float32, None),
        (8, (2, 2), 2, 0, np.float32, cpu_patch),
        (8, (2, 3), (2, 3), 0, np.float32, cpu_patch),
        (8, (2, 2), 2, 1, np.float32, None),
        (8, (1, 1), 2, 0, np.float32, None),
    ],
)
def test_rule_that_picks_the_kernels(O, K, stride, padding, dtype, module):
    g = ConvGeometry.of((2, 3, 9, 9), (O, 3, *K), stride, padding)
    assert cpu.special_kernels(np.empty(0, dtype), g) is module


SIZES = {  # N, C, H, W, O, kernel, stride, padding
    "one pixel": (1, 1, 1, 1, 1, (3, 3), 1, 1),
    "channels that fill no vector": (3, 5, 13, 7, 6, (3, 3), 1, 1),
    "more channels than a part, many tiles": (2, 35, 9, 30, 37, (3, 3), 1, 1),
    "row longer than a tile": (1, 2, 6, 700, 3, (3, 3), 1, 1),
    "padding beyond the kernel": (2, 3, 5, 4, 2, (3, 3), 1, (4, 3)),
    "no padding": (2, 3, 9, 8, 5, (3, 3), 1, 0),
    "pointwise": (3, 50, 9, 11, 9, (1, 1), 1, 0),
    "windows with a remainder": (2, 7, 11, 14, 70, (2, 3), (2, 3), 0),
}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_odd_sizes(size):
    x, w, b, gy, g = make(*size)
    wide = [a.astype(np.float64) for a in (x, w, b, gy)]
    for got, expected in zip(passes(cpu, x, w, b, gy, g), passes(reference, *wide, g), strict=True):
        assert got.dtype == np.float32
        assert error(got, expected) < 5e-6


@pytest.mark.parametrize("size", [(2, 20, 17, 19, 9, (3, 3), 1, 1), (2, 20, 18, 16, 9, (2, 2), 2, 0)])
def test_same_bits_for_any_number_of_threads(size):
    data = make(*size)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = passes(cpu, *data)
    finally:
        numba.set_num_threads(threads)
    for a, b in zip(one, passes(cpu, *data), strict=True):
        assert np.array_equal(a, b)


def test_accuracy_at_1024_channels():
    x, w, b, gy, g = make(1, 1024, 8, 8, 8, (3, 3), 1, 1)
    x64, w64, b64, gy64 = (a.astype(np.float64) for a in (x, w, b, gy))
    assert error(cpu.forward(x, w, b, g), reference.forward(x64, w64, b64, g)) < 2e-5
    assert error(cpu.backward_weight(gy, x, g), reference.backward_weight(gy64, x64, g)) < 2e-5
    x, w, b, gy, g = make(1, 8, 8, 8, 1024, (3, 3), 1, 1)
    gx = reference.backward_input(gy.astype(np.float64), w.astype(np.float64), g)
    assert error(cpu.backward_input(gy, w, g), gx) < 2e-5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("size", [(2, 3, 12, 12, 5, (3, 3), 1, 1), (2, 3, 12, 12, 5, (2, 2), 2, 0)])
def test_nan_and_infinity_show_where_they_reach(size, bad):
    x, w, b, gy, g = make(*size)
    x[1, 2, 5, 6] = bad
    gy[0, 4, 3, 2] = bad
    with np.errstate(invalid="ignore"):
        expected = passes(reference, x, w, b, gy, g)
        for got, reached in zip(passes(cpu, x, w, b, gy, g), expected, strict=True):
            assert not np.isfinite(got[~np.isfinite(reached)]).any()
    y, gx = cpu.forward(x, w, b, g), cpu.backward_input(gy, w, g)
    assert np.isfinite(y[0]).all() and np.isfinite(gx[1]).all()  # and not in the other image


def test_plain_kernels_are_chosen_by_name_and_for_the_block_only():
    g = ConvGeometry.of((1, 1, 8, 8), (1, 1, 3, 3), 1, 1)
    x = np.zeros((1, 1, 8, 8), np.float32)
    assert cpu.special_kernels(x, g) is cpu_fast
    with use_kernels("plain"):
        assert choose_kernels(x, "tinyunet.ops.conv2d") is cpu
        assert cpu.special_kernels(x, g) is None
    assert cpu.special_kernels(x, g) is cpu_fast
