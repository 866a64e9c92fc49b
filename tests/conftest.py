"""What the tests of the core share."""

import pytest

from tinyunet import use_kernels


@pytest.fixture(params=["reference", "cpu"])
def rung(request):
    """Run the test once with every implementation of the operations."""
    with use_kernels(request.param):
        yield request.param
