"""How the tests reach a GPU: a real one, or the stand-in; and the detour that takes every operation there."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import pytest

from tinyunet import settings
from tinyunet.autograd import Op, as_tensor
from tinyunet.backend import DeviceError, load_cupy, to_device
from tinyunet.ops.arithmetic import ToDevice

from . import runner, standin

TIERS = {
    "T0": ("test_errors.py", "test_driver.py", "test_cupy.py"),
    "T1": ("test_nvrtc.py",),
    "T2": ("test_many_blocks.py", "test_conv2d_fast.py", "test_mutants.py"),
    "T3": ("test_training.py", "test_runs.py", "test_verify.py"),
}


def tier(nodeid: str) -> str | None:
    """Return the tier that a test belongs to, or None if it has nothing to do with a GPU."""
    for name, files in TIERS.items():
        if nodeid.startswith(tuple(f"tests/gpu/{file}" for file in files)):
            return name
    return "T3" if "[gpu" in nodeid or "cuda" in nodeid else None


@contextmanager
def cupy_or_standin():
    """Yield CuPy where it works, otherwise the stand-in; skip the test where there is no g++ to run it either."""
    try:
        real = load_cupy()
    except DeviceError:
        real = None
    if real is None and not runner.AVAILABLE:
        pytest.skip("no GPU, and no g++ on Linux to run the kernels on the CPU")
    with nullcontext(real) if real else standin.installed() as cupy:
        yield cupy


def detour(monkeypatch) -> None:
    """Until monkeypatch undoes it: operations called with `use_kernels("gpu")` move their inputs and their result."""
    apply = Op.__dict__["apply"].__func__

    def by_way_of_the_gpu(cls, *inputs, **options):
        if settings.kernel_choice() != "gpu" or cls is ToDevice:
            return apply(cls, *inputs, **options)
        inputs = [None if x is None else as_tensor(x).to("cuda") for x in inputs]
        state = {name: value for name, value in options.items() if name.startswith("running_")}  # written by the op
        on_gpu = {name: to_device(value, "cuda") for name, value in state.items()}
        y = apply(cls, *inputs, **options | on_gpu)
        for name, value in state.items():
            value[...] = to_device(on_gpu[name], "cpu")
        return y.to("cpu")

    monkeypatch.setattr(Op, "apply", classmethod(by_way_of_the_gpu))
