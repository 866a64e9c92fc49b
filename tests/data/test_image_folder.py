from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinyunet.data.folder import ImageFolder
from tinyunet.data.image_file import read_image, read_mask
from tinyunet.data.sample import DataError

H, W = 6, 9
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (H, W), dtype=np.uint8)
RGB = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)
MASK = np.where(np.arange(H * W).reshape(H, W) % 4 == 0, 255, 0).astype(np.uint8)


def save(path: Path, array: np.ndarray, mode: str | None = None, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)


def make(root: Path, names=("a", "b"), image=GREY, mask=MASK) -> Path:
    for name in names:
        save(root / "images" / f"{name}.png", image)
        save(root / "masks" / f"{name}.png", mask)
    return root


# ------------------------------------------------------------------------------------------- what works


@pytest.mark.parametrize("split", [None, "train", "test"])
def test_layouts(tmp_path, split):
    make(tmp_path / (split or ""))
    data = ImageFolder(tmp_path, split)
    assert len(data) == 2 and data.names == ("a", "b")
    assert data.channels == 1 and data.mask_values == (0, 255)
    assert data.class_names == ("background", "foreground")
    image, mask, name, patient, *rest = data[1]
    assert name == patient == "b" and rest == [None, "", None] and image.dtype == np.float32 and mask.dtype == np.int64
    assert np.array_equal(image[0], GREY) and np.array_equal(mask, MASK // 255)
    assert np.array_equal(data[-1].image, image) and data.patients == ("a", "b") and data.skipped == ()
    with pytest.raises(IndexError):
        data[2]


GREY16 = GREY.astype(np.uint16) * 257
RGBA = np.dstack([RGB, GREY])


@pytest.mark.parametrize(
    "suffix, array, mode, expected",
    [
        (".png", GREY, None, GREY[None]),
        (".png", GREY16, None, GREY16[None]),
        (".png", RGB, None, RGB.transpose(2, 0, 1)),
        (".png", RGBA, None, RGB.transpose(2, 0, 1)),
        (".png", GREY, "LA", GREY[None]),
        (".png", MASK, "1", MASK[None]),
        (".tif", GREY, None, GREY[None]),
        (".tiff", GREY16, None, GREY16[None]),
        (".TIF", RGB, None, RGB.transpose(2, 0, 1)),
        (".bmp", RGB, None, RGB.transpose(2, 0, 1)),
    ],
)
def test_read_image_changes_no_value(tmp_path, suffix, array, mode, expected):
    save(tmp_path / f"x{suffix}", array, mode)
    image = read_image(tmp_path / f"x{suffix}")
    assert image.dtype == np.float32 and np.array_equal(image, expected)


def test_read_palette_image_as_colours_and_palette_mask_as_indices(tmp_path):
    indices = (np.arange(H * W).reshape(H, W) % 3).astype(np.uint8)
    image = Image.fromarray(indices)  # putpalette turns grey into a palette image
    image.putpalette([0, 0, 0, 200, 10, 10, 10, 10, 200])
    image.save(tmp_path / "p.png")
    colours = np.array([[0, 0, 0], [200, 10, 10], [10, 10, 200]])[indices]
    assert np.array_equal(read_image(tmp_path / "p.png"), colours.transpose(2, 0, 1))
    assert np.array_equal(read_mask(tmp_path / "p.png"), indices)


def test_jpeg_image_is_read(tmp_path):
    smooth = np.full((16, 16, 3), 90, np.uint8)
    save(tmp_path / "x.JPG", smooth)
    assert abs(read_image(tmp_path / "x.JPG") - 90).max() <= 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1"])
def test_grey_mask_in_other_clothes(tmp_path, mode):
    save(tmp_path / "m.png", MASK, mode)
    assert np.array_equal(read_mask(tmp_path / "m.png"), MASK)


def test_mask_with_other_suffix_and_ending(tmp_path):
    save(tmp_path / "images/a.jpg", RGB)
    save(tmp_path / "masks/a_mask.tif", MASK)
    save(tmp_path / "images/b_mask.png", RGB)  # a name that ends like this by itself
    save(tmp_path / "masks/b_mask.png", MASK)
    (tmp_path / "images/.hidden").write_text("x")
    (tmp_path / "images/notes.txt").write_text("x")
    assert ImageFolder(tmp_path).names == ("a", "b_mask")


def test_mask_values_become_classes_in_ascending_order(tmp_path):
    levels = np.array([40, 7, 200], np.uint8)
    save(tmp_path / "images/a.png", GREY)
    save(tmp_path / "images/b.png", GREY)
    save(tmp_path / "masks/a.png", np.full((H, W), 40, np.uint8))
    save(tmp_path / "masks/b.png", levels[np.arange(H * W).reshape(H, W) % 3])
    data = ImageFolder(tmp_path)
    assert data.mask_values == (7, 40, 200)
    assert data.class_names == ("background", "value 40", "value 200")
    assert data[1].mask.ravel()[:3].tolist() == [1, 0, 2] and (data[0].mask == 1).all()


def test_given_mask_values_fix_the_class_order_even_if_one_is_absent(tmp_path):
    data = ImageFolder(make(tmp_path), mask_values=(0, 128, 255))
    assert data.mask_values == (0, 128, 255) and set(np.unique(data[0].mask)) == {0, 2}
    data = ImageFolder(tmp_path, mask_values=(255, 0))
    assert np.array_equal(data[0].mask, MASK == 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_mend_a_mixture(tmp_path, channels):
    make(tmp_path, ["a"])
    make(tmp_path, ["b"], image=RGB)
    with pytest.raises(DataError, match=r"1 grey images \(a.png\).*1 RGB images \(b.png\).*channels=1"):
        ImageFolder(tmp_path)
    data = ImageFolder(tmp_path, channels=channels)
    assert data.channels == channels
    assert [s.image.shape for s in data] == [(channels, H, W)] * 2
    expected = RGB @ np.array([0.299, 0.587, 0.114]) if channels == 1 else RGB.transpose(2, 0, 1)
    assert np.allclose(data[1].image, expected, atol=1e-3)
    assert (data[0].image == GREY).all()


def test_describe(tmp_path):
    make(tmp_path / "train")
    text = ImageFolder(tmp_path, "train").describe()
    share = (MASK > 0).mean()
    for part in ("images    2", "6x9", "grey", f"255 -> 1 foreground: {share:.2%}, 2 of 2"):
        assert part in text
    save(tmp_path / "train/images/c.png", np.zeros((8, 12), np.uint8))
    save(tmp_path / "train/masks/c.png", np.zeros((8, 12), np.uint8))
    assert "6..8x9..12" in ImageFolder(tmp_path, "train").describe()


def test_many_masks_show_a_progress_bar(tmp_path, capsys):
    small = np.array([[0, 1]], np.uint8)
    make(tmp_path, [f"{k:03d}" for k in range(201)], image=small, mask=small)
    ImageFolder(tmp_path)
    assert "reading images and masks" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------- what does not


def test_missing_folders(tmp_path):
    with pytest.raises(DataError, match=r"no such folder(.|\n)*ROOT/train/images"):
        ImageFolder(tmp_path / "nowhere")
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match=r"no folder images and no folder masks(.|\n)*holds: pictures/"):
        ImageFolder(tmp_path)
    make(tmp_path / "train")
    with pytest.raises(DataError, match='choose split="train"'):
        ImageFolder(tmp_path)
    with pytest.raises(DataError, match=r"test: no folder images(.|\n)*holds: pictures/, train/"):
        ImageFolder(tmp_path, "test")


def test_undivided_folder_opened_with_a_split(tmp_path):
    make(tmp_path)
    with pytest.raises(DataError, match="leave out the split"):
        ImageFolder(tmp_path, "train")


def test_unpaired_files_are_listed_in_both_directions(tmp_path):
    make(tmp_path)
    save(tmp_path / "images/lonely.png", GREY)
    save(tmp_path / "masks/stray.png", MASK)
    with pytest.raises(DataError, match=r"without a mask: lonely.png (.|\n)*without an image: stray.png"):
        ImageFolder(tmp_path)


def test_long_lists_are_cut(tmp_path):
    make(tmp_path)
    for k in range(15):
        save(tmp_path / f"images/x{k:02d}.png", GREY)
    with pytest.raises(DataError, match=r"15 images without a mask: x00.png.*x09.png, and 5 more"):
        ImageFolder(tmp_path)


def test_two_files_of_one_name(tmp_path):
    make(tmp_path)
    save(tmp_path / "images/a.tif", GREY)
    with pytest.raises(DataError, match=r"a.png and .*a.tif belong to one name"):
        ImageFolder(tmp_path)


def test_empty_folder(tmp_path):
    make(tmp_path)
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="images holds no images; expected files ending in .png.*found nothing"):
        ImageFolder(tmp_path)
    (tmp_path / "images/scan.gif").write_bytes(b"x")
    with pytest.raises(DataError, match="found scan.gif"):
        ImageFolder(tmp_path)


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_file_that_is_no_image(tmp_path, folder):
    make(tmp_path)
    (tmp_path / folder / "b.png").write_text("not a picture")
    with pytest.raises(DataError, match=rf"{folder}.b.png: not a readable image"):
        ImageFolder(tmp_path)


def test_truncated_image(tmp_path):
    save(tmp_path / "x.png", RNG.integers(0, 256, (64, 64), dtype=np.uint8))
    data = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="x.png: not a readable image"):
        read_image(tmp_path / "x.png")
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "y.png")


def test_image_and_mask_of_different_size(tmp_path):
    make(tmp_path)
    save(tmp_path / "masks/b.png", MASK.T)
    with pytest.raises(DataError, match=r"masks.b.png: is 9x6 \(height x width\), b.png is 6x9"):
        ImageFolder(tmp_path)


def test_colour_mask(tmp_path):
    make(tmp_path)
    save(tmp_path / "masks/b.png", RGB)
    with pytest.raises(DataError, match="b.png: the mask is a colour image"):
        ImageFolder(tmp_path)


def test_jpeg_mask(tmp_path):
    make(tmp_path, ["a"])
    (tmp_path / "masks/a.png").unlink()
    save(tmp_path / "masks/a.jpg", MASK)
    with pytest.raises(DataError, match="a.jpg: a mask cannot be a JPEG"):
        ImageFolder(tmp_path)


def test_mask_with_a_value_that_training_did_not_have(tmp_path):
    make(tmp_path)
    save(tmp_path / "masks/b.png", np.where(MASK > 0, 3, 0).astype(np.uint8))
    with pytest.raises(DataError, match="b.png: holds the values 3; expected only 0, 255"):
        ImageFolder(tmp_path, mask_values=(0, 255))


def test_too_many_values(tmp_path):
    make(tmp_path)
    save(tmp_path / "masks/b.png", GREY)
    with pytest.raises(DataError, match="b.png: .* distinct values.*grey image or a probability map"):
        ImageFolder(tmp_path)


def test_masks_of_a_single_value(tmp_path):
    make(tmp_path, mask=np.zeros((H, W), np.uint8))
    with pytest.raises(DataError, match="every mask holds the single value 0"):
        ImageFolder(tmp_path)


def test_sixteen_bit_colour_is_not_cut_in_silence(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)  # 2x1 pixels, 16 bit, RGB
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + bytes(range(12)))) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(DataError, match="16-bit colour"):
        read_image(tmp_path / "x.png")


@pytest.mark.parametrize(
    "arguments, word",
    [
        (dict(split="val"), "'val'"),
        (dict(channels=0), "channels is 0"),
        (dict(mask_values=(0,)), "at least two"),
        (dict(mask_values=(0, 0)), "different"),
        (dict(on_bad_file="ignore"), "'stop' or 'skip'"),
        (dict(channels=2), "a.png: has 1 channel, expected 2; modalities"),
    ],
)
def test_bad_arguments(tmp_path, arguments, word):
    with pytest.raises(DataError, match=word):
        ImageFolder(make(tmp_path), **arguments)


# ------------------------------------------------------------------------------------------- real images

NUCLEI = Path(os.environ.get("TINYUNET_NUCLEI", Path(__file__).parents[2] / "../shared/data/nuclei"))


@pytest.mark.skipif(not NUCLEI.is_dir(), reason="no nuclei images; set TINYUNET_NUCLEI to their folder")
@pytest.mark.parametrize("split, count", [("train", 160), ("test", 40)])
def test_nuclei(split, count):
    data = ImageFolder(NUCLEI, split)
    assert len(data) == count and data.channels == 1 and data.mask_values == (0, 255)
    assert set(data.sizes) == {(256, 256)}
    image, mask, *_ = data[0]
    assert image[0][mask == 1].mean() > image[0][mask == 0].mean()
