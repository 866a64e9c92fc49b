"""What the tests of the core share."""

import os

import pytest

# A tiny kernel is over sooner than its threads meet. Where other programs keep the cores busy, threads that wait by
# spinning make it a hundred times slower. OpenMP reads this when numba first starts it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from tinyunet import use_kernels  # noqa: E402


@pytest.fixture(params=["reference", "cpu"])
def rung(request):
    """Run the test once with every implementation of the operations."""
    with use_kernels(request.param):
        yield request.param
