"""Alarms of a run whose validation shows that nothing is learnt, with what to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..metrics import Scores

IN_A_ROW = 3
"""Validations of a single class before the alarm; the first epochs often begin so."""

_LITTLE = 0.01  # of the pixels of all other classes: when no more are predicted, it is a single class
_LOOK = "with --check, the same command looks for the reason"


def is_one_class(scores: Scores) -> bool:
    """Tell whether nearly every pixel was called one class, though there are others."""
    predicted, others = _called_and_others(scores)
    return predicted.sum() - predicted.max() < _LITTLE * others


def alarm_after(scores: Scores, history: Sequence[Mapping], in_a_row: int, last: bool) -> str:
    """Return what is alarming about a validation, or "" if all is well.

    Parameters
    ----------
    scores : Scores
    history : sequence of dict
        As of the Trainer; the last row is of this validation.
    in_a_row : int
        Up to now, the validations for which `is_one_class` is true.
    last : bool
        Whether training is at its end.
    """
    names, true = scores.class_names, scores.counts.sum((0, 2))
    if in_a_row == IN_A_ROW:
        predicted, others = _called_and_others(scores)
        return (
            f"in {IN_A_ROW} validations in a row nearly every pixel was called {names[predicted.argmax()]!r}, but "
            f"{others / true.sum():.2%} are something else. Try --class-weights balanced, or a lower --lr; {_LOOK}"
        )
    best, dice = best_constant(true, scores.first)
    reached = np.nan_to_num([row["dice_pooled"] for row in history]).max()
    if last and in_a_row < IN_A_ROW and reached <= dice and dice > 0:
        return (
            f"no validation was better than calling every pixel {names[best]!r}, which scores a pooled Dice of "
            f"{dice:.4f}. Train longer; {_LOOK}"
        )
    return ""


def _called_and_others(scores: Scores) -> tuple[np.ndarray, int]:
    """Return how many pixels were called each class, and how many are not of the class that most were called."""
    counts = scores.counts.sum(0)
    predicted = counts.sum(0)
    return predicted, counts.sum() - counts.sum(1)[predicted.argmax()]


def best_constant(pixels: np.ndarray, first: int = 1) -> tuple[int, float]:
    """Return the class that scores best if every pixel is called so, and its pooled Dice, averaged over classes.

    A class that covers the share s of the pixels gets Dice = 2 s / (1 + s), and all others 0.

    Parameters
    ----------
    pixels : (C,) int array
        Of each class; those without any take no part in the average.
    first : int
        The first class of the average.
    """
    shares = pixels / max(pixels.sum(), 1)
    values = 2 * shares / (1 + shares) / max(np.count_nonzero(pixels[first:]), 1)
    values[:first] = 0
    return int(values.argmax()), float(values.max())
