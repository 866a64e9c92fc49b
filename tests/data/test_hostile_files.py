"""Broken and malicious files: one clear line each, no crash, no hang, little memory, and the good ones still used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tinyunet.data import ImageFolder, guard
from tinyunet.data.image_file import read_scan, suffix_of
from tinyunet.data.sample import DataError

from . import hostile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory and counts it as Linux does")
ADVICE = ("export", "copy", "save", "remove", "rename", "convert", "replace", "restore", "expected", "cut it", "put a")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What reading each file in a process of its own did, and which files must be refused."""
    folder = tmp_path_factory.mktemp("hostile")
    bad, maybe = hostile.make(folder)
    done = subprocess.run(
        [sys.executable, hostile.__file__, str(folder)], capture_output=True, text=True, timeout=200, cwd=folder.parent
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    *lines, memory = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return folder, bad, maybe, {name: rest for name, *rest in lines}, memory[1]


def test_there_are_many(outcome):
    folder, bad, maybe, results, _ = outcome
    assert set(results) == {*bad, *maybe} and len(results) > (300 if hostile.MEDICAL else 220)


def test_what_is_broken_is_refused_in_one_line_that_names_it(outcome):
    _, bad, maybe, results, _ = outcome
    assert [(n, r) for n, r in results.items() if r[0] == "raised"] == []
    assert [name for name in bad if results[name][0] != "refused"] == []
    for name, (what, message, _) in results.items():
        if what == "refused":
            assert name in message and "\n" not in message and len(message) < 600, message
            assert any(word in message.lower() for word in ADVICE), message


def test_nothing_hangs_or_eats_memory_or_runs_code(outcome):
    folder, _, _, results, memory = outcome
    assert max(seconds for *_, seconds in results.values()) < 3
    assert memory < 2**28
    assert not (folder.parent / "EXECUTED").exists() and not Path("EXECUTED").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damaged entries that are passed over
def test_the_good_files_among_them_are_used_when_asked_so(outcome, tmp_path, monkeypatch):
    folder, bad, *_ = outcome
    masks = tmp_path / "masks"
    masks.mkdir()
    shutil.copytree(
        folder, tmp_path / "images", symlinks=True, ignore=lambda _, names: set(names) - set(bad) | {"pipe.png"}
    )
    os.mkfifo(tmp_path / "images/pipe.png")
    for k, path in enumerate(sorted((tmp_path / "images").iterdir())):  # loops and pipes keep their suffix
        path.rename(path.with_name(f"bad{k:03d}{suffix_of(path)}"))
        np.save(masks / f"bad{k:03d}.npy", np.eye(hostile.H, hostile.W, dtype=np.uint8))
    for k in range(3):
        np.save(tmp_path / f"images/good{k}.npy", np.eye(hostile.H, hostile.W, dtype=np.float32))
        np.save(masks / f"good{k}.npy", np.eye(hostile.H, hostile.W, dtype=np.uint8))
    data = ImageFolder(tmp_path, on_bad_file="skip")
    assert data.names == ("good0", "good1", "good2") and data[2].image.max() == 1
    assert len(data.skipped) == len(bad) and all(line in data.describe() for line in data.skipped)
    with pytest.raises(DataError) as caught:
        ImageFolder(tmp_path)
    assert len(str(caught.value).splitlines()) == len(bad) + 2
    assert all(f"bad{k:03d}." in str(caught.value) for k in range(len(bad)))


def test_a_file_that_may_not_be_read():
    """In a folder that others may enter, as another user if this one is root."""
    folder = Path(tempfile.mkdtemp())
    user = os.geteuid()
    try:
        folder.chmod(0o755)
        np.save(folder / "x.npy", np.zeros((3, 4)))
        (folder / "x.npy").chmod(0)
        (folder / "closed").mkdir()
        (folder / "closed").chmod(0)
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(DataError, match=r"x.npy: cannot be opened \(Permission denied\); change its permissions"):
            read_scan(folder / "x.npy")
        with pytest.raises(DataError, match=r"y.npy: cannot be reached \(Permission denied\)"):
            read_scan(folder / "closed/y.npy")
        with pytest.raises(DataError, match=r"closed: cannot be entered \(Permission denied\); change its permissions"):
            read_scan(folder / "closed")
    finally:
        os.seteuid(user)
        (folder / "closed").chmod(0o700)
        shutil.rmtree(folder)


def test_too_little_memory_is_said(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.zeros((3, 4), np.float32))

    def exhausted(*arguments):
        raise MemoryError

    monkeypatch.setattr(np, "frombuffer", exhausted)
    with pytest.raises(DataError, match="x.npy: there is not enough memory to decode it"):
        read_scan(tmp_path / "x.npy")


def test_decoders_words_are_shortened_to_one_line(tmp_path):
    with pytest.raises(DataError) as caught, guard.decoding("x"):
        raise ValueError("first\n" + "long " * 100)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
