"""Preparing batches ahead in a thread: the same bits, errors in their place, and no thread left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest

from tinyunet import use_kernels
from tinyunet.data import IGNORE, DataError, Loader, Normalize, Sample, Toy
from tinyunet.data.augment import Augment, preset
from tinyunet.settings import kernel_choice


class Recorder:
    """A dataset that notes what it is asked for, and by whom."""

    class_names, channels, mask_values = ("background", "object"), 1, (0, 1)

    def __init__(self, count: int = 8, does=lambda index: None) -> None:
        self.count, self.does = count, does
        self.asked: list[int] = []
        self.settings: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if self.asked or threading.current_thread() is not threading.main_thread():
            self.does(index)
        self.asked.append(index)
        self.settings.add((threading.current_thread().name, kernel_choice()))
        image = np.arange(30, dtype=np.float32).reshape(1, 5, 6) + index
        return Sample(image, image[0].astype(np.int64) % 2, f"sample{index}")


def loader(dataset=None, batch_size: int = 2, **options) -> Loader:
    made = Loader(dataset or Recorder(), batch_size, normalize=Normalize(), **options)
    made.dataset.asked.clear()  # without the one that the loader measured
    return made


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tinyunet-loader")]


def settled(dataset: Recorder) -> int:
    """How many samples were asked for once the thread has stopped asking."""
    count = -1
    while count != len(dataset.asked):
        count = len(dataset.asked)
        time.sleep(0.05)
    return count


@pytest.mark.parametrize("name", ["light", "elastic", "strong", "mri"])
def test_the_same_bits_as_without(name):
    augment = preset(name, probability={}, drop_channel=0.2)
    options = dict(normalize=Normalize(), augment=augment, size=(40, 64), shuffle=True, seed=3)
    plain = Loader(Toy(count=7, size=(48, 48)), 3, prefetch=0, **options)
    expected = [list(plain.epoch(k)) for k in range(2)]
    for ahead in (1, 2, 9):
        other = Loader(Toy(count=7, size=(48, 48)), 3, prefetch=ahead, **options)
        for epoch, first in ((1, 0), (0, 0), (1, 2), (0, 1), (0, 3)):  # in any order, and resumed
            batches = list(other.epoch(epoch, first))
            assert len(batches) == 3 - first
            for one, two in zip(batches, expected[epoch][first:], strict=True):
                assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one, two, strict=True))
    assert not threads()


def test_samples_are_the_same_in_any_order_and_in_many_threads():
    one = Loader(Toy(count=6, size=(48, 48)), 2, normalize=Normalize(), augment=preset("mri", probability={}), seed=1)
    expected = [one.prepare(index, 4) for index in range(6)]
    got = {}

    def prepare(index):
        got[index] = one.prepare(index, 4)

    workers = [threading.Thread(target=prepare, args=(index,)) for index in reversed(range(6))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(a, b) for k in range(6) for a, b in zip(got[k], expected[k], strict=True))


@pytest.mark.parametrize("ahead", [1, 2, 3])
def test_no_more_than_asked_for_is_prepared(ahead):
    dataset = Recorder(20)
    batches = loader(dataset, prefetch=ahead).epoch(0)
    assert dataset.asked == []
    for taken in range(1, 4):
        next(batches)
        assert settled(dataset) == 2 * (taken + ahead)
    batches.close()
    assert settled(dataset) == 2 * (3 + ahead) and not threads()


def test_the_thread_inherits_settings_and_is_not_there_without_prefetch():
    for ahead, where in ((2, "tinyunet-loader_0"), (0, "MainThread")):
        made = loader(prefetch=ahead)
        made.dataset.settings.clear()
        with use_kernels("reference"):
            list(made.epoch(0))
        assert made.dataset.settings == {(where, "reference")}


def fails_at(index: int):
    def read_a_broken_file(asked: int) -> None:
        if asked == index:
            raise DataError("sample5 is broken")

    return read_a_broken_file


@pytest.mark.parametrize("ahead", [0, 2, 9])
def test_an_error_comes_when_its_batch_does_with_its_traceback(ahead):
    seen = []
    with pytest.raises(DataError, match="sample5 is broken") as caught:
        for images, _ in loader(Recorder(does=fails_at(5)), prefetch=ahead).epoch(0):
            seen.append(images)
    assert len(seen) == 2
    assert "read_a_broken_file" in "".join(traceback.format_tb(caught.value.__traceback__))
    assert not threads()


def test_leaving_the_loop_ends_the_thread():
    for _ in loader(Recorder(50)).epoch(0):
        break
    assert not threads()
    batches = loader(Recorder(50)).epoch(0)
    next(batches)
    assert threads()
    batches.close()
    assert not threads()


def test_an_error_of_the_caller_leaves_no_thread_at_work():
    dataset = Recorder(50)

    def train():
        for _ in loader(dataset).epoch(0):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        train()
    assert settled(dataset) <= 6  # as long as the traceback holds the loop, the thread may wait, but does nothing
    del caught
    assert not threads()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signal to itself")
def test_ctrl_c_while_waiting_for_a_batch():
    main = threading.main_thread().ident

    def interrupt(index):
        if index == 4:
            signal.pthread_kill(main, signal.SIGINT)
            time.sleep(0.2)

    dataset = Recorder(50, does=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a program in the background may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            list(loader(dataset, prefetch=1).epoch(0))
    finally:
        signal.signal(signal.SIGINT, before)
    assert not threads() and settled(dataset) <= 8


def test_a_program_that_dies_in_the_loop_ends():
    code = """
from tinyunet.data import Loader, Normalize, Toy
for batch in Loader(Toy(count=40), 2, normalize=Normalize()).epoch(0):
    raise SystemExit("stopped in the loop")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.strip() == "stopped in the loop"


def test_pixel_weights_move_along():
    def weights(sample):
        return sample.image[0] * 2

    options = dict(augment=Augment(rot90=True, rotate=30, shift=0.1, elastic=0.02), size=(8, 4), shuffle=True)
    for images, masks, moved in loader(weights=weights, **options).epoch(0):
        assert images.shape == (2, 1, 8, 4) and masks.shape == moved.shape == (2, 8, 4)
        assert (moved[:, [0, -1]] == 0).all() and (masks[:, [0, -1]] == IGNORE).all()
        inside = moved[:, 1:-2].reshape(2, -1)  # image and weights are one pattern in two scales
        shown = images[:, 0, 1:-2].reshape(2, -1)
        for a, b in zip(shown, inside, strict=True):
            assert np.allclose(np.polyfit(a, b, 1)[0], 58, rtol=1e-4)
    with pytest.raises(DataError, match=r"sample0: the mask is \(5, 6\), its pixel weights \(2, 2\)"):
        list(loader(weights=lambda sample: np.ones((2, 2))).epoch(0))


@pytest.mark.parametrize("kind, missing", [("minmax", 0), ("symmetric", -1), ("zscore", 0)])
def test_a_dropped_modality_looks_like_a_missing_one_at_prediction(kind, missing):
    class Two(Recorder):
        channels = 2

        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return sample._replace(image=np.concatenate([sample.image, 9 - sample.image]))

    normalize = Normalize(kind)
    made = Loader(Two(), 8, normalize=normalize, augment=Augment(drop_channel=0.5))
    absent = normalize(np.stack([np.zeros((5, 6)), np.arange(30).reshape(5, 6)]))[0]
    assert (absent == missing).all()
    images, _ = next(made.epoch(0))
    constant = np.ptp(images, axis=(2, 3)) == 0
    assert constant.any() and (images[constant] == missing).all()


def test_bad_prefetch():
    with pytest.raises(DataError, match="prefetch=-1"):
        loader(prefetch=-1)
