"""Toy medical images with exact masks, so that everything can be tried, tested and taught without a download.

Mask and image are drawn from the same geometry, so a mask is right by construction: no annotator, no
disagreement. Bias field, blur and noise are then applied to the image alone, as a scanner would, so that
no single threshold solves the task.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyunet.data import scenes
from tinyunet.data.sample import DataError, Sample, SampleCache


class Toy:
    """Images of one kind, made on request; sample i depends only on `seed` and i.

    ======= ======================== =========================== ======================================
    kind    looks like               classes                     why it is hard
    ======= ======================== =========================== ======================================
    tumour  brain MRI                background, tumour          scalp and cortex are as bright
    organ   abdominal CT             background, organ           neighbours touch and are as bright
    lesion  brain MRI, tiny spots    background, lesion          1 % foreground, low contrast
    cells   fluorescence microscopy  background, nucleus, border nuclei touch, brightness differs
    vessels photograph of the retina background, vessel          1 to 3 pixels wide, uneven light
    ======= ======================== =========================== ======================================

    Parameters
    ----------
    kind : {"tumour", "organ", "lesion", "cells", "vessels"}
    count : int
        Number of samples.
    size : (H, W)
        In pixels, at least 32 each. Everything scales with it except the width of vessels.
    seed : int
        Non-negative; another seed gives other patients.
    noise : float
        Standard deviation of the Gaussian noise, as a fraction of the full range 0..255.

    Raises
    ------
    DataError
        If the kind is unknown, count is below 1, a side is below 32, or seed or noise is negative.
    """

    channels = 1

    def __init__(
        self,
        kind: str = "tumour",
        count: int = 64,
        size: tuple[int, int] = (64, 64),
        seed: int = 0,
        noise: float = 0.06,
    ) -> None:
        if kind not in KINDS:
            raise DataError(f"unknown kind {kind!r}; expected one of {', '.join(KINDS)}")
        if count < 1 or min(size) < 32 or seed < 0 or noise < 0:
            raise DataError(
                "expected count >= 1, size >= (32, 32), seed >= 0 and noise >= 0; "
                f"got count={count}, size={tuple(size)}, seed={seed}, noise={noise}"
            )
        self.kind, self.count, self.size, self.seed, self.noise = kind, count, tuple(size), seed, noise
        self._draw, self.class_names = KINDS[kind]
        self.mask_values = tuple(range(len(self.class_names)))
        self._cache = SampleCache()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not -self.count <= index < self.count:
            raise IndexError(f"index {index} is out of range for {self.count} samples")
        return self._cache.get(index % self.count, self._make)

    def _make(self, index: int) -> Sample:
        rng = np.random.default_rng([self.seed, index])
        clean, mask = self._draw(rng, self.size)
        image = _acquire(rng, clean, self.noise)
        return Sample(image[None], mask.astype(np.int64), f"{self.kind}-{self.seed}-{index:04d}")


def _acquire(rng: np.random.Generator, clean: np.ndarray, noise: float) -> np.ndarray:
    """What the scanner adds: a smooth bias field, blur, noise, and 8-bit rounding."""
    y, x = scenes.axes(clean.shape)
    a, b, c, d = rng.normal(0, 0.09, 4)
    bias = np.exp(a * x + b * y + c * x * y + d * (x * x + y * y))
    image = scenes.blur(clean * bias, rng.uniform(0.5, 0.8)) + rng.normal(0, noise, clean.shape)
    return np.rint(255 * image.clip(0, 1)).astype(np.float32)


KINDS: dict[str, tuple[Callable[[np.random.Generator, tuple[int, int]], scenes.Scene], tuple[str, ...]]] = {
    "tumour": (scenes.tumour, ("background", "tumour")),
    "organ": (scenes.organ, ("background", "organ")),
    "lesion": (scenes.lesion, ("background", "lesion")),
    "cells": (scenes.cells, ("background", "nucleus", "border")),
    "vessels": (scenes.vessels, ("background", "vessel")),
}
