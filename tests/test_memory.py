"""Keeping freed memory is a request to the C library: where it is granted, a freed array's pages stay."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, numpy as np, tinyunet
if {keep}: assert tinyunet.keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(2**24)  # 128 MiB
before = faults()
np.ones(2**24)
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's mallopt")
def test_memory_that_is_kept_is_not_cleared_again():
    faults = [
        int(subprocess.run([sys.executable, "-c", PROGRAM.format(keep=keep)], capture_output=True, text=True).stdout)
        for keep in (False, True)
    ]
    assert faults[1] < faults[0] / 4
