"""Activation checkpointing changes memory, and nothing else."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tinyunet import NonFiniteError, Tensor, debug, no_grad, optim, use_kernels
from tinyunet import functional as F
from tinyunet.nn import BatchNorm2d, Dropout, Module, Sequential, UNet
from tinyunet.nn.module import watching
from tinyunet.nn.recompute import recompute
from tinyunet.training.supervision import supervise

NETWORKS = {
    "batch norm and dropout": {"dropout": 0.3},
    "group norm, nearest": {"norm": "group", "up": "nearest"},
    "bilinear, deep supervision": {"up": "bilinear", "deep_supervision": True},
    "article, valid": {"up": "article", "norm": None, "padding": "valid"},
}
IMAGES = np.random.RandomState(0).standard_normal((2, 1, 64, 68)).astype(np.float32)
MASKS = np.random.RandomState(1).randint(-1, 3, (2, 64, 68))


def everything(options: dict, recomputed: bool, kernels: str, device: str = "cpu") -> list[bytes]:
    """Train for two steps of two parts; return all gradients, parameters, buffers and the state of the generator."""
    small = device != "cpu"  # perhaps the stand-in, which is slow
    model = UNet(1, 3, 2 if small else 4, 1 if small else 2, seed=3, **options).to(device)
    model.recompute = recomputed
    side = 8 if small else model.next_size(60)
    images, masks = IMAGES[:, :, :side, :side], MASKS[:, :side, :side]
    optimizer, found = optim.Adam(model.parameters(), 1e-2), []
    with use_kernels(kernels):
        for _ in range(2):
            optimizer.zero_grad()
            for part in range(2):  # the gradients of two passes add up
                supervise(F.cross_entropy_dice, model(np.roll(images, part, 2)), masks).backward()
            found += [to_bytes(p.grad) for p in model.parameters()]
            optimizer.step()
    found += [array.tobytes() for array in model.state_dict().values()]
    return [*found, str(model.rng.bit_generator.state).encode()]


def to_bytes(gradient) -> bytes:
    return Tensor(gradient).numpy().tobytes()


@pytest.mark.parametrize("kernels", ["reference", "auto"])
@pytest.mark.parametrize("name", NETWORKS)
def test_not_a_bit_differs(name, kernels):
    assert everything(NETWORKS[name], True, kernels) == everything(NETWORKS[name], False, kernels)


def test_not_a_bit_differs_on_the_gpu(gpu):
    name = "batch norm and dropout"
    assert everything(NETWORKS[name], True, "auto", "cuda") == everything(NETWORKS[name], False, "auto", "cuda")


def test_frozen_parameters_and_inputs_with_gradients():
    def run(recomputed):
        model = UNet(1, 2, 4, 2)
        model.recompute = recomputed
        for name, p in model.named_parameters():
            p.requires_grad = not name.startswith(("encoder1", "decoder3.0"))
        x = Tensor(IMAGES, requires_grad=True)
        model(x).sum().backward()
        return [p.grad is None or p.grad.tobytes() for p in (x, *model.parameters())]

    with use_kernels("reference"):
        assert run(True) == run(False)


@pytest.mark.parametrize("options, share", [({}, 0.7), ({"norm": None}, 0.9)], ids=["batch norm", "no norm"])
def test_memory_falls(options, share):
    images, masks, peaks = np.zeros((4, 1, 64, 64), np.float32), np.zeros((4, 64, 64), int), []
    for recomputed in (False, True):
        model = UNet(1, 2, 8, 2, **options)
        model.recompute = recomputed
        F.cross_entropy(model(images), masks).backward()  # compiles what is not compiled yet
        model.zero_grad()
        tracemalloc.start()
        F.cross_entropy(model(images), masks).backward()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < share * peaks[0]


def test_choices_of_forward_hold_in_the_second_pass():
    """Kernels are chosen around forward only, a generator is used in between, and a watcher sees each layer once."""
    rng, x, seen = np.random.default_rng(0), np.random.RandomState(0).rand(2, 3, 4, 4).astype(np.float32), []
    block = Sequential(Dropout(0.5, rng=rng), BatchNorm2d(3))
    with watching(lambda name, module, y: seen.append(name)), use_kernels("reference"):
        y = recompute(block, Tensor(x, requires_grad=True), modules=[block])
    after = rng.bit_generator.state, block.state_dict()["1.running_mean"].copy()
    rng.random(5)
    moved = rng.bit_generator.state
    y.backward(np.ones_like(y.data))
    assert seen == ["0", "1", ""]
    assert rng.bit_generator.state == moved != after[0]
    assert np.array_equal(block.state_dict()["1.running_mean"], after[1])
    assert block.state_dict()["1.num_batches_tracked"] == 1


def test_nothing_is_kept_where_nothing_is_trained():
    model = UNet(1, 2, 4, 2)
    model.recompute = True
    with no_grad(), use_kernels("reference"):
        y = model(IMAGES)
    assert y.creator is None


class Overflow(Module):
    def forward(self, x):
        return F.exp(x * 1000)


def test_a_bad_layer_is_named():
    block = Sequential(BatchNorm2d(1), Overflow())
    with np.errstate(over="ignore"), use_kernels("reference"), debug(2):
        with pytest.raises(NonFiniteError, match="layer 1"):
            recompute(block, Tensor(IMAGES), modules=[block])
