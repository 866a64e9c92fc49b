"""Do the checks find wrong gradients? Plants the eight bugs that convolutions are known for and requires eight finds.

It is the reason for two habits of `check_gradients` and of the table of cases: a random upstream gradient and unequal
sizes. The last test shows what the gradient of `y.sum()` on square images misses.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tinyunet import GradientError, check_gradients, use_kernels
from tinyunet import functional as F
from tinyunet.ops.conv2d import reference

from .cases import CASES

CASES_OF_CONV2D = ["conv2d-rectangular", "conv2d-square-kernel", "conv2d-one-output-row"]


def swapped_stride(g):
    return g._replace(SH=g.SW, SW=g.SH)


def swapped_padding(g):
    return g._replace(PH=g.PW, PW=g.PH)


def both(wrong_geometry):
    """Plant a wrong geometry in both gradients."""
    return {
        "backward_input": lambda right, gy, w, g: right(gy, w, wrong_geometry(g)),
        "backward_weight": lambda right, gy, x, g: right(gy, x, wrong_geometry(g)),
    }


# For each bug: the functions it sits in, as wrappers of the right function.
BUGS = {
    "kernel flipped in gx": {"backward_input": lambda right, gy, w, g: right(gy, w[:, :, ::-1, ::-1], g)},
    "kernel flipped in gw": {"backward_weight": lambda right, gy, x, g: right(gy, x, g)[:, :, ::-1, ::-1]},
    "kernel axes swapped in gw": {"backward_weight": lambda right, gy, x, g: right(gy, x, g).swapaxes(2, 3)},
    "gy reversed in gx": {"backward_input": lambda right, gy, w, g: right(gy[:, :, ::-1, ::-1], w, g)},
    "gy averaged over the batch in gx": {
        "backward_input": lambda right, gy, w, g: right(np.broadcast_to(gy.mean(0), gy.shape), w, g)
    },
    "gy reversed in gw": {"backward_weight": lambda right, gy, x, g: right(gy[:, :, ::-1, ::-1], x, g)},
    "stride H/W swapped": both(swapped_stride),
    "padding H/W swapped": both(swapped_padding),
}


def plant(monkeypatch, bug) -> None:
    """Put a bug into the reference convolution, until monkeypatch takes it out again."""
    for name, wrong in BUGS[bug].items():
        monkeypatch.setattr(reference, name, functools.partial(wrong, getattr(reference, name)))


def outcome(function, *arrays) -> str:
    """Return what check_gradients says: "passes", "wrong" or, where the bug does not fit the shapes, "crashes"."""
    try:
        check_gradients(function, *arrays)
    except GradientError:
        return "wrong"
    except (ValueError, RuntimeError):  # NumPy cannot broadcast; the engine refuses a gradient of another shape
        return "crashes"
    return "passes"


@pytest.fixture(autouse=True)
def on_the_reference():
    with use_kernels("reference"):
        yield


@pytest.mark.parametrize("name", CASES_OF_CONV2D)
def test_right_gradients_pass(name):
    assert outcome(CASES[name].run, *CASES[name].arrays()) == "passes"


@pytest.mark.parametrize("bug", BUGS)
def test_every_bug_is_found(bug, monkeypatch):
    plant(monkeypatch, bug)
    outcomes = {name: outcome(CASES[name].run, *CASES[name].arrays()) for name in CASES_OF_CONV2D}
    assert "wrong" in outcomes.values(), f"{bug} ran nowhere, or passed: {outcomes}"


def test_the_gradient_of_the_sum_on_squares_misses_five():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 2, 4, 4)), rng.standard_normal((2, 2, 3, 3))
    missed = set()
    for bug in BUGS:
        with pytest.MonkeyPatch.context() as monkeypatch:
            plant(monkeypatch, bug)
            if outcome(lambda x, w: F.conv2d(x, w, padding=1).sum(), x, w) == "passes":
                missed.add(bug)
    assert missed == {
        "gy reversed in gx",
        "gy averaged over the batch in gx",
        "gy reversed in gw",
        "stride H/W swapped",
        "padding H/W swapped",
    }
