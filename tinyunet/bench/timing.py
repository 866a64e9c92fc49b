"""Validate, THEN time: what computes something else is not worth timing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from ..backend import is_array, to_device

Side = Callable[[], Sequence]
"""Does the work once and returns what it computed: arrays, tensors of either library, or numbers."""

OURS = "tinyunet"


class WrongResult(ArithmeticError):
    """A side computes something other than the reference does."""


def arrays(results: Sequence) -> list[np.ndarray]:
    """Return the results of a side as NumPy arrays."""
    return [_as_numpy(result) for result in results]


def _as_numpy(result) -> np.ndarray:
    if hasattr(result, "detach"):  # a tensor of either library
        result = result.detach().cpu() if hasattr(result, "cpu") else result.detach()
        return result.numpy()
    return np.asarray(to_device(result, "cpu") if is_array(result) else result)


def relative_errors(got: Sequence, expected: Sequence) -> np.ndarray:
    """Return for each result its largest deviation, in units of its largest number; NaN where it holds a NaN.

    error[k] = max|got[k] - expected[k]| / max|expected[k]|
    """
    errors = []
    for a, b in zip(arrays(got), arrays(expected), strict=True):
        if a.shape != b.shape:
            raise WrongResult(f"expected a result of shape {b.shape}, got {a.shape}")
        scale = max(np.abs(b).max(), np.finfo(np.float32).tiny)
        errors.append(np.abs(a - b.astype(np.float64)).max() / scale)
    return np.array(errors)


def validate(
    what: str, sides: dict[str, Side], expected: Sequence, tolerance: float | Sequence[float]
) -> dict[str, float]:
    """Run every side once and return the largest relative error among its results.

    Parameters
    ----------
    what : str
        Name of the work, for the message.
    sides : dict
        Name -> side.
    expected : sequence
        What the reference computed.
    tolerance : float, or one per result
        Largest relative error allowed.

    Raises
    ------
    WrongResult
        If an error is above its tolerance or not a number.
    """
    largest = {}
    for name, side in sides.items():
        errors = relative_errors(side(), expected)
        wrong = ~(errors <= tolerance)  # true for NaN as well
        if wrong.any():
            k = int(wrong.argmax())
            raise WrongResult(
                f"{what}: result {k} of {name} differs from the NumPy reference by {errors[k]:.1e}, more than "
                f"{np.broadcast_to(tolerance, errors.shape)[k]:.0e}; so it is not timed"
            )
        largest[name] = float(errors.max())
    return largest


def time_in_turn(
    sides: dict[str, Side], rounds: int, finish: Callable[[], object] = lambda: None
) -> dict[str, list[float]]:
    """Run every side once per round and return its seconds, round by round; each round starts with the next side.

    `finish` waits until a GPU has done what it was given; it is called before the clock starts and before it stops.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for k in range(rounds):
        first = k % len(names)
        for name in names[first:] + names[:first]:
            finish()
            start = time.perf_counter()
            sides[name]()
            finish()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def summarize(seconds: dict[str, list[float]], base: str = OURS) -> dict:
    """Return what is reported of the times of the sides.

    Parameters
    ----------
    seconds : dict
        What `time_in_turn` returned.
    base : str
        The side whose time is divided by the others'.

    Returns
    -------
    dict
        "ms": side -> median milliseconds. "ratio": other side -> median over the rounds of the base's time / its time
        in the same round. "ratio_quartiles": other side -> [lower, upper] quartile of those.
    """
    ratios = {name: np.array(seconds[base]) / np.array(times) for name, times in seconds.items() if name != base}
    return {
        "ms": {name: 1e3 * float(np.median(times)) for name, times in seconds.items()},
        "ratio": {name: float(np.median(r)) for name, r in ratios.items()},
        "ratio_quartiles": {name: np.percentile(r, (25, 75)).tolist() for name, r in ratios.items()},
    }
