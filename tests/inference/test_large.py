"""Files that are read, segmented and written by rows: the same results, in bounded memory."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from tinyunet import use_kernels
from tinyunet.data import Normalize
from tinyunet.data.image_file import read_image, read_mask
from tinyunet.data.rows import open_rows
from tinyunet.data.sample import DataError
from tinyunet.inference import Segmenter, large
from tinyunet.inference.large import segment_rows
from tinyunet.nn import UNet


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with use_kernels("reference"):
        yield


def make(channels=1, kind="minmax", values=(0, 100, 300), **options):
    normalize = Normalize(kind, *((20, 200) if kind == "window" else ()))
    return Segmenter(UNet(channels, 3, 2, 1, seed=3, **options), normalize, "abc", values)


def pixels(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".npy", ".tif", ".png"])
@pytest.mark.parametrize("kind", ["minmax", "symmetric", "zscore", "window"])
def test_by_rows_is_what_the_whole_image_gives(tmp_path, suffix, kind):
    segmenter, image, path = make(kind=kind), pixels(301, 75), tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, image)
    else:
        Image.fromarray(image).save(
            path, **({"compression": "tiff_lzw", "strip_size": 1000} if suffix == ".tif" else {})
        )
    labels = tmp_path / ("labels.npy" if suffix == ".npy" else "labels.png")
    outputs = {"probabilities": tmp_path / "p.npy", "uncertainty": tmp_path / "u.npy"}
    with open_rows(path, 1) as rows:
        overview = segment_rows(segmenter, rows, labels, tile=64, tta=4, **outputs)
    whole = segmenter.examine(read_image(path)[0] if suffix != ".npy" else image, tta=4)
    np.testing.assert_allclose(np.load(outputs["probabilities"]), whole.probabilities, atol=3e-6)
    np.testing.assert_allclose(np.load(outputs["uncertainty"]), np.stack(whole[1:]), atol=1e-5)
    got = np.load(labels) if suffix == ".npy" else read_mask(labels)
    expected = np.array(segmenter.mask_values)[whole.probabilities.argmax(axis=0)]
    assert (got != expected).mean() < 1e-3  # rounding may decide where two classes are equal
    assert np.array_equal(overview.labels, np.searchsorted(segmenter.mask_values, got))
    assert np.array_equal(overview.image[0], image) and overview.found == set(np.unique(overview.labels).tolist())


def test_colour_becomes_what_the_network_takes(tmp_path):
    colour = np.stack([pixels(90, 40, seed) for seed in range(3)], axis=-1)
    Image.fromarray(colour).save(tmp_path / "a.tif", strip_size=500, compression="tiff_deflate")
    for channels in (1, 3):
        segmenter = make(channels)
        with open_rows(tmp_path / "a.tif", channels) as rows:
            segment_rows(segmenter, rows, tmp_path / "labels.npy", probabilities=tmp_path / "p.npy", tile=64)
        whole = segmenter.probabilities(read_image(tmp_path / "a.tif", channels))
        np.testing.assert_allclose(np.load(tmp_path / "p.npy"), whole, atol=3e-6)


def test_memory_does_not_grow_with_the_height(tmp_path, monkeypatch):
    monkeypatch.setattr(large, "_VIEW", 32)
    segmenter, peaks = make(), {}
    for height in (256, 256, 4096):  # the first time also loads modules
        np.save(tmp_path / "a.npy", np.resize(pixels(256, 96), (height, 96)))
        with open_rows(tmp_path / "a.npy", 1) as rows:
            tracemalloc.start()
            try:
                large.segment_rows(segmenter, rows, tmp_path / "labels.png", uncertainty=tmp_path / "u.npy", tile=96)
                peaks[height] = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
    assert read_mask(tmp_path / "labels.png").shape == (4096, 96)
    probabilities = 4096 * 96 * 3 * 4
    assert peaks[4096] < 1.2 * peaks[256] < probabilities


@pytest.mark.parametrize("row", [10, 290])
@pytest.mark.parametrize("kind", ["minmax", "window"])
def test_a_nan_stops_it_and_leaves_nothing(tmp_path, row, kind):
    image = pixels(300, 30).astype(np.float32)
    image[row, 3] = np.nan
    np.save(tmp_path / "a.npy", image)
    outputs = {"probabilities": tmp_path / "p.npy", "uncertainty": tmp_path / "u.npy"}
    with open_rows(tmp_path / "a.npy", 1) as rows, pytest.raises(DataError, match="a.npy: 1 of .* are NaN or infinite"):
        segment_rows(make(kind=kind), rows, tmp_path / "labels.npy", tile=64, **outputs)
    assert os.listdir(tmp_path) == ["a.npy"]


def test_values_that_do_not_fit_the_format_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", pixels(30, 30))
    with open_rows(tmp_path / "a.npy", 1) as rows, pytest.raises(DataError, match="do not fit into a .png file"):
        segment_rows(make(values=(-1, 0, 5)), rows, tmp_path / "labels.png", tile=64)
