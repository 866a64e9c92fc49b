"""What the tests of the core share."""

import os

import pytest

# A tiny kernel is over sooner than its threads meet. Where other programs keep the cores busy, threads that wait by
# spinning make it a hundred times slower. OpenMP reads this when numba first starts it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from tinyunet import plot, use_kernels  # noqa: E402
from tinyunet.files import write_whole  # noqa: E402


@pytest.fixture(params=["reference", "cpu", "gpu"])
def rung(request):
    """Run the test once with every implementation of the operations."""
    if request.param == "gpu":
        request.getfixturevalue("every_op_on_the_gpu")
    with use_kernels(request.param):
        yield request.param


@pytest.fixture(scope="module")
def no_drawing():
    """Most of the time of a tiny run is spent in matplotlib: write empty pictures, as often as drawn ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plot, "curves", lambda history: None)
        patch.setattr(plot, "overlays", lambda rows, class_names: None)
        patch.setattr(plot, "save_figure", lambda figure, path: write_whole(path, b""))
        yield


@pytest.fixture
def gpu():
    """CuPy: the real one if this machine has a GPU, otherwise a stand-in that runs the same kernels on the CPU."""
    from .gpu.devices import cupy_or_standin

    with cupy_or_standin() as cupy:
        yield cupy


@pytest.fixture
def every_op_on_the_gpu(gpu, monkeypatch):
    """Take every operation to the GPU and its result back, where `use_kernels("gpu")` is in force.

    So the same tests, with NumPy arrays, serve all rungs.
    """
    from .gpu.devices import detour

    detour(monkeypatch)


def pytest_terminal_summary(terminalreporter):
    """Print what each tier of the GPU tests (tests/gpu/README.md) has taken."""
    from .gpu.devices import tier

    seconds = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if (name := tier(getattr(report, "nodeid", ""))) and hasattr(report, "duration"):
                seconds[name] = seconds.get(name, 0) + report.duration
    if seconds:
        terminalreporter.line("GPU tests: " + ", ".join(f"{name} {s:.0f} s" for name, s in sorted(seconds.items())))
