"""The dataset doctor: a clean data set passes, and every planted fault is found, named and given a remedy."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from tinyunet import plot
from tinyunet.checkup import Examination, Finding, examine
from tinyunet.checkup.sheet import contact_sheet
from tinyunet.cli import main
from tinyunet.data import Toy
from tinyunet.data.image_file import read_image
from tinyunet.data.patients import patient_of
from tinyunet.data.sample import DataError
from tinyunet.data.source import open_sources
from tinyunet.data.toy import KINDS

from .data import scans

SIZE = 96
COUNTS = {"train": 26, "test": 6}


def save(path: Path, array: np.ndarray, **options) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def load(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def toy(root: Path, kind: str = "organ", scale: int = 255, counts=COUNTS) -> Path:
    """Write train/ and test/ of different patients; values 0 and `scale`, 2 `scale`, ..."""
    for seed, (part, count) in enumerate(counts.items()):
        for k, sample in enumerate(Toy(kind, count, (SIZE, SIZE), seed)):
            save(root / part / "images" / f"{part}{k}.png", sample.image[0].astype(np.uint8))
            save(root / part / "masks" / f"{part}{k}.png", (sample.mask * scale).astype(np.uint8))
    return root


def severe(found: Examination) -> list[Finding]:
    return [finding for finding in found.findings if finding.severity != "note"]


@pytest.mark.parametrize("kind", KINDS)
def test_clean_data_give_no_warning(tmp_path, kind):
    found = examine(toy(tmp_path, kind, scale=255 if kind != "cells" else 1))
    assert severe(found) == []
    assert found.page().endswith(f"0 errors, 0 warnings, {len(found.findings)} notes")
    assert "32 cases (26 in train/, 6 in test/)" in found.overview() and f"{SIZE}x{SIZE}" in found.overview()


# ------------------------------------------------------------------------------------------- planted faults


def image(root: Path, k: int = 0, part: str = "train") -> Path:
    return root / part / "images" / f"{part}{k}.png"


def mask(root: Path, k: int = 0, part: str = "train") -> Path:
    return root / part / "masks" / f"{part}{k}.png"


def edit(path: Path, change) -> None:
    save(path, change(load(path)))


def jpeg(array: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=60)
    return np.array(Image.open(buffer))


def resized(array: np.ndarray, k: int = 0) -> np.ndarray:
    small = Image.fromarray(array).resize((SIZE // 2, SIZE // 2), Image.Resampling.BILINEAR)
    return np.array(small.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def noisy(array: np.ndarray, k: int = 0) -> np.ndarray:
    return np.random.default_rng(k).integers(0, 256, array.shape, dtype=np.uint8)


def numbered(array: np.ndarray, k: int = 0) -> np.ndarray:
    """Discs with the values 1, 2, ..., another number of them in each mask."""
    i, j = np.indices(array.shape) // 12
    return np.where((np.indices(array.shape) % 12 > 2).all(axis=0), i * 8 + j + 1, 0).clip(0, 3 + k % 9).astype("u1")


def dot(array: np.ndarray, value: int = 9) -> np.ndarray:
    array = array.copy()
    array[3:5, 3:5] = value
    return array


def colour(array: np.ndarray) -> np.ndarray:
    return np.stack([array, array // 2, 200 - array // 2], axis=-1)


def as_npy(path: Path, change=lambda array: array) -> None:
    np.save(path.with_suffix(".npy"), change(load(path)))
    path.unlink()


def converted(path: Path, mode: str) -> None:
    Image.open(path).convert(mode).save(path)


def clipped(array: np.ndarray) -> np.ndarray:
    return np.where(array > np.quantile(array, 0.85), 255, array).astype(np.uint8)


def modalities(root: Path) -> None:
    """Two for each case, but only one for the case train3."""
    for path in (root / "train/images").iterdir():
        copy(path, path.with_stem(f"{path.stem}_0000"))
        renamed(path, f"{path.stem}_0001.png")
    (root / "train/images/train3_0001.png").unlink()


def slices(root: Path, patients: int = 7) -> None:
    """Names of patient and slice; three images of patient 0."""
    for k in range(patients + 2):
        both(root, k, f"p{max(k - 2, 0):03d}_slice{k:02d}")


def pairs(root: Path, numbers=range(1), parts=("train",)) -> list[Path]:
    """The files of some cases."""
    return [file(root, k, part) for part in parts for k in numbers for file in (image, mask)]


def masks_to_train(root: Path, change, numbers=range(COUNTS["train"])) -> None:
    for k in numbers:
        edit(mask(root, k), lambda array, k=k: change(array, k))


def masks_to_test(root: Path, change) -> None:
    for k in range(COUNTS["test"]):
        edit(mask(root, k, "test"), change)


def renamed(path: Path, name: str) -> None:
    path.rename(path.with_name(name))


def both(root: Path, k: int, name: str, part: str = "train") -> None:
    renamed(image(root, k, part), f"{name}.png"), renamed(mask(root, k, part), f"{name}.png")


def copy(source: Path, target: Path, change=lambda array: array) -> None:
    save(target, change(load(source)))


FAULTS = {  # name: (severity, kind, how many files are named, pattern of the page, how it is planted)
    "mask lost": ("error", "missing pairs", 1, "1 image without a mask", lambda r: mask(r).unlink()),
    "image lost": ("error", "missing pairs", 1, "1 mask without an image", lambda r: image(r).unlink()),
    "capitals": ("error", "missing pairs", 2, "mv .*/masks/Train0.png .*/masks/train0.png",
        lambda r: renamed(mask(r), "Train0.png")),
    "other ending": ("error", "missing pairs", 2, "mv .*/masks/train0_seg.png .*/masks/train0.png",
        lambda r: renamed(mask(r), "train0_seg.png")),
    "modality lost": ("error", "missing pairs", 0, "train3 lacks modalities", modalities),
    "folder lost": ("error", "missing folders", 0, "no folder masks", lambda r: (r / "test/masks").rename(r / "x")),
    "two suffixes": ("error", "missing pairs", 0, "keep one of them",
        lambda r: save(image(r).with_suffix(".tif"), load(image(r)))),
    "cut off": ("error", "unusable files", 1, "--on-bad-file skip",
        lambda r: image(r).write_bytes(image(r).read_bytes()[:200])),
    "empty files": ("error", "unusable files", 2, "2 files, the first of them: is empty",
        lambda r: [image(r, k).write_bytes(b"") for k in (2, 7)]),
    "mask of another size": ("error", "unusable files", 1, "nearest neighbour only",
        lambda r: edit(mask(r), lambda a: a[:40])),
    "NaN": ("error", "unusable files", 1, "NaN or infinite",
        lambda r: as_npy(image(r), lambda a: np.full(a.shape, np.nan))),
    "JPEG mask": ("error", "unusable files", 1, "cannot be a JPEG",
        lambda r: (save(mask(r).with_suffix(".jpg"), load(mask(r))), mask(r).unlink())),
    "colour mask": ("error", "unusable files", 1, "one channel", lambda r: edit(mask(r), colour)),
    "constant image": ("warning", "constant images", 1, "one value everywhere",
        lambda r: edit(image(r), np.zeros_like)),
    "clipped image": ("warning", "clipped images", 1, "wider window", lambda r: edit(image(r), clipped)),
    "mask for an image": ("warning", "images like masks", 1, "swapped", lambda r: copy(mask(r), image(r))),
    "16 bit": ("warning", "mixed types", 1, "uint16", lambda r: edit(image(r), lambda a: a.astype(np.uint16) * 257)),
    "0 to 1": ("warning", "mixed scales", 1, "zscore", lambda r: as_npy(image(r), lambda a: a / np.float32(255))),
    "alpha": ("note", "alpha channels", 1, "dropped", lambda r: converted(image(r), "LA")),
    "palette": ("note", "palettes", 1, "--channels 1", lambda r: converted(image(r), "P")),
    "colour": ("error", "mixed channels", 1, "--channels 1", lambda r: edit(image(r), colour)),
    "grey as RGB": ("error", "mixed channels", 1, "grey anyway", lambda r: converted(image(r), "RGB")),
    "sizes": ("error", "mixed sizes", 1, "--size 88", lambda r: [edit(p, lambda a: a[:90]) for p in pairs(r)]),
    "odd sides": ("note", "size", 0, "--size 88",
        lambda r: [edit(p, lambda a: a[:, :90]) for part in COUNTS for p in pairs(r, range(COUNTS[part]), [part])]),
    "0 and 1": ("error", "mixed coding", 3, "1 and 255 would become two classes",
        lambda r: masks_to_train(r, lambda a, k: a // 255, range(3))),
    "nothing in any mask": ("error", "one value", 0, "nothing to learn",
        lambda r: (masks_to_train(r, lambda a, k: a * 0), masks_to_test(r, np.zeros_like))),
    "other values in test": ("error", "unknown values", 6, "same values",
        lambda r: masks_to_test(r, lambda a: a // 51)),
    "class not in test": ("warning", "untested class", 0, "from train/ to test/",
        lambda r: masks_to_train(r, lambda a, k: np.where(np.arange(SIZE) < SIZE // 2, a // 5, a).astype(np.uint8))),
    "stray pixels": ("warning", "stray values", 1, "only 4 pixels of 1 mask", lambda r: edit(mask(r), dot)),
    "resized masks": ("error", "smeared masks", 26, "nearest neighbour", lambda r: masks_to_train(r, resized)),
    "once a JPEG": ("error", "smeared masks", 26, "nearest neighbour",
        lambda r: masks_to_train(r, lambda a, k: jpeg(a))),
    "pictures for masks": ("error", "masks like images", 26, "swapped", lambda r: masks_to_train(r, noisy)),
    "instance maps": ("error", "instance maps", 26, "instances/", lambda r: masks_to_train(r, numbered)),
    "empty mask": ("note", "empty masks", 1, "--empty", lambda r: edit(mask(r), np.zeros_like)),
    "many empty masks": ("warning", "empty masks", 20, "20 of 32 masks",
        lambda r: masks_to_train(r, lambda a, k: a * 0, range(20))),
    "full mask": ("warning", "full masks", 1, "inverted", lambda r: edit(mask(r), lambda a: np.full_like(a, 255))),
    "copy": ("warning", "copies", 1, "train/images/train5.png = train/images/train3.png",
        lambda r: [copy(file(r, 3), file(r, 5)) for file in (image, mask)]),
    "copy with another mask": ("warning", "copies with other masks", 1, "better mask",
        lambda r: copy(image(r, 3), image(r, 5))),
    "copy in test": ("error", "copies in test", 1, "rm .*train/images/train3.png .*train/masks/train3.png",
        lambda r: [copy(file(r, 3), file(r, 5, "test")) for file in (image, mask)]),
    "near copy": ("warning", "near copies", 1, "train/images/train5.png = train/images/train3.png",
        lambda r: [copy(file(r, 3), file(r, 5), np.rot90) for file in (image, mask)]),
    "near copy in test": ("warning", "near copies in test", 1, "1 test image is a near copy",
        lambda r: copy(image(r, 3), image(r, 5, "test"), lambda a: (jpeg(a) * 0.9).astype(np.uint8))),
    "slices": ("warning", "several images of a patient", 3, "one stack", slices),
    "patient on both sides": ("warning", "patients on both sides", 4, "share 1 patient",
        lambda r: (slices(r), both(r, 0, "p000_slice99", "test"))),
    "one name in two cases": ("warning", "file names", 4, "Windows and macOS merge", lambda r: both(r, 3, "TRAIN4")),
    "colon": ("warning", "file names", 2, "Windows", lambda r: both(r, 3, "a:b")),
    "accent": ("warning", "file names", 2, "accents", lambda r: both(r, 3, "scha\u0308del")),
    "space": ("note", "file names", 2, "spaces", lambda r: both(r, 3, "scan 3")),
    "few": ("warning", "few cases", 0, "--rotate", lambda r: [path.unlink() for path in pairs(r, range(10))]),
    "one": ("error", "too few", 0, "add more", lambda r: [path.unlink() for path in pairs(r, range(25))]),
    "stack among images": ("warning", "slices", 1, "single images",
        lambda r: [as_npy(path, lambda a: np.stack([a, a // 2 * 2])) for path in pairs(r)]),
}  # fmt: skip


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return toy(tmp_path_factory.mktemp("clean"))


@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_fault_is_found(tmp_path, clean, fault):
    severity, kind, count, text, plant = FAULTS[fault]
    if fault == "accent" and sys.getfilesystemencoding() != "utf-8":
        pytest.skip("this system has no file names with accents")
    root = shutil.copytree(clean, tmp_path / "data")
    plant(root)
    found = examine(root)
    (finding,) = [finding for finding in found.findings if finding.kind == kind]
    assert finding.severity == severity and len(finding.files) == count and finding.remedy
    assert re.search(text, found.page()), found.page()
    assert all((root / file.split(" = ")[0]).exists() for file in finding.files)
    if kind not in ("copies in test", "mixed coding"):  # no one but the doctor sees these
        assert bool(found.count("error")) == is_refused(root), found.page()


def is_refused(root: Path) -> bool:
    try:
        open_sources(root, one_size=True)
    except (DataError, FileNotFoundError):
        return True
    return False


def test_options_that_the_run_will_have(tmp_path, clean):
    root = shutil.copytree(clean, tmp_path / "data")
    edit(image(root), colour)
    for path in pairs(root, [1]):
        edit(path, lambda a: a[:90])
    assert {finding.kind for finding in severe(examine(root))} == {"mixed channels", "mixed sizes"}
    assert severe(examine(root, channels=1, size=64)) == []
    for size, advice in ((60, "--size 64"), (128, "--size 88")):
        (finding,) = [finding for finding in examine(root, channels=1, size=size).findings if finding.kind == "size"]
        assert f"--size {size} is" in finding.what and finding.remedy.startswith(advice)


def test_channels_that_cannot_be_had(clean):
    assert severe(examine(clean, channels=3)) == []
    (finding,) = severe(examine(clean, channels=4))
    assert finding.severity == "error" and "--channels 4 cannot be made" in finding.what and len(finding.files) == 32


def test_memory_is_asked_for_before_the_first_step(clean, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: {"SC_PAGE_SIZE": 2**12, "SC_PHYS_PAGES": 2**14}[name])
    (finding,) = severe(examine(clean))  # 64 MiB; 8 images of 96 x 96 take 70
    assert finding.kind == "memory" and "--size 64 or --batch-size 3" in finding.remedy


@pytest.mark.parametrize(
    "name, patient",
    [("p012_slice03", "p012"), ("case-7.s12", "case-7"), ("2019_patient4_0003", "2019_patient4"), ("img_003", ""),
     ("03398329ced0", ""), ("scan", ""), ("patient12", "")],
)  # fmt: skip
def test_patients_by_name(name, patient):
    assert patient_of(name) == patient


def test_the_rule_that_keeps_patients_together_is_proposed(tmp_path, clean):
    root = shutil.copytree(clean, tmp_path / "data")
    for part, count in COUNTS.items():
        for k in range(count):
            both(root, k, f"p{k // 2 + 20 * (part == 'test')}_s{k}", part)
    (finding,) = [finding for finding in examine(root).findings if finding.kind == "several images of a patient"]
    assert "--patients '[^_]+' keeps together what begins alike, such as p0;" in finding.remedy
    (finding,) = [finding for finding in examine(root, patients="[^_]+").findings if "patient" in finding.kind]
    assert finding.severity == "note" and "16 patients of 2 cases: p0, p10, p11, p12, and" in finding.what
    (finding,) = [finding for finding in examine(root, patients="p.").findings if "patient" in finding.kind]
    assert finding.severity == "error" and "by the rule, train and test share 1 patient" in finding.what  # p2 of p20
    with pytest.raises(DataError, match="finds nothing at the beginning of 32 of 32 names"):
        examine(root, patients="q")


@pytest.mark.parametrize("unlabelled", [0, 255])
def test_scribbles_are_no_faults(tmp_path, unlabelled):
    root = toy(tmp_path)
    for part, count in COUNTS.items():
        for k in range(count):
            array = np.full((SIZE, SIZE), unlabelled, np.uint8)
            array[10, 5:40], array[50, 40:60] = 1, 2
            save(mask(root, k, part), array)
    save(mask(root, 4), np.full((SIZE, SIZE), unlabelled, np.uint8))
    found = examine(root, ignore=unlabelled)
    assert [(f.severity, f.kind, f.files) for f in severe(found)] == [
        ("warning", "unlabelled", ("train/masks/train4.png",))
    ]
    (note,) = [f for f in found.findings if f.kind == "labelled"]
    assert "0.58% of the pixels are labelled" in note.what and "1: 31 of 32, 2: 31 of 32" in note.what
    contact_sheet(found)


def test_turned_pictures_are_named(tmp_path, clean):
    root = shutil.copytree(clean, tmp_path / "data")
    picture = Image.open(image(root, 1))
    entries = picture.getexif()
    entries[274] = 3
    picture.save(image(root, 1), exif=entries)
    (finding,) = [f for f in examine(root).findings if f.kind == "turned images"]
    assert finding.files == ("train/images/train1.png",) and "masks fit" in finding.remedy


def test_cases_that_lack_a_modality_may_be_wanted(tmp_path, clean):
    root = shutil.copytree(clean, tmp_path / "data")
    modalities(root)
    assert "missing pairs" in {f.kind for f in examine(root).findings}
    assert "missing pairs" not in {f.kind for f in examine(root, blank_missing=True).findings}


# ------------------------------------------------------------------------------------------- volumes


def volumes(root: Path, count: int = 24) -> Path:
    """Write NIfTI volumes of 4 slices, of different patients."""
    pytest.importorskip("SimpleITK")
    for k in range(count):
        samples = [Toy("organ", 4, (32, 32), k)[j] for j in range(4)]
        for kind, arrays in (("images", [s.image[0] for s in samples]), ("masks", [s.mask for s in samples])):
            scans.write(root / kind / f"p{k}.nii.gz", np.stack(arrays).astype(np.int16))
    return root


def test_volumes(tmp_path):
    root = volumes(tmp_path)
    found = examine(root)
    assert severe(found) == [] and "slices    4 to 4, 96 in all" in found.overview()
    assert "spacing   0.9 x 0.7 mm" in found.overview()
    samples = scans.pixels(1, (4, 32, 32))
    for kind, array in (("images", samples), ("masks", (samples > 900).astype(np.int16))):
        scans.write(root / kind / "p3.nii.gz", array, spacing=(2.1, 0.9, 2.5), direction=(0, 0, 1, 1, 0, 0, 0, 1, 0))
    found = {finding.kind: finding for finding in severe(examine(root))}
    assert set(found) == {"spacing", "orientation"}
    assert "0.7 to 2.1 mm" in found["spacing"].what and "23 axial, 1 sagittal" in found["orientation"].what
    assert all(finding.files == ("images/p3.nii.gz",) for finding in found.values())


def stacks(root: Path, patients: int, scans_each: int = 1) -> Path:
    """Write arrays of 8 slices, one or several of each patient."""
    rng = np.random.default_rng(0)
    for k in range(patients * scans_each):
        for kind, highest in (("images", 200), ("masks", 1)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            array = rng.integers(0, highest, (8, 16, 16), np.uint8, endpoint=True)
            np.save(root / kind / f"p{k // scans_each}_{k % scans_each}.npy", array)
    return root


def test_patients_are_counted_rather_than_slices(tmp_path):
    def few(root, **options):
        return [finding.what for finding in examine(root, **options).findings if finding.kind == "few cases"]

    assert few(stacks(tmp_path / "six", 6)) == ["6 volumes (4 to train, 1 to validate and 1 to test) are few"]
    assert few(stacks(tmp_path / "enough", 16)) == []
    root = stacks(tmp_path / "several", 6, 4)
    assert few(root) == []
    assert few(root, patients="[^_]+") == ["6 patients (4 to train, 1 to validate and 1 to test) are few"]


def test_names_that_are_no_utf_8(tmp_path, clean, capsys):
    root = shutil.copytree(clean, tmp_path / "data")
    both(root, 3, "$\udcff $")
    assert main(["check", str(root), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/contact_sheet.png").exists() and r"$\udcff $.png" in capsys.readouterr().out


def test_where_nothing_can_be_read_nothing_else_is_said(tmp_path, clean):
    root = shutil.copytree(clean, tmp_path / "data")
    for path in root.glob("*/masks/*"):
        path.write_bytes(b"no image")
    assert {finding.kind for finding in examine(root).findings} == {"unusable files"}


def test_without_simpleitk_volumes_are_one_finding(tmp_path, monkeypatch, clean):
    root = shutil.copytree(clean, tmp_path / "data")
    for path in pairs(root, range(3)):
        path.rename(path.with_suffix(".nii"))
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    found = examine(root)
    (finding,) = [finding for finding in severe(found) if finding.severity == "error"]
    assert finding.kind == "missing SimpleITK" and "3 volumes" in finding.what and "tinyunet[medical]" in finding.remedy
    assert len(found.looks) == 29


def test_dicom_entries_are_named_and_never_quoted(tmp_path, capsys):
    root = volumes(tmp_path / "data")
    image = root / "images/p0.nii.gz"
    image.unlink()
    scans.write_series(root / "images/p0", scans.pixels(0, (4, 32, 32)))
    (finding,) = severe(examine(root))
    assert finding.kind == "identifying entries" and "PatientName" in finding.what and "PatientID" in finding.what
    main(["check", str(root), "--out", str(tmp_path / "out"), "--json", str(tmp_path / "found.json")])
    written = "".join(capsys.readouterr()) + (tmp_path / "found.json").read_text("utf-8")
    assert not any(word in written for value in scans.SECRET.values() for word in value.split("^"))


# ------------------------------------------------------------------------------------------- the command


def test_the_command(tmp_path, clean, capsys):
    root = shutil.copytree(clean, tmp_path / "data")
    out, record = tmp_path / "out", tmp_path / "found.json"
    arguments = ["check", str(root), "--out", str(out), "--json", str(record)]
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "0 errors, 0 warnings" in said and f"Look at {out}/contact_sheet.png" in said
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert min(read_image(out / "contact_sheet.png").shape[1:]) > 500
    for k in range(7):
        mask(root, k).unlink()
    assert main(arguments) == 1
    said = capsys.readouterr().out
    assert "error    7 images without a mask" in said and "and 3 more" in said
    (finding,) = [f for f in json.loads(record.read_text("utf-8"))["findings"] if f["severity"] == "error"]
    assert len(finding["files"]) == 7 and json.loads(record.read_text("utf-8"))["counts"]["error"] == 1


@pytest.mark.parametrize(
    "arguments, text",
    [(["nowhere"], "there is no folder nowhere"), ([".", "--size", "-1"], "--size must be at least 1, got -1")],
)
def test_wrong_arguments(tmp_path, monkeypatch, capsys, arguments, text):
    monkeypatch.chdir(tmp_path)
    assert main(["check", *arguments]) == 1
    assert text in capsys.readouterr().err


def test_the_contact_sheet_shows_the_worst_first_and_outlines_masks(tmp_path, clean):
    root = shutil.copytree(clean, tmp_path / "data")
    image(root, 9).write_bytes(b"")
    edit(image(root, 20), np.zeros_like)
    edit(mask(root, 20), np.zeros_like)
    edit(mask(root, 11), np.zeros_like)
    figure = contact_sheet(examine(root))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "train/train9\nunusable files" and figure.axes[0].texts[0].get_text() == "cannot be read"
    assert titles[1] == "train/train20\nconstant images\nempty masks" and titles[2] == "train/train11\nempty masks"
    assert len(titles) == 24 and any(title.startswith("test/") for title in titles)
    picture = figure.axes[5].images[0].get_array()
    orange = np.isclose(picture, to_rgb(plot.CLASS_COLOURS[0])).all(axis=2)
    labels = load(root / titles[5].split("/")[0] / "masks" / f"{titles[5].split('/')[1]}.png") > 0
    assert 0 < orange.sum() < labels.sum() and not (orange & ~labels).any()
