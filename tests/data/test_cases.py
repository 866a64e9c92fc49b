"""Which files belong together, volumes as slices of patients, and going on without what is bad."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinyunet.data import ImageFolder
from tinyunet.data.cases import Case, check_same_place, find_cases, pair
from tinyunet.data.image_file import read_scan
from tinyunet.data.sample import DataError, Geometry, Scan
from tinyunet.data.source import open_sources

H, W = 8, 10


def save(path: Path, shape=(H, W), values=2, seed=0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.random.default_rng([seed, len(path.name)]).integers(0, values, shape).astype(np.uint8))
    return path


def names(cases: list[Case]) -> list[tuple[str, list[str]]]:
    return [(case.name, [path.name for path in case.images]) for case in cases]


# ------------------------------------------------------------------------------------------- pairing


@pytest.mark.parametrize(
    "images, masks, expected",
    [
        ("a.npy b.tif", "a.npy b_mask.tif", {"a": ["a.npy"], "b": ["b.tif"]}),
        ("a_0000.npy a_0001.npy b_0001.npy b_0000.npy", "a.npy b.npy", {"a": ["a_0000.npy", "a_0001.npy"],
                                                                        "b": ["b_0000.npy", "b_0001.npy"]}),
        ("a_0000.nii.gz", "a.nii.gz", {"a": ["a_0000.nii.gz"]}),  # nnU-Net numbers a single modality, too
        ("f_0000.png f_0001.png", "f_0000.png f_0001.png", {"f_0000": ["f_0000.png"], "f_0001": ["f_0001.png"]}),
        ("v1.2.npy", "v1.2_mask.npy", {"v1.2": ["v1.2.npy"]}),
    ],
)  # fmt: skip
def test_pairs_and_modalities(tmp_path, images, masks, expected):
    for folder, files in ("images", images), ("masks", masks):
        for name in files.split():
            save(tmp_path / folder / "x.npy").rename(tmp_path / folder / name)
    cases, complaints = pair(tmp_path / "images", tmp_path / "masks")
    assert complaints == [] and dict(names(cases)) == expected
    assert [case.mask.name for case in cases] == sorted(masks.split())


def test_a_lacking_modality_is_named(tmp_path):
    for name in ("a_0000", "a_0001", "b_0001"):
        save(tmp_path / f"images/{name}.npy")
    for name in "ab":
        save(tmp_path / f"masks/{name}.npy")
    with pytest.raises(DataError, match=r"b lacks modalities that other cases have: b_0000\.\*"):
        ImageFolder(tmp_path)
    data = ImageFolder(tmp_path, on_bad_file="skip")
    assert data.channels == 2 and data.names == ("a",) and len(data.skipped) == 1


def test_modalities_become_channels_in_order(tmp_path):
    for k in (1, 0, 2):
        save(tmp_path / f"images/a_{k:04d}.npy", (3, H, W), 9, k)
    save(tmp_path / "masks/a.npy", (3, H, W))
    data = ImageFolder(tmp_path)
    files = [np.load(tmp_path / f"images/a_{k:04d}.npy") for k in range(3)]
    assert data.channels == 3 and np.array_equal(data[1].image, np.stack(files)[:, 1])
    with pytest.raises(DataError, match="has 3 modalities; expected 1"):
        ImageFolder(tmp_path, channels=1)
    save(tmp_path / "images/a_0001.npy", (2, H, W))
    with pytest.raises(DataError, match=r"a_0001.npy: is 2x8x10 \(slices x height x width\), a_0000.npy is 3x8x10"):
        ImageFolder(tmp_path)
    save(tmp_path / "images/a_0001.npy", (2, 3, H, W))
    with pytest.raises(DataError, match="a_0001.npy: has 2 channels; expected one"):
        ImageFolder(tmp_path)


@pytest.mark.parametrize("channels, grouped", [(1, False), (2, True), (3, False)])
def test_modalities_to_predict(tmp_path, channels, grouped):
    for name in ("b_0001", "b_0000", "a"):
        save(tmp_path / f"{name}.npy")
    pairs = (
        [("b", ["b_0000.npy", "b_0001.npy"])] if grouped else [("b_0000", ["b_0000.npy"]), ("b_0001", ["b_0001.npy"])]
    )
    assert names(find_cases([tmp_path], channels)) == [("a", ["a.npy"]), *pairs]
    assert find_cases([tmp_path / "a.npy"], channels)[0].read().pixels.shape == (1, 1, H, W)


def test_names_to_predict_that_are_wrong(tmp_path):
    save(tmp_path / "x/a.npy"), save(tmp_path / "y/a.npy")
    (tmp_path / "z").mkdir()
    for paths, text in (
        ([tmp_path / "x", tmp_path / "y"], "written to one name"),
        ([tmp_path / "z"], "holds no images; expected files ending in .png.*found nothing"),
        ([tmp_path / "w"], "there is no file or folder"),
    ):
        with pytest.raises(DataError, match=text):
            find_cases(paths, 1)


def test_place_of_two_scans(tmp_path):
    here = Geometry((1.0, 2.0, 3.0), (5.0, 6.0, 7.0), tuple(np.eye(3).ravel().tolist()))
    pixels = np.zeros((1, 4, 5, 6))
    check = lambda other: check_same_place(Path("a"), Scan(pixels, here), Path("b"), Scan(pixels, other))  # noqa: E731
    check(here), check(None), check(here._replace(origin=(5.4, 6.0, 7.0)))
    check(here._replace(spacing=(1.0, 2.0, 3.1)))  # 0.3 mm at the last of four slices
    for wrong in (
        {"origin": (5.6, 6.0, 7.0)},
        {"spacing": (1.0, 2.2, 3.0)},
        {"direction": (0, 1, 0, 1, 0, 0, 0, 0, 1)},
    ):
        with pytest.raises(DataError, match=r"a: lies up to .* mm from b"):
            check(here._replace(**wrong))


# ------------------------------------------------------------------------------------------- stacks


def stacks(root: Path, depths=(2, 3, 4, 2, 3, 2)) -> Path:
    for k, depth in enumerate(depths):
        save(root / f"images/p{k}.npy", (depth, H, W), 255, k)
        save(root / f"masks/p{k}.npy", (depth, H, W), 2, k)
    return root


def test_slices_of_a_volume_stay_on_one_side(tmp_path):
    for seed in range(5):
        sources = open_sources(stacks(tmp_path), seed=seed, validation=0.3)
        sides = [{part[i].patient for i in range(len(part))} for part in sources[:3]]
        assert all(sides) and len(set.union(*sides)) == sum(map(len, sides)) == 6
        assert sum(map(len, sources[:3])) == 16


def test_slices_of_a_single_volume_cannot_be_divided(tmp_path):
    with pytest.raises(DataError, match="all 4 slices come from one volume, p0"):
        open_sources(stacks(tmp_path, [4]))


def test_volumes_are_not_all_kept_in_memory(tmp_path):
    data = ImageFolder(stacks(tmp_path))
    before = [sample.image.copy() for sample in data]
    data._cache.limit = 0
    data._cache._kept.clear()
    reads = []
    decode, data._decode = data._decode, lambda name: reads.append(name) or decode(name)
    assert all(np.array_equal(a, b.image) for a, b in zip(before, data, strict=True))
    assert reads == [f"p{k}" for k in range(6)]  # each once: its slices are asked for in turn


# ------------------------------------------------------------------------------------------- bad files


def some_bad(root: Path) -> Path:
    stacks(root)
    (root / "images/p1.npy").write_bytes(b"nothing")
    save(root / "masks/p2.npy", (9, H, W))
    save(root / "masks/p3.npy", (2, H, W), 200)
    save(root / "images/lonely.npy")
    return root


def test_all_bad_files_are_listed_at_once(tmp_path):
    with pytest.raises(DataError, match='on_bad_file="skip"') as caught:
        ImageFolder(some_bad(tmp_path))
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{tmp_path}: 4 things are wrong:" and len(lines) == 6
    for line, words in zip(lines[1:], ("lonely.npy", "p1.npy", "p2.npy: is 9x8x10", "p3.npy: holds"), strict=False):
        assert words in line


def test_the_good_files_are_used_when_asked_so(tmp_path):
    sources = open_sources(some_bad(tmp_path), on_bad_file="skip")
    patients = {sample.patient for part in sources[:3] for sample in part}
    assert patients == {"p0", "p4", "p5"}
    report = sources.text.splitlines()
    assert report[-5] == "  skipped   4, because:" and "p3.npy: holds" in report[-1]
    for name in ("p0", "p4", "p5"):
        (tmp_path / f"images/{name}.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match="7 things are wrong"):
        ImageFolder(tmp_path, on_bad_file="skip")


def test_without_simpleitk_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    for folder in ("images", "masks"):
        save(tmp_path / folder / "x.npy").rename(tmp_path / folder / "x.nii.gz")
        save(tmp_path / folder / "y.npy")
    (tmp_path / "z.mha").write_text("ElementDataFile = LOCAL\n")
    for call in (lambda: ImageFolder(tmp_path, on_bad_file="skip"), lambda: read_scan(tmp_path / "z.mha")):
        with pytest.raises(DataError, match=r'need SimpleITK: pip install "tinyunet\[medical\]"'):
            call()


def test_numbered_pictures_of_another_kind(tmp_path):
    """A PNG beside its TIFF mask, numbered: pictures, not modalities."""
    for k in range(3):
        for folder, suffix in (("images", "png"), ("masks", "tif")):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray((np.eye(8, k=k) > 0).astype(np.uint8)).save(tmp_path / folder / f"x_{k:04d}.{suffix}")
    assert ImageFolder(tmp_path).names == ("x_0000", "x_0001", "x_0002")
