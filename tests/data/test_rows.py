"""Images by rows: the same pixels as from the whole file, and no more of it in memory than needed."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from tinyunet.data import guard
from tinyunet.data.image_file import read_labels, read_scan
from tinyunet.data.rows import open_rows
from tinyunet.data.sample import DataError
from tinyunet.data.write import RowWriter
from tinyunet.files import writing_whole

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (101, 67))
PIXELS = {
    "8 bit": GREY.astype(np.uint8),
    "16 bit": (200 * GREY).astype(np.uint16),
    "32 bit": (70_000 * GREY).astype(np.int32),
    "float": (GREY / 3).astype(np.float32),
    "1 bit": GREY > 100,
    "colour": RNG.integers(0, 256, (101, 67, 3)).astype(np.uint8),
}
RANGES = ((0, 101), (0, 20), (15, 60), (59, 101), (100, 101))


def agrees(path: Path, channels: int | None = None) -> bool:
    whole = read_scan(path, channels).pixels[:, 0]
    with open_rows(path, channels) as rows:
        assert (rows.height, rows.width) == whole.shape[1:]
        parts = [rows.read(first, last) for first, last in RANGES]
    assert all(part.dtype == whole.dtype for part in parts)
    return all(np.array_equal(p, whole[:, first:last]) for p, (first, last) in zip(parts, RANGES, strict=True))


@pytest.mark.parametrize("compression", [None, "tiff_deflate", "tiff_lzw", "packbits", "jpeg"])
@pytest.mark.parametrize("kind", PIXELS)
def test_strips_of_a_tiff(tmp_path, kind, compression):
    if compression == "jpeg" and kind not in ("8 bit", "colour"):
        pytest.skip("JPEG knows of 8 bits only")
    how = {"strip_size": 70 if kind == "1 bit" else 700} if compression else {"tiffinfo": {278: 7}}
    Image.fromarray(PIXELS[kind]).save(tmp_path / "a.tif", compression=compression, **how)
    with open_rows(tmp_path / "a.tif") as rows:
        pieces = rows.raw.__self__
        rows.read(50, 52)
        assert sum(len(piece) for piece in pieces.kept.values()) < 40  # of 101 rows
    assert agrees(tmp_path / "a.tif") and agrees(tmp_path / "a.tif", 3) and agrees(tmp_path / "a.tif", 1)


@pytest.mark.parametrize("kind", ["8 bit", "16 bit", "colour"])
@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_tiles_of_a_tiff(tmp_path, kind, order):
    write_tiled(tmp_path / "a.tif", PIXELS[kind], order)
    assert agrees(tmp_path / "a.tif")


def write_tiled(path: Path, array: np.ndarray, order: bytes, side: int = 32) -> None:
    """Pillow cannot write tiles."""
    H, W = array.shape[:2]
    padded = np.pad(array, ((0, -H % side), (0, -W % side), *[(0, 0)] * (array.ndim - 2)))
    padded = padded.astype(array.dtype.newbyteorder("<" if order == b"II" else ">"))
    blocks = [padded[i : i + side, j : j + side] for i in range(0, H, side) for j in range(0, W, side)]
    tiles = [zlib.compress(block.tobytes()) for block in blocks]
    samples = array.shape[2] if array.ndim == 3 else 1
    header = ImageFileDirectory_v2(prefix=order)
    header[256], header[257], header[322], header[323] = W, H, side, side
    header[258], header[259], header[277] = (8 * array.itemsize,) * samples, 8, samples
    header[262], header[284] = (2 if samples == 3 else 1), 1
    header[324] = tuple(8 + sum(map(len, tiles[:k])) for k in range(len(tiles)))
    header[325] = tuple(map(len, tiles))
    begin = 8 + sum(map(len, tiles))
    magic = order + (b"*\0" if order == b"II" else b"\0*")
    offset = begin.to_bytes(4, "little" if order == b"II" else "big")
    path.write_bytes(magic + offset + b"".join(tiles) + header.tobytes(begin))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
@pytest.mark.parametrize("kind", ["8 bit", "colour"])
def test_other_pictures_are_decoded_as_a_whole(tmp_path, suffix, kind):
    Image.fromarray(PIXELS[kind]).save(tmp_path / f"a{suffix}")
    assert agrees(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "f2", "f4", "f8", "?", "i8"])
@pytest.mark.parametrize("shape", [(101, 67), (1, 101, 67), (2, 1, 101, 67)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(tmp_path, dtype, shape, order):
    np.save(tmp_path / "a.npy", np.asarray(RNG.integers(0, 200, shape).astype(dtype), order=order))
    assert agrees(tmp_path / "a.npy")


def test_what_has_no_rows_of_its_own(tmp_path):
    pages = [Image.fromarray(PIXELS["8 bit"])] * 2
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    np.save(tmp_path / "stack.npy", np.zeros((5, 9, 9)))
    np.savez(tmp_path / "array.npz", np.zeros((9, 9)))
    for path in (*tmp_path.iterdir(), tmp_path / "volume.nii.gz", tmp_path):
        with open_rows(path) as rows:
            assert rows is None


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_files_that_lie_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    Image.fromarray(PIXELS["8 bit"]).save(path, strip_size=700, compression="tiff_deflate")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="a.tif: "), open_rows(path) as rows:
        rows.read(0, 101)
    np.save(tmp_path / "b.npy", PIXELS["float"])
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-1])
    with pytest.raises(DataError, match="promises the shape"), open_rows(tmp_path / "b.npy"):
        pass
    Image.fromarray(np.zeros((2000, 2000), np.uint8)).save(tmp_path / "c.png")
    monkeypatch.setattr(guard, "_RATIO", 10)
    monkeypatch.setattr(guard, "_SMALL", 2**20)
    with pytest.raises(DataError, match="made to exhaust memory"), open_rows(tmp_path / "c.png"):
        pass


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_labels_written_by_rows(tmp_path, dtype, suffix):
    labels, path = (GREY * (1 if dtype == np.uint8 else 200)).astype(dtype), tmp_path / f"a{suffix}"
    with writing_whole(path) as file:
        writer = RowWriter(file, suffix, labels.shape, dtype)
        for first, last in ((0, 1), (1, 40), (40, 40), (40, 101)):
            writer.write(labels[first:last].astype(np.int64))
    read = read_labels(path).pixels[0, 0]
    assert read.dtype == dtype and np.array_equal(read, labels)


def test_arrays_written_by_rows(tmp_path):
    array = RNG.random((3, 101, 67)).astype(np.float32)
    with writing_whole(tmp_path / "a.npy") as file:
        writer = RowWriter(file, ".npy", array.shape, array.dtype)
        for first, last in ((0, 64), (64, 101)):
            writer.write(array[:, first:last])
    assert np.array_equal(np.load(tmp_path / "a.npy"), array)
