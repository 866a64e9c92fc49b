"""The same weights give PyTorch's scores, and training steps give PyTorch's losses."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tinyunet import Tensor, no_grad, optim, use_kernels
from tinyunet import functional as F
from tinyunet.nn import UNet

from . import torch_twin
from .freeze_torch import FILE, RUNS, STEPS, by_torch

every_run = pytest.mark.parametrize("name", RUNS)


@functools.cache
def frozen() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return dict(file)


def losses(run, dtype) -> list[float]:
    """Return the loss before each of the steps and after the last."""
    net, (x, labels) = run.network().astype(dtype), run.batch()
    optimizer = getattr(optim, run.optimizer)(net.parameters(), run.lr, **run.options)
    found = []
    for _ in range(STEPS + 1):
        loss = F.cross_entropy_dice(net(Tensor(x.astype(dtype))), labels)
        found.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return found


@every_run
@pytest.mark.parametrize("rung", ["reference", "cpu"])
def test_ten_steps_give_the_frozen_torch_losses(name, rung):
    with use_kernels(rung):
        found = losses(RUNS[name], np.float64)
    np.testing.assert_allclose(found, frozen()[name], rtol=1e-9)
    assert found[-1] < found[0]


def test_ten_steps_in_float32_follow_the_frozen_torch_losses():
    """The fast kernels of float32, as they are used."""
    with use_kernels("cpu"):
        found = losses(RUNS["transposed-adamw"], np.float32)
    np.testing.assert_allclose(found, frozen()["transposed-adamw"], rtol=1e-4)


@every_run
def test_the_frozen_losses_are_those_of_live_torch(name):
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(frozen()[name], by_torch(torch, RUNS[name]), rtol=1e-9)


def test_no_frozen_losses_without_a_run():
    assert set(frozen()) == set(RUNS), "run `python -m tests.nn.freeze_torch`"


NETWORKS = {  # network, its twin's arguments, size of the image
    "article": (UNet.article(1, 2), (1, 2, 64, 3), {"up": "nearest"}, (16, 24)),
    "small paper": (
        UNet(1, 2, 4, 3, padding="valid", norm=None),
        (1, 2, 4, 3),
        {"up": "transposed", "padding": "valid"},
        (92, 100),
    ),
    "unpadded with batch norm": (
        UNet(3, 2, 4, 2, up="article", padding="valid"),
        (3, 2, 4, 2),
        {"up": "article", "padding": "valid", "norm": "batch"},
        (52, 44),
    ),
    "group norm": (UNet(3, 4, 6, 2, norm="group"), (3, 4, 6, 2), {"up": "transposed", "norm": "group"}, (8, 12)),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("net", "sizes", "options", "image"), NETWORKS.values(), ids=NETWORKS)
def test_the_same_weights_give_the_same_scores(net, sizes, options, image, training):
    torch = pytest.importorskip("torch")
    net.astype(np.float64).train(training)
    twin = torch_twin.unet(torch, *sizes, **options).train(training)
    assert list(twin.state_dict()) == list(net.state_dict())  # names, and their order
    torch_twin.load(torch, twin, net.state_dict())
    x = np.random.RandomState(0).standard_normal((2, sizes[0], *image))
    with torch.no_grad():
        expected = twin(torch.from_numpy(x)).numpy()
    with no_grad(), use_kernels("reference"):
        found = net(Tensor(x)).data
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    for (name, buffer), theirs in zip(net.named_buffers(), twin.buffers(), strict=True):
        np.testing.assert_allclose(buffer, theirs.numpy(), rtol=1e-12, atol=1e-14, err_msg=name)
