"""Predict, then reveal: a guess is stored before the answer is shown, and a score is kept.

A guess that turns out wrong is what one remembers; so a lesson asks before it shows.
"""

from __future__ import annotations

import math

from . import progress
from .exercise import NotSolved


def predict(question: str, guess) -> None:
    """Store a guess.

    Parameters
    ----------
    question : str
        A few words that name it; `reveal` is called with the same words.
    guess : number or str
        `...` or None counts as no guess.
    """
    if guess is None or guess is ...:
        print(f"{question}: write your guess in place of the dots, then run this cell again.")
        return
    progress.note("predictions", question, {"guess": guess})
    print(f"{question}: you say {guess}.")


def reveal(question: str, answer, tolerance: float = 0.0) -> None:
    """Show the answer beside the guess, and the score so far.

    Parameters
    ----------
    question : str
    answer : number or str
        Taken from what the lesson just computed.
    tolerance : float
        A number this far away still counts, as a share of the answer.

    Raises
    ------
    NotSolved
        If nothing was guessed: guess first.
    """
    stored = progress.predictions().get(question)
    if stored is None:
        raise NotSolved(f"guess first: write your guess in the cell with predict({question!r}, ...) and run it")
    guess, answer = stored["guess"], getattr(answer, "item", lambda: answer)()
    if isinstance(answer, str) or isinstance(guess, str):
        right = str(guess).strip().lower() == str(answer).strip().lower()
    else:
        right = math.isclose(guess, answer, rel_tol=max(tolerance, 1e-9), abs_tol=1e-12)
    progress.note("predictions", question, {"guess": guess, "right": right})
    revealed = [p["right"] for p in progress.predictions().values() if "right" in p]
    shown = f"{answer:.4g}" if isinstance(answer, float) else answer
    print(f"{question}: you said {guess}, it is {shown}. {sum(revealed)} of {len(revealed)} predictions right so far.")
