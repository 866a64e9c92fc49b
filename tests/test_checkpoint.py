from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tinyunet.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from tinyunet.data import Normalize
from tinyunet.inference import Segmenter
from tinyunet.nn import UNet

ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # not contiguous
    "steps": np.array(7),
    "double": np.array([np.pi, np.inf]),
    "empty": np.zeros((0, 3), np.float32),
}
DESCRIPTION = {"network": "UNet", "values": [0, 255], "names": ["Hintergrund", "Läsion"], "nothing": None}


def test_round_trip(tmp_path):
    path = tmp_path / "x.safetensors"
    write_checkpoint(path, ARRAYS, DESCRIPTION)
    arrays, description = read_checkpoint(str(path))
    assert arrays.keys() == ARRAYS.keys() and description == DESCRIPTION | {"format": 1}
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and np.array_equal(arrays[name], array)
    assert np.array_equal(load_file(path)["weight"], ARRAYS["weight"])  # any safetensors reader can


def test_the_folder_of_a_run_means_its_best(tmp_path):
    write_checkpoint(tmp_path / "best.safetensors", ARRAYS, DESCRIPTION)
    assert read_checkpoint(tmp_path)[1]["network"] == "UNet"


def whole(path):
    write_checkpoint(path, ARRAYS, DESCRIPTION)
    return path.read_bytes()


DAMAGES = {
    "missing": (lambda path: None, "there is no checkpoint .*x.safetensors; give the file or the folder"),
    "empty": (lambda path: path.write_bytes(b""), "damaged or no safetensors file"),
    "text": (lambda path: path.write_text("hello, this is no checkpoint"), "no safetensors file.*tinyunet convert"),
    "cut in the arrays": (lambda path: path.write_bytes(whole(path)[:-5]), "damaged or no safetensors file"),
    "cut in the header": (lambda path: path.write_bytes(whole(path)[:30]), "damaged or no safetensors file"),
    "longer": (lambda path: path.write_bytes(whole(path) + b"more"), "damaged or no safetensors file"),
    "foreign": (
        lambda path: save_file({"w": np.ones(2)}, path),
        "was not written by tinyunet.*tinyunet convert FILE OUT",
    ),
    "newer": (
        lambda path: save_file({"w": np.ones(2)}, path, metadata={"tinyunet": json.dumps({"format": 99})}),
        r"newer tinyunet \(format 99\); upgrade",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_cannot_be_read_is_refused(tmp_path, name):
    damage, text = DAMAGES[name]
    path = tmp_path / "x.safetensors"
    damage(path)
    with pytest.raises(CheckpointError, match=text) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


def test_an_empty_folder_is_no_run(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint .*best.safetensors"):
        read_checkpoint(tmp_path)


def segmenter(seed=0):
    return Segmenter(UNet(1, 2, 2, 1, seed=seed), Normalize(), ("background", "spot"), (0, 255))


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch, step):
    path = tmp_path / "best.safetensors"
    segmenter(seed=1).save(path)
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        segmenter(seed=2).save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]
    assert Segmenter.load(tmp_path).mask_values == (0, 255)


DISAGREEMENTS = {
    "weights of another network": lambda d: d["arguments"].update(depth=2),
    "another width": lambda d: d["arguments"].update(base_channels=4),
    "unknown argument": lambda d: d["arguments"].update(wings=2),
    "impossible argument": lambda d: d["arguments"].update(depth=0),
    "no normalisation": lambda d: d.pop("normalize"),
    "unknown normalisation": lambda d: d.update(normalize={"kind": "loud"}),
}


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_a_description_that_does_not_fit_is_refused(tmp_path, name):
    path = tmp_path / "x.safetensors"
    trained = segmenter()
    description = json.loads(json.dumps(trained.description()))
    DISAGREEMENTS[name](description)
    write_checkpoint(path, trained.model.state_dict(), description)
    with pytest.raises(CheckpointError, match="does not describe a network that tinyunet can rebuild"):
        Segmenter.load(path)
