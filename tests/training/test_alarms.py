"""Alarms of a run that learns nothing."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import use_kernels
from tinyunet.metrics import Scores
from tinyunet.training.alarms import IN_A_ROW, alarm_after, best_constant, is_one_class

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


def alarms(validations: list[Scores]) -> list[str]:
    """Return what the trainer would say after each validation."""
    history, in_a_row, said = [], 0, []
    for k, scores in enumerate(validations, 1):
        history.append({"dice_pooled": scores.average(scores.pooled("dice"))})
        in_a_row = in_a_row + 1 if is_one_class(scores) else 0
        said.append(alarm_after(scores, history, in_a_row, last=k == len(validations)))
    return said


@pytest.mark.parametrize("name", RUNS)
def test_one_class_is_reported_once(name):
    predictions, when = RUNS[name]
    said = alarms([scored(prediction) for prediction in predictions])
    assert [k for k, text in enumerate(said, 1) if text] == ([when] if when else [])
    if when:
        share = "98.00%" if name == "another class" else "10.00%"
        assert f"{share} are something else" in said[when - 1] and "--class-weights balanced" in said[when - 1]


def test_images_with_a_single_class_are_no_alarm():
    assert not any(alarms([scored(NOTHING, NOTHING)] * 5))


@pytest.mark.parametrize(
    "pixels, first, best, dice",
    [
        ([90, 8, 2], 1, 1, (2 * 0.08 / 1.08) / 2),  # the mean of two classes, of which one gets 0
        ([90, 8, 2], 0, 0, (2 * 0.9 / 1.9) / 3),
        ([100, 0, 0], 1, 0, 0.0),
        ([0, 0, 100], 1, 2, 1.0),
        ([0, 0, 0], 1, 0, 0.0),
    ],
)
def test_the_best_constant(pixels, first, best, dice):
    assert best_constant(np.array(pixels), first) == (best, pytest.approx(dice))
    if first and sum(pixels):
        target = np.repeat(np.arange(3), pixels)[None]
        scores = scored(np.full_like(target, best), target)
        assert np.nan_to_num(scores.average(scores.pooled("dice"))) == pytest.approx(dice)


def test_a_run_that_never_beats_a_constant_is_told_so():
    assert not any(alarms([scored(ALMOST)]))  # one pixel of eight is a Dice of 2 / 9 / 2
    worse = TRUE.copy()
    worse[0, 90:] = [2] * 8 + [1] * 2
    (text,) = alarms([scored(worse)])
    assert "calling every pixel 'cell'" in text and "0.0741" in text
    assert not any(alarms([scored(worse), scored(GOOD)]))


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
    said = [line for line in lines if line.startswith("alarm")]
    assert len(said) == 1 and f"in {IN_A_ROW} validations in a row" in said[0]
    assert said[0] == f"alarm: {trainer.history[2]['alarm']}" and not trainer.history[4]["alarm"]
    assert lines.index(said[0]) == lines.index(next(line for line in lines if line.startswith("epoch 3/5"))) + 1


def test_checkpoints_from_before_alarms_were_in_the_history():
    with use_kernels("reference"):
        arrays, progress = make().state()
        progress.pop("one_class")
        trainer = make()
        trainer.restore(arrays, progress | {"alarms": {"in_a_row": 2}})
    assert trainer.one_class == 0
