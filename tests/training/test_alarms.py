"""Alarms of a run that learns nothing."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from tinyunet import use_kernels
from tinyunet.metrics import Scores
from tinyunet.training.alarms import IN_A_ROW, Alarms, best_constant

from .test_trainer import Discs, make

TRUE = np.array([[0] * 90 + [1] * 8 + [2] * 2])
GOOD, ALMOST = TRUE.copy(), np.where(np.arange(100) == 91, 1, 0)[None]  # ALMOST: one pixel of the ten
NOTHING = np.zeros_like(TRUE)


def scored(prediction, target=TRUE) -> Scores:
    scores = Scores(["background", "cell", "core"])
    scores.add(prediction, target)
    return scores


RUNS = {
    # predictions of the validations: after which of them the alarm is given
    "learns": ([NOTHING, NOTHING, GOOD, NOTHING, NOTHING], None),
    "one class": ([NOTHING] * 6, 3),
    "another class": ([NOTHING, NOTHING + 1, NOTHING + 2], 3),
    "late": ([GOOD, NOTHING, NOTHING, NOTHING], 4),
    "little is not nothing": ([ALMOST] * 5, None),
}


@pytest.mark.parametrize("name", RUNS)
def test_one_class_is_reported_once(name):
    predictions, when = RUNS[name]
    alarms = Alarms()
    said = []
    for prediction in predictions:
        said.append(alarms.after(scored(prediction)))
        alarms = Alarms(**json.loads(json.dumps(asdict(alarms))))  # as through a checkpoint
    assert [k for k, text in enumerate(said, 1) if text] == ([when] if when else [])
    if when:
        share = "98.00%" if name == "another class" else "10.00%"
        assert f"{share} are something else" in said[when - 1] and "--class-weights balanced" in said[when - 1]
    assert (alarms.at_the_end() == "") or name == "little is not nothing"


def test_images_with_a_single_class_are_no_alarm():
    alarms = Alarms()
    assert not any(alarms.after(scored(NOTHING, NOTHING)) for _ in range(5))


@pytest.mark.parametrize(
    "target, name, dice",
    [
        (TRUE, "cell", (2 * 0.08 / 1.08) / 2),  # the mean of two classes, of which one gets 0
        (NOTHING, "background", 0.0),
        (NOTHING + 2, "core", 1.0),
    ],
)
def test_the_best_constant(target, name, dice):
    assert best_constant(scored(NOTHING, target)) == (name, pytest.approx(dice))


def test_a_run_that_never_beats_a_constant_is_told_so():
    alarms = Alarms()
    alarms.after(scored(ALMOST))
    assert alarms.at_the_end() == ""  # one pixel of eight is a Dice of 2 / 9 / 2
    worse = TRUE.copy()
    worse[0, 90:] = [2] * 8 + [1] * 2
    alarms = Alarms()
    alarms.after(scored(worse))
    text = alarms.at_the_end()
    assert "calling every pixel 'cell'" in text and "0.0741" in text
    alarms.after(scored(GOOD))
    assert alarms.at_the_end() == ""


@pytest.mark.parametrize("stopped_after", [None, 2])
def test_a_run_says_it_among_its_lines(capsys, stopped_after):
    with use_kernels("reference"):
        trainer = make(lr=1e-12)
        collapsed = Scores(Discs.class_names)
        collapsed.add(np.zeros((4, 4), int), np.eye(4, dtype=int))
        trainer.validate, trainer.show_progress = lambda: collapsed, True
        if stopped_after:
            trainer.fit(stopped_after)
            state, capsys_before = trainer.state(), capsys.readouterr().out
            assert "alarm: in" not in capsys_before
            trainer = make(lr=1e-12)
            trainer.validate, trainer.show_progress = lambda: collapsed, True
            trainer.restore(*state)
        trainer.fit(5)
    lines = capsys.readouterr().out.splitlines()
    alarms = [line for line in lines if line.startswith("alarm")]
    assert len(alarms) == 1 and f"in {IN_A_ROW} validations in a row" in alarms[0]
    assert lines.index(alarms[0]) == lines.index(next(line for line in lines if line.startswith("epoch 3/5"))) + 1


def test_old_checkpoints_have_no_alarms():
    with use_kernels("reference"):
        arrays, progress = make().state()
        progress.pop("alarms")
        trainer = make()
        trainer.restore(arrays, progress)
    assert trainer.alarms == Alarms()
