"""Learning-rate schedules: functions from the step to a factor of the learning rate, without state.

A schedule is called with t = 0, 1, ... before each step. Having no state, it resumes by itself. Each can start with a
linear warm-up: in step t < warm_up the factor is multiplied by (t + 1) / (warm_up + 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Constant:
    """factor = 1.

    Parameters
    ----------
    total : int
        Number of steps of the run, T.
    warm_up : int
        Number of steps that approach the learning rate linearly.
    """

    total: int
    warm_up: int = field(default=0, kw_only=True)

    def __post_init__(self):
        if self.total < 1 or self.warm_up < 0:
            raise ValueError(f"total must be positive and warm_up not negative, got {self.total} and {self.warm_up}")

    def __call__(self, t: int) -> float:
        """Return the factor of the learning rate in step t."""
        return self.shape(min(t / self.total, 1.0)) * min(1.0, (t + 1) / (self.warm_up + 1))

    def shape(self, done: float) -> float:
        """Return the factor when the share `done` of the run has passed."""
        return 1.0


@dataclass(frozen=True)
class Poly(Constant):
    """factor = (1 - t/T)^power; the choice of DeepLab and nnU-Net with power 0.9."""

    power: float = 0.9

    def shape(self, done: float) -> float:
        return (1.0 - done) ** self.power


@dataclass(frozen=True)
class Cosine(Constant):
    """factor = (1 + cos(pi t/T)) / 2 (Loshchilov and Hutter, SGDR, 2017)."""

    def shape(self, done: float) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Step(Constant):
    """factor = gamma^k after k of `drops` equal parts of the run."""

    drops: int = 3
    gamma: float = 0.1

    def shape(self, done: float) -> float:
        return self.gamma ** math.floor(done * self.drops)
