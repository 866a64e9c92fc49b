"""The memory that training is said to take, against what a fresh process takes."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest

from tinyunet import functional as F
from tinyunet import use_kernels
from tinyunet.bench import memory
from tinyunet.bench.networks import Case
from tinyunet.bench.timing import OURS
from tinyunet.nn import UNet
from tinyunet.teaching import one_thread
from tinyunet.training import forecast
from tinyunet.training.forecast import GAPS, SCRATCH, bytes_of_step, bytes_of_training, describe_memory, segmenting
from tinyunet.training.supervision import supervise

from .test_trainer import Discs, make
from .tiny import scene


@pytest.mark.skipif(not memory.CLEAR_REFS.exists(), reason="only Linux tells the peak of a process")
def test_the_forecast_is_within_a_fifth_of_the_measured_peak():
    case = Case(base=16, batch=4, size=128)
    measured = memory.measure([case], None, None)[0]["mb"][OURS] * 1e6
    model = case.model()
    with use_kernels("reference"):
        step = bytes_of_step(model, F.cross_entropy, (case.batch, case.size, case.size))
    moments, batch = 2 * sum(p.data.nbytes for p in model.parameters()), sum(array.nbytes for array in case.data())
    assert GAPS * (step + moments + batch) == pytest.approx(measured, rel=0.2)


def test_activations_grow_with_the_images_and_weights_do_not():
    with use_kernels("reference"):
        model = UNet(1, 2, 4, 2)
        one, two, three = (bytes_of_step(model, F.cross_entropy, (N, 64, 64)) for N in (10, 20, 30))
        assert three - two == pytest.approx(two - one) and two > one
        assert bytes_of_step(model, F.cross_entropy, (10, 128, 64)) == pytest.approx(two)
        assert bytes_of_step(model, F.cross_entropy, (10, 125, 61)) == pytest.approx(two)  # padded to multiples of 4
        fixed = bytes_of_step(model, F.cross_entropy, (1, 8, 8))
        assert fixed > sum(p.data.nbytes for p in model.parameters())


NETWORKS = {
    "plain": {},
    "recomputed": {"recompute": True},
    "no norm, recomputed": {"norm": None, "recompute": True},
    "nearest, group norm, recomputed": {"up": "nearest", "norm": "group", "recompute": True},
    "deep supervision": {"deep_supervision": True},
    "all": {"up": "bilinear", "deep_supervision": True, "recompute": True, "dropout": 0.1},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_forecast_of_a_step_is_near_the_peak_of_all_arrays(name):
    options = dict(NETWORKS[name])
    recomputed = options.pop("recompute", False)
    model = UNet(1, 2, 8, 2, **options)
    model.recompute = recomputed
    images, masks = np.zeros((4, 1, 64, 64), np.float32), np.zeros((4, 64, 64), np.int64)
    supervise(F.cross_entropy_dice, model(images), masks).backward()  # compiles what is not compiled yet
    model.zero_grad()
    tracemalloc.start()
    try:
        supervise(F.cross_entropy_dice, model(images), masks).backward()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    with use_kernels("reference"):
        step = bytes_of_step(model, F.cross_entropy_dice, (4, 64, 64))
    assert step - sum(p.data.nbytes for p in model.parameters()) == pytest.approx(peak, rel=0.15)


@one_thread()  # many threads need more memory for small images than the step
def test_validation_counts_where_it_takes_more(monkeypatch):
    trainer = small(accumulate=8)
    alone = bytes_of_training(trainer)
    assert bytes_of_training(trainer, Discs(2)) == alone  # images of the same size, and no more of them
    large = Discs(3)
    large.samples[2] = scene(0, 320, 300)
    assert bytes_of_training(trainer, large) == alone  # without crops all images are as large as the first
    trainer.loader.size = (32, 32)
    more = bytes_of_training(trainer, large)
    moments = 2 * sum(p.data.nbytes for p in trainer.model.parameters())
    assert more > 2 * alone and more > GAPS * (segmenting(trainer.model, 320, 300) + moments)
    free = segmenting(trainer.model, 320, 300)  # no more than that: it is cut into tiles
    monkeypatch.setattr(forecast, "memory_of", lambda device: (free, 2 * free))
    assert bytes_of_training(trainer, large) < 0.6 * more


def test_a_gpu_needs_scratch_and_keeps_one_batch(gpu):
    trainer = small()
    on_cpu = bytes_of_training(trainer)
    trainer.model.to("cuda")
    batch = 8 * 32 * 32 * 12
    assert bytes_of_training(trainer) == pytest.approx(on_cpu + GAPS * (SCRATCH - 3 * batch), abs=2)


def small(frozen=False, **options):
    trainer = make(model=UNet(1, 2, 8, 2), count=8, **options)
    trainer.loader.batch_size = 8
    for name, parameter in trainer.model.named_parameters():
        if frozen and name.startswith("encoder"):
            parameter.requires_grad = False
    return trainer


def test_what_needs_less_memory_is_forecast_to():
    everything = bytes_of_training(small())
    assert bytes_of_training(small(accumulate=4)) < 0.5 * everything
    assert bytes_of_training(small(frozen=True)) < 0.8 * everything
    trainer = small()
    trainer.model.recompute = True
    assert bytes_of_training(trainer) < 0.9 * everything


def test_the_forecast_leaves_the_trainer_alone():
    trainer = small()
    before, rng = trainer.state()[0], trainer.model.rng.bit_generator.state
    before = {name: array.copy() for name, array in before.items()}
    describe_memory(trainer)
    after, _ = trainer.state()
    assert after.keys() == before.keys() and all(np.array_equal(after[name], before[name]) for name in after)
    assert trainer.model.rng.bit_generator.state == rng and not trainer.optimizer.state[0]


@pytest.mark.parametrize(
    "memory, text",
    [
        (None, r"training will take about [\d.]+ MiB$"),
        ((2**33, 2**34), r"about [\d.]+ MiB; 8\.00 GiB are free on cpu$"),
        (
            (2**10, 2**34),
            r"1\.0 KiB are free on cpu\. That is too little: .*\(and raise accumulate.*or choose recompute$",
        ),
    ],
)
def test_what_is_said(monkeypatch, memory, text):
    monkeypatch.setattr(forecast, "memory_of", lambda device: memory)
    line = describe_memory(small())
    assert re.search(text, line), line
