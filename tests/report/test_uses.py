"""The record of test uses warns when it should, and never stands in the way."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tinyunet.data.sample import Sample
from tinyunet.report.uses import RECORD, fingerprint, fingerprints, note_test_use

IMAGES = [f"{k:016x}" for k in range(40)]


def weights(seed):
    return {"w": np.random.default_rng(seed).random((3, 3)).astype(np.float32), "b": np.zeros(3, np.float32)}


@pytest.fixture
def runs(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_first_use_is_silent_and_so_is_the_same_evaluation_again(runs):
    for _ in range(3):
        assert note_test_use(runs / "one", weights(0), IMAGES, 0.9) == ""
    record = json.loads((runs / "one" / RECORD).read_text("utf-8"))
    assert len(record["uses"]) == 1 and record["uses"][0]["dice"] == 0.9


@pytest.mark.parametrize("second", ["one", "two"])
def test_other_weights_on_the_same_images_are_a_second_use(runs, second):
    note_test_use(runs / "one", weights(0), IMAGES, 0.9)
    warning = note_test_use(runs / second, weights(1), IMAGES, 0.8)
    assert warning.startswith("40 of these 40 test images were scored once before")
    assert "in one, Dice 0.9000" in warning
    assert "2 times before" in note_test_use(runs / "two", weights(2), IMAGES, 0.8)
    assert note_test_use(runs / "one", weights(0), IMAGES, 0.9) == ""  # nothing new


def test_another_way_of_predicting_is_a_second_use(runs):
    note_test_use(runs / "one", weights(0), IMAGES, 0.9, {"flips": False})
    assert "once before" in note_test_use(runs / "one", weights(0), IMAGES, 0.9, {"flips": True})


def test_only_shared_images_count(runs):
    note_test_use(runs / "one", weights(0), IMAGES[:30], 0.9)
    assert "10 of these 20 test images" in note_test_use(runs / "two", weights(1), IMAGES[20:], float("nan"))
    assert note_test_use(runs / "two", weights(2), ["f" * 16], 0.9) == ""
    assert json.loads((runs / "two" / RECORD).read_text("utf-8"))["uses"][0]["dice"] is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"uses": [{}]}', '{"uses": 3}', '{"uses": [{"images": 3}]}'])
@pytest.mark.parametrize("where", ["one", "two"])
def test_a_damaged_record_is_named_and_left_alone(runs, content, where):
    (runs / where / RECORD).write_text(content)
    text = note_test_use(runs / "one", weights(0), IMAGES, 0.9)
    assert str(runs / where / RECORD) in text and "cannot be read" in text
    assert (runs / where / RECORD).read_text("utf-8") == content
    assert (runs / "one" / RECORD).exists()


def test_a_folder_that_cannot_be_written_does_not_block(runs):
    assert "could not be recorded" in note_test_use(runs / "nowhere", weights(0), IMAGES, 0.9)


def test_fingerprints_follow_every_pixel_and_the_shape():
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    other = image.copy()
    other[0, 2, 3] += 1
    same, again, changed, reshaped = fingerprints(
        [Sample(a, np.zeros(a.shape[1:], int), "n") for a in (image, image.copy(), other, image.reshape(1, 4, 3))]
    )
    assert same == again and len({same, changed, reshaped}) == 3 and len(same) == 16
    assert fingerprint([image[:, ::-1]]) != same
