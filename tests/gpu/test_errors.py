"""T0: whatever is missing for the GPU, the error says what to change; nothing of CuPy is needed to test that."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tinyunet import GraphError, Tensor, UNet, use_kernels
from tinyunet import functional as F
from tinyunet.backend import DeviceError, load_cupy

from . import standin

X = np.ones((2, 3), np.float32)


@pytest.fixture(autouse=True)
def afresh():
    """Look for CuPy anew in every test."""
    load_cupy.cache_clear()
    yield
    load_cupy.cache_clear()


def refuse(*args):
    raise standin.CUDARuntimeError("cudaError")


def test_no_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"not installed.*'tinyunet\[gpu-cuda13\]'.*gpu-cuda12.*nvidia-smi"):
        UNet(1, 2, 2, 1).to("cuda")


def test_cupy_that_cannot_be_imported(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError('two wheels of CuPy')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with pytest.raises(DeviceError, match=r"two wheels of CuPy.*pip list"):
        Tensor(X).to("cuda")


@pytest.mark.parametrize(
    ("driver", "text"),
    [
        (0, "no NVIDIA driver.*nvidia-smi.*device='cpu'"),
        (12040, r"serves CUDA 12\.4.*built for CUDA 13.*pip uninstall cupy-cuda13x.*tinyunet\[gpu-cuda12\]"),
        (13000, "shows no GPU.*CUDA_VISIBLE_DEVICES is '7'.*nvidia-smi"),
    ],
    ids=["no-driver", "driver-older-than-the-wheel", "no-device"],
)
def test_no_device(monkeypatch, driver, text):
    monkeypatch.setattr(standin.cuda.runtime, "getDeviceCount", refuse)
    monkeypatch.setattr(standin.cuda.runtime, "driverGetVersion", lambda: driver)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with standin.installed(), pytest.raises(DeviceError, match=text):
        Tensor(X).to("cuda")


def test_no_compiler(monkeypatch):
    def compile(self):
        raise RuntimeError("libnvrtc.so not found")

    monkeypatch.setattr(standin.RawKernel, "compile", compile)
    with standin.installed(), pytest.raises(DeviceError, match=r"libnvrtc.so not found.*'tinyunet\[gpu-cuda13\]'"):
        Tensor(X).to("cuda")


def test_a_failure_is_not_remembered(monkeypatch):
    monkeypatch.setattr(standin.RawKernel, "compile", lambda self: None)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "cupy", None)
        with pytest.raises(DeviceError):
            load_cupy()
    with standin.installed():
        load_cupy()


@pytest.mark.parametrize(
    ("device", "error", "text"),
    [("cuda:9", DeviceError, "no GPU 9: this machine has 1"), ("gpu", ValueError, "'cpu', 'cuda' or 'cuda:1'.*'gpu'")],
)
def test_no_such_device(gpu, device, error, text):
    with pytest.raises(error, match=text):
        Tensor(X).to(device)


def test_no_memory(gpu, monkeypatch):
    if gpu is not standin:
        pytest.skip("a real GPU has the memory")
    x = Tensor(X, requires_grad=True).to("cuda")
    y = F.relu(x).sum()
    monkeypatch.setattr(standin.LIMIT, "bytes", 8)
    with pytest.raises(MemoryError, match="ReLU.*Out of memory.*smaller batches.*nvidia-smi"):
        F.relu(x)
    with pytest.raises(MemoryError, match="ReLU.*Out of memory.*smaller batches"):
        y.backward()


def test_rung_and_device_belong_together(gpu):
    x = Tensor(X)
    with use_kernels("gpu"), pytest.raises(DeviceError, match=r"'gpu'\) got an array on 'cpu'.*to\('cuda'\)"):
        F.relu(x)
    for rung in ("cpu", "reference"):
        with use_kernels(rung), pytest.raises(DeviceError, match=r"got an array on 'cuda'.*\.to\('cpu'\)"):
            F.relu(x.to("cuda"))


def test_devices_do_not_mix(gpu):
    x = Tensor(X, requires_grad=True)
    with pytest.raises(TypeError, match=r"inputs with the same device, got cpu, cuda.*\.to\(device\)"):
        x + x.to("cuda")
    with pytest.raises(GraphError, match="gradient must be on 'cuda', got one on 'cpu'"):
        F.relu(x.to("cuda")).backward(X)


def test_kernels_refuse_wrong_arguments(gpu):
    from tinyunet.ops.relu.gpu import cu

    x = gpu.asarray(X)
    double, columns = gpu.asarray(X.astype(float)), gpu.asarray(np.asfortranarray(X))
    wrong = [
        ((x, x), "takes 3 arguments, got 2"),
        ((x, x, 6.5), r"forward, parameter `long long size`: needs a whole number, got 6\.5"),
        ((x, x, x), "needs a number, got an array"),
        ((x, X, 6), r"`T\* y`: needs a contiguous CuPy array of float32, got float32 ndarray"),
        ((x, double, 6), "needs a contiguous CuPy array of float32, got float64"),
        ((columns, x, 6), "`const T. x`: needs a contiguous CuPy array"),
        ((x, 6, 6), "needs a contiguous CuPy array of float32, got int"),
    ]
    for args, text in wrong:
        with pytest.raises(TypeError, match=text):
            cu.launch("forward", x.dtype, threads=6, args=args)
    with pytest.raises(KeyError):
        cu.launch("forwards", x.dtype, threads=6, args=(x, x, 6))
