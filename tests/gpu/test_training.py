"""T3: whole networks on a GPU or the stand-in: they compute what the CPU computes, and never wait for the GPU."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import NonFiniteError, Tensor, UNet, debug, use_kernels
from tinyunet import functional as F
from tinyunet.checkpoint import read_checkpoint, write_checkpoint
from tinyunet.optim import SGD, Adam, clip_gradients

from . import standin

IMAGES = np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype(np.float32)
MASKS = (IMAGES[:, 0] > 0.3).astype(np.int64) + (IMAGES[:, 0] > 1)
MASKS[:, 0, :2] = -1  # ignored

# Between them they use every operation that a UNet can use.
NETWORKS = {
    "transposed-batch": {"up": "transposed", "norm": "batch", "dropout": 0.25},
    "article-group": {"up": "article", "norm": "group"},
    "nearest-plain": {"up": "nearest", "norm": None},
    "bilinear": {"up": "bilinear"},
    "two-classes-as-one": {"classes": 1},
    "odd-size": {"depth": 2},
}


def network(**options) -> UNet:
    return UNet(**{"in_channels": 1, "classes": 3, "base_channels": 2, "depth": 1, "seed": 3} | options)


def loss_of(model, images=IMAGES, masks=MASKS) -> Tensor:
    logits = model(images)
    weights = [1.0, 2.0, 0.5] if logits.shape[1] == 3 else None
    return F.cross_entropy_dice(logits, np.minimum(masks, max(logits.shape[1], 2) - 1), class_weights=weights)


def train(model, steps: int, optimizer=Adam) -> list[float]:
    """Take some steps; return the losses, read at the end."""
    optimizer, losses = optimizer(model.parameters(), 0.01), []
    for _ in range(steps):
        loss = loss_of(model)
        optimizer.zero_grad()
        loss.backward()
        clip_gradients(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss)
    return [loss.item() for loss in losses]


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_networks_equal_the_reference(gpu, name):
    images = IMAGES[:, :, :7, :6] if name == "odd-size" else IMAGES
    masks = MASKS[:, :7, :6] if name == "odd-size" else MASKS
    found = {}
    for device in ("cpu", "cuda"):
        model = network(**NETWORKS[name]).astype(np.float64).to(device)
        with use_kernels("reference" if device == "cpu" else "auto"):
            loss = loss_of(model, images.astype(np.float64), masks)
            loss.backward()
        assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float64)}
        gradients = {n: Tensor(p.grad).numpy() for n, p in model.named_parameters()}
        found[device] = {"loss": loss.numpy()} | gradients | model.state_dict()
    for key, exact in found["cpu"].items():
        scale = np.abs(exact).max()
        np.testing.assert_allclose(found["cuda"][key], exact, rtol=0, atol=1e-9 * max(scale, 1e-3), err_msg=key)


def test_ten_steps_of_adam_agree_with_the_cpu(gpu):
    on_cpu, on_gpu = network(dropout=0.25), network(dropout=0.25).to("cuda")
    np.testing.assert_allclose(train(on_gpu, 10), train(on_cpu, 10), rtol=1e-4)
    for name, weight in on_cpu.state_dict().items():
        np.testing.assert_allclose(on_gpu.state_dict()[name], weight, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("optimizer", [Adam, SGD])
def test_a_step_never_waits_and_repeats_its_bits(gpu, optimizer):
    states = []
    for _ in range(2):
        model = network(dropout=0.25).to("cuda")
        if gpu is standin:
            with standin.synchronisations() as waits:
                model.train()
                losses = train(model, 1, optimizer)
            assert waits == ["item"] * len(losses)  # of `train`, when all steps are done
        else:
            train(model, 1, optimizer)
        states.append({name: array.tobytes() for name, array in model.state_dict().items()})
    assert states[0] == states[1]


def test_one_checkpoint_serves_both_devices(gpu, tmp_path):
    model = network().to("cuda")
    train(model, 1)
    write_checkpoint(tmp_path / "model.safetensors", model.state_dict(), {})
    arrays, _ = read_checkpoint(tmp_path / "model.safetensors")
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    for device in ("cpu", "cuda"):
        other = network(seed=9).to(device)
        other.load_state_dict(arrays)
        assert other.device == device
        for name, array in other.state_dict().items():
            assert array.tobytes() == arrays[name].tobytes(), name


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_optimizers_continue_on_the_other_device(gpu, device):
    start = "cuda" if device == "cpu" else "cpu"
    first = network().to(start)
    adam = Adam(first.parameters(), 0.01)
    loss_of(first).backward()
    adam.step()
    second = network(seed=9).to(device)
    second.load_state_dict(first.state_dict())
    continued = Adam(second.parameters(), 0.01)
    continued.load_state_dict(adam.state_dict())
    for model, optimizer in ((first, adam), (second, continued)):
        optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()
    for name, array in first.state_dict().items():
        np.testing.assert_allclose(second.state_dict()[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def test_moving_keeps_parameters_buffers_and_counters():
    model = network()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    parameters = model.parameters()
    assert model.to("cpu") is model
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_moving_to_the_gpu_keeps_the_same_parameters(gpu):
    model = network()
    before, parameters = model.state_dict(), model.parameters()
    model.to("cuda")
    assert model.device == "cuda"
    assert all(a is b and a.device == "cuda" for a, b in zip(model.parameters(), parameters, strict=True))
    assert {name for name, _ in model.named_buffers()} < before.keys()
    assert all(before[name].tobytes() == array.tobytes() for name, array in model.state_dict().items())


def test_tensors_move_and_gradients_come_back(gpu):
    x = Tensor(np.arange(6.0, dtype=np.float32).reshape(2, 3) - 2, requires_grad=True)
    assert x.to("cpu") is x
    y = F.relu(x.to("cuda") * 2)
    assert y.device == "cuda" and "on cuda" in repr(y)
    assert y.numpy().tolist() == [[0, 0, 0], [2, 4, 6]]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [2, 2, 2]] and isinstance(x.grad, np.ndarray)


def test_dropout_draws_the_same_zeros_on_both_devices(gpu):
    x = Tensor(np.ones((50, 50), np.float32))
    on_cpu, on_gpu = (F.dropout(x.to(d), 0.3, generator=np.random.default_rng(1)) for d in ("cpu", "cuda"))
    assert on_cpu.numpy().tobytes() == on_gpu.numpy().tobytes()


def test_labels_on_the_gpu_are_checked_when_debugging(gpu):
    z = Tensor(np.zeros((2, 3, 8, 8), np.float32)).to("cuda")
    wrong = gpu.asarray(np.full((2, 8, 8), 3))
    F.cross_entropy(z, wrong)
    with debug(1), pytest.raises(ValueError, match="labels must be 0..2.*found 3"):
        F.cross_entropy(z, wrong)
    with pytest.raises(ValueError, match="labels must be 0..2.*found 3"):
        F.cross_entropy(z, np.full((2, 8, 8), 3))


def test_debugging_finds_a_nan_on_the_gpu(gpu):
    x = Tensor(np.array([1, np.nan], np.float32)).to("cuda")
    with debug(2), pytest.raises(NonFiniteError, match="result of ReLU .* holds 1 NaN and 0 infinite values among 2"):
        F.relu(x)
