"""The schedules at their start, in the middle and at the end, and the warm-up before them."""

from __future__ import annotations

import math

import pytest

from tinyunet.optim import Constant, Cosine, Poly, Step

VALUES = {
    "constant": (Constant(100), {0: 1, 50: 1, 99: 1, 100: 1, 1000: 1}),
    "poly": (Poly(100), {0: 1, 50: 0.5**0.9, 99: 0.01**0.9, 100: 0, 1000: 0}),
    "poly, power 2": (Poly(10, power=2.0), {0: 1, 5: 0.25, 9: 0.01, 10: 0}),
    "cosine": (
        Cosine(100),
        {0: 1, 25: (1 + math.sqrt(0.5)) / 2, 50: 0.5, 75: (1 - math.sqrt(0.5)) / 2, 100: 0, 500: 0},
    ),
    "step": (Step(9), {0: 1, 2: 1, 3: 0.1, 5: 0.1, 6: 0.01, 8: 0.01}),
    "step, halves": (Step(100, drops=2, gamma=0.5), {0: 1, 49: 1, 50: 0.5, 99: 0.5}),
    "one step": (Cosine(1), {0: 1, 1: 0}),
    "warm-up": (Constant(100, warm_up=4), {0: 0.2, 1: 0.4, 3: 0.8, 4: 1, 99: 1}),
    "warm-up, poly": (Poly(10, power=1.0, warm_up=1), {0: 0.5, 1: 0.9, 5: 0.5, 10: 0}),
    "warm-up, cosine": (Cosine(4, warm_up=3), {0: 0.25, 2: 0.75 * 0.5, 4: 0}),
    "warm-up, step": (Step(4, drops=2, warm_up=3), {0: 0.25, 1: 0.5, 2: 0.075, 3: 0.1}),
}


@pytest.mark.parametrize(("schedule", "values"), VALUES.values(), ids=VALUES)
def test_values(schedule, values):
    for t, expected in values.items():
        assert schedule(t) == pytest.approx(expected, abs=1e-15), f"step {t}"


@pytest.mark.parametrize("total", range(1, 40))
@pytest.mark.parametrize("drops", [2, 3, 5, 7])
def test_step_drops_at_whole_steps(total, drops):
    """k = floor(t drops / T) in whole numbers: no rounding of t/T may move a drop."""
    schedule = Step(total, drops=drops)
    for t in range(total):
        assert schedule(t) == pytest.approx(0.1 ** (t * drops // total)), f"step {t}"


@pytest.mark.parametrize("schedule", [Constant(50), Poly(50), Cosine(50), Step(50)])
def test_factors_never_rise_and_stay_between_0_and_1(schedule):
    factors = [schedule(t) for t in range(60)]
    assert factors[0] == 1 and all(0 <= b <= a for a, b in zip(factors, factors[1:], strict=False))


def test_schedules_are_values():
    assert Poly(10) == Poly(10) != Poly(10, power=1.0)
    assert "total=10, warm_up=2" in repr(Cosine(10, warm_up=2))
    with pytest.raises(AttributeError):
        Poly(10).total = 20


@pytest.mark.parametrize("kind", [Constant, Poly, Cosine, Step])
@pytest.mark.parametrize(("total", "warm_up"), [(0, 0), (-1, 0), (10, -1)])
def test_wrong_lengths_are_refused(kind, total, warm_up):
    with pytest.raises(ValueError, match="total must be positive and warm_up not negative"):
        kind(total, warm_up=warm_up)
