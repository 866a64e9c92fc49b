"""Whole runs: what they write, what they refuse, and that nothing is lost when they are stopped."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal

import numpy as np
import pytest

import tinyunet
from tinyunet import use_kernels
from tinyunet.checkpoint import CheckpointError, read_checkpoint
from tinyunet.data import ImageFolder
from tinyunet.data.image_file import read_image
from tinyunet.data.sample import DataError
from tinyunet.inference import Segmenter
from tinyunet.report.html import escape
from tinyunet.training import Settings, Trainer, resume, train

from .tiny import FAST, folder

FILES = {
    "best.safetensors",
    "last.safetensors",
    "history.csv",
    "history.json",
    "curves.png",
    "augmentation.png",
    "report.html",
}
TESTED = {"overlays.png", "test_scores.csv", "test_uses.json"}


pytestmark = pytest.mark.usefixtures("no_drawing")


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with use_kernels("reference"):
        yield


@pytest.fixture
def data(tmp_path):
    return folder(tmp_path / "data")


def written(out):
    return {path.name for path in out.iterdir()}


def assert_same_run(one, other):
    """The weights, bit for bit, and the history but for its seconds."""
    for name in ("best.safetensors", "last.safetensors"):
        (a, _), (b, _) = read_checkpoint(one / name), read_checkpoint(other / name)
        assert a.keys() == b.keys()
        for key in a:
            assert np.array_equal(a[key], b[key]), (name, key)
    rows = [json.loads((run / "history.json").read_text("utf-8")) for run in (one, other)]
    for row in (*rows[0], *rows[1]):
        row.pop("seconds")
    assert rows[0] == rows[1]


# ------------------------------------------------------------------------------------------- what a run leaves


def test_a_run_writes_everything_and_can_be_loaded(tmp_path, data, capsys):
    out = tmp_path / "out"
    result = train(data, out, **FAST | {"show_progress": True})
    assert written(out) == FILES | TESTED
    assert result.folder == out and len(result.scores) == 1  # a fifth of 6 images
    rows = list(csv.DictReader((out / "history.csv").open()))
    assert [int(row["epoch"]) for row in rows] == [1, 2] == [row["epoch"] for row in result.history]
    assert json.loads((out / "history.json").read_text("utf-8")) == result.history
    scores = list(csv.DictReader((out / "test_scores.csv").open()))
    assert [(row["image"], row["class"]) for row in scores] == [
        (result.scores.names[0], name) for name in ("background", "foreground")
    ]
    text = (out / "report.html").read_text("utf-8")
    for part in ("Mean over 1 test images", "Surface Dice", "--epochs 2", "255 -&gt; 1 foreground"):
        assert part in text
    said = capsys.readouterr().out
    for part in ("4 to train, 1 to validate, 1 to test", "epoch 2/2", "report.html", f"tinyunet predict {out} IMAGE"):
        assert part in said
    image = read_image(data / "images" / "s0.png")
    _, description = read_checkpoint(out)
    assert description["notes"] in result.history
    loaded = tinyunet.load(out)
    assert loaded.class_names == ("background", "foreground") and loaded.mask_values == (0, 255)
    assert np.array_equal(loaded.probabilities(image), result.segmenter.probabilities(image))


def test_best_and_last_hold_the_weights_of_their_epochs(tmp_path, data, monkeypatch):
    dice = iter([0.5, 0.9, 0.2])

    class Fixed:
        class_names, counts = ("background", "foreground"), np.array([[[9, 1], [1, 9]]])
        first = 1

        def mean(self, metric):
            return next(dice)

        def pooled(self, metric):
            return 0.0

        def average(self, value):
            return float(np.mean(value))

    original, states = Segmenter.evaluate, []

    def evaluate(self, dataset, **options):
        if len(states) == 3:
            return original(self, dataset, **options)
        states.append({name: a.copy() for name, a in self.model.state_dict().items()})
        return Fixed()

    monkeypatch.setattr(Segmenter, "evaluate", evaluate)
    train(data, tmp_path / "out", **FAST | {"epochs": 3})
    for name, epoch in (("best", 2), ("last", 3)):
        loaded = Segmenter.load(tmp_path / "out" / f"{name}.safetensors").model.state_dict()
        for key, array in loaded.items():
            assert np.array_equal(array, states[epoch - 1][key]), (name, key)
    text = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "The weights are from epoch 2, which had the highest mean validation Dice, 0.9000" in text


def divided(root, **options):
    for part in ("train", "test"):
        folder(root / part, **options)
    return root


def only_train(root, **options):
    folder(root / "train", **options)
    return root


VARIANTS = {
    # layout, its options, settings, (channels, mask values, scored, images scored)
    "three classes": (folder, {"values": (0, 100, 200)}, {}, (1, (0, 100, 200), "test", 1)),
    "RGB": (folder, {"rgb": True}, {"validation": 0.0}, (3, (0, 255), "test", 1)),
    "RGB read as grey": (folder, {"rgb": True}, {"channels": 1}, (1, (0, 255), "test", 1)),
    "train and test": (divided, {"count": 3}, {"validation": 0.4}, (1, (0, 255), "test", 3)),
    "train only": (only_train, {"count": 4}, {}, (1, (0, 255), "validation", 1)),
    "no score at all": (only_train, {"count": 2}, {"validation": 0.0}, (1, (0, 255), None, 0)),
    "sizes differ": (folder, {"sizes": ((40, 33), (20, 50))}, {"size": 24}, (1, (0, 255), "test", 1)),
    "odd size, window": (
        folder,
        {"sizes": ((31, 37),)},
        {"normalize": "window", "window": (0.0, 255.0), "rotate": 10.0, "zoom": 1.2, "clip_norm": 1.0},
        (1, (0, 255), "test", 1),
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_layouts_classes_channels_and_sizes(tmp_path, name):
    layout, options, settings, (channels, values, scored, count) = VARIANTS[name]
    out = tmp_path / "out"
    result = train(layout(tmp_path / "data", **options), out, **FAST | {"epochs": 1} | settings)
    assert result.segmenter.model.arguments["in_channels"] == channels
    assert result.segmenter.mask_values == values
    assert len(result.scores or ()) == count
    assert (
        written(out)
        == FILES | {"test": TESTED, "validation": {"overlays.png", "validation_scores.csv"}, None: set()}[scored]
    )
    assert ("dice_mean" in result.history[0]) == (settings.get("validation") != 0.0)
    text = (out / "report.html").read_text("utf-8")
    assert ("no score" in text) == (scored is None)
    assert ("the last epoch" in text) == (settings.get("validation") == 0.0)
    split = {folder: None, divided: "test", only_train: "train"}[layout]
    image = ImageFolder(tmp_path / "data", split, channels=channels)[0].image
    assert tinyunet.load(out).predict(image).shape == image.shape[1:]


def test_runs_without_a_folder_are_numbered(tmp_path, data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = FAST | {"epochs": 1, "validation": 0.0}
    folders = [train("data", **settings).folder.as_posix() for _ in range(2)]
    assert folders == ["runs/data", "runs/data-2"]


# ------------------------------------------------------------------------------------------- what is refused


def test_a_run_is_never_overwritten(tmp_path, data):
    out = tmp_path / "out"
    train(data, out, **FAST | {"epochs": 1})
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(FileExistsError, match=f"already holds a run; continue it with --resume {out}, or choose"):
        train(data, out, **FAST)
    assert before == {path: path.read_bytes() for path in out.iterdir()}


def two_sizes(root):
    return folder(root, sizes=((40, 70), (64, 32)))


def grey_and_rgb(root):
    folder(root, rgb=True)
    shutil.copy(folder(root.parent / "other") / "images" / "s1.png", root / "images" / "s1.png")
    return root


def unpaired(root):
    (folder(root) / "masks" / "s3.png").unlink()
    return root


def no_image(root):
    (folder(root) / "images" / "s3.png").write_text("no image")
    return root


def one_value(root):
    return folder(root, values=(7, 7))


def empty(root):
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    return root


BAD_DATA = {
    "missing": (lambda root: root, {}, "there is no folder .*no kind of toy data"),
    "empty": (empty, {}, "no images; expected files ending in"),
    "neither layout": (lambda root: folder(root / "deeper").parent, {}, "expected one of these layouts"),
    "unpaired": (unpaired, {}, "1 images without a mask: s3.png"),
    "no image": (no_image, {}, "s3.png: not a readable image"),
    "one value": (one_value, {}, "every mask holds the single value 7"),
    "grey and RGB": (grey_and_rgb, {}, "1 grey images .* mixed with 5 RGB"),
    "sizes differ": (two_sizes, {}, r"differ in size, for example 64x32 and 40x70.*--size 32"),
    "one image": (lambda root: folder(root, count=1), {}, "too few images to hold some out"),
    "nothing to validate": (lambda root: folder(root, count=2), {}, "too few images to hold some out"),
    "validation of all": (folder, {"validation": 1.0}, "validation share must be at least 0 and below 1, got 1.0"),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_is_refused_before_anything_is_written(tmp_path, name):
    make, settings, text = BAD_DATA[name]
    data, out = make(tmp_path / "data"), tmp_path / "out"
    with pytest.raises(DataError, match=text):
        train(data, out, **FAST | settings)
    assert not out.exists()


@pytest.mark.parametrize("k", range(6))
def test_damage_that_is_found_late_costs_nothing(tmp_path, data, k):
    """The header of a cut file is whole, so the damage shows when its pixels are read, perhaps in the final test."""
    path, out = data / "images" / f"s{k}.png", tmp_path / "out"
    content = path.read_bytes()
    path.write_bytes(content[:200])
    with pytest.raises(DataError, match=f"{path}: not a readable image"):
        train(data, out, **FAST)
    path.write_bytes(content)
    if not (out / "last.safetensors").exists():  # it was the first image, which gives the size
        train(data, out, **FAST)
    assert len(resume(out, show_progress=False).history) == 2


BAD_SETTINGS = [
    ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ({"lr": 0.0}, ValueError, "learning rate must be positive, got 0.0"),
    ({"lr": float("nan")}, ValueError, "learning rate must be positive"),
    ({"depth": 0}, ValueError, "depth must be a positive int, got 0"),
    ({"dropout": 1.0}, ValueError, "dropout must be at least 0 and below 1"),
    ({"optimizer": "lion"}, ValueError, "optimizer must be one of adam, adamw, sgd, got 'lion'"),
    ({"channels": 2}, ValueError, "channels must be one of 0, 1, 3, got 2"),
    ({"zoom": 0.5}, ValueError, "zoom must be at least 1"),
    ({"window": (0.0, 1.0)}, ValueError, "window and normalize='window' belong together"),
    ({"normalize": "window"}, ValueError, "window and normalize='window' belong together"),
    ({"normalize": "window", "window": (5.0, 1.0)}, ValueError, "needs numbers low < high"),
    ({"swap": "1:2"}, ValueError, "swap '1:2' names a class beyond the last one, 1"),
    ({"epoch": 3}, TypeError, "epoch"),
]


@pytest.mark.parametrize("settings, error, text", BAD_SETTINGS, ids=[str(row[0]) for row in BAD_SETTINGS])
def test_bad_settings_are_refused_before_anything_is_written(tmp_path, data, settings, error, text):
    with pytest.raises(error, match=text):
        train(data, tmp_path / "out", **FAST | settings)
    assert not (tmp_path / "out").exists()


def test_settings_are_what_a_run_remembers(tmp_path, data):
    settings = {"normalize": "window", "window": (0.0, 300.0), "validation": 0.0}
    train(data, tmp_path / "out", **FAST | {"epochs": 1} | settings)
    _, description = read_checkpoint(tmp_path / "out" / "last.safetensors")
    assert description["settings"]["window"] == [0.0, 300.0] and description["settings"]["base_channels"] == 2
    assert description["settings"].keys() == Settings.__dataclass_fields__.keys()


def test_a_run_that_learns_nothing_says_so_in_its_report(tmp_path, data, capsys):
    out = tmp_path / "out"
    result = train(data, out, **FAST | {"lr": 1e-12, "optimizer": "sgd", "show_progress": True})
    alarm = result.history[-1]["alarm"]
    assert alarm and not result.history[0]["alarm"]
    assert [row["alarm"] for row in csv.DictReader((out / "history.csv").open())] == ["", alarm]
    said = f"in training, after epoch 2: {alarm}"
    assert escape(said) in (out / "report.html").read_text("utf-8") and said in capsys.readouterr().out
    (out / "report.html").unlink()
    resume(out, show_progress=False)
    assert escape(said) in (out / "report.html").read_text("utf-8")


def test_names_that_are_no_utf_8(tmp_path):
    data = folder(tmp_path / "data")
    for k in range(6):
        for path in data.glob(f"*/s{k}.png"):
            path.rename(path.with_name(f"{k}\udcff.png"))
    train(data, tmp_path / "out", **FAST | {"epochs": 1})
    assert written(tmp_path / "out") == FILES | TESTED


# ------------------------------------------------------------------------------------------- stop and resume


def interrupt_at(step, monkeypatch, twice=False):
    original = Trainer._forward

    def forward(self, *arguments):
        if self.optimizer.steps == step - 1:
            for _ in range(1 + twice):
                os.kill(os.getpid(), signal.SIGINT)
        return original(self, *arguments)

    monkeypatch.setattr(Trainer, "_forward", forward)


LIVELY = FAST | {"epochs": 3, "dropout": 0.3, "depth": 2, "rotate": 15.0, "zoom": 1.2, "warm_up": 2, "size": 24}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    root = tmp_path_factory.mktemp("uninterrupted")
    data = folder(root / "data")  # 4 to train: 2 batches in each of 3 epochs
    train(data, root / "out", **LIVELY)
    return data, root / "out"


@pytest.mark.parametrize("step", [1, 4, 6])
def test_ctrl_c_and_resume_give_the_same_bits(tmp_path, uninterrupted, step):
    data, whole = uninterrupted
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(step, patch)
        with pytest.raises(KeyboardInterrupt, match=f"nothing is lost, continue with: tinyunet train --resume {out}"):
            train(data, out, **LIVELY)
    _, description = read_checkpoint(out / "last.safetensors")
    assert (description["progress"]["epoch"], description["progress"]["batch"]) == ((step - 1) // 2, (step - 1) % 2 + 1)
    assert Segmenter.load(out / "last.safetensors").predict(np.zeros((9, 9))).shape == (9, 9)
    result = resume(out, show_progress=False)
    assert len(result.history) == 3 and written(out) == written(whole)
    assert_same_run(out, whole)


def test_a_second_ctrl_c_keeps_the_last_whole_state(tmp_path, uninterrupted):
    data, whole = uninterrupted
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(4, patch, twice=True)
        with pytest.raises(KeyboardInterrupt, match="stopped within a step of epoch 2; continue from what was last"):
            train(data, out, **LIVELY)
    _, description = read_checkpoint(out / "last.safetensors")
    assert (description["progress"]["epoch"], description["progress"]["batch"]) == (1, 0)
    resume(out, show_progress=False)
    assert_same_run(out, whole)


@pytest.mark.parametrize("writes", [1, 4, 9])
def test_a_full_disk_loses_nothing(tmp_path, uninterrupted, writes):
    """An epoch writes best, history.csv, history.json, curves and last; before the first, last is written once."""
    data, whole = uninterrupted
    out = tmp_path / "out"
    original, count = os.fsync, iter(range(100))

    def fsync(handle):
        if next(count) == writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match=f"run in {out} cannot be written: .*No space left.*continue with: tinyunet"):
            train(data, out, **LIVELY)
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    resume(out, show_progress=False)
    assert_same_run(out, whole)


def test_resuming_a_finished_run_writes_its_report_again(tmp_path, uninterrupted):
    _, whole = uninterrupted
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    (out / "report.html").unlink()
    assert len(resume(out, show_progress=False).history) == 3
    assert (out / "report.html").read_text("utf-8") == (whole / "report.html").read_text("utf-8")
    assert_same_run(out, whole)


def test_only_a_run_can_be_resumed(tmp_path, uninterrupted):
    with pytest.raises(CheckpointError, match="is not the folder of a run: it holds no last.safetensors"):
        resume(tmp_path)
    with pytest.raises(CheckpointError, match="is not the folder of a run"):
        resume(uninterrupted[1] / "best.safetensors")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"values": (0, 1)}, r"mask values then \[0, 255\], now \[0, 1\]"),
        ({"count": 12}, r"images then 4, now 8"),
        ({"first": 100}, r"pixels of classes then \[\d+, \d+\], now"),
    ],
    ids=["other values", "more images", "other images"],
)
def test_resuming_on_other_data_is_refused(tmp_path, change, told):
    data, out = folder(tmp_path / "data"), tmp_path / "out"
    train(data, out, **FAST | {"epochs": 1})
    folder(data, **change)
    with pytest.raises(CheckpointError, match=told):
        resume(out)


def test_a_truncated_last_checkpoint_is_refused(tmp_path, data):
    out = tmp_path / "out"
    train(data, out, **FAST | {"epochs": 1})
    path = out / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged"):
        resume(out)


def test_a_diverging_run_stops_and_says_where(tmp_path, data):
    with np.errstate(all="ignore"), pytest.raises(tinyunet.NonFiniteError, match="loss became .* lower the learning"):
        train(data, tmp_path / "out", **FAST | {"epochs": 20, "lr": 1e30, "norm": "none", "optimizer": "sgd"})


def test_default_kernels_train_too(tmp_path, data):
    """All of the above runs in NumPy, for speed of testing; this is what users run."""
    with use_kernels("auto"):
        result = train(data, tmp_path / "out", **FAST | {"epochs": 1})
    with use_kernels("reference"):
        expected = train(data, tmp_path / "reference", **FAST | {"epochs": 1})
    assert result.history[0]["loss"] == pytest.approx(expected.history[0]["loss"], rel=1e-4)
