"""T0: which device a run takes, what it says about one that it leaves out, and what the driver is asked."""

from __future__ import annotations

import ctypes
import sys

import pytest

from tinyunet import backend
from tinyunet.backend import DeviceError, choose_device, load_cupy
from tinyunet.driver import Driver, Gpu, find_driver
from tinyunet.training import train

H100 = Gpu("H100", 80 << 30, (9, 0))


def test_a_gpu_that_can_be_used_is_used(gpu, monkeypatch):
    monkeypatch.setattr(backend, "find_driver", lambda: None)
    assert choose_device("auto") == choose_device("cuda") == ("cuda", "cuda")
    assert choose_device("cpu") == ("cpu", "cpu")


@pytest.mark.parametrize(
    "driver, text",
    [
        (None, "cpu"),
        (Driver((13, 0), ()), "cpu"),  # hidden by CUDA_VISIBLE_DEVICES, or none there
        (
            Driver((13, 0), (H100,)),
            "cpu; there is a GPU (H100, 80 GiB, compute capability 9.0), but the GPU needs CuPy",
        ),
        (Driver((13, 0), (), "system has unsupported display driver"), "cpu; there is a GPU (system has unsupported"),
    ],
    ids=["no driver", "no GPU", "no CuPy", "a driver that fails"],
)
def test_without_a_gpu_auto_is_the_cpu_and_says_why_if_one_is_there(monkeypatch, driver, text):
    load_cupy.cache_clear()
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(backend, "find_driver", lambda: driver)
    device, found = choose_device("auto")
    assert device == "cpu" and found.startswith(text) and (found == "cpu") == (text == "cpu")
    with pytest.raises(DeviceError, match="needs CuPy"):
        choose_device("cuda")


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", ""])
def test_wrong_names_are_refused(tmp_path, device):
    with pytest.raises(ValueError, match=f"device must be 'cpu'.*got '{device}'"):
        choose_device(device)
    with pytest.raises(ValueError, match="device must be 'cpu'"):
        train(tmp_path, tmp_path / "out", device=device)


class Library:
    """libcuda with one GPU, or with an error."""

    def __init__(self, status=0):
        self.status = status

    def cuDriverGetVersion(self, version):
        version._obj.value = 13010

    def cuInit(self, flags):
        return self.status

    def cuGetErrorString(self, status, text):
        text._obj.value = b"no CUDA-capable device is detected" if status == 100 else b"driver mismatch"

    def cuDeviceGetCount(self, count):
        count._obj.value = 1

    def cuDeviceGetName(self, name, size, number):
        name.value = b"H100"

    def cuDeviceTotalMem_v2(self, memory, number):
        memory._obj.value = 80 << 30

    def cuDeviceGetAttribute(self, value, attribute, number):
        value._obj.value = {75: 9, 76: 0}[attribute]


@pytest.mark.parametrize(
    "status, found",
    [
        (0, Driver((13, 1), (H100,))),
        (100, Driver((13, 1), ())),
        (803, Driver((13, 1), (), "driver mismatch")),
    ],
)
def test_what_the_driver_says(monkeypatch, status, found):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library(status))
    assert find_driver() == found


def test_no_driver(monkeypatch):
    def refuse(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert find_driver() is None
