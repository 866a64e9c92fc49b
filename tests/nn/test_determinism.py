"""The same seed gives the same network, to the bit, however often and with however many threads it is trained."""

from __future__ import annotations

import hashlib

import numba
import numpy as np
import pytest

from tinyunet import Tensor, optim
from tinyunet import functional as F
from tinyunet.nn import UNet

# 48 x 40 pixels in two images: enough rows for every kernel to divide its work among the threads.
IMAGES = np.random.RandomState(0).standard_normal((2, 1, 48, 40)).astype(np.float32)
LABELS = np.random.RandomState(1).randint(0, 3, (2, 48, 40))


def fingerprint(seed: int, threads: int, steps: int = 3) -> str:
    """Train from a seed and return a hash of every parameter and buffer."""
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        net = UNet(1, 3, 8, 2, dropout=0.2, seed=seed)
        optimizer = optim.AdamW(net.parameters(), 1e-2)
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy_dice(net(Tensor(IMAGES)), LABELS).backward()
            optim.clip_gradients(net.parameters(), 1.0)
            optimizer.step()
    finally:
        numba.set_num_threads(before)
    return hashlib.sha256(b"".join(array.tobytes() for array in net.state_dict().values())).hexdigest()


def test_two_runs_of_one_seed_agree_bit_for_bit():
    assert fingerprint(0, 1) == fingerprint(0, 1)
    assert fingerprint(0, 1) != fingerprint(1, 1)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="numba was started with one thread")
def test_the_number_of_threads_changes_no_bit():
    assert fingerprint(0, 1) == fingerprint(0, 2)
