"""Weights of classes and of the gaps between objects: against their formulas, and in whole runs."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from tinyunet import functional as F
from tinyunet import use_kernels
from tinyunet.data import Augment, ImageFolder, Loader, Normalize, Subset
from tinyunet.data.borders import Bordered, border_map, objects_of, take_apart
from tinyunet.data.sample import DataError, Sample
from tinyunet.data.source import class_pixels
from tinyunet.training import Settings, Trainer, resume, train
from tinyunet.training.weights import weighted, weights_of_classes

from .test_run import assert_same_run
from .tiny import FAST, folder, save

pytestmark = pytest.mark.usefixtures("no_drawing")


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with use_kernels("reference"):
        yield


class Few:
    """Two masks of three classes and ignored pixels, the last class nowhere: 20, 4, 0 pixels."""

    class_names, channels, mask_values = ("background", "cell", "never"), 1, (0, 1, 2)

    def __init__(self, masks=None):
        self.masks = masks or [np.zeros((3, 5), np.int64), np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0], [-1, -1, -1]])]

    def __len__(self):
        return len(self.masks)

    def __getitem__(self, k):
        mask = self.masks[k]
        return Sample(np.arange(mask.size, dtype=np.float32).reshape(1, *mask.shape), mask, f"few-{k}")


def test_balanced_classes_weigh_alike_in_sum():
    weights = weights_of_classes("balanced", Few())
    np.testing.assert_allclose(weights, [24 / (3 * 20), 24 / (3 * 4), 0])
    np.testing.assert_allclose(weights[:2] * (20, 4), 8)


def test_masks_of_a_folder_were_counted_when_it_was_opened(tmp_path, monkeypatch):
    data = ImageFolder(folder(tmp_path, count=4))
    part = Subset(Subset(data, [3, 1, 0]), [0, 2])
    expected = sum(np.bincount(part[k].mask.ravel(), minlength=2) for k in range(2))
    monkeypatch.setattr(ImageFolder, "__getitem__", None)
    assert np.array_equal(class_pixels(part), expected)
    np.testing.assert_allclose(weights_of_classes("balanced", part) * expected, expected.sum() / 2)


def test_weights_as_numbers():
    assert weights_of_classes("none", Few()) is None
    assert weights_of_classes("1, 5,0.5", Few()).tolist() == [1, 5, 0.5]
    with pytest.raises(DataError, match=r"class_weights '1,5' has 2 numbers for 3 classes \(background, cell, never\)"):
        weights_of_classes("1,5", Few())


def plain_border_map(labels, weight, sigma):
    """Equation 2, pixel by pixel, object by object."""
    out = np.zeros(labels.shape)
    for i, j in np.argwhere(labels == 0):
        squares = [((np.argwhere(labels == v) - (i, j)) ** 2).sum(1).min() for v in np.unique(labels[labels != 0])]
        if len(squares) > 1:
            first, second = np.sqrt(sorted(squares)[:2])
            out[i, j] = weight * np.exp(-((first + second) ** 2) / (2 * sigma**2))
    return out


@pytest.mark.parametrize("count, sigma", [(0, 5), (1, 5), (2, 5), (5, 5), (9, 1), (9, 0.5)])
def test_border_map_is_equation_2(count, sigma):
    rng = np.random.default_rng(count)
    labels = np.zeros((23, 31), np.int64)
    for value in range(count):
        i, j = rng.integers(0, (20, 28))
        labels[i : i + 3, j : j + 3] = 7 * value + 2
    made = border_map(labels, 10.0, sigma)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, plain_border_map(labels, 10.0, sigma), rtol=1e-6, atol=1e-6)
    assert (made.max() > 0) == (count > 1)


def test_a_gap_of_one_pixel_weighs_most():
    labels = np.zeros((5, 9), int)
    labels[:, :4], labels[:, 5:] = 1, 2
    np.testing.assert_allclose(border_map(labels, 10.0, 5.0)[:, 4], 10 * np.exp(-4 / 50), rtol=1e-6)


def test_objects_are_the_connected_parts_of_each_class():
    mask = np.array([[1, 1, 2, 0, 1], [0, 0, 0, -1, 1]])
    assert objects_of(Few([mask])[0]).tolist() == [[1, 1, 3, 0, 2], [0, 0, 0, 0, 2]]


def test_touching_objects_are_taken_apart():
    labels = np.array([[5, 5, 3, 3, 0], [5, 5, 3, 3, 0], [0, 0, 5, 0, 9], [9, 9, 9, 0, 9]])
    apart = np.array([[5, 0, 3, 3, 0], [5, 0, 3, 3, 0], [0, 0, 0, 0, 0], [9, 0, 0, 0, 9]])
    assert take_apart(labels).tolist() == apart.tolist()
    mask = (labels > 0).astype(np.int64)
    mask[0, 1] = -1  # what is ignored stays so
    data = Bordered(Few([mask]), lambda sample: labels, 10.0, 5.0)
    wanted = (apart > 0).astype(np.int64)
    wanted[0, 1] = -1
    assert data[0].mask.tolist() == wanted.tolist() and len(data) == 1
    np.testing.assert_array_equal(data.term(data[0]), border_map(apart, 10.0, 5.0))


def test_the_map_moves_with_the_image():
    """The weights of a flipped image are the flipped weights; what is padded weighs nothing."""
    mask = np.zeros((8, 9), np.int64)
    mask[1:4, 1:4] = mask[5:7, 2:8] = 1
    data = Bordered(Few([mask]), None, 10.0, 3.0)
    assert np.array_equal(data[0].mask, mask)
    whole = data.term(data[0])
    loader = Loader(data, 1, normalize=Normalize(), augment=Augment(flip=True), size=(10, 9), weights=data.term)
    seen = set()
    for epoch in range(12):
        _, masks, terms = next(loader.epoch(epoch))
        rows = 1 if np.array_equal(masks[0, 1:9], mask) or np.array_equal(masks[0, 1:9, ::-1], mask) else -1
        columns = 1 if np.array_equal(masks[0, 1:9][::rows], mask) else -1
        assert np.array_equal(terms[0, 1:9][::rows, ::columns], whole) and not terms[0, [0, 9]].any()
        seen.add((rows, columns))
    assert len(seen) > 1


def test_weighted_loss_is_the_sum_of_both_terms():
    rng = np.random.default_rng(0)
    logits, masks = rng.normal(size=(2, 3, 4, 5)), rng.integers(-1, 3, (2, 4, 5))
    terms, classes = rng.random((2, 4, 5)).astype(np.float32), np.array([0.5, 2.0, 3.0])
    probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    entropy = -np.log(np.take_along_axis(probability, np.maximum(masks, 0)[:, None], 1))[:, 0]
    for given, borders in ((None, False), (None, True), (classes, False), (classes, True)):
        weight = (1 if given is None else given[masks]) + terms * borders
        weight = np.where(masks < 0, 0, weight)
        loss = weighted(F.cross_entropy, given, borders)
        value = loss(logits, masks, *([terms] if borders else [])).item()
        assert value == pytest.approx((weight * entropy).sum() / weight.sum(), rel=1e-6)


BAD = {
    "class_weights must be none, balanced, or numbers": [{"class_weights": "rare"}, {"class_weights": "0, 0"}],
    "are for the cross-entropy": [
        {"loss": "dice", "class_weights": "balanced"},
        {"loss": "dice", "border_weight": 1.0},
    ],
    "border_sigma must be above 0": [{"border_sigma": 0.0}],
    "border_weight must be at least 0": [{"border_weight": -1.0}],
    "folds must be 0 or at least 2": [{"folds": 1}, {"folds": 3, "fold": 4}, {"fold": 2}],
    "patience needs validation images": [{"patience": 1, "validation": 0.0}],
    "accumulate must be at least 1": [{"accumulate": 0}],
}


@pytest.mark.parametrize("text, settings", [(text, one) for text, many in BAD.items() for one in many])
def test_impossible_settings_are_refused(text, settings):
    with pytest.raises(ValueError, match=text):
        Settings(**settings)


def test_a_run_with_everything_resumes_bit_for_bit(tmp_path):
    data, out = folder(tmp_path / "data", count=8), tmp_path / "out"
    settings = FAST | {
        "epochs": 3,
        "batch_size": 1,
        "accumulate": 2,
        "patience": 2,
        "class_weights": "balanced",
        "border_weight": 10.0,
    }
    settings |= {"rotate": 10.0, "folds": 3, "fold": 2, "depth": 2, "deep_supervision": True, "recompute": True}
    train(data, tmp_path / "whole", **settings)
    original = Trainer.step

    def step(self, *batch):
        if self.optimizer.steps == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", step)
        with pytest.raises(KeyboardInterrupt, match="nothing is lost"):
            train(data, out, **settings)
    resume(out, show_progress=False)
    assert_same_run(tmp_path / "whole", out)


def test_border_weights_take_the_instances_beside_the_masks(tmp_path):
    data = folder(tmp_path / "data", count=4)
    one = train(data, tmp_path / "one", **FAST | {"epochs": 1, "border_weight": 10.0, "validation": 0.0})
    for k in range(4):  # every disc is two halves that only the instances tell apart
        labels = np.repeat(np.repeat(np.array([[1, 2]], np.uint8), 32, 0), 16, 1)
        save(data / "instances" / f"s{k}.png", labels)
    other = train(data, tmp_path / "other", **FAST | {"epochs": 1, "border_weight": 10.0, "validation": 0.0})
    assert one.history[0]["loss"] != other.history[0]["loss"]
