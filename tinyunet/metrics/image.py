"""What is measured of one image, and kept in place of its pixels."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from tinyunet.data.sample import IGNORE
from tinyunet.metrics import surface
from tinyunet.metrics.counts import confusion
from tinyunet.metrics.objects import count_objects

LABELLED = 0.5
"""Share of an image's pixels that must be labelled for its surfaces and objects to be measured: the ends of a scribble
are no surface."""


class Measured(NamedTuple):
    """What is kept of one image.

    Attributes
    ----------
    name : str
    group : label
        The patient.
    shape : tuple of int
    unit : "mm" or "px"
    instances : bool
        Whether an instance map told objects apart.
    counts : (C, C) int array
        Confusion matrix.
    surface, objects : (C, 5) and (C, 3) float arrays
        `SurfaceMeasures` and `ObjectCounts`: nan for a background that takes no part and for an image of which less
        than `LABELLED` is labelled; no rows unless asked for.
    """

    name: str
    group: Hashable
    shape: tuple[int, ...]
    unit: str
    instances: bool
    counts: np.ndarray
    surface: np.ndarray
    objects: np.ndarray

    @classmethod
    def of(
        cls,
        prediction: np.ndarray,
        target: np.ndarray,
        classes: int,
        detailed: range,
        tolerance: float,
        *,
        name: str,
        spacing: Sequence[float] | None,
        instances: np.ndarray | None,
        group: Hashable,
    ) -> Measured:
        """Measure one image; of the classes in `detailed`, also surfaces and objects.

        The other parameters are those of `tinyunet.metrics.Scores` and its method `add`.
        """
        counts = confusion(prediction, target, classes)
        measures, objects = np.full((detailed.stop, 5), np.nan), np.full((detailed.stop, 3), np.nan)
        for k in detailed if counts.sum() >= LABELLED * target.size else ():
            p, t = (prediction == k) & (target != IGNORE), target == k
            measures[k] = surface.SurfaceMeasures.of(surface.surface_distances(p, t, spacing), tolerance)
            true = t if instances is None else np.where(t, instances, 0)
            objects[k] = count_objects(p, true, instances=instances is not None)
        unit = "px" if spacing is None else "mm"
        return cls(name, group, target.shape, unit, instances is not None, counts, measures, objects)
