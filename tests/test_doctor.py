"""The doctor finds what is broken, names the command that mends it, and survives everything."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tinyunet import backend, doctor, driver
from tinyunet.backend import load_cupy
from tinyunet.driver import Driver, Gpu

GPU = Driver((13, 0), (Gpu("H100", 80 << 30, (9, 0)),))
WHEELS = {"cupy-cuda13x": "14.2.0", "nvidia-cuda-nvrtc": "13.0.88"}


@pytest.fixture(autouse=True)
def afresh():
    load_cupy.cache_clear()
    yield
    load_cupy.cache_clear()


@pytest.fixture
def pretend(monkeypatch):
    """Return a function that makes the machine have this driver, and these packages more than it has, or fewer."""
    installed = doctor._installed()

    def change(driver_found=None, more=(), without=()):
        for module in (driver, backend):
            monkeypatch.setattr(module, "find_driver", lambda: driver_found)
        rest = {name: version for name, version in installed.items() if "cupy" not in name and "nvidia" not in name}
        packages = {name: version for name, version in (rest | dict(more)).items() if name not in without}
        monkeypatch.setattr(doctor, "_installed", lambda: packages)

    return change


def found(topic: str) -> doctor.Finding:
    return next(finding for finding in doctor.examine() if finding.topic == topic)


def broken() -> set[str]:
    return {finding.topic for finding in doctor.examine() if finding.status == doctor.BROKEN}


def test_a_machine_without_a_gpu_is_whole(pretend, monkeypatch, capsys):
    pretend(without=("simpleitk",))
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert doctor.run() == 0
    said = capsys.readouterr().out
    for text in ("ok      Python", "numpy 2.", "cores, vectors:", "GiB free", "(NUMBA_NUM_THREADS), threading"):
        assert text in said
    assert "absent  simpleitk      not installed (DICOM and NIfTI)\n" + 23 * " " + "-> pip install" in said
    assert "absent  NVIDIA driver  none" in said and "absent  CuPy           not installed\n" in said
    assert "ok      device auto    cpu\n\nnothing is broken\n" in said


def test_a_machine_with_a_gpu(gpu, pretend):
    pretend(GPU, WHEELS)
    assert not broken()
    assert found("GPU 0").text == "H100, 80 GiB, compute capability 9.0"
    assert found("NVIDIA driver").text == "serves CUDA up to 13.0"
    assert found("CUDA parts").text.startswith("nvidia-cuda-nvrtc 13.0.88")
    assert found("CuPy").text == "cupy-cuda13x 14.2.0" and found("CUDA cache").status == doctor.OK
    assert found("device auto").text == "cuda, H100, 80 GiB, compute capability 9.0"


def no_cupy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cupy", None)


def damaged_cupy(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise AttributeError('half a wheel')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)


def cupy_without_compiler(monkeypatch, tmp_path):
    from tests.gpu import standin

    def compile(self):
        raise RuntimeError("libnvrtc.so not found")

    monkeypatch.setattr(standin.RawKernel, "compile", compile)
    monkeypatch.setitem(sys.modules, "cupy", standin)


def no_numba(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "numba", None)


ANEW = "pip uninstall -y cupy-cuda13x && pip install 'tinyunet[gpu-cuda13]'"
ABSENT = {
    "no CuPy": (GPU, "CuPy", "not installed (the GPU needs it)", "pip install 'tinyunet[gpu-cuda13]'"),
    "an older driver": (GPU._replace(cuda=(12, 4)), "CuPy", "not installed", "pip install 'tinyunet[gpu-cuda12]'"),
    "no GPU": (Driver((13, 0), ()), "GPU", "the driver shows none", ""),
}
FAULTS = {
    "two wheels": (GPU, WHEELS | {"cupy-cuda12x": "14.0.0"}, no_cupy, "CuPy", "more than one wheel",
                   "pip uninstall -y cupy-cuda13x cupy-cuda12x && pip install 'tinyunet[gpu-cuda13]'"),
    "damaged": (GPU, WHEELS, damaged_cupy, "CuPy", "cannot be imported: half a wheel", ANEW),
    "damaged, no GPU": (None, WHEELS, damaged_cupy, "CuPy", "cannot be imported: half a wheel", ANEW),
    "no compiler": (GPU, WHEELS, cupy_without_compiler, "CuPy", "libnvrtc.so not found", ANEW),
    "driver": (Driver((13, 0), (), "driver mismatch"), {}, no_cupy, "NVIDIA driver", "driver mismatch", "sudo reboot"),
    "no numba": (None, {}, no_numba, "numba", "cannot be imported", "pip install --upgrade numba numpy"),
}  # fmt: skip


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_absent_is_not_broken(pretend, monkeypatch, tmp_path, name):
    driver_found, topic, text, mend = ABSENT[name]
    pretend(driver_found)
    no_cupy(monkeypatch, tmp_path)
    finding = found(topic)
    assert finding.status == doctor.ABSENT and text in finding.text and finding.mend == mend and not broken()


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_found_and_mended(pretend, monkeypatch, tmp_path, capsys, name):
    driver_found, packages, change, topic, text, mend = FAULTS[name]
    pretend(driver_found, packages)
    change(monkeypatch, tmp_path)
    finding = found(topic)
    assert finding.status == doctor.BROKEN and text in finding.text and finding.mend == mend
    assert doctor.run() == 1
    assert f"-> {mend}\n" in capsys.readouterr().out


def test_a_missing_package_is_broken(pretend):
    pretend(without=("tqdm",))
    assert found("tqdm") == ("tqdm", doctor.BROKEN, "not installed", "pip install tqdm")


def test_an_error_in_a_check_does_not_stop_the_others(pretend, monkeypatch):
    def fail():
        raise ZeroDivisionError("odd machine")

    pretend()
    whole = {finding.topic for finding in doctor.examine()}
    monkeypatch.setattr(driver, "find_driver", fail)
    monkeypatch.setattr(doctor, "cpu_model", fail)
    assert whole - {"NVIDIA driver", "CPU", "CuPy"} <= {finding.topic for finding in doctor.examine()}
    assert found("cpu").text == "cannot be examined: ZeroDivisionError: odd machine"
    assert {"cpu", "driver", "cupy"} <= broken()


def test_the_cache_of_kernels():
    line = found("kernel cache")
    assert line.status == doctor.OK and " MB" in line.text


@pytest.mark.skipif(sys.platform == "win32", reason="its command is another")
def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    from tinyunet.ops import relu
    from tinyunet.ops.relu import cpu  # noqa: F401  makes it an attribute of its package

    (tmp_path / "file").write_text("")
    kernel = SimpleNamespace(start=SimpleNamespace(stats=SimpleNamespace(cache_path=str(tmp_path / "file" / "relu"))))
    monkeypatch.setattr(relu, "cpu", SimpleNamespace(kernel=kernel))
    line = found("kernel cache")
    assert line.status == doctor.BROKEN and "0 files, 0.0 MB, cannot be written: " in line.text
    assert line.mend == 'export NUMBA_CACHE_DIR="$HOME/.cache/tinyunet"'


def test_no_place_for_a_cache():
    """numba then refuses to make any kernel; in a fresh process, since it asks at import."""
    code = """if True:
        import sys
        from numba.core import caching
        caching.CacheImpl._locator_classes = []
        from tinyunet import doctor
        sys.exit(doctor.run())"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1 and not run.stderr
    assert "BROKEN  kernel cache   kernels cannot be compiled: cannot cache function" in run.stdout
