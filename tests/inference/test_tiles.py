"""Tiles give what the whole image gives, wherever the receptive field says that they can."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyunet import use_kernels
from tinyunet.data import Normalize
from tinyunet.inference import Segmenter, tiles
from tinyunet.nn import UNet
from tinyunet.teaching import one_thread


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with use_kernels("reference"):
        yield


def make(depth=1, classes=3, **options):
    names = tuple("abc"[: max(classes, 2)])
    return Segmenter(UNet(1, classes, 2, depth, seed=3, **options), Normalize(), names, range(len(names)))


NETWORKS = [
    make(),
    make(2),
    make(classes=1, padding="valid"),
    make(2, padding="valid", up="nearest"),
    make(norm=None, up="nearest"),
    make(up="article"),
]


def image_of(height, width, seed=0):
    return np.random.default_rng(seed).random((height, width)).astype(np.float32)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    segmenter=st.sampled_from(NETWORKS),
    height=st.integers(1, 80),
    width=st.integers(1, 80),
    room=st.integers(12, 40),
    more=st.one_of(st.none(), st.integers(0, 8)),
    tta=st.sampled_from([1, 1, 4, 8]),
)
def test_tiles_give_what_the_whole_image_gives(segmenter, height, width, room, more, tta):
    needed, step = 2 * tiles.margin(segmenter.model), 2**segmenter.model.depth
    tile = needed + step + room
    overlap = None if more is None else needed + min(more, room)
    assert tiles.caveat(segmenter.model, tile, overlap) == ""
    image = image_of(height, width)
    got = segmenter.probabilities(image, tile=tile, overlap=overlap, tta=tta)
    np.testing.assert_allclose(got, segmenter.probabilities(image, tile=0, tta=tta), rtol=0, atol=3e-6)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_margin_is_not_larger_than_needed(depth, monkeypatch):
    """A test that tiles equal the whole must be able to fail."""
    segmenter, image = make(depth), image_of(90, 40)
    needed = tiles.margin(segmenter.model)
    whole = segmenter.probabilities(image)
    monkeypatch.setattr(tiles, "margin", lambda model: needed - 2 * 2**depth)
    cut = segmenter.probabilities(image, tile=2 * needed + 2**depth)
    assert np.abs(cut - whole).max() > 1e-4


@pytest.mark.parametrize("options", [{"norm": "group"}, {"up": "bilinear"}])
def test_layers_that_see_everything_make_tiles_approximate_and_it_says_so(options):
    segmenter, image = make(**options), image_of(150, 130)
    whole, cut = segmenter.probabilities(image), segmenter.probabilities(image, tile=100)
    assert "whole image" in tiles.caveat(segmenter.model, 100, None)
    assert 1e-6 < np.abs(cut - whole).max() and np.abs(cut - whole).mean() < 0.05
    np.testing.assert_allclose(cut.sum(axis=0), 1, rtol=1e-5)


def test_small_tiles_are_blended_and_it_says_so():
    segmenter, image = make(2), image_of(120, 90)
    needed = 2 * tiles.margin(segmenter.model)
    assert f"--tile {4 * needed}" in tiles.caveat(segmenter.model, needed, None)
    assert f"less than {needed}" in tiles.caveat(segmenter.model, 4 * needed, 4)
    whole = segmenter.probabilities(image)
    cut = segmenter.probabilities(image, tile=32)
    hard = segmenter.probabilities(image, tile=32, overlap=0)
    assert 0 < np.abs(cut - whole).mean() < np.abs(hard - whole).mean()
    np.testing.assert_allclose(cut.sum(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("size", "tile"), [(1, 0), (33, 0), (33, 64), (100, 16), (101, 61), (400, 100)])
def test_windows_cover_an_axis_where_the_pools_begin(padding, size, tile):
    model = UNet(1, 2, 2, 2, padding=padding)
    axis = tiles.cut(model, size, tile, None)
    total, window = axis.before + size + axis.after, axis.length + model.border
    assert model.next_size(total) == total and model.next_size(window) == window
    assert all(start % 4 == 0 for start in axis.starts) and axis.starts[0] == 0
    assert axis.output + model.border == total and axis.offset + size <= axis.output
    covered = np.zeros(axis.output)
    for start in axis.starts:
        covered[start : start + axis.length] += axis.weights(start)
    assert covered.min() > 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tile": -1}, "tile must be a number of pixels, or 0"),
        ({"tile": 16, "overlap": 16}, "overlap must be from 0 to 14 pixels with tiles of 16"),
        ({"tile": 16, "overlap": -1}, "got -1"),
        ({"tta": 2}, r"tta must be 1 \(off\), 4"),
        ({"passes": -1}, "passes must be at least 0"),
        ({"passes": 3}, "trained with dropout"),
    ],
)
def test_options_that_cannot_be_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        make().probabilities(image_of(8, 8), **options)


def test_an_image_that_does_not_fit_into_memory_is_cut(monkeypatch):
    segmenter, image = make(), image_of(700, 30)
    whole, seen = segmenter.probabilities(image), []
    free = tiles.forecast(segmenter.model, 300, 30)
    monkeypatch.setattr("tinyunet.inference.segmenter.memory_of", lambda device: (free, free))
    run = segmenter.model.forward
    monkeypatch.setattr(segmenter.model, "forward", lambda x: seen.append(x.shape) or run(x))
    cut = segmenter.probabilities(image)
    assert len(seen) > 2 and max(shape[2] for shape in seen) < 300
    np.testing.assert_allclose(cut, whole, rtol=0, atol=3e-6)
    seen.clear()
    segmenter.probabilities(image, tile=0)
    assert seen == [(1, 1, 700, 30)]


@pytest.mark.parametrize(
    "base, depth, options, size",
    [
        (8, 2, {}, 256),
        (8, 2, {"up": "nearest", "norm": None}, 256),
        (4, 2, {"classes": 20}, 200),
        (32, 4, {}, 32),  # so wide, and the image so small, that lifted weights take the most
    ],
)
def test_the_forecast_of_memory_is_near_the_peak(base, depth, options, size):
    model = UNet(**{"in_channels": 1, "classes": 2, "base_channels": base, "depth": depth} | options)
    classes = range(model.arguments["classes"])
    segmenter, image = Segmenter(model, Normalize(), classes, classes), image_of(size, size)
    with use_kernels("auto"), one_thread():  # what a thread takes for itself is not NumPy's, so it is not traced
        segmenter.probabilities(image_of(16, 16))
        tracemalloc.start()
        try:
            segmenter.probabilities(image)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert 0.95 < tiles.forecast(model, size, size) / peak < 1.15
