"""T2: the fast convolutions of the GPU: who is chosen, odd sizes, both precisions, views, planted bugs."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import UNet, use_kernels
from tinyunet import functional as F
from tinyunet.ops.conv2d import gpu as conv2d
from tinyunet.ops.conv2d import gpu_fast, reference
from tinyunet.ops.cuda import CudaSource
from tinyunet.ops.shapes import ConvGeometry
from tinyunet.settings import matmul_precision

from ..ops.test_conv2d_fast import error, make
from . import standin
from .runner import KernelError

ROUNDING = {"float32": 1e-6, "tf32": 1e-3}  # largest error, in units of the largest result

# N, C, H, W, O, kernel, stride, padding. Tiles are 16 columns wide and 16, 32 or 64 rows high, for blocks of 64, 32 and
# 16 output channels; those of the weights' gradient are 4 rows high and 16 or 64 columns wide.
SIZES = {
    "one pixel": (1, 1, 1, 1, 1, (3, 3), 1, 1),
    "less than a tile": (3, 5, 13, 7, 6, (3, 3), 1, 1),
    "a row and a column beyond": (1, 20, 17, 17, 50, (3, 3), 1, 1),
    "a row beyond 32": (2, 3, 33, 5, 20, (3, 3), 1, 2),
    "a row beyond 64": (1, 17, 65, 3, 16, (3, 3), 1, 1),
    "columns beyond 64, no padding": (1, 3, 13, 70, 3, (3, 3), 1, 0),
    "32 channels": (1, 20, 5, 18, 20, (3, 3), 1, 1),
    "several blocks of channels": (1, 40, 4, 5, 120, (3, 3), 1, 1),
    "few blocks, parts of the channels": (2, 70, 3, 4, 2, (3, 3), 1, 1),
    "padding beyond the kernel": (2, 3, 5, 4, 10, (3, 3), 1, (4, 3)),
    "paddings differ": (2, 4, 6, 19, 5, (3, 3), 1, (0, 2)),
    "pointwise": (3, 50, 9, 11, 2, (1, 1), 1, 0),
    "pointwise, 50 channels": (2, 20, 5, 18, 50, (1, 1), 1, 0),
    "pointwise, 20 channels": (1, 5, 3, 40, 20, (1, 1), 1, 0),
    "windows": (2, 3, 8, 6, 50, (2, 2), 2, 0),
    "windows, 20 channels": (1, 14, 6, 5, 20, (2, 2), 2, 0),
    "windows with a remainder": (2, 7, 35, 9, 5, (2, 2), 2, 0),
}


PASSES = {
    "y": lambda kernels, x, w, b, gy, g: kernels.forward(x, w, b, g),
    "gx": lambda kernels, x, w, b, gy, g: kernels.backward_input(gy, w, g),
    "gw": lambda kernels, x, w, b, gy, g: kernels.backward_weight(gy, x, g),
}


def run(gpu, precision, name, *arrays):
    """Run one pass on the GPU; the last of `arrays` is the geometry."""
    *arrays, g = arrays
    with matmul_precision(precision):
        return PASSES[name](conv2d, *map(gpu.asarray, arrays), g).get()


def check(gpu, precision, sizes, names=tuple(PASSES)):
    *arrays, g = make(*sizes)
    for name in names:
        exact = PASSES[name](reference, *(a.astype(np.float64) for a in arrays), g)
        got = run(gpu, precision, name, *arrays, g)
        assert got.dtype == np.float32 and got.shape == exact.shape
        assert error(got, exact) <= ROUNDING[precision], name  # NaN fails


@pytest.mark.parametrize(
    ("K", "stride", "padding", "dtype", "module"),
    [
        ((3, 3), 1, 1, np.float32, gpu_fast),
        ((3, 3), 1, (0, 2), np.float32, gpu_fast),
        ((3, 3), 1, 1, np.float64, None),
        ((3, 3), 2, 1, np.float32, None),
        ((3, 2), 1, 1, np.float32, None),
        ((1, 1), 1, 0, np.float32, gpu_fast),
        ((2, 2), 2, 0, np.float32, gpu_fast),
        ((2, 2), 2, 1, np.float32, None),
        ((3, 3), 3, 0, np.float32, None),
        ((1, 1), 2, 0, np.float32, None),
    ],
)
def test_rule_that_picks_the_kernels(K, stride, padding, dtype, module):
    g = ConvGeometry.of((2, 3, 9, 9), (4, 3, *K), stride, padding)
    assert conv2d.special_kernels(np.empty(0, dtype), g) is module
    with use_kernels("plain"):
        assert conv2d.special_kernels(np.empty(0, dtype), g) is None


@pytest.mark.parametrize("precision", ROUNDING)
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_odd_sizes(gpu, sizes, precision):
    check(gpu, precision, sizes)


def test_the_sizes_use_every_kernel(gpu, monkeypatch):
    launched = set()
    monkeypatch.setattr(gpu_fast.cu, "launch", lambda name, dtype, **options: launched.add(name))
    for precision in ROUNDING:
        for sizes in SIZES.values():
            for name in PASSES:
                run(gpu, precision, name, *make(*sizes))
    assert launched == {*gpu_fast.cu.instances, *gpu_fast.cu.names(None)}


@pytest.mark.parametrize("precision", ROUNDING)
@pytest.mark.parametrize("name", ["a row and a column beyond", "less than a tile", "pointwise", "windows, 20 channels"])
def test_a_block_takes_several_tiles_and_all_channels(gpu, monkeypatch, name, precision):
    """As in large images; in small ones many blocks share the work."""
    monkeypatch.setattr(gpu_fast, "BLOCKS", 1)
    check(gpu, precision, SIZES[name])


def test_tf32_is_less_exact_and_only_where_it_is_chosen(gpu):
    """Each factor is off by at most 2^-11 of itself, so a product by 2^-10, and a sum by 2^-10 of the sizes' sum."""
    x, w, b, gy, g = make(2, 20, 9, 10, 6, (3, 3), 1, 1)
    b *= 0
    y, scale = (reference.forward(*(f(a).astype(np.float64) for a in (x, w, b)), g) for f in (np.positive, np.abs))
    rounded = run(gpu, "tf32", "y", x, w, b, gy, g)
    assert np.all(np.abs(rounded - y) <= 1.001 * 2.0**-10 * scale)
    assert error(rounded, y) > 3e-5 and error(run(gpu, "float32", "y", x, w, b, gy, g), y) < 1e-6


def test_tf32_leaves_float64_alone(gpu):
    *arrays, g = make(1, 2, 5, 6, 3, (3, 3), 1, 1)
    arrays = [a.astype(np.float64) for a in arrays]
    for name, function in PASSES.items():
        assert error(run(gpu, "tf32", name, *arrays, g), function(reference, *arrays, g)) < 1e-14


def test_precision_must_be_known():
    with pytest.raises(ValueError, match="'float32', 'tf32', got 'bf16'"):
        matmul_precision("bf16")


@pytest.mark.parametrize("precision", ROUNDING)
@pytest.mark.parametrize("sizes", [(2, 3, 9, 20, 5, (3, 3), 1, 1), (2, 3, 8, 10, 5, (2, 2), 2, 0)])
def test_views_that_are_not_aligned_to_16_bytes(gpu, sizes, precision):
    """Arrays that start one number into their memory, and arrays whose rows lie apart."""
    *arrays, g = make(*sizes)

    def shifted(a):
        return gpu.asarray(np.concatenate([a.ravel()[:1], a.ravel()]))[1:].reshape(a.shape)

    def apart(a):
        return gpu.asarray(np.concatenate([a, a], -1))[..., a.shape[-1] :]

    for name in PASSES:
        whole = run(gpu, precision, name, *arrays, g).tobytes()
        assert run(gpu, precision, name, *map(shifted, arrays), g).tobytes() == whole
        assert run(gpu, precision, name, *map(apart, arrays), g).tobytes() == whole


@pytest.mark.parametrize("precision", ROUNDING)
def test_nan_reaches_what_it_must_and_no_other_image(gpu, precision):
    x, w, b, gy, g = make(2, 3, 12, 12, 5, (3, 3), 1, 1)
    x[1, 2, 5, 6] = np.nan
    y = run(gpu, precision, "y", x, w, b, gy, g)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(reference.forward(x, w, b, g)))


@pytest.mark.parametrize("precision", ROUNDING)
def test_a_step_of_a_unet_uses_the_fast_kernels(gpu, precision):
    """With the gradients of the plain kernels, and without these; its convolutions are 3 x 3, 2 x 2 and 1 x 1."""
    images = np.random.default_rng(0).standard_normal((2, 1, 16, 16)).astype(np.float32)
    found = {}
    for kernels in ("plain", "auto"):
        model, start = UNet(1, 2, base_channels=4, depth=1, norm=None, seed=1).to("cuda"), len(standin.LAUNCHES)
        with use_kernels(kernels), matmul_precision(precision):
            F.cross_entropy(model(images), (images[:, 0] > 0).astype(np.int64)).backward()
        found[kernels] = {name: p.grad.get() for name, p in model.named_parameters()}
        launched = {name.partition("<")[0] for name in standin.LAUNCHES[start:]}
        if gpu is standin:
            assert ({"convolve", "weight_gradient"} <= launched) == (kernels == "auto")
            assert ("backward_weight" in launched) == (kernels == "plain")
    for name, exact in found["plain"].items():
        assert error(found["auto"][name], exact) < 10 * ROUNDING[precision], name


RACE, NUMBERS, ROUNDED = "order of the threads", "assert", "not rounded to TF32"
BEYOND, LESS, WIDE = "a row and a column beyond", "less than a tile", "columns beyond 64, no padding"
PARTS = "few blocks, parts of the channels"
# Name: text in the source, what replaces it, the sizes and the precision that find it, and how.
MUTANTS = {
    "chunk overwritten while it is read": (
        "__syncthreads();  // all threads are done with the chunk before", "", BEYOND, "float32", RACE),
    "chunk read before it is there": (
        "H, W);\n        __syncthreads();\n        sums.add", "H, W);\n        sums.add", LESS, "float32", RACE),
    "chunk read before it is there, tensor cores": (
        "H, W);\n        __syncthreads();\n        sums.add", "H, W);\n        sums.add", LESS, "tf32", None),
    "tile overwritten while it is read": (
        "__syncthreads();  // all threads are done with the tile before", "", LESS, "float32", RACE),
    "tile read before it is there": (
        "H, W);\n        __syncthreads();\n        for", "H, W);\n        for", LESS, "float32", RACE),
    "right border of the row below": (" && q < W / S;", ";", LESS, "float32", NUMBERS),
    "channels beyond the last": ("c < C && p >= 0", "p >= 0", LESS, "tf32", NUMBERS),
    "output beyond the last row": ("i < OH / SY && j", "j", LESS, "float32", None),
    "output channel beyond the last": ("if (o < O && i", "if (i", LESS, "float32", None),
    "kernel not flipped": ("taps + taps - 1 - tap", "taps + tap", LESS, "float32", NUMBERS),
    "channels not exchanged": (
        "((long long)c * O + o) * taps + taps", "((long long)o * C + c) * taps + taps", LESS, "float32", NUMBERS),
    "rows and columns of a window exchanged": (
        "(p * S + c / S % S) * W + q * S + c % S", "(p * S + c % S) * W + q * S + c / S % S", "windows", "float32",
        NUMBERS),
    "row u for column v": (
        "weights[(u * K + v) * block.CHANNELS + c][o0]", "weights[(v * K + u) * block.CHANNELS + c][o0]", LESS,
        "float32", NUMBERS),
    "halo one row short": ("HEIGHT = ROWS + K - 1", "HEIGHT = ROWS + K - 2", BEYOND, "float32", None),
    "bias of every part": ("if (b && first == 0)", "if (b)", PARTS, "float32", NUMBERS),
    "part of another image": ("((long long)blockIdx.z * N + n)", "((long long)blockIdx.z + n)", PARTS, "float32", None),
    "last chunk left out": (
        "min(first + chunks, all_chunks)", "min(first + chunks, all_chunks - 1)", LESS, "float32", NUMBERS),
    "rows of matrix A exchanged": (
        "[o0 + 16 * m + r + k % 2 * 8]", "[o0 + 16 * m + r + k / 2 * 8]", LESS, "tf32", NUMBERS),
    "columns of matrix D exchanged": (
        "k / 4 % 2 * 8 + 2 * s + k % 2; }", "k / 4 % 2 * 8 + s + k % 2 * 4; }", LESS, "tf32", NUMBERS),
    "factor not rounded": (
        "!inside ? 0 : TF32 ? to_tf32(value[l])", "!inside ? 0 : TF32 ? value[l]", LESS, "tf32", ROUNDED),
    "weight not rounded": ("tf32 ? to_tf32(value) : value", "value", LESS, "tf32", ROUNDED),
    "half of a warp skips a product": (
        "for (int c = 0; c < block.CHANNELS; c += 8)", "for (int c = 0; c < (r < 4 ? 8 : 0); c += 8)", LESS, "tf32",
        "not all threads of a warp"),
    "window of rows not turned": ("window[k / K][p % K]", "window[k / K][0]", LESS, "float32", NUMBERS),
    "window of matrices not turned": ("window[k / (2 * K)][p % K]", "window[k / (2 * K)][0]", LESS, "tf32", NUMBERS),
    "groups share one gw": ("* GROUPS + group) * O", "* GROUPS) * O", LESS, "float32", None),
    "every group does every strip": ("strip += GROUPS", "strip += 1", WIDE, "float32", NUMBERS),
    "tiles counted twice": ("tile += gridDim.z", "tile += 1", LESS, "float32", NUMBERS),
    "sum of 24 parts": ("min(first + 32, count)", "min(first + 24, count)", WIDE, "float32", NUMBERS),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_planted_bugs_are_found(name, gpu, monkeypatch):
    if gpu is not standin:
        pytest.skip("wrong kernels are not for a real GPU")
    old, new, sizes, precision, sign = MUTANTS[name]
    mutant = CudaSource(gpu_fast.__file__, gpu_fast.cu.instances)
    assert mutant.text.count(old) == 1, "the source has changed: plant this bug anew"
    mutant.text = mutant.text.replace(old, new)
    of_weights = CudaSource(gpu_fast.__file__).text.index(old) > mutant.text.index("struct WeightSums")
    monkeypatch.setattr(gpu_fast, "cu", mutant)
    with pytest.raises((KernelError, AssertionError), match=sign):
        for blocks in (gpu_fast.BLOCKS, 1):
            monkeypatch.setattr(gpu_fast, "BLOCKS", blocks)
            check(gpu, precision, SIZES[sizes], ("gw",) if of_weights else ("y", "gx"))
