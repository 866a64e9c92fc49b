from __future__ import annotations

import numpy as np
import pytest

import tinyunet
from tinyunet.data import Normalize
from tinyunet.data.sample import IGNORE, DataError, Sample
from tinyunet.inference import Segmenter
from tinyunet.nn import UNet


@pytest.fixture(autouse=True)
def reference_kernels():
    with tinyunet.use_kernels("reference"):
        yield


RNG = np.random.default_rng(0)


def make(in_channels=1, classes=2, depth=1, normalize=None, **options):
    names, values = ("background", *"abc"[: max(classes, 2) - 1]), (0, 255, 7, 3)[: max(classes, 2)]
    model = UNet(in_channels, classes, 2, depth, **options)
    return Segmenter(model, normalize or Normalize(), names, values)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(32, 32), (33, 30), (7, 41), (1, 1)])
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_any_size_gives_probabilities_of_that_size(padding, size, classes):
    segmenter = make(classes=classes, padding=padding, depth=2)
    image = RNG.integers(0, 256, size).astype(np.uint8)
    p = segmenter.probabilities(image)
    assert p.shape == (max(classes, 2), *size) and p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=0), 1, rtol=1e-6)
    labels = segmenter.predict(image[None])  # (1, H, W) is the same image
    assert labels.dtype == np.int64 and np.array_equal(labels, p.argmax(axis=0))


def test_an_unpadded_network_answers_each_pixel_at_its_place():
    """In the middle of a large image the edge that `Segmenter` adds cannot be seen."""
    segmenter = make(padding="valid", normalize=Normalize("window", 0, 1))
    image = RNG.random((1, 60, 60)).astype(np.float32)
    with tinyunet.no_grad(), segmenter.model.evaluating():
        inner = tinyunet.functional.softmax(segmenter.model(image[None])).data[0]
    border = segmenter.model.border
    assert inner.shape == (2, 60 - border, 60 - border)
    mine = segmenter.probabilities(image)[:, border // 2 : -border // 2, border // 2 : -border // 2]
    # Pooling joins pixels in pairs: compare where the added edge keeps the pairing, which it does if it is even.
    np.testing.assert_allclose(mine, inner, rtol=1e-5, atol=1e-6)


def test_images_are_normalised_as_in_training():
    segmenter = make(normalize=Normalize("window", 100, 200))
    image = RNG.uniform(100, 200, (8, 8)).astype(np.float32)
    same = make(normalize=Normalize("window", 0, 1))
    np.testing.assert_allclose(segmenter.probabilities(image), same.probabilities((image - 100) / 100), atol=1e-6)


def test_prediction_leaves_the_network_in_training_and_unchanged():
    segmenter = make(dropout=0.5, depth=2)
    segmenter.model.train()
    before = {name: array.copy() for name, array in segmenter.model.state_dict().items()}
    image = RNG.random((16, 16))
    assert np.array_equal(segmenter.probabilities(image), segmenter.probabilities(image))  # no dropout
    assert segmenter.model.training
    for name, array in segmenter.model.state_dict().items():
        assert np.array_equal(array, before[name]), name


@pytest.mark.parametrize(
    "channels, shape, text",
    [
        (1, (3, 8, 8), r"expected an image \(1, H, W\), got shape \(3, 8, 8\)"),
        (3, (8, 8), r"expected an image \(3, H, W\), got shape \(1, 8, 8\)"),
        (3, (8, 8, 3), r"use image.transpose\(2, 0, 1\)"),
        (1, (2, 1, 8, 8), r"expected an image \(1, H, W\), got shape \(2, 1, 8, 8\)"),
        (1, (0, 8), "non-empty"),
    ],
)
def test_images_that_do_not_fit_are_refused(channels, shape, text):
    with pytest.raises(DataError, match=text):
        make(channels).predict(np.zeros(shape, np.float32))


def test_a_nan_in_the_image_is_refused():
    image = np.zeros((8, 8), np.float32)
    image[3, 3] = np.nan
    with pytest.raises(DataError, match="1 of 64 intensities are NaN"):
        make().predict(image)


class Few:
    """Two images of different size; one with a pixel that does not count."""

    class_names, channels = ("background", "a"), 1

    def __init__(self, mask_values=(0, 255)):
        self.mask_values = mask_values

    def __len__(self):
        return 2

    def __getitem__(self, k):
        rng = np.random.default_rng(k)
        mask = rng.integers(0, 2, (8 + 3 * k, 9))
        mask[0, 0] = IGNORE if k else 1
        return Sample(rng.random((1, *mask.shape)).astype(np.float32), mask, f"few-{k}")


def test_evaluation_counts_every_pixel_but_the_ignored():
    segmenter, data = make(), Few()
    scores = segmenter.evaluate(data, empty="one")
    assert scores.names == ["few-0", "few-1"] and scores.empty == "one"
    assert scores.counts.sum(axis=(1, 2)).tolist() == [72, 98]
    for k, sample in enumerate(data[i] for i in range(2)):
        hits = ((segmenter.predict(sample.image) == 1) & (sample.mask == 1)).sum()
        assert scores.counts[k, 1, 1] == hits


def test_evaluation_with_other_mask_values_is_refused():
    with pytest.raises(DataError, match=r"trained with the mask values \(0, 255\).*\(0, 1\)"):
        make().evaluate(Few((0, 1)))


@pytest.mark.parametrize(
    "options",
    [
        {"in_channels": 3, "classes": 4, "normalize": Normalize("window", 10, 300), "up": "article"},
        {"classes": 1, "padding": "valid", "norm": None, "up": "nearest"},
        {"norm": "group", "dropout": 0.3, "depth": 2, "normalize": Normalize("zscore"), "init": "torch"},
    ],
)
def test_save_and_load_give_back_the_same_network(tmp_path, options):
    segmenter = make(seed=5, **options)
    path = tmp_path / "net.safetensors"
    segmenter.save(path, dice_mean=0.5)
    loaded = tinyunet.load(path)
    assert loaded.description() == segmenter.description()
    image = RNG.integers(0, 256, (options.get("in_channels", 1), 21, 18)).astype(np.float32)
    assert np.array_equal(loaded.probabilities(image), segmenter.probabilities(image))
