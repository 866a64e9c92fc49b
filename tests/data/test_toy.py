from __future__ import annotations

import numpy as np
import pytest

from tinyunet.data.sample import DataError, SampleCache
from tinyunet.data.toy import Toy

KINDS = ("tumour", "organ", "lesion", "cells", "vessels")


def best_threshold_dice(image: np.ndarray, foreground: np.ndarray) -> float:
    """Dice of the best of all thresholds, chosen with knowledge of the mask, for bright and for dark objects."""
    best = 0.0
    for signed in (image, -image):
        hits = np.cumsum(foreground.ravel()[np.argsort(-signed.ravel(), kind="stable")])
        best = max(best, (2 * hits / (np.arange(1, hits.size + 1) + foreground.sum())).max())
    return best


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(64, 64), (40, 56), (72, 48)])
def test_sample_follows_the_convention(kind, size):
    toy = Toy(kind, count=3, size=size)
    for image, mask, name, *_ in toy:
        assert image.shape == (1, *size) and image.dtype == np.float32
        assert mask.shape == size and mask.dtype == np.int64
        assert image.min() >= 0 and image.max() <= 255 and (image == np.rint(image)).all()
        assert set(np.unique(mask)) == set(range(len(toy.class_names)))
        assert kind in name
    assert toy.channels == 1 and len(toy.mask_values) == len(toy.class_names)


@pytest.mark.parametrize("kind", KINDS)
def test_sample_depends_only_on_seed_and_index(kind):
    toy, again = Toy(kind, count=4), Toy(kind, count=9)
    again[7]  # the order of requests does not matter
    for k in (2, 0):
        assert np.array_equal(toy[k].image, again[k].image) and np.array_equal(toy[k].mask, again[k].mask)
    assert not np.array_equal(toy[0].mask, toy[1].mask)
    assert not np.array_equal(toy[0].mask, Toy(kind, count=4, seed=1)[0].mask)
    assert toy[-1] is toy[3]


def test_noise_changes_the_image_and_not_the_mask():
    clean, noisy = Toy("organ", count=1, noise=0.0)[0], Toy("organ", count=1, noise=0.2)[0]
    assert np.array_equal(clean.mask, noisy.mask)
    assert not np.array_equal(clean.image, noisy.image)


@pytest.mark.parametrize("kind", ["tumour", "organ", "lesion", "vessels"])
def test_no_threshold_solves_the_task(kind):
    scores = [best_threshold_dice(s.image[0], s.mask == 1) for s in Toy(kind, count=12)]
    assert np.mean(scores) < 0.8 and max(scores) < 0.9


def test_tumour_differs_from_its_surroundings():
    """The opposite of the test above: the image does show the mask."""
    for image, mask, *_ in Toy("tumour", count=8, noise=0.0):
        brain = (mask == 0) & (image[0] > 50) & (image[0] < 150)
        assert np.median(image[0][mask == 1]) > np.median(image[0][brain]) + 20


def test_lesions_cover_about_one_percent():
    shares = [(s.mask == 1).mean() for s in Toy("lesion", count=24)]
    assert 0.007 < np.mean(shares) < 0.013
    assert min(shares) > 0.002


def test_border_is_the_outermost_pixel_of_every_nucleus():
    for _, mask, *_ in Toy("cells", count=4, size=(96, 96)):
        inner, padded = mask == 1, np.pad(mask, 1, mode="edge")
        for u in (-1, 0, 1):
            for v in (-1, 0, 1):
                beside = padded[1 + u : 97 + u, 1 + v : 97 + v]
                assert (beside[inner] != 0).all()  # class 1 never meets the background


def test_vessels_are_thin():
    for _, mask, *_ in Toy("vessels", count=4, size=(128, 128)):
        wide = np.lib.stride_tricks.sliding_window_view(mask, (7, 7)).all((2, 3))
        assert wide.mean() < 0.01  # a full 7x7 block only where many vessels meet


@pytest.mark.parametrize(
    "arguments, word",
    [
        (dict(kind="bone"), "tumour, organ"),
        (dict(count=0), "count=0"),
        (dict(size=(31, 64)), "31"),
        (dict(seed=-1), "seed=-1"),
        (dict(noise=-0.1), "noise=-0.1"),
    ],
)
def test_bad_arguments(arguments, word):
    with pytest.raises(DataError, match=word):
        Toy(**arguments)


def test_index_out_of_range():
    with pytest.raises(IndexError):
        Toy(count=2)[2]


def test_cache_stops_at_its_limit_and_protects_what_it_keeps():
    toy = Toy(count=4)
    one = toy[0].image.nbytes + toy[0].mask.nbytes
    cache = SampleCache(limit=2 * one)
    first = [cache.get(k, toy._make) for k in range(4)]
    assert cache.get(3, toy._make) is first[3]  # the last one stays until the next
    again = [cache.get(k, toy._make) for k in range(4)]
    assert [a is b for a, b in zip(first, again, strict=True)] == [True, True, False, False]
    assert cache.used == 2 * one
    with pytest.raises(ValueError, match="read-only"):
        toy[0].image[0, 0, 0] = 1
