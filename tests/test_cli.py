"""The command as a stranger uses it: what works, and every mistake with a clear message and no trace."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tinyunet
from tinyunet import Tensor, use_kernels
from tinyunet.cli import main
from tinyunet.data import ImageFolder, Normalize
from tinyunet.data.image_file import read_image, read_mask
from tinyunet.data.sample import DataError
from tinyunet.inference import Segmenter
from tinyunet.nn import UNet
from tinyunet.training import Settings

from .training.tiny import OPTIONS, folder, save, scene

VALUES = (0, 90, 200)


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with use_kernels("reference"):
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of data with three classes and a finished run on it."""
    root = tmp_path_factory.mktemp("trained")
    assert main(["train", str(folder(root / "data", values=VALUES)), "--out", str(root / "run"), *OPTIONS]) == 0
    return root


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """Run the command in an empty folder and return (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        said, complained = capsys.readouterr()
        assert "Traceback" not in said + complained
        return code, said, complained

    return run


# ------------------------------------------------------------------------------------------- help


def test_without_arguments_it_says_how_to_begin(command):
    code, said, _ = command()
    assert code == 2 and "tinyunet train FOLDER" in said and all(word in said for word in ("predict", "evaluate"))


@pytest.mark.parametrize("name", ["train", "predict", "evaluate", "summary", "convert", "bench", "doctor", "check"])
def test_help(command, name):
    code, said, _ = command(name, "--help")
    assert code == 0 and said.startswith(f"usage: tinyunet {name}")
    assert "None" not in said and "SUPPRESS" not in said


def test_help_of_train_lists_every_setting(command):
    said = command("train", "--help")[1]
    for name in Settings.__dataclass_fields__:
        assert (name if name == "data" else f"--{name.replace('_', '-')}") in said


def test_version(command):
    assert command("--version") == (0, f"tinyunet {tinyunet.__version__}\n", "")


def test_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "tinyunet", "evaluate", "nowhere", "x"], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("tinyunet: error: there is no checkpoint nowhere") and done.stderr.count("\n") == 1


# ------------------------------------------------------------------------------------------- what works


def test_a_finished_run_has_pictures_and_a_report(trained):
    for name in ("curves.png", "overlays.png"):
        pixels = read_image(trained / "run" / name)
        assert min(pixels.shape[1:]) > 200 and pixels.std() > 5
    assert "data:image/png;base64," in (trained / "run" / "report.html").read_text("utf-8")


def test_predict_writes_the_values_of_the_training_masks(command, trained, tmp_path):
    names = ("background", "value 90", "value 200")
    segmenter = Segmenter(UNet(1, 3, 2, 1, seed=10), Normalize(), names, VALUES)  # predicts every class somewhere
    segmenter.save("net.safetensors")
    code, said, complained = command("predict", "net.safetensors", trained / "data" / "images", "--probabilities")
    assert (code, complained) == (0, "") and "6 of 6 images" in said and "90 (value 90)" in said
    found = set()
    for k in range(6):
        image = read_image(trained / "data" / "images" / f"s{k}.png")
        labels = read_mask(tmp_path / "predictions" / "labels" / f"s{k}.png")
        found |= set(np.unique(labels).tolist())
        assert np.array_equal(labels, np.array(VALUES)[segmenter.predict(image)])
        assert read_image(tmp_path / "predictions" / "views" / f"s{k}.png").shape == (3, 32, 32)
        p = np.load(tmp_path / "predictions" / "probabilities" / f"s{k}.npy")
        assert np.array_equal(p, segmenter.probabilities(image))
    assert found == set(VALUES)


def test_predict_writes_how_uncertain_it_is(command, trained, tmp_path):
    images, options = trained / "data" / "images", ("--tta", 8, "--tile", 64, "--smallest", 3)
    code, said, complained = command("predict", trained / "run", images, "--uncertainty", *options)
    assert (code, complained) == (0, "") and "6 of 6 images" in said
    segmenter, image = Segmenter.load(trained / "run"), read_image(images / "s3.png")
    maps = np.load(tmp_path / "predictions" / "uncertainty" / "s3.npy")
    assert np.array_equal(maps, np.stack(segmenter.examine(image, tta=8)[1:])) and maps[1].max() > 0
    labels = segmenter.predict(image, tta=8, smallest=3)
    assert np.array_equal(read_mask(tmp_path / "predictions" / "labels" / "s3.png"), np.array(VALUES)[labels])
    assert read_image(tmp_path / "predictions" / "uncertainty" / "s3.png").std() > 5


def test_predict_says_when_tiles_are_not_exact(command, trained):
    images = trained / "data" / "images"
    assert "give a similar result" in command("predict", trained / "run", images, "--tile", 8)[1]
    assert "give a similar result" not in command("predict", trained / "run", images, "--tile", 64)[1]


def test_predict_works_by_rows_on_large_images(command, trained, tmp_path, monkeypatch):
    save(tmp_path / "new" / "large.png", scene(5, 150, 70, 3)[0])
    save(tmp_path / "new" / "small.png", scene(6, 30, 40, 3)[0])
    command("predict", trained / "run", "new", "--out", "whole", "--probabilities", "--uncertainty", "--tta", 4)
    monkeypatch.setattr("tinyunet.inference.large.LARGE", 5000)
    options = ("--probabilities", "--uncertainty", "--tta", 4, "--tile", 64)
    code, said, complained = command("predict", trained / "run", "new", "--out", "rows", *options)
    assert (code, complained) == (0, "") and "2 of 2 images" in said
    for kind in ("labels", "views", "probabilities", "uncertainty"):
        assert os.listdir(tmp_path / "rows" / kind) == os.listdir(tmp_path / "whole" / kind)
    for kind in ("probabilities", "uncertainty"):
        a, b = (np.load(tmp_path / out / kind / "large.npy") for out in ("rows", "whole"))
        np.testing.assert_allclose(a, b, atol=1e-5)
    for kind in ("labels", "views"):
        a, b = (read_image(tmp_path / out / kind / "large.png") for out in ("rows", "whole"))
        assert a.shape == b.shape and (a != b).mean() < 1e-3
    code, _, complained = command("predict", trained / "run", "new", "--out", "third", "--largest")
    assert code == 1 and "large.png: is too large (150 x 70) to look for objects" in complained
    assert os.listdir(tmp_path / "third" / "labels") == ["small.png"]


def test_predict_takes_any_size_colour_and_the_last_checkpoint(command, trained, tmp_path):
    save(tmp_path / "odd.png", scene(1, 37, 21)[0])
    save(tmp_path / "colour.png", np.stack([scene(2, 9, 50)[0]] * 3, axis=-1))
    code, _, complained = command(
        "predict", trained / "run" / "last.safetensors", "odd.png", "colour.png", "--out", "a/b"
    )
    assert (code, complained) == (0, "")
    assert read_mask(tmp_path / "a/b/labels/odd.png").shape == (37, 21)
    assert read_mask(tmp_path / "a/b/labels/colour.png").shape == (9, 50)
    assert sorted(path.name for path in (tmp_path / "a/b").iterdir()) == ["labels", "views"]


@pytest.mark.parametrize("empty", ["skip", "zero"])
def test_evaluate_writes_scores(command, trained, tmp_path, empty):
    code, said, complained = command("evaluate", trained / "run", trained / "data", "--empty", empty)
    assert (code, complained) == (0, "") and "value 200" in said and "6 images" in said
    rows = list(csv.DictReader((tmp_path / "evaluation" / "scores.csv").open()))
    assert len(rows) == 6 * 3 and {row["class"] for row in rows} == {"background", "value 90", "value 200"}
    scores = json.loads((tmp_path / "evaluation" / "scores.json").read_text("utf-8"))
    assert scores["empty"] == empty and len(scores["dice"]["mean"]) == 3
    assert read_image(tmp_path / "evaluation" / "overlays.png").std() > 5


def test_evaluate_takes_the_options_of_predict(command, trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    code, _, _ = command("evaluate", run, trained / "data", "--tta", 4, "--largest", "--tile", 48)
    assert code == 0
    use = json.loads((run / "test_uses.json").read_text("utf-8"))["uses"][-1]
    assert use["how"] == {"tta": 4, "largest": True, "tile": 48}
    assert "--tile 48 --tta 4 --largest" in (tmp_path / "evaluation" / "report.html").read_text("utf-8")
    scores = json.loads((tmp_path / "evaluation" / "scores.json").read_text("utf-8"))
    found = Segmenter.load(run).evaluate(
        ImageFolder(trained / "data", mask_values=VALUES), tta=4, largest=True, tile=48
    )
    assert scores["dice"]["mean"] == pytest.approx(found.to_dict()["dice"]["mean"], nan_ok=True)


def test_evaluate_writes_a_report_and_counts_objects(command, trained, tmp_path):
    data = folder(tmp_path / "data", values=VALUES)
    for k in range(6):  # every object in two halves
        mask = read_mask(data / "masks" / f"s{k}.png")
        save(data / "instances" / f"s{k}.png", ((mask > 0) * (1 + (np.arange(32) > 15))).astype(np.uint8))
    code, said, _ = command("evaluate", trained / "run", data, "--tolerance", 2)
    assert code == 0 and "surface Dice at 2 px" in said and "report.html" in said
    text = (tmp_path / "evaluation" / "report.html").read_text("utf-8")
    assert "the values of the instance maps" in text and "tinyunet train" in text and "validation Dice" in text
    scores = json.loads((tmp_path / "evaluation" / "scores.json").read_text("utf-8"))
    there = [
        found[1] + missed[1] for found, missed in zip(*map(scores["objects"].get, ("found", "missed")), strict=True)
    ]
    assert set(there) <= {1, 2} and 2 in there


def test_a_second_use_of_test_images_is_named(command, trained, tmp_path):
    folder(tmp_path / "data" / "test", count=3, values=VALUES)
    folder(tmp_path / "data" / "train", count=3, values=VALUES)
    for name in ("one", "two"):
        shutil.copytree(trained / "run", tmp_path / "runs" / name)
        (tmp_path / "runs" / name / "test_uses.json").unlink()
    Segmenter(UNet(1, 3, 2, 1, seed=10), Normalize(), ("background", "a", "b"), VALUES).save(
        "runs/two/best.safetensors"
    )
    warnings = []
    for run, split in (("one", "test"), ("one", "test"), ("two", "train"), ("two", "test"), ("one", "test")):
        code, said, _ = command("evaluate", f"runs/{run}", "data", "--split", split)
        assert code == 0
        warnings.append("3 of these 3 test images were scored once before" in said)
    assert warnings == [False, False, False, True, False]


def test_evaluate_keeps_classes_that_the_test_masks_lack(command, trained, tmp_path):
    folder(tmp_path / "data" / "test", count=2, values=(0, 200))
    code, said, _ = command("evaluate", trained / "run", tmp_path / "data")
    assert code == 0 and "2 images" in said and "200 -> 2" in said


def test_summary(command, trained):
    for arguments in (["summary", trained / "run", "--size", 33, 40], ["summary", "--base-channels", 2, "--depth", 1]):
        code, said, _ = command(*arguments)
        assert code == 0 and "encoder2.0" in said and "parameters" in said
    assert "34 x 40" in command("summary", trained / "run", "--size", 33, 40)[1]  # the next size that halves evenly


# ------------------------------------------------------------------------------------------- mistakes

WRONG = {
    "unknown command": (["tarin"], 2, "invalid choice: 'tarin'"),
    "unknown option": (["train", "--epochz", "3"], 2, "unrecognized arguments: --epochz"),
    "no number": (["train", "--lr", "fast"], 2, "--lr: invalid float value: 'fast'"),
    "unknown choice": (["train", "--loss", "mse"], 2, "--loss: invalid choice: 'mse'"),
    "missing folder": (["train", "nowhere"], 1, "there is no folder nowhere, and it is no kind of toy data (tumour,"),
    "no epochs": (["train", "tumour", "--epochs", "0"], 1, "epochs must be at least 1, got 0"),
    "seed below 0": (["train", "--seed", "-1"], 1, "seed must be at least 0, got -1"),
    "learning rate 0": (["train", "--lr", "0"], 1, "the learning rate must be positive, got 0.0"),
    "window upside down": (["train", "--window", "5", "1"], 1, "low < high"),
    "resume with other options": (["train", "--resume", "x", "--epochs", "9", "--no-augment"], 1, "epochs, augment"),
    "resume with data": (["train", "tumour", "--resume", "x"], 1, "leave out: data"),
    "resume nothing": (["train", "--resume", "nowhere"], 1, "nowhere is not the folder of a run"),
    "predict without images": (["predict", "RUN"], 2, "required: images"),
    "no such image": (["predict", "RUN", "nowhere.png"], 1, "there is no file or folder nowhere.png"),
    "folder without images": (["predict", "RUN", "RUN/.."], 1, "holds no images; expected files ending in .png"),
    "one name twice": (["predict", "RUN", "DATA/images/s0.png", "DATA/masks/s0.png"], 1, "written to one name"),
    "no such model": (["predict", "nowhere", "DATA/images"], 1, "there is no checkpoint nowhere"),
    "an image as model": (["predict", "DATA/images/s0.png", "DATA/images"], 1, "damaged or no safetensors file"),
    "tile below 0": (["evaluate", "RUN", "DATA", "--tile", "-1"], 1, "tile must be a number of pixels"),
    "too much overlap": (
        ["predict", "RUN", "DATA/images", "--tile", "8", "--overlap", "8"],
        1,
        "overlap must be from 0",
    ),
    "three looks": (["predict", "RUN", "DATA/images", "--tta", "3"], 2, "--tta: invalid choice: 3"),
    "no dropout": (["evaluate", "RUN", "DATA", "--passes", "3"], 1, "a network that was trained with dropout"),
    "smallest below 0": (["predict", "RUN", "DATA/images", "--smallest", "-1"], 1, "smallest must be a number of pix"),
    "no such data": (["evaluate", "RUN", "nowhere"], 1, "nowhere: there is no such folder"),
    "no such part": (["evaluate", "RUN", "DATA", "--split", "test"], 1, "no folder images and no folder masks"),
    "size 0": (["summary", "--size", "0"], 1, "--size takes one or two positive numbers"),
    "three sizes": (["summary", "--size", "1", "2", "3"], 1, "--size takes one or two positive numbers"),
    "sizes of a trained network": (["summary", "RUN", "--depth", "2"], 1, "sizes of its own; leave out --depth"),
    "sizes of the article's": (["summary", "article", "--base-channels", "2"], 1, "leave out --base-channels"),
    "a missing folder": (["convert", "RUN", "a/b.safetensors"], 1, "a/b.safetensors: there is no folder a; make it"),
    "a file for a folder": (["bench", "--out", "RUN/best.safetensors"], 1, "best.safetensors is a file"),
    "a name for another kind": (["convert", "RUN", "net.pth"], 1, "what is written is a safetensors file"),
    "no classes": (["summary", "--classes", "0"], 1, "classes must be a positive int, got 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_command_line_is_explained_and_leaves_nothing(command, trained, tmp_path, name):
    arguments, code, text = WRONG[name]
    places = {"RUN": str(trained / "run"), "DATA": str(trained / "data")}
    for short, place in places.items():
        arguments = [argument.replace(short, place) for argument in arguments]
    got, _, complained = command(*arguments)
    assert got == code and text in complained
    assert sum(line.startswith("tinyunet") for line in complained.splitlines()) == 1  # the error, said once
    assert os.listdir(tmp_path) == []


def test_an_error_in_training_is_one_line_and_with_traceback_raised(command, tmp_path):
    folder(tmp_path / "data", sizes=((32, 32), (40, 48)))
    code, _, complained = command("train", "data", *OPTIONS)
    assert code == 1 and complained.count("\n") == 1
    assert "the images differ in size, for example 32x32 and 40x48" in complained and "--size 32" in complained
    with pytest.raises(DataError):
        command("--traceback", "train", "data", *OPTIONS)
    assert os.listdir(tmp_path) == ["data"]


def test_an_existing_run_is_kept(command, trained):
    before = (trained / "run" / "last.safetensors").read_bytes()
    code, _, complained = command("train", trained / "data", "--out", trained / "run", *OPTIONS)
    assert code == 1 and f"--resume {trained / 'run'}" in complained
    assert (trained / "run" / "last.safetensors").read_bytes() == before


def test_one_bad_image_does_not_cost_the_others(command, trained, tmp_path):
    shutil.copytree(trained / "data" / "images", tmp_path / "new")
    (tmp_path / "new" / "s2.png").write_text("no image")
    cut = (tmp_path / "new" / "s4.png").read_bytes()[:150]
    (tmp_path / "new" / "s4.png").write_bytes(cut)
    code, said, complained = command("predict", trained / "run", "new")
    assert code == 1 and "4 of 6 images segmented" in said
    lines = complained.splitlines()
    assert [line.split(": ")[2] for line in lines] == ["new/s2.png", "new/s4.png"]
    assert all(line.startswith("tinyunet: error: ") and line.count(": new/s") == 1 for line in lines)
    done = sorted(os.listdir(tmp_path / "predictions" / "labels"))
    assert done == ["s0.png", "s1.png", "s3.png", "s5.png"]


def test_masks_with_other_values_than_in_training_are_refused(command, trained, tmp_path):
    folder(tmp_path / "data", values=(0, 90, 255))
    code, _, complained = command("evaluate", trained / "run", "data")
    assert code == 1 and "holds the values 255; expected only 0, 90, 200" in complained
    assert os.listdir(tmp_path) == ["data"]


def test_a_network_of_several_channels_says_what_it_needs(trained):
    """Not reached from the command, which converts grey and RGB; from Python it is."""
    model = Segmenter.load(trained / "run").model
    for shape, text in (((1, 32, 32), r"x\[None\]"), ((32, 32), r"x\[None, None\]"), ((1, 3, 32, 32), "in_channels=3")):
        with pytest.raises(tinyunet.ShapeError, match=text):
            model(Tensor(np.zeros(shape, np.float32)))


@pytest.mark.parametrize("line", ["train DATA", "predict RUN DATA/images", "evaluate RUN DATA"])
def test_a_folder_that_cannot_be_made_is_named(command, trained, tmp_path, line):
    (tmp_path / "file").write_text("in the way")
    arguments = [a.replace("RUN", f"{trained}/run").replace("DATA", f"{trained}/data") for a in line.split()]
    code, _, complained = command(*arguments, "--out", "file/out", *(OPTIONS if arguments[0] == "train" else []))
    assert code == 1 and "file/out" in complained and complained.count("\n") == 1
    assert (tmp_path / "file").read_text("utf-8") == "in the way"


def test_a_full_disk_stops_training_and_says_how_to_go_on(command, trained, tmp_path, monkeypatch):
    original, count = os.fsync, iter(range(100))

    def fsync(handle):
        if next(count) == 7:  # in the second epoch
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        code, _, complained = command("train", trained / "data", "--out", "run", *OPTIONS)
    assert code == 1 and "No space left" in complained and "tinyunet train --resume run" in complained
    code, said, _ = command("train", "--resume", "run")
    assert code == 0 and "continuing after 1 epochs" in said
    whole, resumed = Segmenter.load(trained / "run"), Segmenter.load(tmp_path / "run")
    for name, array in whole.model.state_dict().items():
        assert np.array_equal(array, resumed.model.state_dict()[name]), name


def test_a_full_disk_stops_prediction(command, trained, monkeypatch, tmp_path):
    def fsync(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    code, _, complained = command("predict", trained / "run", trained / "data" / "images")
    assert code == 1 and "No space left on device" in complained
    assert os.listdir(tmp_path / "predictions" / "labels") == []


# ------------------------------------------------------------------------------------------- Ctrl-C

SCRIPT = """
import sys
from tinyunet import use_kernels
from tinyunet.cli import main
with use_kernels("reference"):
    sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_in_a_real_process(command, trained, tmp_path):
    """A run of a thousand epochs is stopped after its first, loads, and goes on where it was."""
    options = [*OPTIONS, "--epochs", "1000", "--validation", "0"]
    arguments = [sys.executable, "-c", SCRIPT, "train", str(trained / "data"), "--out", "run", *options]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            if (tmp_path / "run" / "history.csv").exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, complained
    assert "Traceback" not in complained and "continue with: tinyunet train --resume run" in complained
    assert Segmenter.load(tmp_path / "run" / "last.safetensors").mask_values == VALUES
    done = len(list(csv.DictReader((tmp_path / "run" / "history.csv").open())))
    assert 1 <= done < 1000 and f"epoch {done}/1000" in said


def test_ctrl_c_while_reading_data(command, monkeypatch):
    def read(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinyunet.training.run.open_sources", read)
    code, _, complained = command("train")
    assert code == 130 and complained.strip() == "stopped"
