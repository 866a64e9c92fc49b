"""Volumes by SimpleITK: pixels and geometry survive, a DICOM series is put in order, patients stay unnamed."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

itk = pytest.importorskip("SimpleITK")

from tinyunet import use_kernels  # noqa: E402
from tinyunet.cli import main  # noqa: E402
from tinyunet.data import ImageFolder, dicom_entries  # noqa: E402
from tinyunet.data.dicom import identifying_tags, is_series  # noqa: E402
from tinyunet.data.image_file import read_labels, read_scan  # noqa: E402
from tinyunet.data.sample import DataError  # noqa: E402
from tinyunet.data.write import labels_suffix, write_labels  # noqa: E402

from . import scans  # noqa: E402

FORMATS = [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd"]


def same_place(path, other) -> bool:
    """Whether SimpleITK, like a viewer, puts both files in one place."""
    a, b = (image if isinstance(image, itk.Image) else itk.ReadImage(str(image)) for image in (path, other))
    parts = [(i.GetSize(), i.GetSpacing(), i.GetOrigin(), i.GetDirection()) for i in (a, b)]
    return all(np.allclose(p, q, atol=1e-5) for p, q in zip(*parts, strict=True))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_pixels_and_geometry_come_back(tmp_path, suffix, dtype):
    array = scans.pixels().astype(dtype)
    path = scans.write(tmp_path / f"x{suffix}", array, direction=scans.tilted())
    pixels, geometry = read_scan(path)
    assert pixels.dtype == (np.float32 if dtype == "f8" else dtype) and np.array_equal(pixels[0], array)
    assert np.allclose(geometry.spacing, scans.SPACING) and np.allclose(geometry.origin, scans.ORIGIN)
    assert np.allclose(geometry.direction, scans.tilted(), atol=1e-6)


@pytest.mark.parametrize("suffix", FORMATS)
def test_labels_overlay_the_scan(tmp_path, suffix):
    source = scans.write(tmp_path / f"x{suffix}", scans.pixels(), direction=scans.tilted())
    pixels, geometry = read_scan(source)
    labels = (pixels[0] > 300).astype(int)
    target = tmp_path / f"labels{labels_suffix(source, len(labels))}"
    write_labels(target, labels, (0, 7), geometry)
    assert same_place(source, target)
    assert np.array_equal(itk.GetArrayFromImage(itk.ReadImage(str(target))), labels * 7)
    assert np.array_equal(read_labels(target).pixels[0], labels * 7)


def test_a_plane_keeps_two_axes(tmp_path):
    source = scans.write(tmp_path / "x.nii.gz", scans.pixels()[0])
    pixels, geometry = read_scan(source)
    assert pixels.shape == (1, 1, 12, 16) and len(geometry.spacing) == 2
    write_labels(tmp_path / "y.nii.gz", (pixels[0] > 0).astype(int), (0, 1), geometry)
    assert same_place(source, tmp_path / "y.nii.gz")


def test_a_fourth_axis_and_colours_become_channels(tmp_path):
    four = np.random.default_rng(0).integers(0, 99, (3, 5, 12, 16)).astype(np.int16)
    image = itk.JoinSeries([itk.GetImageFromArray(volume) for volume in four])
    itk.WriteImage(image, str(tmp_path / "four.nii.gz"))
    pixels, geometry = read_scan(tmp_path / "four.nii.gz")
    assert np.array_equal(pixels, four) and len(geometry.spacing) == 3
    write_labels(tmp_path / "labels.nii.gz", (four[0] > 50).astype(int), (0, 1), geometry)
    assert same_place(image[..., 0], tmp_path / "labels.nii.gz")
    colours = np.moveaxis(four, 0, -1).astype(np.uint8)
    scans.write(tmp_path / "rgb.nrrd", colours, vector=True)
    assert np.array_equal(read_scan(tmp_path / "rgb.nrrd").pixels, four)


def test_nifti_slope_is_applied(tmp_path):
    path = scans.write(tmp_path / "x.nii", scans.pixels())
    data = bytearray(path.read_bytes())
    data[112:120] = struct.pack("<2f", 0.5, -10)
    path.write_bytes(data)
    assert np.allclose(read_scan(path).pixels[0], scans.pixels() * 0.5 - 10)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("change", ["depth 4", "depth 6", "cut", "one byte", "wrong sum"])
def test_nifti_files_of_a_wrong_length(tmp_path, suffix, change):
    """SimpleITK reads all of these without a word, some with whatever was in memory."""
    path = scans.write(tmp_path / "x.nii", scans.pixels())
    data = bytearray(path.read_bytes())
    if change.startswith("depth"):
        data[46:48] = struct.pack("<h", int(change[-1]))
    packed = bytearray(gzip.compress(bytes(data)) if suffix == ".nii.gz" else data)
    packed = {"cut": packed[: len(packed) // 2], "one byte": packed[:-1]}.get(change, packed)
    if change == "wrong sum":
        if suffix == ".nii":
            pytest.skip("a plain file has no sum")
        packed[-8] ^= 1
    (tmp_path / f"y{suffix}").write_bytes(packed)
    with pytest.raises(DataError, match=rf"y{suffix}: (its header promises|not a readable image)"):
        read_scan(tmp_path / f"y{suffix}")


def test_text_headers_may_not_point_elsewhere(tmp_path):
    for name in ("x.mha", "x.mhd"):
        for target in ("/etc/passwd", "../y.raw", "LIST", "y%d.raw 1 2 1"):
            text = (
                f"ObjectType = Image\nNDims = 2\nDimSize = 4 4\nElementType = MET_UCHAR\nElementDataFile = {target}\n"
            )
            (tmp_path / name).write_text(text)
            with pytest.raises(DataError, match=f"{name}: takes its pixels from elsewhere"):
                read_scan(tmp_path / name)
    (tmp_path / "x.nrrd").write_text("NRRD0004\ntype: uchar\ndimension: 2\nsizes: 4 4\nencoding: raw\ndata file: a\n\n")
    with pytest.raises(DataError, match="x.nrrd: takes its pixels from elsewhere"):
        read_scan(tmp_path / "x.nrrd")
    scans.write(tmp_path / "z.mhd", scans.pixels())
    (tmp_path / "z.zraw").unlink(missing_ok=True)
    (tmp_path / "z.raw").unlink(missing_ok=True)
    with pytest.raises(DataError, match="z.z?raw: there is no such file"):
        read_scan(tmp_path / "z.mhd")


# ------------------------------------------------------------------------------------------- DICOM

AXES = [(1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1), "tilted"]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
def test_slices_are_ordered_by_their_place(tmp_path, axes, order):
    axes = tuple(np.reshape(scans.tilted(), (3, 3)).T[:2].ravel()) if axes == "tilted" else axes
    folder = scans.write_series(tmp_path / "case", scans.pixels(), axes, order)
    assert is_series(folder) and not is_series(tmp_path)
    pixels, geometry = read_scan(folder)
    assert np.array_equal(pixels[0], scans.pixels())
    assert np.allclose(geometry.spacing, scans.SPACING, atol=1e-5) and np.allclose(geometry.origin, scans.ORIGIN)
    columns = np.reshape(geometry.direction, (3, 3)).T
    assert np.allclose(columns[:2].ravel(), axes, atol=1e-5) and np.allclose(columns[2], np.cross(*columns[:2]))
    write_labels(tmp_path / "y.nii.gz", (pixels[0] > 0).astype(int), (0, 1), geometry)
    reader = itk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    assert same_place(reader.Execute(), tmp_path / "y.nii.gz")


def test_rescaling_may_differ_from_slice_to_slice(tmp_path):
    array = (scans.pixels() // 8 * 8).astype(np.float32)
    for k, plane in enumerate(array):
        position = np.array(scans.ORIGIN) + (0, 0, k * scans.SPACING[2])
        slope = {"0028_1052": "-1024", "0028_1053": str(2 ** (k % 3))}
        scans.write_slice(tmp_path / "case" / f"{k}.dcm", plane.astype(np.int16), position, **slope)
    assert np.array_equal(read_scan(tmp_path / "case").pixels[0], array)


def test_other_files_beside_a_series(tmp_path):
    folder = scans.write_series(tmp_path / "case", scans.pixels())
    (folder / "IM0002.dcm").rename(folder / "IM0002")  # no suffix is usual
    for name in ("notes.txt", ".hidden", "DICOMDIR"):
        (folder / name).write_text("x")
    (folder / "more").mkdir()
    assert np.array_equal(read_scan(folder).pixels[0], scans.pixels())


def test_a_single_dicom_image(tmp_path):
    array = scans.pixels()[0]
    scans.write_slice(tmp_path / "x.dcm", array, scans.ORIGIN)
    pixels, geometry = read_scan(tmp_path / "x.dcm")
    assert np.array_equal(pixels[0, 0], array) and np.allclose(geometry.spacing[:2], scans.SPACING[:2])


def test_sequences_and_compressed_pixels(tmp_path):
    """Entries of undefined length, within others and in both ways of writing types, are walked over."""
    array = scans.pixels()[0]
    scans.write_slice(tmp_path / "x.dcm", array, scans.ORIGIN)
    image = itk.ReadImage(str(tmp_path / "x.dcm"))
    itk.WriteImage(image, str(tmp_path / "packed.dcm"), useCompression=True)
    data = (tmp_path / "packed.dcm").read_bytes()
    place = data.index(b"\x10\0\x10\0PN")  # types are stated: PatientName follows
    undefined, item = b"\xff" * 4, b"\xfe\xff\0\xe0"
    end_item, end = b"\xfe\xff\x0d\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)
    stated, unstated = b"\x08\0\x50\x11UI\x04\x001.2\0", b"\x08\0\x50\x11\x04\0\0\x001.2\0"
    sequences = b"\x08\0\x40\x11SQ\0\0" + undefined + item + undefined + stated + end_item + end
    sequences += b"\x08\0\x41\x11SQ\0\0" + struct.pack("<I", 20) + item + struct.pack("<I", 12) + stated
    sequences += b"\x09\0\x10\x10UN\0\0" + undefined + item + undefined + unstated + end_item + end
    (tmp_path / "both.dcm").write_bytes(data[:place] + sequences + data[place:])
    for name in ("packed", "both"):
        assert np.array_equal(read_scan(tmp_path / f"{name}.dcm").pixels[0, 0], array)


def broken_series(folder, kind):
    """Write five slices with one fault; return the words that should name it."""
    array = scans.pixels()
    scans.write_series(folder, array)
    place = np.array(scans.ORIGIN)
    target = folder / "IM0002.dcm"
    if kind == "missing":
        target.unlink()
        return "IM0001.dcm and IM0003.dcm are 5.00 mm apart, where 2.50 mm is usual"
    if kind == "twice":
        scans.write_slice(folder / "IM0009.dcm", array[2], place + (0, 0, 5))
        return "IM0002.dcm and IM0009.dcm lie in one place"
    if kind == "other size":
        scans.write_slice(target, array[2, :8], place + (0, 0, 5))
        return "IM0002.dcm: is 16x8x1"
    if kind == "other axes":
        scans.write_slice(target, array[2], place, (1, 0, 0, 0, 0, -1))
        return "IM0002.dcm: is oriented otherwise"
    if kind == "no place":
        data = target.read_bytes()
        target.write_bytes(data.replace(b"\x20\x00\x32\x00", b"\x20\x00\x33\x00"))  # the tag (0020,0032)
        return "IM0002.dcm: has no ImagePositionPatient"
    if kind == "tilt":
        for k, plane in enumerate(array):
            scans.write_slice(folder / f"IM{k:04d}.dcm", plane, place + (0, 0.5 * k, 2.5 * k))
        return "shifted sideways"
    if kind == "two series":
        scans.write_series(folder, array[:2], order=[7, 8], uid="1.2.4", **{"0020_0011": "9"})
        return "expected one DICOM series, found series 3: 5 files of CT, 12x16, such as IM0000.dcm; series 9: 2 files"
    if kind == "cut":
        target.write_bytes(target.read_bytes()[:700])
        return r"IM0002.dcm: not a readable image\. "
    if kind == "empty":
        target.write_bytes(b"")
        return r"IM0002.dcm: is empty"
    target.write_bytes(b"no DICOM" * 99)
    return "IM0002.dcm: is no DICOM file"


FAULTS = [
    "missing",
    "twice",
    "other size",
    "other axes",
    "no place",
    "tilt",
    "two series",
    "cut",
    "empty",
    "other file",
]


@pytest.mark.parametrize("kind", FAULTS)
def test_a_faulty_series_is_refused_without_naming_the_patient(tmp_path, kind, capfd):
    text = broken_series(tmp_path / "case", kind)
    with pytest.raises(DataError, match=text) as caught:
        read_scan(tmp_path / "case")
    said = "".join(capfd.readouterr()) + str(caught.value) + repr(caught.value.__cause__)
    assert "\n" not in str(caught.value) and not any(secret in said for secret in scans.SECRET.values())


def test_one_of_several_series_is_chosen_by_number(tmp_path):
    broken_series(tmp_path / "case", "two series")
    assert read_scan(tmp_path / "case", series=3).pixels.shape == (1, 5, 12, 16)
    assert read_scan(tmp_path / "case", series=9).pixels.shape == (1, 2, 12, 16)
    with pytest.raises(DataError, match="expected one DICOM series with the number 4, found series 3.*--series N"):
        read_scan(tmp_path / "case", series=4)
    scans.write_series(tmp_path / "case", scans.pixels()[:2], order=[20, 21], uid="1.2.5")  # number 3 as well
    with pytest.raises(DataError, match="series with the number 3, found .* numbers do not tell them apart: move all"):
        read_scan(tmp_path / "case", series=3)


@pytest.mark.parametrize("shift, uneven", [(0.2, False), (0.3, True), (-1.0, True)])
def test_distances_of_slices_may_differ_by_a_tenth(tmp_path, shift, uneven):
    for k, plane in enumerate(scans.pixels()):
        place = np.array(scans.ORIGIN) + (0, 0, scans.SPACING[2] * k + shift * (k == 4))
        scans.write_slice(tmp_path / f"case/IM{k}.dcm", plane, place)
    if uneven:
        with pytest.raises(DataError, match=rf"IM3.dcm and IM4.dcm are {2.5 + shift:.2f} mm apart, where 2.50 mm is"):
            read_scan(tmp_path / "case")
    else:
        assert read_scan(tmp_path / "case").geometry.spacing[2] == pytest.approx(2.5 + shift / 4)


@pytest.mark.parametrize("dtype, bits", [("i2", 16), ("u2", 12)])
@pytest.mark.parametrize("slope, intercept", [("1", "0"), ("2", "-1000")])
def test_high_values_are_bright_in_every_dicom_file(tmp_path, dtype, bits, slope, intercept):
    """In MONOCHROME1 low is bright: s becomes 2^bits - 1 - s if unsigned, -1 - s if signed, and is scaled then."""
    stored = np.random.default_rng(0).integers(0, 4096, (12, 16)).astype(dtype)
    scans.write_slice(tmp_path / "x.dcm", stored, scans.ORIGIN)

    def entry(tag: int, value: str | int) -> bytes:  # implicit VR
        value = struct.pack("<H", value) if isinstance(value, int) else value.encode() + b" " * (len(value) % 2)
        return struct.pack("<HHI", 0x28, tag, len(value)) + value

    changes = {0x0004: ("MONOCHROME2", "MONOCHROME1"), 0x0101: (16, bits), 0x0102: (15, bits - 1)}
    changes |= {0x1052: ("0", intercept), 0x1053: ("1", slope)}
    data = (tmp_path / "x.dcm").read_bytes()
    for tag, (old, new) in changes.items():
        assert entry(tag, old) in data
        data = data.replace(entry(tag, old), entry(tag, new))
    (tmp_path / "x.dcm").write_bytes(data)
    inverted = (2**bits - 1 if dtype == "u2" else -1) - stored.astype(int)
    assert np.array_equal(read_scan(tmp_path / "x.dcm").pixels[0, 0], int(slope) * inverted + int(intercept))


# ------------------------------------------------------------------------------------------- enhanced files


def frames(order=range(5), step=scans.SPACING[2]):
    return [tuple(np.array(scans.ORIGIN) + (0, 0, step * k)) for k in order]


def enhanced() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, (5, 12, 16)).astype(np.uint16)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 1, 4, 3]])
@pytest.mark.parametrize("in_folder", [False, True])
def test_frames_of_an_enhanced_file_are_ordered_by_their_place(tmp_path, order, in_folder):
    """ITK alone takes frames in the order of the file, with the distance of the first two."""
    array = enhanced()
    path = scans.write_enhanced(tmp_path / "case/x.dcm", array[order], frames(order), slopes=(2,), intercept=-1000)
    pixels, geometry = read_scan(path.parent if in_folder else path)
    assert np.array_equal(pixels[0], array.astype(int) * 2 - 1000)
    assert np.allclose(geometry.spacing, scans.SPACING) and np.allclose(geometry.origin, scans.ORIGIN)
    assert np.allclose(geometry.direction, np.eye(3).ravel())


def test_the_entries_of_a_file_are_walked_over_once(tmp_path, monkeypatch):
    walks, read = [], dicom_entries.read
    monkeypatch.setattr(dicom_entries, "read", lambda path, size: walks.append(path) or read(path, size))
    path = scans.write_enhanced(tmp_path / "x.dcm", enhanced(), frames())
    assert read_scan(path).pixels.shape == (1, 5, 12, 16) and walks == [path]


UPRIGHT, TURNED = (1, 0, 0, 0, 1, 0), (0, 1, 0, 1, 0, 0)
BAD_FRAMES = {
    "uneven": ({"positions": frames([0, 1, 2, 3, 7])}, r"x.dcm \(frame 4\) and x.dcm \(frame 5\) are 10.00 mm apart"),
    "phases": ({"positions": frames([0, 1, 0, 1, 2])}, r"x.dcm \(frame 1\) and x.dcm \(frame 3\) lie in one place"),
    "stacks": ({"positions": frames(), "axes": [UPRIGHT] * 4 + [TURNED]}, r"x.dcm \(frame 5\): is oriented otherwise"),
    "scales": ({"positions": frames(), "slopes": (1, 2, 1, 1, 3)}, "x.dcm: its frames are scaled in several ways"),
    "few places": ({"positions": frames()[:3]}, "x.dcm: has 5 frames, but places or scales 3 of them"),
}


@pytest.mark.parametrize("kind", BAD_FRAMES)
def test_frames_that_form_no_volume_are_refused(tmp_path, kind):
    options, text = BAD_FRAMES[kind]
    path = scans.write_enhanced(tmp_path / "x.dcm", enhanced(), **options)
    with pytest.raises(DataError, match=text) as caught:
        read_scan(path)
    assert "\n" not in str(caught.value) and not any(secret in str(caught.value) for secret in scans.SECRET.values())


def test_identifying_tags_are_named_and_not_quoted(tmp_path):
    folder = scans.write_series(tmp_path / "case", scans.pixels())
    found = identifying_tags(folder)
    assert {"PatientName", "PatientID", "PatientBirthDate"} <= set(found) and "file name" not in found
    assert identifying_tags(folder / "IM0000.dcm") == found
    blank = dict.fromkeys([*scans.SECRET, "0008|0020"], "")
    scans.write_slice(tmp_path / "b/x.dcm", scans.pixels()[0], scans.ORIGIN, **{"0028_0301": "YES"}, **blank)
    assert "BurnedInAnnotation" in identifying_tags(tmp_path / "b") and "PatientName" not in identifying_tags(
        tmp_path / "b"
    )
    (folder / "IM0000.dcm").rename(folder / "WINTERBOTTOM_1.dcm")
    assert "file name" in identifying_tags(folder)
    assert identifying_tags(scans.write(tmp_path / "x.nii", scans.pixels())) == ()


# ------------------------------------------------------------------------------------------- folders and runs


def test_a_folder_of_volumes(tmp_path):
    for k in range(3):
        array = scans.pixels(k, (2 + k, 12, 16))
        scans.write(tmp_path / f"images/p{k}.nii.gz", array)
        scans.write(tmp_path / f"masks/p{k}.nii.gz", (array > 300).astype(np.uint8))
    data = ImageFolder(tmp_path)
    assert len(data) == 9 and data.patients == ("p0",) * 2 + ("p1",) * 3 + ("p2",) * 4
    assert data.names[2:5] == ("p1_slice000", "p1_slice001", "p1_slice002")
    image, mask, name, patient, spacing = data[3][:5]
    assert np.array_equal(image[0], scans.pixels(1, (3, 12, 16))[1]) and np.array_equal(mask, image[0] > 300)
    assert (name, patient) == ("p1_slice001", "p1")
    assert spacing == pytest.approx(scans.SPACING[::-1])  # slices, rows, columns
    text = data.describe()
    assert "9 (slices of 3 volumes)" in text and "0.9 x 0.7 mm (rows x columns)" in text
    assert "axial 3 (volumes)" in text and "look at this" not in text
    turned = (0, 0, 1, 1, 0, 0, 0, 1, 0)  # its slices lie across x
    for folder in ("images", "masks"):
        image = itk.ReadImage(str(tmp_path / folder / "p1.nii.gz"))
        image.SetDirection(turned)
        itk.WriteImage(image, str(tmp_path / folder / "p1.nii.gz"))
    text = ImageFolder(tmp_path).describe()
    assert "axial 2, sagittal 1 (volumes)" in text and "look at this: a network learns better" in text


def test_masks_that_lie_elsewhere_are_refused(tmp_path):
    scans.write(tmp_path / "images/p.nii.gz", scans.pixels())
    flipped = (-1, 0, 0, 0, -1, 0, 0, 0, 1)
    for wrong in ({"direction": flipped}, {"origin": (0, 0, 0)}, {"spacing": (1.0, 1.0, 1.0)}):
        scans.write(tmp_path / "masks/p.nii.gz", (scans.pixels() > 0).astype(np.uint8), **wrong)
        with pytest.raises(DataError, match=r"masks.p.nii.gz: lies up to .* mm from p.nii.gz.*CopyInformation"):
            ImageFolder(tmp_path)
    near = tuple(np.array(scans.ORIGIN) + 0.05)
    scans.write(tmp_path / "masks/p.nii.gz", (scans.pixels() > 0).astype(np.uint8), origin=near)
    assert len(ImageFolder(tmp_path)) == 5


def test_a_run_on_dicom_names_no_patient(tmp_path, capfd):
    """Train on series and look for the patient's name, number and birth date in everything said and written."""
    for k in range(5):
        array = scans.pixels(k, (2, 16, 16))
        scans.write_series(tmp_path / f"data/images/p{k}", array)
        scans.write(tmp_path / f"data/masks/p{k}.nii.gz", (array > 300).astype(np.uint8))
    options = ["--epochs", "1", "--batch-size", "4", "--base-channels", "2", "--depth", "1"]
    with use_kernels("reference"):
        assert main(["train", str(tmp_path / "data"), "--out", str(tmp_path / "run"), *options]) == 0
    written = [path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()]
    everything = b"".join(written) + "".join(capfd.readouterr()).encode()
    assert any(f"p{k}" in everything.decode(errors="ignore") for k in range(5))  # cases keep their neutral names
    for secret in scans.SECRET.values():
        assert not any(part.encode() in everything for part in secret.split("^"))
