"""The pages on weak labels and on modalities: every command on them runs, in order, on toy data."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

import tinyunet
from tinyunet import plot, use_kernels
from tinyunet.cli import main
from tinyunet.files import write_whole

from ..training.tiny import OPTIONS, folder, save, scene

PAGES = Path(__file__).parents[2] / "docs" / "how_to"


@pytest.fixture(autouse=True, scope="module")
def quick():
    """No kernels to compile, and nothing drawn, which would take most of the time."""
    with use_kernels("reference"), pytest.MonkeyPatch.context() as patch:
        for name in ("curves", "overlays", "augmentations"):
            patch.setattr(plot, name, lambda *arguments: None)
        patch.setattr(plot, "save_figure", lambda figure, path: write_whole(path, b""))
        yield


def weak(root: Path) -> None:
    """Scribbles with the values 1 and 2, the same images fully labelled, images of patients; and a network."""
    for part, count in (("train", 7), ("test", 2)):
        for k in range(count):
            image, mask = scene(k + 10 * (part == "test"))
            strokes = np.zeros_like(mask)
            strokes[1, 2:30], strokes[15, 14:18] = mask[1, 2:30] + 1, mask[15, 14:18] + 1
            for name, labels in (("scribbles", strokes), ("dense", mask + 1), ("slices", mask)):
                stem = f"p{k // 2 if part == 'train' else 9}_s{k}" if name == "slices" else f"s{k}"
                for kind, array in (("images", image), ("masks", labels.astype(np.uint8))):
                    save(root / name / part / kind / f"{stem}.png", array)
    folder(root / "scans", count=10)
    tinyunet.train("tumour", root / "runs" / "tumour", show_progress=False, epochs=1, base_channels=2, depth=1, cases=2)


def modal(root: Path) -> None:
    """Cases of two modalities; training cases of which one lacks a modality are only in `train --blank-missing`."""
    for part, count in (("train", 6), ("test", 2)):
        for k in range(count):
            image, mask = scene(k + 10 * (part == "test"))
            for number, array in enumerate((image, 255 - image)):
                save(root / "modalities" / part / "images" / f"p{k}_{number:04d}.png", array)
                if part == "test":
                    save(root / "new" / f"p0{k + 7}_{number:04d}.png", array)
                    if number == 1:
                        save(root / "lacking" / "test" / "images" / f"p{k}_0001.png", array)
            save(root / "modalities" / part / "masks" / f"p{k}.png", mask)
            if part == "test":
                save(root / "lacking" / "test" / "masks" / f"p{k}.png", mask)


@pytest.mark.parametrize("name, prepare", [("weak_labels", weak), ("modalities", modal)])
def test_commands_of_the_page_run(tmp_path, monkeypatch, capsys, name, prepare):
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    lines = [line.strip() for line in (PAGES / f"{name}.md").read_text("utf-8").splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("tinyunet ")]
    assert len(commands) >= 7
    for arguments in commands:
        if arguments[0] == "train":
            small = OPTIONS if "--start-from" not in arguments else OPTIONS[:4]
            drop = [k for k, word in enumerate(arguments) if word == "--epochs"]
            arguments = [word for k, word in enumerate(arguments) if not drop or k not in (drop[0], drop[0] + 1)]
            arguments += [*small, "--validation", "0.3"] if "--folds" not in arguments else small
        assert main(arguments) == 0, (arguments, capsys.readouterr())
    said = capsys.readouterr().out
    if name == "weak_labels":
        for text in ("labelled  3.", "training on 2 of", "patients  4 of 1 to 2 cases", "--patients '[^_]+' keeps"):
            assert text in said
    else:
        assert "modalities were missing, and taken as blank, in 1 cases: p08" in said


def test_what_scribbles_and_missing_modalities_do_wrong_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    weak(tmp_path), modal(tmp_path)
    assert main(["train", "scribbles", "--ignore", "0", "--out", "run", *OPTIONS]) == 0
    assert main(["evaluate", "run", "scribbles"]) == 1
    assert "holds the values 0; expected only 1, 2" in (said := capsys.readouterr().err) and "--ignore" in said
    assert main(["train", "modalities", "--out", "two", *OPTIONS]) == 0
    assert main(["predict", "two", "new/p08_0001.png"]) == 1
    assert "p08_0000.* is missing" in (said := capsys.readouterr().err) and "--blank-missing" in said
    (tmp_path / "modalities/train/images/p1_0000.png").unlink()
    assert main(["train", "modalities", "--out", "three", *OPTIONS]) == 1
    assert "p1 lacks modalities that other cases have: p1_0000.*" in capsys.readouterr().err
    assert main(["train", "modalities", "--out", "three", "--blank-missing", "--drop-channel", "0.5", *OPTIONS]) == 0
