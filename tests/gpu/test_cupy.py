"""T0: the real CuPy, where it is installed: it is imported late, and it has what the stand-in claims."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from tinyunet.backend import DeviceError, load_cupy

from . import standin

cupy = pytest.importorskip("cupy")


def parameters(signature: inspect.Signature) -> list[tuple]:
    return [(p.name, p.kind) for p in signature.parameters.values()]


def test_tinyunet_leaves_it_alone():
    code = "import sys, tinyunet; tinyunet.UNet(1, 2, 2, 1); print('cupy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_without_a_gpu_the_error_is_friendly():
    if cupy.cuda.is_available():
        pytest.skip("this machine has a GPU")
    load_cupy.cache_clear()
    with pytest.raises(DeviceError, match="driver.*device='cpu'"):
        load_cupy()


@pytest.mark.parametrize("name", standin.FUNCTIONS)
def test_functions_take_what_the_stand_in_takes(name):
    theirs = parameters(inspect.signature(getattr(cupy, name)))
    assert parameters(standin._signature(standin.FUNCTIONS[name])) == theirs


@pytest.mark.parametrize("name", standin.METHODS)
def test_methods_take_what_the_stand_in_takes(name):
    first_line = getattr(cupy.ndarray, name).__doc__.splitlines()[0]
    theirs = first_line.partition("(self, ")[2].rpartition(")")[0]
    assert standin.METHODS[name] == theirs, first_line


def test_the_rest_of_what_the_stand_in_offers_exists():
    assert all(isinstance(getattr(cupy, name), cupy.ufunc) for name in standin.UFUNCS)
    others = ("device", "get", "item", "all")
    assert all(hasattr(cupy.ndarray, name) for name in (*standin.ATTRIBUTES, *others))
    assert issubclass(cupy.cuda.memory.OutOfMemoryError, MemoryError)
    for name in ("array", "asarray", "empty"):
        ours, theirs = (parameters(inspect.signature(getattr(library, name))) for library in (standin, cupy))
        assert ours == theirs[: len(ours)]
