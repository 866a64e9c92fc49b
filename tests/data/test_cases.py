"""Which files belong together, volumes as slices of patients, and going on without what is bad."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinyunet.data import ImageFolder
from tinyunet.data.cases import Case, find_cases, pair
from tinyunet.data.image_file import read_scan
from tinyunet.data.patients import guess_rule, patients_by
from tinyunet.data.places import check_same_place
from tinyunet.data.sample import IGNORE, DataError, Geometry, Scan
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


@pytest.mark.parametrize("channels, grouped", [(1, False), (2, True)])
def test_modalities_to_predict(tmp_path, channels, grouped):
    for name in ("b_0001", "b_0000", "a"):
        save(tmp_path / f"{name}.npy")
    pairs = (
        [("b", ["b_0000.npy", "b_0001.npy"])] if grouped else [("b_0000", ["b_0000.npy"]), ("b_0001", ["b_0001.npy"])]
    )
    assert names(find_cases([tmp_path], channels)) == [("a", ["a.npy"]), *pairs]
    assert find_cases([tmp_path / "a.npy"], channels)[0].read().pixels.shape == (1, 1, H, W)


def test_modalities_that_are_missing_are_blank_only_if_asked_for(tmp_path):
    save(tmp_path / "b_0000.npy", (2, H, W), 9, 0), save(tmp_path / "b_0002.npy", (2, H, W), 9, 2)
    for channels, lacking in ((3, r"b_0001.\* is missing"), (4, r"b_0001.\*, b_0003.\* is missing")):
        with pytest.raises(
            DataError, match=f"b: the network takes {channels} channels, and {lacking}.*--blank-missing"
        ):
            find_cases([tmp_path], channels)
        (case,) = find_cases([tmp_path], channels, blank_missing=True)
        pixels = case.read(channels).pixels
        assert case.name == "b" and pixels.shape == (channels, 2, H, W)
        for k in range(channels):
            there = np.load(tmp_path / f"b_{k:04d}.npy") if k in (0, 2) else np.zeros((2, H, W))
            assert np.array_equal(pixels[k], there)


@pytest.mark.parametrize("blank_missing", [False, True])
def test_numbered_images_are_no_modalities_if_each_has_all_channels(tmp_path, blank_missing):
    for k in range(2):
        save(tmp_path / f"frame_{k:04d}.npy", (3, 1, H, W))
    assert len(find_cases([tmp_path], 3, blank_missing)) == 2
    assert len(find_cases([tmp_path], 1, blank_missing)) == 2


def test_training_on_cases_that_lack_a_modality(tmp_path):
    for name, numbers in (("a", (0, 1)), ("b", (1,)), ("c", (0,))):
        for k in numbers:
            save(tmp_path / f"images/{name}_{k:04d}.npy", (H, W), 9, k)
        save(tmp_path / f"masks/{name}.npy", (H, W))
    with pytest.raises(DataError, match=r"b lacks modalities that other cases have: b_0000.\*"):
        ImageFolder(tmp_path)
    data = ImageFolder(tmp_path, blank_missing=True)
    assert data.channels == 2 and data.names == ("a", "b", "c")
    assert [[bool(plane.any()) for plane in sample.image] for sample in map(data.__getitem__, range(3))] == [
        [True, True],
        [False, True],
        [True, False],
    ]
    (tmp_path / "images/a_0001.npy").unlink(), (tmp_path / "images/b_0001.npy").unlink()
    (tmp_path / "masks/b.npy").unlink()
    assert ImageFolder(tmp_path, blank_missing=True, channels=2).channels == 2  # no case has all of them


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
    with pytest.raises(DataError, match="all 4 images or slices come from one patient, p0"):
        open_sources(stacks(tmp_path, [4]))


def single_slices(root: Path, patients=6, each=3, form="p{:02d}_s{}") -> Path:
    for k in range(patients * each):
        name = form.format(k // each, k % each)
        save(root / f"images/{name}.npy", (H, W), 255, k)
        save(root / f"masks/{name}.npy", (H, W), 2, k)
    return root


def test_a_rule_for_names_keeps_images_of_a_patient_on_one_side(tmp_path):
    for seed in range(5):
        sources = open_sources(single_slices(tmp_path), seed=seed, validation=0.3, patients="[^_]+")
        sides = [{part[i].patient for i in range(len(part))} for part in sources[:3]]
        assert all(sides) and len(set.union(*sides)) == sum(map(len, sides)) == 6
        assert sum(map(len, sources[:3])) == 18
    assert "patients  6 of 3 cases, by '[^_]+': p00, p01, p02, p03, and 2 more" in sources.text


def test_without_a_rule_the_guess_is_named_and_not_followed(tmp_path):
    sources = open_sources(single_slices(tmp_path))
    assert "look at this: by their names, several images seem to show one patient" in sources.text
    assert "--patients '[^_]+' keeps" in sources.text
    assert {s.patient for s in map(sources.train.__getitem__, range(len(sources.train)))} <= set(
        sources.train.dataset.dataset.names
    )
    assert "look at this" not in open_sources(single_slices(tmp_path / "plain", each=1, form="x{}")).text


def test_a_patient_may_not_be_in_train_and_test(tmp_path):
    single_slices(tmp_path / "train"), single_slices(tmp_path / "test", patients=1)
    open_sources(tmp_path)
    with pytest.raises(DataError, match=r"train/ and test/ share the patients p00; move all images of a patient"):
        open_sources(tmp_path, patients="p[0-9]+")


@pytest.mark.parametrize(
    "rule, text",
    [
        ("(", "is no regular expression .* such as '\\[\\^_\\]\\+'"),
        ("q", "finds nothing at the beginning of 18 of 18 names, such as 'p00_s0'"),
        ("p00", "finds nothing at the beginning of 15 of 18 names, such as 'p01_s0'"),
        ("p(x?)", "finds nothing at the beginning of 18"),
        ("p", "all 18 images or slices come from one patient, p,"),
    ],
)
def test_rules_that_do_not_fit_the_names(tmp_path, rule, text):
    with pytest.raises(DataError, match=text):
        open_sources(single_slices(tmp_path), patients=rule)


RULES = {
    "[^_]+": ("p1_s1 p1_s2 p2_s1 p3_s7", "p1 p1 p2 p3"),
    "[^-]+": ("7-1 7-2 8-1 9-7", "7 7 8 9"),
    "[^_]+_[^_]+": ("BRATS_001_75 BRATS_001_76 BRATS_002_1 BRATS_003_1", "BRATS_001 BRATS_001 BRATS_002 BRATS_003"),
    ".+(?=_)": (
        "TCGA_CS_4941_2_12 TCGA_CS_4941_2_13 TCGA_DU_1_3_1 TCGA_HT_9_9_9_9",
        "TCGA_CS_4941_2 TCGA_CS_4941_2 TCGA_DU_1_3 TCGA_HT_9_9_9",
    ),
    "(.*\\d.*?)[ _.-]+[A-Za-z]*[ _-]?\\d+$": ("p1.1 p1.2 p2.1 p3.1", "p1 p1 p2 p3"),
    "": ("cat dog cow", ""),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_that_is_guessed_is_the_simplest(rule):
    named, patients = RULES[rule]
    assert guess_rule(named.split()) == rule
    if rule:
        assert patients_by(rule, named.split()) == patients.split()


@pytest.mark.parametrize(
    "named",
    [
        "p1_s1 p1_s2 p2_s1",  # two may be chance
        "p1_s1 p2_s1 p3_s1",  # nobody twice
        "p1_s1 p1_s2 p2_s1 p3_s1 scan",  # not all names are so
    ],
)
def test_no_rule_is_guessed_where_names_say_little(named):
    assert guess_rule(named.split()) == ""


def test_a_group_of_the_rule_is_the_patient():
    assert patients_by("scan_(p[0-9]+)", ["scan_p03_12", "scan_p4_1"]) == ["p03", "p4"]


@pytest.mark.parametrize("make", [stacks, single_slices])
def test_few_cases_are_among_the_many_and_judged_by_the_same(tmp_path, make):
    rule = "" if make is stacks else "[^_]+"
    whole, seen = open_sources(make(tmp_path), patients=rule), set()
    held = [[part[i].name for i in range(len(part))] for part in whole[1:3]]
    for count in (1, 2, 3, 4):
        sources = open_sources(tmp_path, patients=rule, cases=count)
        patients = {sources.train[i].patient for i in range(len(sources.train))}
        assert len(patients) == count and seen < patients
        assert [[part[i].name for i in range(len(part))] for part in sources[1:3]] == held
        assert f"training on {count} of 4 cases" in sources.text
        seen = patients
    with pytest.raises(DataError, match="asked for 5 cases to train on, but there are 4"):
        open_sources(tmp_path, patients=rule, cases=5)


def test_few_toy_images():
    sources = open_sources("tumour", cases=7)
    assert (len(sources.train), len(sources.validation), len(sources.test)) == (7, 24, 40)


# ------------------------------------------------------------------------------------------- scribbles


def scribbles(root: Path, count=6, lines=(1, 2), unlabelled=0) -> Path:
    for k in range(count):
        save(root / f"images/{k}.npy", (H, W), 255, k)
        mask = np.full((H, W), unlabelled, np.uint8)
        for value in lines:
            mask[2 * value, 1:4] = value
        path = save(root / f"masks/{k}.npy")
        np.save(path, mask)
    return root


@pytest.mark.parametrize("unlabelled", [0, 4, 255])
def test_the_value_of_unlabelled_pixels_is_ignored(tmp_path, unlabelled):
    data = ImageFolder(scribbles(tmp_path, unlabelled=unlabelled), ignore=unlabelled)
    assert data.mask_values == (1, 2) and data.class_names == ("background", "foreground")
    mask = np.full((H, W), IGNORE)
    mask[2, 1:4], mask[4, 1:4] = 0, 1
    assert np.array_equal(data[0].mask, mask)
    text = data.describe()
    assert "labelled  7.50% of the pixels" in text and "share of labelled pixels" in text and "50.00%, 6 of 6" in text
    assert np.array_equal(data.pixels_of(range(6)), [18, 18])
    assert len(ImageFolder(tmp_path).mask_values) == 3  # not ignored, it is a class


def test_scribbles_that_do_not_suffice(tmp_path):
    with pytest.raises(DataError, match="single value 2 besides 0, which is ignored; .*background needs scribbles"):
        ImageFolder(scribbles(tmp_path / "one", lines=(2,)), ignore=0)
    with pytest.raises(DataError, match="every mask holds nothing besides 0, which is ignored"):
        ImageFolder(scribbles(tmp_path / "none", lines=()), ignore=0)
    scribbles(tmp_path / "two")
    with pytest.raises(DataError, match=r"holds the values 0; expected only 1, 2.*--ignore"):
        ImageFolder(tmp_path / "two", mask_values=(1, 2))
    assert ImageFolder(tmp_path / "two", mask_values=(1, 2), ignore=0).mask_values == (1, 2)
    with pytest.raises(DataError, match="the value 2 cannot both be ignored and be a class"):
        ImageFolder(tmp_path / "two", mask_values=(1, 2), ignore=2)


def test_a_class_that_no_training_image_shows_is_named(tmp_path):
    scribbles(tmp_path, 6, lines=(1, 2))
    mask = np.load(tmp_path / "masks/3.npy")
    mask[0, 0] = 3
    np.save(tmp_path / "masks/3.npy", mask)
    for seed in range(8):
        sources = open_sources(tmp_path, ignore=0, seed=seed)
        shown = any((sources.train[i].mask == 2).any() for i in range(len(sources.train)))
        assert ("look at this: no image to train on shows value 3" in sources.text) == (not shown)


# ------------------------------------------------------------------------------------------- memory, bad files


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
