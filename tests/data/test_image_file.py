"""Kinds of pixels: what Pillow and NumPy files hold comes out unchanged, or the file is refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from tinyunet.data import guard
from tinyunet.data.image_file import read_image, read_labels, read_mask, read_scan
from tinyunet.data.rows import open_rows
from tinyunet.data.sample import DataError
from tinyunet.data.write import labels_suffix, write_labels

H, W = 6, 9
RNG = np.random.default_rng(0)


def tiff(array: np.ndarray, order: str = "<", photometric: int = 1, **tags: int) -> bytes:
    """A grey TIFF of one strip, byte by byte, in either byte order."""
    kind = {"u": 1, "i": 2, "f": 3}[array.dtype.kind]
    data = array.astype(array.dtype.newbyteorder(order)).tobytes()
    entries = {256: array.shape[1], 257: array.shape[0], 258: 8 * array.itemsize, 259: 1, 262: photometric}
    entries |= {273: 8, 277: 1, 278: array.shape[0], 279: len(data), 339: kind} | {
        int(k[1:]): v for k, v in tags.items()
    }
    directory = struct.pack(f"{order}H", len(entries))
    for tag, value in sorted(entries.items()):
        directory += struct.pack(f"{order}HHII", tag, 4, 1, value)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(data))
    return head + data + directory + bytes(4)


def values(dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return RNG.normal(size=(H, W)).astype(kind)
    limits = np.iinfo(kind)
    array = RNG.integers(limits.min, limits.max, (H, W), kind, endpoint=True)
    array[0, :2] = limits.min, limits.max
    return array


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4"])
def test_tiff_of_every_depth_and_byte_order(tmp_path, dtype, order):
    array = values(dtype)
    (tmp_path / "x.tif").write_bytes(tiff(array, order))
    if dtype == "u4" and order == ">":  # Pillow has no such decoder: refused, not guessed
        with pytest.raises(DataError, match="x.tif: not a readable image"):
            read_scan(tmp_path / "x.tif")
        return
    scan = read_scan(tmp_path / "x.tif")
    assert scan.geometry is None and scan.pixels.dtype == np.dtype("i4" if dtype == "i2" else dtype)
    assert np.array_equal(scan.pixels, array[None, None])
    assert np.array_equal(read_image(tmp_path / "x.tif"), array.astype(np.float32)[None])
    if array.dtype.kind != "f":
        assert np.array_equal(read_mask(tmp_path / "x.tif"), array)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_tiff_pages_become_slices(tmp_path, dtype):
    stack = np.stack([values(dtype) for _ in range(4)])
    first, *others = map(Image.fromarray, stack)
    first.save(tmp_path / "x.tif", save_all=True, append_images=others)
    assert np.array_equal(read_scan(tmp_path / "x.tif").pixels, stack[None])
    with pytest.raises(DataError, match="x.tif: holds 4 slices; expected a single image"):
        read_image(tmp_path / "x.tif")


def test_colour_pages(tmp_path):
    stack = RNG.integers(0, 256, (3, H, W, 3), dtype=np.uint8)
    first, *others = map(Image.fromarray, stack)
    first.save(tmp_path / "x.tif", save_all=True, append_images=others, compression="tiff_lzw")
    assert np.array_equal(read_scan(tmp_path / "x.tif").pixels, stack.transpose(3, 0, 1, 2))
    grey = read_scan(tmp_path / "x.tif", channels=1).pixels
    assert np.allclose(grey[0], stack @ [0.299, 0.587, 0.114], atol=1e-3)


def test_pages_of_two_sizes_are_refused(tmp_path):
    pages = [Image.new("L", (W, H)), Image.new("L", (W // 2, H // 2))]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"x.tif: page 2 is L \(4, 3\), page 1 is L \(9, 6\).*pyramid"):
        read_scan(tmp_path / "x.tif")


def test_animations_are_refused(tmp_path):
    pages = [Image.fromarray(values("u1")) for _ in range(3)]
    pages[0].save(tmp_path / "x.png", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="x.png: is an animation of 3 pictures"):
        read_scan(tmp_path / "x.png")


def test_palette_with_alpha_and_one_bit_tiff(tmp_path):
    bits = (values("u1") > 99).astype(np.uint8) * 255
    Image.fromarray(bits).convert("1").save(tmp_path / "b.tif")
    assert np.array_equal(read_mask(tmp_path / "b.tif"), bits)
    image = Image.fromarray(bits // 255)
    image.putpalette([0, 0, 0, 9, 8, 7])
    image.info["transparency"] = 0
    image.save(tmp_path / "p.png", transparency=0)
    assert np.array_equal(read_mask(tmp_path / "p.png"), bits // 255)
    assert np.array_equal(
        read_image(tmp_path / "p.png"), np.array([[0, 0, 0], [9, 8, 7]])[bits // 255].transpose(2, 0, 1)
    )


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_other_colours_are_refused(tmp_path, mode):
    Image.new(mode, (W, H)).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match=f"x.tif: pixels of Pillow mode {mode} are not supported"):
        read_scan(tmp_path / "x.tif")


def test_the_content_decides_not_the_name(tmp_path):
    array = values("u1")
    Image.fromarray(array).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.bmp")
    assert np.array_equal(read_image(tmp_path / "x.bmp"), array[None])
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")  # Pillow would start Ghostscript
    with pytest.raises(DataError, match="x.png: not a readable image .* begin with 25 21 50 53"):
        read_image(tmp_path / "x.png")


# ------------------------------------------------------------------------------------------- NumPy files


@pytest.mark.parametrize("dtype", ["?", "u1", ">u2", "<i4", "i8", "f2", ">f4", "f8"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("shape", [(6, 9), (4, 6, 9), (2, 4, 6, 9)])
def test_numpy_files(tmp_path, dtype, suffix, shape):
    array = np.asfortranarray(RNG.integers(0, 2, shape).astype(dtype))
    np.save(tmp_path / "x.npy", array)
    np.savez_compressed(tmp_path / "x.npz", array)
    pixels = read_scan(tmp_path / f"x{suffix}").pixels
    assert pixels.shape == (1,) * (4 - len(shape)) + shape and pixels.dtype.isnative and pixels.dtype.itemsize <= 4
    assert np.array_equal(pixels.reshape(shape), array)


@pytest.mark.parametrize(
    "array, text",
    [
        (np.zeros((30, 40, 3)), r"shape \(30, 40, 3\).*array.transpose\(2, 0, 1\)\[:, None\]"),
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros((1, 2, 3, 4, 5)), "expected"),
        (np.zeros((0, 4)), "holds no pixels"),
        (np.zeros((3, 4), complex), "numbers of type complex128"),
        (np.zeros((3, 4), [("a", "f4")]), "expected integers"),
        (np.full((3, 4), "x"), "numbers of type <U1"),
        (np.full((3, 4), np.nan), "12 of 12 pixels are NaN or infinite"),
        (np.array([[1, np.inf]], np.float16), "1 of 2 pixels are NaN or infinite"),
    ],
)
def test_arrays_that_are_no_images(tmp_path, array, text):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=rf"x.npy: .*{text}"):
        read_scan(tmp_path / "x.npy")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_pictures_are_read_upright(tmp_path, suffix, orientation):
    """EXIF tells cameras' pictures to be turned or mirrored; every viewer, and every annotation tool, does so."""
    array = np.repeat(np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, 8, 0), 8, 1)
    upright = {1: array, 2: array[:, ::-1], 3: array[::-1, ::-1], 4: array[::-1], 5: array.T}
    upright |= {6: np.rot90(array, -1), 7: array[::-1, ::-1].T, 8: np.rot90(array)}
    image = Image.fromarray(array)
    entries = image.getexif()
    entries[274] = orientation
    image.save(tmp_path / f"x.{suffix}", exif=entries, quality=100)
    pixels = read_scan(tmp_path / f"x.{suffix}").pixels[0, 0].astype(int)
    assert pixels.shape == upright[orientation].shape and np.abs(pixels - upright[orientation]).max() <= 2
    with open_rows(tmp_path / f"x.{suffix}") as rows:
        assert (rows is None) == (orientation > 1)


def test_several_arrays_in_one_npz(tmp_path):
    np.savez(tmp_path / "x.npz", image=np.zeros((3, 4)), mask=np.zeros((3, 4)))
    with pytest.raises(DataError, match="x.npz: expected one array.*found image.npy, mask.npy"):
        read_scan(tmp_path / "x.npz")


# ------------------------------------------------------------------------------------------- masks, limits, writing


def test_float_masks_must_be_whole(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[0.0, 1.0, 2.0]]))
    labels = read_labels(tmp_path / "x.npy").pixels
    assert labels.dtype == np.int32 and labels.tolist() == [[[[0, 1, 2]]]]
    for bad, text in ([0.0, 0.25], "fractions such as"), ([0.0, np.nan], "1 of 2 pixels are NaN"):
        np.save(tmp_path / "x.npy", np.array([bad]))
        with pytest.raises(DataError, match=f"x.npy: .*{text}"):
            read_labels(tmp_path / "x.npy")


def test_the_limit_of_memory(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.zeros((10, 10), np.float32))
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "y.png")
    monkeypatch.setattr(guard, "MAX_BYTES", 400)
    assert read_scan(tmp_path / "x.npy").pixels.shape == read_scan(tmp_path / "y.png").pixels.shape[:2] + (10, 10)
    monkeypatch.setattr(guard, "MAX_BYTES", 399)
    for name in ("x.npy", "y.png"):
        with pytest.raises(DataError, match=f"{name}: would take .* more than the limit.*MAX_BYTES"):
            read_scan(tmp_path / name)


SUFFIXES = [
    ("a.jpg", 1, ".png"),
    ("a.tif", 1, ".png"),
    ("a.TIF", 5, ".tif"),
    ("a.npz", 3, ".npy"),
    ("a.nii.gz", 3, ".nii.gz"),
    ("a.nii", 1, ".nii"),
    ("a.mhd", 3, ".mha"),
    ("a.dcm", 1, ".nii.gz"),
]


@pytest.mark.parametrize("source, slices, suffix", SUFFIXES)
def test_suffix_of_results(source, slices, suffix):
    assert labels_suffix(source, slices) == suffix


@pytest.mark.parametrize(
    "mask_values, dtype", [((0, 255), "u1"), ((0, 700), "u2"), ((-1, 5), "i2"), ((0, 10**6), "i4")]
)
@pytest.mark.parametrize("suffix, slices", [(".tif", 4), (".npy", 4), (".png", 1)])
def test_labels_come_back(tmp_path, mask_values, dtype, suffix, slices):
    labels = RNG.integers(0, 2, (slices, H, W))
    path = tmp_path / f"x{suffix}"
    if suffix == ".png" and dtype[0] == "i":
        with pytest.raises(DataError, match="x.png: 1 slices with the mask values"):
            write_labels(path, labels, mask_values)
        return
    write_labels(path, labels, mask_values)
    back = read_labels(path).pixels
    assert np.array_equal(back[0], np.array(mask_values)[labels])
    assert suffix == ".tif" or back.dtype == dtype


def test_a_png_holds_one_slice(tmp_path):
    with pytest.raises(DataError, match="x.png: 2 slices"):
        write_labels(tmp_path / "x.png", np.zeros((2, H, W), int), (0, 1))
