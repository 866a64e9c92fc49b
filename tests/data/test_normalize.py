from __future__ import annotations

import json

import numpy as np
import pytest

from tinyunet.data.normalize import Normalize
from tinyunet.data.sample import DataError

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
