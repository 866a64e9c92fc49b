"""The memory that training is said to take, against what a fresh process takes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tinyunet import functional as F
from tinyunet import use_kernels
from tinyunet.bench import memory
from tinyunet.bench.networks import Case
from tinyunet.bench.timing import OURS
from tinyunet.nn import UNet
from tinyunet.training import forecast
from tinyunet.training.forecast import GAPS, bytes_of_step, bytes_of_training, describe_memory

from .test_trainer import make


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
        ((2**10, 2**34), r"1\.0 KiB are free on cpu\. That is too little: lower batch_size \(and raise accumulate\)"),
    ],
)
def test_what_is_said(monkeypatch, memory, text):
    monkeypatch.setattr(forecast, "memory_of", lambda device: memory)
    line = describe_memory(small())
    assert re.search(text, line), line
