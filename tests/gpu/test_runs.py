"""T3: whole runs on a GPU or the stand-in: training never waits, stops and goes on across devices, and agrees."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys

import numpy as np
import pytest

import tinyunet
from tinyunet import NonFiniteError, UNet, backend, use_kernels
from tinyunet.backend import DeviceError, load_cupy
from tinyunet.bench import command, memory, networks, timing
from tinyunet.checkpoint import read_checkpoint
from tinyunet.data import Augment, Loader, Normalize
from tinyunet.driver import Driver, Gpu
from tinyunet.inference import Segmenter
from tinyunet.optim import Adam, Cosine
from tinyunet.training import Trainer, resume, train, trainer

from ..training.test_trainer import Discs, weights
from ..training.tiny import FAST, folder, scene
from . import standin

H100 = Gpu("H100", 80 << 30, (9, 0))
AUGMENT = Augment(rot90=True, rotate=20, scale=(0.8, 1.2), gamma=(0.7, 1.5))


def on(device: str):
    """Return a context in which the CPU computes with the reference, which is the same and need not be compiled."""
    return use_kernels("reference" if device == "cpu" else "auto")


class SmallDiscs(Discs):
    def __init__(self, count: int):
        self.samples = [scene(k, 8, 8) for k in range(count)]


def new(device: str, count: int = 6) -> Trainer:
    segmenter = Segmenter(UNet(1, 2, 2, 1, dropout=0.25, seed=3), Normalize(), Discs.class_names, Discs.mask_values)
    loader = Loader(SmallDiscs(count), 2, normalize=segmenter.normalize, augment=AUGMENT, shuffle=True)
    optimizer = Adam(segmenter.to(device).model.parameters(), 0.02)
    return Trainer(segmenter, optimizer, loader, schedule=Cosine(10), clip_norm=1.0, show_progress=False)


def only_standin(gpu):
    if gpu is not standin:
        pytest.skip("only the stand-in can do that")


# ------------------------------------------------------------------------------------------- steps


def test_steps_and_an_epoch_never_wait(gpu, monkeypatch):
    only_standin(gpu)
    trained = new("cuda")
    trained.step(*next(trained.loader.epoch(0)))
    batches = list(trained.loader.epoch(0))
    with standin.synchronisations() as waits:
        for images, masks in batches:
            trained.step(images, masks)
    assert waits == []
    monkeypatch.setattr(trainer, "READ_EVERY", float("inf"))
    with standin.synchronisations() as waits:
        trained.fit(1)
    assert waits == ["get"]  # the losses, all at once
    assert np.isfinite(trained.history[0]["loss"])


def test_ten_steps_agree_with_the_cpu(gpu):
    """One seed, with dropout, augmentation, clipping and a schedule."""
    losses, states = {}, {}
    for device in ("cpu", "cuda"):
        trained = new(device)
        trained.model.train()
        with on(device):
            losses[device] = [trained.step(*batch) for k in range(4) for batch in trained.loader.epoch(k)][:10]
        states[device] = weights(trained)
    assert all(isinstance(loss, float) for loss in losses["cpu"])
    np.testing.assert_allclose([float(loss) for loss in losses["cuda"]], losses["cpu"], rtol=1e-4)
    for name, exact in states["cpu"].items():
        np.testing.assert_allclose(states["cuda"][name], exact, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("read_every", [0.0, float("inf")])
def test_a_loss_that_is_not_finite_costs_no_weights(gpu, monkeypatch, read_every):
    """The fourth of six batches is bad: whenever that is read, everything is as it was after the third."""
    monkeypatch.setattr(trainer, "READ_EVERY", read_every)
    good, bad = (new("cuda", count=12) for _ in range(2))
    for batch in list(good.loader.epoch(0))[:3]:
        good.model.train()
        good.step(*batch)
    inner = bad.loader.epoch

    def epoch(*args, **options):
        for k, (images, masks) in enumerate(inner(*args, **options)):
            if k == 3:
                images[0, 0, 0, 0] = np.nan
            yield images, masks

    bad.loader.epoch = epoch
    with pytest.raises(NonFiniteError, match=r"loss became nan in step 4: .*ToDevice.*check the images"):
        bad.fit(1)
    assert (bad.optimizer.steps, bad.epoch, bad.batch, bad.images_seen) == (3, 0, 3, 6)
    for (name, p), (_, q) in zip(good.model.named_parameters(), bad.model.named_parameters(), strict=True):
        assert p.numpy().tobytes() == q.numpy().tobytes(), name
    for key, array in good.optimizer.state_dict().items():
        assert array.tobytes() == bad.optimizer.state_dict()[key].tobytes(), key
    bad.step(*next(inner(0)))
    assert bad.optimizer.steps == 4
    name, p = next(bad.model.named_parameters())
    assert not np.array_equal(p.numpy(), dict(good.model.named_parameters())[name].numpy())


def test_out_of_memory_says_what_to_change(gpu, monkeypatch):
    only_standin(gpu)
    trained = new("cuda")
    monkeypatch.setattr(standin.LIMIT, "bytes", 1000)
    text = (
        r"no memory for .*Out of memory allocating.*; of 4.0 GiB on 'cuda' 3.0 are free\. This step takes 2 images of "
        r"8 x 8 through a network with base_channels=2: lower one of batch_size, size and base_channels"
    )
    with pytest.raises(MemoryError, match=text):
        trained.fit(1)


# ------------------------------------------------------------------------------------------- runs


def rows(out):
    found = json.loads((out / "history.json").read_text("utf-8"))
    return [[row[key] for key in ("epoch", "loss", "dice_mean")] for row in found]


@pytest.mark.parametrize("first, second", [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_stopped_run_goes_on_on_the_other_device(gpu, no_drawing, tmp_path, monkeypatch, first, second):
    data, settings = folder(tmp_path / "data", sizes=((16, 16),)), FAST | {"dropout": 0.25, "clip_norm": 1.0}
    with on(first):
        whole = train(data, tmp_path / "whole", device=first, **settings)
    original, out = Trainer.step, tmp_path / "out"

    def step(self, *batch):
        if self.history and self.batch == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *batch)

    with monkeypatch.context() as patch, on(first):
        patch.setattr(Trainer, "step", step)
        with pytest.raises(KeyboardInterrupt, match=f"continue with: tinyunet train --resume {out}"):
            train(data, out, device=first, **settings)
    _, description = read_checkpoint(out / "last.safetensors")
    assert (description["progress"]["epoch"], description["progress"]["batch"]) == (1, 1)
    assert description["progress"]["images_seen"] == 2 and description["progress"]["loss_sum"] > 0
    with on(second):
        result = resume(out, device=second, show_progress=False)
    assert result.segmenter.model.device == second
    assert f"<td>{second}</td>" in (out / "report.html").read_text("utf-8")
    np.testing.assert_allclose(rows(out), rows(whole.folder), rtol=1e-4)
    (arrays, _), (exact, _) = (read_checkpoint(path / "last.safetensors") for path in (out, whole.folder))
    for name, array in exact.items():
        np.testing.assert_allclose(arrays[name], array, rtol=1e-3, atol=1e-4, err_msg=name)


def test_the_device_is_named(gpu, no_drawing, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(backend, "find_driver", lambda: Driver((13, 0), (H100,)))
    train(folder(tmp_path / "data", sizes=((16, 16),)), tmp_path / "out", **FAST | {"epochs": 1, "show_progress": True})
    assert "\ndevice: cuda, H100, 80 GiB, compute capability 9.0\n" in capsys.readouterr().out
    assert "<td>cuda, H100, 80 GiB" in (tmp_path / "out" / "report.html").read_text("utf-8")
    _, description = read_checkpoint(tmp_path / "out" / "last.safetensors")
    assert description["settings"]["device"] == "auto"  # so that it continues where there is no GPU


def test_compilation_has_a_line(gpu, monkeypatch, capsys):
    from tinyunet.ops import cuda

    with backend.announce_compilation("cuda"):
        cuda._seconds += [3.0, 4.0]
    assert capsys.readouterr().err == "NVRTC compiled 2 kernels for the GPU in 7 s; CuPy keeps them for the next run\n"
    with backend.announce_compilation("cuda"):
        pass
    assert capsys.readouterr().err == ""


def test_a_segmenter_on_the_gpu_takes_and_returns_numpy(gpu, tmp_path):
    segmenter = new("cpu").segmenter
    segmenter.save(tmp_path / "model.safetensors")
    on_gpu = tinyunet.load(tmp_path / "model.safetensors").to("cuda")
    assert on_gpu.model.device == "cuda"
    image = np.random.default_rng(0).integers(0, 255, (21, 30)).astype(np.uint8)
    on_gpu.compile_kernels()
    with use_kernels("reference"):
        exact = segmenter.probabilities(image)
    found = on_gpu.probabilities(image)
    assert type(found) is np.ndarray and type(on_gpu.predict(image)) is np.ndarray
    np.testing.assert_allclose(found, exact, atol=1e-5)
    on_gpu.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    assert Segmenter.load(tmp_path / "again.safetensors").model.device == "cpu"


# ------------------------------------------------------------------------------------------- the benchmark

TINY = networks.Case(2, 1, 8, 1)


def options(**given) -> argparse.Namespace:
    default = {"ops": False, "ladder": None, "scaling": False, "memory": False, "quick": False, "threads": 1}
    return argparse.Namespace(**default | {"rounds": 2, "device": "cuda"} | given)


def test_networks_are_validated_and_timed_on_the_gpu(gpu, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(networks, "CASES", (TINY,))
    monkeypatch.setattr(gpu, "__version__", "14", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    load_cupy()
    with standin.synchronisations() as waits:
        assert command.run(options(out=str(tmp_path))) == 0
    if gpu is standin:  # before and after each of two tasks in two rounds, and in those that warm up
        assert waits.count("synchronize") == 2 * 2 * (2 + networks.WARM_UP)
    said = capsys.readouterr().out
    assert said.startswith("on cuda") and "PyTorch is not installed with CUDA: tinyunet alone" in said
    content = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert content["machine"]["gpu"].startswith("cuda") and {"cupy", "cuda"} <= content["machine"]["versions"].keys()
    assert [row["task"] for row in content["rows"]] == ["training step", "inference"]
    assert all(row["error"]["tinyunet"] < 1e-4 and row["ms"]["tinyunet"] > 0 for row in content["rows"])


def test_a_wrong_network_on_the_gpu_is_not_timed(gpu, monkeypatch):
    def off(model, *data):
        model.decoder1.weight.data *= 1.01
        return right(model, *data)

    right = networks.training_step
    sides = iter((right, off))  # the first builds the reference
    monkeypatch.setattr(networks, "training_step", lambda *given: next(sides)(*given))
    monkeypatch.setattr(networks, "time_in_turn", None)
    with pytest.raises(timing.WrongResult, match="training step, base 2, 1x1x8x8"):
        networks.measure((TINY,), 1, None, "cuda")


def test_memory_on_the_gpu_is_that_of_the_pool(gpu):
    peak = memory.peak_of_training("tinyunet", TINY, None, "cuda")
    assert peak == gpu.get_default_memory_pool().total_bytes() / 1e6 > 0


@pytest.mark.parametrize("mode", ["ops", "ladder", "scaling"])
def test_the_other_modes_are_the_cpus(gpu, mode):
    with pytest.raises(ValueError, match="--ops, --ladder and --scaling measure the CPU"):
        command.run(options(**{mode: "relu"}))


def test_without_a_gpu_there_is_nothing_to_measure(monkeypatch):
    load_cupy.cache_clear()
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match="the GPU needs CuPy"):
        command.run(options())
