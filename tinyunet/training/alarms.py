"""Alarms of a run whose validation shows that nothing is learnt, each given once, with what to try."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..metrics import Scores, dice

IN_A_ROW = 3
"""Validations of a single class before the alarm; the first epochs often begin so."""

_LITTLE = 0.01  # of the pixels of all other classes: when no more are predicted, it is a single class
_LOOK = "with --check, the same command looks for the reason"


@dataclass
class Alarms:
    """What the validations of a run have shown so far. JSON types, so that a resumed run goes on counting.

    Attributes
    ----------
    in_a_row : int
        Validations up to now in which one class was predicted nearly everywhere.
    best : float
        Highest pooled Dice.
    constant, constant_dice : str, float
        The class that scores best if every pixel is called so, and its pooled Dice.
    said : bool
        Whether a single class was reported.
    """

    in_a_row: int = 0
    best: float = 0.0
    constant: str = ""
    constant_dice: float = 0.0
    said: bool = False

    def after(self, scores: Scores) -> str:
        """Take note of a validation; return an alarm, or "" if all is well."""
        counts = scores.counts.sum(0)
        true, predicted = counts.sum(1), counts.sum(0)
        c = int(predicted.argmax())
        others = true.sum() - true[c]
        self.in_a_row = self.in_a_row + 1 if predicted.sum() - predicted[c] < _LITTLE * others else 0
        self.best = max(self.best, float(np.nan_to_num(scores.average(scores.pooled("dice")))))
        self.constant, self.constant_dice = best_constant(scores)
        if self.said or self.in_a_row < IN_A_ROW:
            return ""
        self.said = True
        return (
            f"alarm: in {IN_A_ROW} validations in a row nearly every pixel was called {scores.class_names[c]!r}, but "
            f"{others / true.sum():.2%} are something else. Try --class-weights balanced, or a lower --lr; {_LOOK}"
        )

    def at_the_end(self) -> str:
        """Return an alarm if no validation was better than calling every pixel the same, else ""."""
        if self.said or not self.constant or self.best > self.constant_dice:
            return ""
        return (
            f"alarm: no validation was better than calling every pixel {self.constant!r}, which scores a pooled Dice "
            f"of {self.constant_dice:.4f}. Train longer; {_LOOK}"
        )


def best_constant(scores: Scores) -> tuple[str, float]:
    """Return the class that scores best if every pixel is called so, and its pooled Dice, averaged as `scores` does.

    A class that covers the share s of the pixels gets Dice = 2 s / (1 + s), and all others 0.
    """
    true = scores.counts.sum((0, 2))
    values = []
    for c in range(len(true)):
        constant = np.zeros((len(true), len(true)), true.dtype)
        constant[:, c] = true
        values.append(float(np.nan_to_num(scores.average(dice(constant)))))
    best = int(np.argmax(values))
    return scores.class_names[best], values[best]
