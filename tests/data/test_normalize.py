from __future__ import annotations

import json

import numpy as np
import pytest

from tinyunet.data import ImageFolder, Loader
from tinyunet.data.normalize import Normalize, Statistics
from tinyunet.data.sample import DataError
from tinyunet.inference import Segmenter
from tinyunet.nn import UNet

IMAGE = np.random.default_rng(0).uniform(-3, 4000, (2, 5, 7)).astype(np.float32) * np.array([1, 9])[:, None, None]
IMAGE = IMAGE.astype(np.float32)


@pytest.mark.parametrize("kind, low, high", [("minmax", 0, 1), ("symmetric", -1, 1)])
def test_range_per_channel(kind, low, high):
    y = Normalize(kind)(IMAGE)
    assert y.dtype == np.float32 and y.shape == IMAGE.shape
    assert (y.min((1, 2)) == low).all() and (y.max((1, 2)) == high).all()
    lowest = IMAGE.min((1, 2), keepdims=True)
    highest = IMAGE.max((1, 2), keepdims=True)
    back = (y - low) / (high - low) * (highest - lowest) + lowest
    assert np.allclose(back, IMAGE, rtol=1e-4, atol=1e-2)


def test_zscore_and_window():
    y = Normalize("zscore")(IMAGE)
    assert np.allclose(y.mean((1, 2)), 0, atol=1e-6) and np.allclose(y.std((1, 2)), 1, atol=1e-6)
    hounsfield = np.array([[[-1000.0, -160.0, 40.0, 240.0, 3000.0]]])
    assert Normalize("window", -160, 240)(hounsfield).tolist() == [[[0, 0, 0.5, 1, 1]]]


@pytest.mark.parametrize("kind, value", [("minmax", 0), ("symmetric", -1), ("zscore", 0)])
@pytest.mark.parametrize("constant", [0.0, 0.1, 65535.0, -1e30])
def test_constant_channel(kind, value, constant):
    image = np.stack([np.full((37, 41), constant), np.arange(37.0 * 41).reshape(37, 41)])  # float64: std(0.1) > 0
    y = Normalize(kind)(image)
    assert (y[0] == value).all() and y[1].std() > 0.2


def test_input_is_left_as_it_is():
    before = IMAGE.copy()
    for normalize in (Normalize(), Normalize("symmetric"), Normalize("zscore"), Normalize("window", 0, 1)):
        normalize(IMAGE)
    assert np.array_equal(before, IMAGE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(bad):
    image = IMAGE.copy()
    image[1, 2, 3] = bad
    with pytest.raises(DataError, match="1 of 70 intensities are NaN or infinite"):
        Normalize()(image)


def test_wrong_shape():
    with pytest.raises(DataError, match=r"image\[None\]"):
        Normalize()(IMAGE[0])
    with pytest.raises(DataError, match="non-empty"):
        Normalize()(np.zeros((1, 0, 4)))


@pytest.mark.parametrize(
    "arguments, word",
    [
        (("max",), "unknown normalisation 'max'"),
        (("minmax", 0, 1), "low and high belong to"),
        (("window",), "low=None"),
        (("window", 3, 3), "low < high"),
        (("window", 0, float("nan")), "low < high"),
    ],
)
def test_bad_arguments(arguments, word):
    with pytest.raises(DataError, match=word):
        Normalize(*arguments)


@pytest.mark.parametrize("normalize", [Normalize("zscore"), Normalize("window", -160.0, 240.0)])
def test_round_trip_through_json(normalize):
    assert Normalize.from_dict(json.loads(json.dumps(normalize.to_dict()))) == normalize


# ------------------------------------------------------------------------------------------- volumes


def stack(seed: int = 0, slices: int = 4) -> np.ndarray:
    """(D, 2, H, W) integers whose slices differ in brightness; the last shows nothing."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 200, (slices, 2, 6, 5)) * np.arange(slices)[::-1, None, None, None] - 50


@pytest.mark.parametrize("kind", ["minmax", "symmetric", "zscore"])
def test_slices_are_measured_by_their_volume(kind):
    volume = stack()
    statistics, normalize = Statistics.of(volume), Normalize(kind)
    together = np.stack([normalize(each, volume=statistics) for each in volume], axis=1)  # (C, D, H, W)
    whole = normalize(volume.swapaxes(0, 1).reshape(2, -1, 5)).reshape(together.shape)
    assert np.allclose(together, whole, atol=1e-6)
    for each in volume:
        alone = Normalize(kind, per="slice")(each, volume=statistics)
        assert np.array_equal(alone, normalize(each))


def test_a_window_needs_no_volume():
    volume = stack()
    normalize = Normalize("window", 0, 100)
    assert np.array_equal(normalize(volume[0], volume=Statistics.of(volume)), normalize(volume[0]))


@pytest.mark.parametrize("per", ["volume", "slice"])
def test_training_and_prediction_see_the_same_intensities(tmp_path, monkeypatch, per):
    """The loader, `predict` on a whole volume, and `evaluate` slice by slice give the network equal arrays."""
    for k in range(3):
        for kind, array in (("images", stack(k)[:, 0]), ("masks", stack(k)[:, 0] > 0)):
            (tmp_path / kind).mkdir(exist_ok=True)
            np.save(tmp_path / kind / f"p{k}.npy", array.astype(np.int16))
    data = ImageFolder(tmp_path)
    normalize = Normalize("zscore", per=per)
    trained = [Loader(data, 1, normalize=normalize).prepare(i, 0)[0] for i in range(len(data))]
    segmenter, seen = Segmenter(UNet(1, 2, 2, 1), normalize, data.class_names, data.mask_values), []

    def by_rows(self, read, height, width, **options):
        seen.extend(read(0, height))
        yield read(0, height)[:, [0, 0]]

    monkeypatch.setattr(Segmenter, "by_rows", by_rows)
    for k in range(3):
        segmenter.predict(stack(k)[:, :1], volume=True)
    assert np.array_equal(np.stack(seen), np.stack(trained))
    seen.clear()
    segmenter.evaluate(data)
    assert np.array_equal(np.stack(seen), np.stack(trained))
    seen.clear()
    segmenter.predict(stack(0)[2:3, :1], volume=data[0].statistics)
    assert np.array_equal(seen[0], trained[2])
    if per == "volume":
        assert not np.array_equal(trained[0], normalize(data[0].image))


def test_what_was_saved_before_there_was_a_choice_was_measured_by_slices():
    assert Normalize.from_dict({"kind": "zscore", "low": None, "high": None}) == Normalize("zscore", per="slice")
    with pytest.raises(DataError, match="unknown scope of normalisation 'image'; expected one of volume, slice"):
        Normalize(per="image")
