"""The short form of `python -m tests.training.kill_nine`, and that it would notice."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tinyunet.checkpoint import read_checkpoint

from .kill_nine import check_files, command, differences, kill_many, run_to_the_end

STOP_AFTER = """
import os, signal, sys
from tinyunet.cli import main
from tinyunet.training import Trainer

step, last = Trainer.step, int(sys.argv[1])

def step_and_stop(self, *batch):
    if self.optimizer.steps == last - 1:
        os.kill(os.getpid(), signal.SIGINT)
    return step(self, *batch)

signal.signal(signal.SIGINT, signal.default_int_handler)
Trainer.step = step_and_stop
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    root = tmp_path_factory.mktemp("killed")
    return root, kill_many(root, 3, seed=1)


def test_two_halves_in_two_processes_are_the_whole(killed, tmp_path):
    """2k steps = k steps + save + new process + k steps, with augmentation, schedule and early stopping on."""
    data, whole, out = killed[0] / "data", killed[0] / "whole" / "out", tmp_path / "out"
    steps = read_checkpoint(whole / "last.safetensors")[0]["optimizer.steps"].item()
    arguments = command(data, out)[3:]
    first = subprocess.run([sys.executable, "-c", STOP_AFTER, f"{steps // 2}", *arguments], capture_output=True)
    assert first.returncode == 130, first.stderr
    assert read_checkpoint(out / "last.safetensors")[0]["optimizer.steps"] == steps // 2
    run_to_the_end(data, out)
    assert differences(whole, out) == []


def test_killed_runs_end_as_if_nothing_had_been(killed, tmp_path):
    root, hits = killed
    assert sum(hits.values()) == 3
    run = root / "whole" / "out"
    assert check_files(run) == len(list(run.iterdir())) > 5
    shutil.copytree(run, tmp_path / "copy")
    assert differences(run, tmp_path / "copy") == []
    for name in ("best.safetensors", "history.json", "history.csv", "curves.png", "report.html"):
        whole = (run / name).read_bytes()
        (tmp_path / "copy" / name).write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(AssertionError, match=f"{name} is not whole"):
            check_files(tmp_path / "copy")
        (tmp_path / "copy" / name).write_bytes(whole)
    arrays = load_file(run / "last.safetensors")
    name = next(name for name, a in arrays.items() if a.dtype == np.float32)
    arrays[name] = np.nextafter(arrays[name], np.float32(9))  # the last bit
    save_file(arrays, tmp_path / "copy" / "last.safetensors")
    assert differences(run, tmp_path / "copy") == [f"last.safetensors {name}"]
