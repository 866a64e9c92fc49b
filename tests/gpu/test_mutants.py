"""Do the tests find mistakes? Plants a bug into the source of a kernel and requires that the tests notice, and how.

Not found without a GPU, by construction: indices that overflow only in arrays of more than 2^31 elements, and hazards
in shared memory that change no result (compute-sanitizer's racecheck reports those, see `verify.py`).
"""

from __future__ import annotations

import functools
import importlib

import numpy as np
import pytest

from tinyunet import use_kernels
from tinyunet.ops.cuda import CudaSource

from ..ops.cases import CASES
from ..ops.makers import upstream
from ..ops.test_ops import TOLERANCE, assert_close, results
from ..optim import test_optim
from . import runner, standin
from .runner import KernelError
from .test_many_blocks import CALLS, check

RACE, OUTSIDE, BARRIER, NUMBERS = "order of the threads", "outside of the array", "never reach the barrier", "Not equal"

# Name: op, text in its source (includes put in), what replaces it, and how it is found.
MUTANTS = {
    "barrier within the tree dropped": ("conv2d", "        __syncthreads();\n        if", "        if", RACE),
    "tree without its widest step": ("norm", "int half = 128", "int half = 64", NUMBERS),
    "tree that reaches beyond its array": ("norm", "threadIdx.x < half", "threadIdx.x <= half", OUTSIDE),
    "half of the threads skip a sum": (
        "dice", "truth = block_sum(truth)", "if (threadIdx.x < 128) truth = block_sum(truth)", BARRIER),
    "return before a sum": ("cross_entropy", "double loss = 0;", "double loss = 0; if (k >= pixels) return;", BARRIER),
    "every thread writes its own part": (
        "conv2d", "sum = block_sum(sum);\n    if (threadIdx.x == 0) gw[k]", "gw[k]", RACE),
    "parts not added up": (
        "conv2d", "sum = block_sum(sum);\n    if (threadIdx.x == 0) gb", "if (threadIdx.x == 0) gb", NUMBERS),
    "pixels counted twice": ("conv2d", "m < pixels; m += blockDim.x) {", "m < pixels; m += blockDim.x / 2) {", NUMBERS),
    "a later block starts at 0": ("relu", "blockIdx.x * (long long)blockDim.x + threadIdx.x", "threadIdx.x", NUMBERS),
    "no check of the last block": ("relu", "if (k >= size) return;", "", OUTSIDE),
    "no check of the last block in conv2d": ("conv2d", "if (k >= (long long)N * O * OH * OW) return;", "", OUTSIDE),
    "gradient at 0": ("relu", "y[k] > 0", "y[k] >= 0", NUMBERS),
    "NaN and negative confused": ("relu", "x[k] < 0 ? T(0) : x[k]", "x[k] < 0 ? x[k] : T(0)", NUMBERS),
    "right border read beyond the row": ("conv2d", "q >= 0 && q < W) sum += image", "q >= 0) sum += image", NUMBERS),
    "lower border one row late": ("conv2d", "p >= H", "p > H", NUMBERS),
    "strides swapped": ("conv2d", "i * SH + u - PH", "i * SW + u - PH", NUMBERS),
    "paddings swapped": ("conv2d", "q + PW - v", "q + PH - v", NUMBERS),
    "rows between two strides": ("conv2d", "row < 0 || i * SH != row ||", "row < 0 ||", NUMBERS),
    "planes of the wrong image": ("conv2d", "gy + ((long long)n * O + o)", "gy + ((long long)n * C + o)", NUMBERS),
    "bias forgotten": ("conv2d", "b ? b[o] : T(0)", "T(0)", NUMBERS),
    "missing pointer not asked for": ("conv2d", "b ? b[o] : T(0)", "b[o]", "wild pointer"),
    "first image left out": ("conv2d", "int n = 0; n < N", "int n = 1; n < N", NUMBERS),
    "the last of equal maxima": ("max_pool2d", "value > best", "value >= best", NUMBERS),
    "windows of the next plane": ("max_pool2d", "min(bottom / SH, OH - 1)", "bottom / SH", NUMBERS),
    "images of softmax overlap": ("softmax", "k / after * C * after", "k / after * after", RACE),
    "term of softmax missing": ("softmax", "gy[here] - total)", "gy[here])", NUMBERS),
    "ignored pixels counted": ("dice", "counted[m] && labels[m] == c", "labels[m] == c", NUMBERS),
    "variance not centred": ("norm", "squares / M - centre * centre", "squares / M", NUMBERS),
    "factor of the loss missing": ("cross_entropy", "*factor * weight[k]", "weight[k]", NUMBERS),
    "window that starts in the padding": ("max_pool2d", "first_u = max(0, -top)", "first_u = 0", NUMBERS),
    "window that ends outside": ("max_pool2d", "end_v = min(KW, W - left)", "end_v = KW", NUMBERS),
    "one of overlapping windows": ("max_pool2d", "bottom < KH ? 0 : (bottom - KH) / SH + 1", "bottom / SH", NUMBERS),
    "padding left out of the mean": (
        "avg_pool2d", "total / (KH * KW);  // (1)", "total / ((min(H, top + KH) - max(0, top)) * KW);", NUMBERS),
    "padding forgotten": ("avg_pool2d", "bottom = k / W % H + PH", "bottom = k / W % H", NUMBERS),
    "scales swapped": ("upsample_nearest2d", "row / SH * W + j / SW", "row / SW * W + j / SH", NUMBERS),
    "last row of a block left out": ("upsample_nearest2d", "u < SH;", "u < SH - 1;", NUMBERS),
    "row below the last": ("upsample_bilinear2d", "p + 1 < H ? upper + W : upper", "upper + W", NUMBERS),
    "exponential that overflows": ("sigmoid", "exp(-fabs(x[k]))", "exp(-x[k])", NUMBERS),
    "scores not shifted": ("softmax", "largest = max(largest, x[(long long)c * after]);", "largest = 0;", NUMBERS),
    "logarithm for probability": ("softmax", "exp(y[here]) * total", "y[here] * total", NUMBERS),
    "sum of one thread": ("norm", "    total = block_sum(total);\n    squares", "    squares", NUMBERS),
    "threads leave between two sums": (
        "norm", "    squares = block_sum", "    if (threadIdx.x > 0) return;\n    squares = block_sum", BARRIER),
    "x not centred": ("norm", "x[inside] - centre", "x[inside]", NUMBERS),
    "pixels after the end": ("norm", "blockDim.x < M ? g[i] : T(0)", "blockDim.x < M ? g[i] : g[i]", NUMBERS),
    "mean of the next plane": (
        "norm", "plane = k / M;\n    y[k]", "plane = (k + 1) / M;\n    y[k]", NUMBERS),
    "variance of the means": ("norm/coefficients", "variances[plane] + d * d", "variances[plane]", NUMBERS),
    "running variance biased": ("norm/coefficients", "m.var * unbiased", "m.var", NUMBERS),
    "group from its own channel on": ("norm/coefficients", "c / width * width", "c", NUMBERS),
    "own weight for all channels": (
        "norm/coefficients", "sum_gyx[other] * weight[other % C]", "sum_gyx[other] * weight[c]", NUMBERS),
    "mean of a plane for that of its group": (
        "norm/coefficients", "total /= s.count * (double)pixels", "total /= (double)pixels", NUMBERS),
    "constants differentiated": (
        "norm/coefficients", "if (pixels > 0) {", "if (pixels += pixels == 0; true) {", NUMBERS),
    "ignored pixels leave before a sum": (
        "cross_entropy", "double loss = 0;", "double loss = 0; if (k < pixels && weight[k] == 0) return;", BARRIER),
    "classes one apart": ("cross_entropy", "gz[(long long)c * M] = s", "gz[c] = s", RACE),
    "last class left out": (
        "cross_entropy", "c < C; ++c)\n            total", "c < C - 1; ++c)\n            total", NUMBERS),
    "logarithm of infinity": ("binary_cross_entropy", "exp(-fabs(z[k])))", "exp(z[k]))", NUMBERS),
    "every pixel foreground": ("binary_cross_entropy", "(labels[k] == 1 ? z[k] : T(0))", "z[k]", NUMBERS),
    "pixels after the last": ("binary_cross_entropy", "if (k < pixels) {", "{", NUMBERS),
    "gradient where ignored": ("dice", "counted[k] ? p[here] * (gz[here] - through) : T(0)",
                               "p[here] * (gz[here] - through)", NUMBERS),
    "squares forward only": ("dice", "squared ? 2 * b[c] * probability : b[c]", "b[c]", NUMBERS),
    "coefficients of the first image": ("dice", "b += k / M * C;", "", NUMBERS),
    "labels of the first image": ("dice", "labels += (long long)n * M;", "", NUMBERS),
    "momentum without a look ahead": ("optim", "nesterov ? step + momentum * v[k] : v[k]", "v[k]", NUMBERS),
    "start of v not corrected": ("optim", "sqrt(v[k]) * root_scale", "sqrt(v[k])", NUMBERS),
    "decoupled decay forgotten": ("optim", "shrink * w[k]", "w[k]", NUMBERS),
    "step at any time": ("optim", "|| when && !*when) return;\n    T", ") return;\n    T", "Arrays are not equal"),
    "squares after the last": ("optim", "min(first + stretch, size)", "first + stretch", NUMBERS),
    "short gradients lengthened": ("optim", "shorter < 1 ? shorter : 1", "shorter", NUMBERS),
    "sum left undefined": ("avg_pool2d", "T total = 0;", "T total;", None),
}  # fmt: skip


def run_everything(op: str, gpu) -> None:
    """Run what the other tests run of one op, on one dtype each."""
    if op == "optim":
        return run_optimizers()
    for name in CALLS:
        if name.partition("/")[0] == op:
            check(name, gpu)
    for name, case in CASES.items():
        if name.startswith({"norm": ("batch_norm2d", "group_norm"), "dice": "dice_loss"}.get(op, op)):
            arrays = case.arrays()
            with use_kernels("reference"):
                exact = results(case, arrays)
            with use_kernels("gpu"):
                assert_close(results(case, arrays, upstream(exact[0].shape)), exact, TOLERANCE[np.float64])


def run_optimizers() -> None:
    for name in test_optim.CASES:
        test_optim.test_steps_equal_the_frozen_torch_steps(name, "cuda")
        test_optim.test_nothing_changes_when_it_must_not(name, "cuda")
    for max_norm in test_optim.MAX_NORMS:
        test_optim.test_clipping_equals_torch(max_norm, "cuda")


def gpu_module(op: str):
    package = "tinyunet.optim" if op == "optim" else f"tinyunet.ops.{op.replace('/', '.')}"
    return importlib.import_module(f"{package}.gpu")


@functools.cache
def mutated_sources(op: str) -> dict[str, str]:
    """Return, for each bug of one op by name, the source with the bug in it."""
    text = CudaSource(gpu_module(op).__file__).text
    bugs = {name: (old, new) for name, (where, old, new, _) in MUTANTS.items() if where == op}
    return {name: text.replace(old, new, 1) for name, (old, new) in bugs.items()}


@functools.cache
def mutated_kernels(op: str, names: tuple[str, ...]) -> dict[str, dict]:
    """Compile all mutants of one op at once; return the kernels `names` of each by its source."""
    sources = list(mutated_sources(op).values())
    return dict(zip(sources, runner.build_together(sources, names), strict=True))


@pytest.mark.parametrize("name", MUTANTS)
def test_planted_bugs_are_found(name, gpu, every_op_on_the_gpu, monkeypatch):
    if gpu is not standin:
        pytest.skip("wrong kernels are not for a real GPU")
    op, old, _, sign = MUTANTS[name]
    mutant = CudaSource(gpu_module(op).__file__)
    assert old in mutant.text, "the source has changed: plant this bug anew"
    mutant.text = mutated_sources(op)[name]
    build = runner.build

    def build_or_look_up(source, names):
        return mutated_kernels(op, names)[source] if source == mutant.text else build(source, names)

    monkeypatch.setattr(runner, "build", build_or_look_up)
    monkeypatch.setattr(gpu_module(op), "cu", mutant)
    with pytest.raises((KernelError, AssertionError), match=sign):
        run_everything(op.partition("/")[0], gpu)
