"""Exercises: a check takes what the *learner* wrote, says "right" or gives a hint, and notes progress.

A check is a function of the learner's object that raises `NotSolved` with a hint, by `require` and `require_close`:

    @exercise
    def conv2d_loops(fn):
        '''Convolution written as loops.'''
        require_close(fn(X, W), Y, "the kernel must not be flipped")

The order of the requirements is the order of the likely mistakes, so that every typical mistake meets its own hint.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from ..autograd import Tensor
from . import progress


class NotSolved(AssertionError):
    """An exercise is not solved yet; the message is a hint."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this: in a notebook the learner sees the hint, without the way through our code to it.
        return [f"Not yet: {self}"]


def exercise(check: Callable) -> Callable:
    """Make a check of a function that raises `NotSolved` for a wrong answer; its docstring names the exercise.

    The check raises `NotSolved` too for an answer that is missing (`...` or None, or a function that raises
    NotImplementedError) and for one that raises any other exception, with that exception as its cause.
    """
    title = check.__doc__.strip().splitlines()[0].rstrip(".")
    name = f"{check.__module__.rpartition('.')[2]}.{check.__name__}"

    @functools.wraps(check)
    def checked(answer):
        try:
            if answer is None or answer is ...:
                raise NotImplementedError
            check(answer)
        except NotSolved:
            progress.note("exercises", name, False)
            raise
        except NotImplementedError:
            raise NotSolved(f"{title}: nothing here yet. Write it in the cell above and run both cells.") from None
        except Exception as error:
            progress.note("exercises", name, False)
            raise NotSolved(f"{title}: your code stopped with {type(error).__name__}: {error}") from error
        progress.note("exercises", name, True)
        print(f"Right: {title}.")

    checked.exercise = name
    return checked


def require(condition, hint: str) -> None:
    """Raise `NotSolved` with the hint unless the condition holds."""
    if not condition:
        raise NotSolved(hint)


def require_close(found, expected, hint: str, tolerance: float = 1e-6) -> None:
    """Raise `NotSolved` unless two arrays (or numbers) have one shape and equal values; the hint shows both.

    Parameters
    ----------
    found, expected : arrays or numbers
        What the learner's code gave, and what is right.
    hint : str
        What is probably wrong.
    tolerance : float
        Largest allowed difference, relative to the largest expected value (at least 1).
    """
    found, expected = as_array(found), np.asarray(expected)
    if found.shape != expected.shape:
        raise NotSolved(f"{hint} (expected shape {expected.shape}, got {found.shape})")
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    if not np.allclose(found, expected, rtol=0, atol=tolerance * scale):
        small = expected.size <= 16
        shown = f" (expected {_text(expected)}, got {_text(found)})" if small else ""
        raise NotSolved(hint + shown)


def as_array(returned) -> np.ndarray:
    """Return what the learner's function gave (numbers, an array or a Tensor) as an array.

    Raises
    ------
    NotSolved
        If it gave None.
    """
    if returned is None:
        raise NotSolved("your function returned None; does it end with `return`?")
    return returned.numpy() if isinstance(returned, Tensor) else np.asarray(returned)


def _text(values: np.ndarray) -> str:
    return np.array2string(values, precision=4, separator=", ").replace("\n", "")
