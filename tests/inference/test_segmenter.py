from __future__ import annotations

import numpy as np
import pytest

import tinyunet
from tinyunet.data import Normalize
from tinyunet.data.sample import IGNORE, DataError, Sample
from tinyunet.inference import Segmenter, tidy
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
        (1, (1, 2, 1, 8, 8), r"expected an image \(1, H, W\), got shape \(1, 2, 1, 8, 8\)"),
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


@pytest.mark.parametrize("options", [{}, {"padding": "valid"}, {"norm": "group"}, {"dropout": 0.5}])
@pytest.mark.parametrize("size", [(9, 14), (40, 40)])
def test_several_images_give_what_one_by_one_gives(options, size, monkeypatch):
    segmenter, images = make(2, **options), RNG.integers(0, 256, (5, 2, *size)).astype(np.uint8)
    passes = 2 if "dropout" in options else 0
    with tinyunet.use_kernels("cpu"):
        one_by_one = np.stack([segmenter.probabilities(image, passes=passes) for image in images])
        for together in (1, 2 * size[0] * size[1], 2**20):
            monkeypatch.setattr("tinyunet.inference.segmenter.TOGETHER", together)
            assert np.array_equal(segmenter.probabilities(images, passes=passes), one_by_one)
        assert np.array_equal(segmenter.predict(images, passes=passes), one_by_one.argmax(axis=1))


def test_tiles_and_several_looks_on_cuda(gpu):
    segmenter, image = make(classes=3, dropout=0.5), RNG.random((1, 70, 33)).astype(np.float32)
    options = {"tile": 40, "tta": 8}
    on_cpu = segmenter.examine(image, **options), segmenter.probabilities(image, passes=2)
    with tinyunet.use_kernels("auto"):
        segmenter.to("cuda")
        on_gpu = segmenter.examine(image, **options), segmenter.probabilities(image, passes=2)
    for a, b in zip((*on_cpu[0], on_cpu[1]), (*on_gpu[0], on_gpu[1]), strict=True):
        assert isinstance(b, np.ndarray)
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_predict_keeps_the_objects_that_are_wanted():
    segmenter, image = make(seed=1), np.random.default_rng(1).random((24, 24)).astype(np.float32)
    everything = segmenter.predict(image)
    for options in ({"largest": True}, {"smallest": 9}):
        wanted = tidy(everything, **options)
        assert np.array_equal(segmenter.predict(image, **options), wanted) and (wanted != everything).any()
        assert np.array_equal(segmenter.predict(np.stack([image[None]] * 2), **options), np.stack([wanted] * 2))


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


def test_evaluation_takes_the_options_of_prediction():
    segmenter, data = make(seed=1), Few()
    options = {"tile": 8, "tta": 4, "largest": True}
    scores = segmenter.evaluate(data, **options)
    for k, sample in enumerate(data[i] for i in range(2)):
        hits = ((segmenter.predict(sample.image, **options) == 1) & (sample.mask == 1)).sum()
        assert scores.counts[k, 1, 1] == hits
    assert (scores.counts != segmenter.evaluate(data).counts).any()


class Stack(Few):
    """A volume of two slices, which differ in where the larger object is."""

    def __getitem__(self, k):
        image = np.zeros((1, 8, 8), np.float32)
        image[0, 1:3, 1 : 3 + 2 * k] = 255
        image[0, 5:8, 5 - k : 8] = 255
        return Sample(image, (image[0] > 0).astype(np.int64), f"v_slice{k}", patient="v", volume="v")


def test_objects_of_a_volume_go_through_its_slices(monkeypatch):
    segmenter = make()
    monkeypatch.setattr(segmenter, "probabilities", lambda image: np.stack([image[0] < 1, image[0] > 0]))
    scores = segmenter.evaluate(Stack(), largest=True)
    assert scores.counts[0, 1].tolist() == [4 + 8, 9 + 12]  # found as background, and found


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
