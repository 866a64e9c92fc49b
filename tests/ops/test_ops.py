"""Every check of every operation, over the table of `cases.py`."""

from __future__ import annotations

import functools
import sys

import numba
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from tinyunet import Tensor, check_adjoint, check_gradients, no_grad, use_kernels
from tinyunet import functional as F

from .cases import CASES
from .freeze_torch import FILE, by_torch
from .makers import upstream

DTYPES = {"float32": np.float32, "float64": np.float64}
# Relative to the largest value: a few roundings of each dtype, over sums of up to 100 terms.
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}

every_case = pytest.mark.parametrize("name", CASES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
LINEAR = [(name, k) for name, case in CASES.items() for k in range(case.linear)]


def results(case, arrays, gy=None):
    """Return the result of a case and the gradient of each input."""
    tensors = [Tensor(x, requires_grad=True) for x in arrays]
    y = case.run(*tensors)
    y.backward(upstream(y.shape, y.dtype) if gy is None else gy)
    return [y.data, *(t.grad for t in tensors)]


def assert_close(found, expected, tolerance):
    """Compare the result and each gradient, with a tolerance relative to the largest value of each."""
    assert len(found) == len(expected)
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        what = f"gradient of input {k - 1}" if k else "result"
        assert a.shape == b.shape, what
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.abs(b).max(initial=0.0), err_msg=what)


def assert_same_bits(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()


@functools.cache
def frozen() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return dict(file)


@every_case
def test_reference_equals_frozen_torch_numbers(name):
    case, numbers = CASES[name], frozen()
    count = 1 + len(case.inputs)
    regenerate = f"no PyTorch numbers for case {name!r}; run `python -m tests.ops.freeze_torch`"
    assert all(f"{name}/{k}" in numbers for k in range(count)), regenerate
    with use_kernels("reference"):
        assert_close(results(case, case.arrays()), [numbers[f"{name}/{k}"] for k in range(count)], 1e-12)


def test_no_frozen_numbers_without_a_case():
    assert {key.rpartition("/")[0] for key in frozen()} == set(CASES), "run `python -m tests.ops.freeze_torch`"


@every_case
def test_reference_equals_live_torch(name):
    torch = pytest.importorskip("torch")
    case = CASES[name]
    with use_kernels("reference"):
        assert_close(results(case, case.arrays()), by_torch(torch, case), 1e-12)


@every_case
@every_dtype
def test_rungs_equal_the_reference_in_float64(name, dtype, rung):
    case = CASES[name]
    arrays = case.arrays(dtype)
    with use_kernels("reference"):
        exact = results(case, [x.astype(np.float64) for x in arrays])
    gy = upstream(exact[0].shape).astype(dtype)
    with use_kernels("reference"):
        exact = results(case, [x.astype(np.float64) for x in arrays], gy.astype(np.float64))
    found = results(case, arrays, gy)
    assert {a.dtype for a in found} == {np.dtype(dtype)}
    assert_close(found, exact, TOLERANCE[dtype])


# Not on the GPU: its results equal the reference to the last digits, and so many launches would take minutes.
@pytest.mark.parametrize("rung", ["reference", "cpu"], indirect=True)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.smooth])
def test_gradients_against_finite_differences(name, rung):
    check_gradients(CASES[name].run, *CASES[name].arrays())


@pytest.mark.parametrize(("name", "k"), LINEAR)
def test_backward_is_the_adjoint(name, k, rung):
    case = CASES[name]
    arrays = case.arrays()[: case.linear]
    check_adjoint(lambda x: case.run(*arrays[:k], x, *arrays[k + 1 :]), arrays[k], rtol=1e-13)


@every_case
def test_inputs_stay_as_they_are(name, rung):
    case = CASES[name]
    arrays = case.arrays()
    with no_grad():
        y = case.run(*map(Tensor, arrays))
    gy = upstream(y.shape)
    before = [x.tobytes() for x in (*arrays, gy)]
    results(case, arrays, gy)
    assert [x.tobytes() for x in (*arrays, gy)] == before


@every_case
def test_reading_is_enough(name):
    """Arrays that may not be written: a memory map of a data set. (On the reference; numba would compile again.)"""
    case = CASES[name]
    arrays = case.arrays()
    for x in arrays:
        x.setflags(write=False)
    with use_kernels("reference"):
        results(case, arrays)


def transposed(x):
    """The same values, with the last axis outermost in memory."""
    return x.copy(order="F")


def every_second(x):
    """The same values, with gaps between them."""
    wide = np.full((*x.shape, 2), np.nan, x.dtype)
    wide[..., 0] = x
    return wide[..., 0]


def backwards(x):
    """The same values, stored from the last to the first."""
    everything = (slice(None, None, -1),) * x.ndim
    return x[everything].copy(order="C")[everything]


@every_case
@pytest.mark.parametrize("layout", [transposed, every_second, backwards], ids=lambda f: f.__name__)
def test_layout_in_memory_does_not_matter(name, layout, rung):
    case = CASES[name]
    arrays = case.arrays()
    expected = results(case, arrays)
    gy = upstream(expected[0].shape)
    found = results(case, [layout(x) for x in arrays], layout(gy))
    assert_close(found, expected, TOLERANCE[np.float64])


@pytest.fixture
def two_threads():
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("needs two threads")
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


@every_case
def test_number_of_threads_does_not_change_a_bit(name, two_threads):
    case = CASES[name]
    found = []
    with use_kernels("cpu"):
        for threads in (1, 2):
            numba.set_num_threads(threads)
            found.append(results(case, case.arrays(np.float32)))
    assert_same_bits(*found)


LAYERS = {
    "3x3-same": lambda x, w: F.conv2d(x, w, padding=1),
    "3x3-valid": F.conv2d,
    "3x3-stride-2": lambda x, w: F.conv2d(x, w, stride=2, padding=1),
    "up-3x3-same": lambda x, w: F.upsample_conv2d(x, w, scale=2, padding="same"),
}
SIZES = {
    "narrow": ((2, 3, 16, 3), (4, 3, 3, 3)),
    "odd": ((3, 7, 33, 37), (5, 7, 3, 3)),
    "wide": ((1, 2, 5, 150), (3, 2, 3, 3)),
    "deep": ((2, 33, 8, 8), (34, 33, 3, 3)),
    "aligned": ((2, 16, 16, 32), (32, 16, 3, 3)),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("size", SIZES)
@every_dtype
def test_convolution_at_the_sizes_of_layers(layer, size, dtype, two_threads):
    """Fast kernels work in blocks of rows and channels; tiny cases may not fill one."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape) for shape in SIZES[size])
    tensors = [Tensor(a.astype(dtype).astype(np.float64), requires_grad=True) for a in (x, w)]
    with use_kernels("reference"):
        y = LAYERS[layer](*tensors)
        gy = rng.standard_normal(y.shape).astype(dtype)
        y.backward(gy.astype(np.float64))
    found = []
    for threads in (1, 2):
        numba.set_num_threads(threads)
        mine = [Tensor(a.astype(dtype), requires_grad=True) for a in (x, w)]
        with use_kernels("cpu"):
            z = LAYERS[layer](*mine)
            z.backward(gy)
        found.append([z.data, *(t.grad for t in mine)])
    assert_same_bits(*found)
    assert_close(found[0], [y.data, *(t.grad for t in tensors)], TOLERANCE[dtype])


def test_kernels_compile_once_per_dtype():
    """Numba compiles again, for seconds, when an array is read-only or has gaps; ops must hand over neither."""
    with use_kernels("cpu"):
        for case in CASES.values():
            results(case, case.arrays(np.float32))
    again = []
    for name, module in sys.modules.items():
        for kernel in vars(module).values() if name.startswith("tinyunet.ops.") else ():
            if isinstance(kernel, Dispatcher):
                by_dtype = {tuple(getattr(t, "dtype", t) for t in signature) for signature in kernel.signatures}
                if len(kernel.signatures) > len(by_dtype):
                    again.append(f"{name}.{kernel.__name__}: {kernel.signatures}")
    assert not again
