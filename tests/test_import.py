"""Importing the package must stay light: the heavy libraries wait until something needs them."""

import subprocess
import sys

HEAVY = ["cupy", "torch", "matplotlib", "numba", "PIL", "scipy", "onnx"]


def test_import_loads_no_heavy_library():
    code = f"import sys, tinyunet; print(*(name for name in {HEAVY} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_public_names_exist():
    import tinyunet

    assert all(hasattr(tinyunet, name) for name in tinyunet.__all__)
    assert all(callable(getattr(tinyunet.functional, name)) for name in tinyunet.functional.__all__)
