"""Labels on the GPU are checked only while debugging, since a check waits; a wrong one then belongs to no class."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import Tensor, debug
from tinyunet import functional as F
from tinyunet.ops.cross_entropy import reference

from . import standin

Z = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
LABELS = np.arange(40).reshape(2, 4, 5) % 3
WRONG = LABELS.copy()
WRONG[0, 0, 0], WRONG[1, 3, 4] = 10**12, -7
LOSSES = (F.cross_entropy, F.dice_loss, F.cross_entropy_dice)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_labels_may_be_on_either_device(gpu, loss, dtype):
    on_cpu, on_gpu = (loss(Tensor(gpu.asarray(Z)), put(LABELS.astype(dtype))) for put in (np.asarray, gpu.asarray))
    assert on_cpu.item() == on_gpu.item() == pytest.approx(loss(Z, LABELS).item(), rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_wrong_labels_are_found_in_main_memory_and_when_debugging(gpu, loss):
    z = Tensor(gpu.asarray(Z))
    with pytest.raises(ValueError, match="found -7, 1000000000000"):
        loss(z, WRONG)
    with debug(1), pytest.raises(ValueError, match="found -7, 1000000000000"):
        loss(z, gpu.asarray(WRONG))


@pytest.mark.parametrize("loss", LOSSES)
def test_labels_on_the_gpu_wait_for_nothing(gpu, loss):
    if gpu is not standin:
        pytest.skip("the stand-in counts what waits")
    z, labels = Tensor(gpu.asarray(Z), requires_grad=True), gpu.asarray(WRONG)
    with standin.synchronisations() as waits:
        loss(z, labels, ignore_index=1).backward()
    assert not waits


def test_a_wrong_label_belongs_to_no_class(gpu):
    z = Tensor(gpu.asarray(Z), requires_grad=True)
    loss = F.cross_entropy(z, gpu.asarray(WRONG))
    loss.backward()
    flat, labels, weight = Z.reshape(2, 3, 20), WRONG.reshape(2, 20), np.ones((2, 20))
    assert loss.item() == pytest.approx(reference.forward(flat, labels, weight) / 40, rel=1e-12)
    gz = reference.backward_input(1 / 40, flat, labels, weight)
    np.testing.assert_allclose(z.grad.get(), gz.reshape(Z.shape), rtol=1e-12)
