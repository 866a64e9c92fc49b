"""The promise of `Settings.seed`: one source of chance, and the same bits in any process, threads and hash seeds."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinyunet.checkpoint import read_checkpoint
from tinyunet.training import Settings

from .tiny import folder

ROOT = Path(__file__).parents[2]
RUN = """
import json, sys
from unittest import mock
from tinyunet.training import train
data, out, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with mock.patch("tinyunet.plot.curves"), mock.patch("tinyunet.plot.save_figure"):
    train(data, out, show_progress=False, **settings)
"""
LIVELY = {"epochs": 2, "batch_size": 2, "base_channels": 4, "depth": 2, "size": 24, "dropout": 0.2, "device": "cpu"}
LIVELY |= {"augmentation": "strong", "class_weights": "balanced", "border_weight": 5.0, "deep_supervision": True}

WAYS = {
    "as it comes": ({}, {}),
    "one thread, another hash seed": ({"PYTHONHASHSEED": "1", "NUMBA_NUM_THREADS": "1"}, {}),
    "recomputed, another hash seed": ({"PYTHONHASHSEED": "2"}, {"recompute": True}),
}


def fingerprint(data: Path, out: Path, environment: dict, settings: dict) -> str:
    """Train in a process of its own; return a hash of all weights and of the losses and scores of all epochs."""
    command = [sys.executable, "-c", RUN, str(data), str(out), json.dumps(LIVELY | settings)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    arrays, _ = read_checkpoint(out / "last.safetensors")
    rows = json.loads((out / "history.json").read_text("utf-8"))
    for row in rows:
        row.pop("seconds")
    content = b"".join(name.encode() + array.tobytes() for name, array in sorted(arrays.items()))
    return hashlib.sha256(content + json.dumps(rows).encode()).hexdigest()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    root = tmp_path_factory.mktemp("determinism")
    data = folder(root / "data", count=8, sizes=((40, 33), (30, 50)))
    return data, fingerprint(data, root / "out", *WAYS["as it comes"])


@pytest.mark.parametrize("way", list(WAYS)[1:])
def test_one_seed_gives_the_same_bits_in_every_process(tmp_path, expected, way):
    data, bits = expected
    assert fingerprint(data, tmp_path / "out", *WAYS[way]) == bits


def test_another_seed_gives_others(tmp_path, expected):
    data, bits = expected
    assert fingerprint(data, tmp_path / "out", {}, {"seed": 1}) != bits


def test_it_is_no_option_and_documented_in_one_place():
    assert not [name for name in Settings.__dataclass_fields__ if "determin" in name]
    assert "tests/training/test_determinism.py" in inspect.getdoc(Settings)
    assert Path(__file__).relative_to(ROOT).as_posix() == "tests/training/test_determinism.py"
