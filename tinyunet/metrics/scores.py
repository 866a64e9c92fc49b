"""The table image x class of every score, and its named aggregates.

Two ways to condense many images into one number are both called "the Dice" in papers, and may differ widely:
`pooled` adds up the counts of all images first, so large objects rule; `mean` averages the scores of the
images, so every image counts alike. Here both have a name and both are reported.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from tinyunet.data.sample import DataError
from tinyunet.metrics import surface
from tinyunet.metrics.bootstrap import bootstrap_interval, bootstrap_means
from tinyunet.metrics.counts import METRICS, check_policy
from tinyunet.metrics.image import Measured
from tinyunet.metrics.objects import object_f1

SURFACE = {
    "surface_dice": surface.surface_dice,
    "hd95": surface.hd95,
    "assd": surface.average_surface_distance,
}
DISTANCES = ("hd95", "assd")
"""Metrics in mm or pixels, of which less is better."""


class Scores:
    """Scores of a set of images: a table image x class, and its named aggregates.

    Parameters
    ----------
    class_names : sequence of str
        One per class, background first.
    empty : {"skip", "one", "zero"}
        The value of 0/0, see `tinyunet.metrics`.
    background : bool
        Whether class 0 takes part in averages over classes. It is usually large and easy, and hides the rest.
    detailed : bool
        Also measure surfaces and count objects: "surface_dice", "hd95", "assd" and "object_f1", of the classes that
        take part in averages, in images of which at least half is labelled: the ends of a scribble are no surface.
    tolerance : float
        Of surface Dice, in mm where the spacing is known, else in pixels.

    Examples
    --------
    >>> scores = Scores(["background", "tumour"])
    >>> scores.add(prediction, target, name="patient 7")
    >>> print(scores.table())
    """

    def __init__(
        self,
        class_names: Sequence[str],
        empty: str = "skip",
        background: bool = False,
        *,
        detailed: bool = False,
        tolerance: float = 1.0,
    ) -> None:
        check_policy(empty)
        if len(class_names) < 2:
            raise DataError(f"class_names is {list(class_names)}; expected at least background and one class")
        if not tolerance >= 0:
            raise DataError(f"tolerance is {tolerance}; expected at least 0, in mm or pixels")
        self.class_names, self.empty, self.background = tuple(class_names), empty, background
        self.detailed, self.tolerance = detailed, tolerance
        self._images: list[Measured] = []

    def __len__(self) -> int:
        """Number of images."""
        return len(self._images)

    def add(
        self,
        prediction: np.ndarray,
        target: np.ndarray,
        name: str | None = None,
        *,
        spacing: Sequence[float] | None = None,
        instances: np.ndarray | None = None,
        group: Hashable = None,
    ) -> None:
        """Measure one image, or one volume as a whole.

        Parameters
        ----------
        prediction, target : (H, W) or (D, H, W) int arrays
            As in `confusion`, which also says what is refused. Where the target is `IGNORE`, no class is, in either.
        name : str, optional
            What to call the image in the table; its number by default.
        spacing : sequence of float, optional
            Distance in mm of neighbouring pixels along each axis of `target`. Without it distances are in pixels.
        instances : int array of the shape of `target`, optional
            0 is background, every other value one object: tells touching objects apart, which the target cannot.
        group : label, optional
            The patient. Where some patient has several images, intervals are over patients. Empty or None: unknown.

        Raises
        ------
        DataError
            As `confusion` and `surface_distances`; if detailed and some images have a spacing and others none.
        """
        prediction, target = np.asarray(prediction), np.asarray(target)
        image = Measured.of(
            prediction,
            target,
            len(self.class_names),
            range(self.first, len(self.class_names) if self.detailed else 0),
            self.tolerance,
            name=f"{len(self)}" if name is None else name,
            spacing=spacing,
            instances=instances,
            group=group,
        )
        if self._images and self.detailed and image.unit != self.unit:
            raise DataError(
                f"{image.name} is measured in {image.unit}, the images before it in {self.unit}; give all a spacing"
            )
        self._images.append(image)

    @property
    def names(self) -> list[str]:
        """Names of the images, in the order in which they were added."""
        return [image.name for image in self._images]

    @property
    def groups(self) -> list[Hashable] | None:
        """The patient of each image; None if some are not known, or no patient has several images."""
        groups = [image.group for image in self._images]
        known = all(group not in (None, "") for group in groups)
        return groups if known and len(set(groups)) < len(groups) else None

    @property
    def kind(self) -> str:
        """What was measured, for people: "volumes" or "images"."""
        return "volumes" if self._images and all(len(shape) == 3 for shape in self.shapes) else "images"

    @property
    def cases(self) -> int:
        """Number of patients where `groups` are known, else of images: what intervals are over."""
        return len(self) if self.groups is None else len(set(self.groups))

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shape of each image."""
        return [image.shape for image in self._images]

    @property
    def unit(self) -> str:
        """Unit of distances: "mm" or "px"."""
        return self._images[0].unit if self._images else "px"

    @property
    def instance_maps(self) -> bool:
        """Whether instance maps told the true objects apart, rather than their masks."""
        return any(image.instances for image in self._images)

    @property
    def sparse(self) -> int:
        """Number of images whose surfaces and objects were not measured, as too little of them is labelled."""
        return int(np.isnan(self._stack("surface")).all((1, 2)).sum()) if self.detailed else 0

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what was measured."""
        return (*METRICS, *SURFACE, "object_f1") if self.detailed else tuple(METRICS)

    @property
    def counts(self) -> np.ndarray:
        """Confusion matrix of every image: (images, C, C) int64 array, index [image, target, prediction]."""
        return self._stack("counts")

    @property
    def objects(self) -> np.ndarray:
        """Objects found, made up and missed: (images, C, 3) float64 array; only if detailed."""
        return self._stack("objects")

    def per_image(self, metric: str = "dice") -> np.ndarray:
        """The table: score of every image and class, (images, C); nan where it is 0/0 and skipped."""
        self._check(metric)
        if metric in METRICS:
            return METRICS[metric](self.counts, self.empty)
        if metric in SURFACE:
            return SURFACE[metric](self._stack("surface"), self.empty)
        return object_f1(self.objects, self.empty)

    def pooled(self, metric: str = "dice") -> np.ndarray:
        """Score of every class from the counts summed over images, (C,): large objects weigh more.

        A percentile is no sum: "hd95" has no pooled value, and is nan.
        """
        self._check(metric)
        if metric in METRICS:
            return METRICS[metric](self.counts.sum(0), self.empty)
        if metric == "hd95":
            return np.full(len(self.class_names), np.nan)
        if metric in SURFACE:
            return SURFACE[metric](self._sum("surface"), self.empty)
        return object_f1(self._sum("objects"), self.empty)

    def mean(self, metric: str = "dice") -> np.ndarray:
        """Mean over images of every class, (C,): every image weighs the same; skipped cases are left out."""
        return _mean(self.per_image(metric), axis=0)

    def skipped(self, metric: str = "dice") -> np.ndarray:
        """Number of images that `mean` leaves out for every class, (C,)."""
        return np.isnan(self.per_image(metric)).sum(0)

    def one_sided(self) -> np.ndarray:
        """Number of images in which a class is only in the target or only in the prediction, (C,).

        In "hd95" and "assd" each of them counts with the diagonal of the image.
        """
        counts = self.counts
        return ((counts.sum(-1) > 0) != (counts.sum(-2) > 0)).sum(0)

    def average(self, values: np.ndarray) -> float:
        """Mean over classes of values (C,) from `pooled` or `mean`; without class 0 unless `background`."""
        return float(_mean(np.asarray(values)[self.first :], axis=0))

    def interval(
        self, metric: str = "dice", *, level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> tuple[float, float]:
        """Percentile bootstrap interval of `average(mean(metric))`, drawing whole patients where they are known.

        Parameters
        ----------
        metric : str
        level : float
        resamples, seed : int
            See `tinyunet.metrics.bootstrap`.

        Returns
        -------
        (float, float)
            nan where there is only one image or patient, which cannot vary.
        """
        return bootstrap_interval(_mean(self._resampled(metric, resamples, seed)[:, self.first :], axis=1), level)

    def intervals(
        self, metric: str = "dice", *, level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> np.ndarray:
        """As `interval`, of the mean of every class: (C, 2)."""
        means = self._resampled(metric, resamples, seed)
        return np.array([bootstrap_interval(column, level) for column in means.T])

    def _resampled(self, metric: str, resamples: int, seed: int) -> np.ndarray:
        """Means over images drawn anew, (resamples, C); nan for a single case."""
        if self.cases < 2:
            return np.full((1, len(self.class_names)), np.nan)
        return bootstrap_means(self.per_image(metric), self.groups, resamples=resamples, seed=seed)

    def to_dict(self) -> dict:
        """Everything as JSON types; see `tinyunet.metrics.output`."""
        from tinyunet.metrics import output

        return output.to_dict(self)

    def table(self) -> str:
        """Text for people: per class, every metric pooled and as mean over images, and what was skipped."""
        from tinyunet.metrics import output

        return output.table(self)

    def save_csv(self, path) -> None:
        """Write one row per image and class; see `tinyunet.metrics.output`."""
        from tinyunet.metrics import output

        output.save_csv(self, path)

    @property
    def first(self) -> int:
        """The first class of averages over classes."""
        return 0 if self.background else 1

    def _stack(self, what: str) -> np.ndarray:
        if not self._images:
            raise DataError("there are no images to score yet; call add(prediction, target) first")
        return np.stack([getattr(image, what) for image in self._images])

    def _sum(self, what: str) -> np.ndarray:
        """Sum over the images that were measured; nan if none was."""
        rows = self._stack(what)
        measured = rows[~np.isnan(rows).all((1, 2))]
        return measured.sum(0) if len(measured) else rows[0]

    def _check(self, metric: str) -> None:
        if metric not in self.metrics:
            hint = "; make the Scores with detailed=True" if metric in (*SURFACE, "object_f1") else ""
            raise DataError(f"unknown metric {metric!r}; expected one of {', '.join(self.metrics)}{hint}")


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is not nan; nan where nothing is."""
    there = ~np.isnan(values)
    total, count = np.where(there, values, 0).sum(axis), there.sum(axis)
    return np.where(count == 0, np.nan, total / np.maximum(count, 1))
