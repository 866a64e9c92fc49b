"""How good is a predicted mask? Every score is a ratio of pixel counts, per class and per image.

For class c of one image, over the pixels whose target is not `IGNORE`:

    TP = pixels that are c and are predicted c          FP = predicted c, but are not c
    FN = are c, but are predicted something else        TN = neither

Two ways to condense many images into one number are both called "the Dice" in papers, and may differ widely:
`pooled` adds up the counts of all images first, so large objects rule; `mean` averages the scores of the
images, so every image counts alike. Here both have a name and both are reported.

A score is 0/0 where a class is absent and (rightly) not predicted. What that means is a policy with a name:
"skip" leaves the case out of means and counts it, "one" calls it right, "zero" calls it wrong.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from tinyunet.data.sample import IGNORE, DataError
from tinyunet.files import write_whole

_EMPTY = {"skip": np.nan, "one": 1.0, "zero": 0.0}


def confusion(prediction: np.ndarray, target: np.ndarray, classes: int) -> np.ndarray:
    """Count pixels by true and predicted class: n[t, c] = pixels with target t and prediction c.

    Parameters
    ----------
    prediction : int or bool array of any shape
        Class indices 0..classes-1.
    target : int or bool array of the same shape
        Class indices 0..classes-1, or `IGNORE` where a pixel does not count.
    classes : int

    Returns
    -------
    (classes, classes) int64 array
        Its sum is the number of counted pixels.

    Raises
    ------
    DataError
        If the shapes differ, an array is not of integers, or a label is out of range.
    """
    prediction, target = np.asarray(prediction), np.asarray(target)
    if prediction.shape != target.shape:
        raise DataError(f"prediction {prediction.shape} and target {target.shape} differ in shape")
    for name, labels, lowest in (("prediction", prediction, 0), ("target", target, IGNORE)):
        if labels.dtype.kind not in "iub":
            raise DataError(
                f"{name} has dtype {labels.dtype}; expected class indices. "
                "Take the argmax of logits over the channels first, or compare a probability with 0.5."
            )
        if labels.size and not lowest <= int(labels.min()) <= int(labels.max()) < classes:
            raise DataError(
                f"{name} holds labels {labels.min()}..{labels.max()}; expected {lowest}..{classes - 1} "
                f"for {classes} classes. Are these raw mask values, such as 0 and 255?"
            )
    counted = target != IGNORE
    pairs = target[counted].astype(np.int64) * classes + prediction[counted].astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def dice(counts: np.ndarray, empty: str = "skip") -> np.ndarray:
    """Dice = 2 TP / (2 TP + FP + FN), also called F1.

    Parameters
    ----------
    counts : (..., C, C) int array
        From `confusion`.
    empty : {"skip", "one", "zero"}
        The value of 0/0: nan, 1 or 0. Here 0/0 means that the class is neither present nor predicted.

    Returns
    -------
    (..., C) float64 array
    """
    tp, fp, fn = _hits_and_misses(counts)
    return _ratio(2 * tp, 2 * tp + fp + fn, empty)


def iou(counts: np.ndarray, empty: str = "skip") -> np.ndarray:
    """Intersection over union, the Jaccard index J = TP / (TP + FP + FN); Dice = 2 J / (1 + J).

    Parameters, returns and 0/0 as in `dice`.
    """
    tp, fp, fn = _hits_and_misses(counts)
    return _ratio(tp, tp + fp + fn, empty)


def precision(counts: np.ndarray, empty: str = "skip") -> np.ndarray:
    """Precision = TP / (TP + FP): how much of what was predicted is right.

    Parameters and returns as in `dice`. Here 0/0 means that the class is not predicted at all, also where it
    is present: a model that misses every object has no precision, so read it together with `recall`.
    """
    tp, fp, _ = _hits_and_misses(counts)
    return _ratio(tp, tp + fp, empty)


def recall(counts: np.ndarray, empty: str = "skip") -> np.ndarray:
    """Recall (sensitivity) = TP / (TP + FN): how much of what is there was found.

    Parameters and returns as in `dice`. Here 0/0 means that the class is not present.
    """
    tp, _, fn = _hits_and_misses(counts)
    return _ratio(tp, tp + fn, empty)


METRICS = {"dice": dice, "iou": iou, "precision": precision, "recall": recall}


def _hits_and_misses(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """TP, FP and FN of every class, each (..., C)."""
    tp = np.diagonal(counts, axis1=-2, axis2=-1)
    return tp, counts.sum(-2) - tp, counts.sum(-1) - tp


def _ratio(numerator: np.ndarray, denominator: np.ndarray, empty: str) -> np.ndarray:
    if empty not in _EMPTY:
        raise DataError(f"empty is {empty!r}; expected one of {', '.join(_EMPTY)}")
    return np.where(denominator == 0, _EMPTY[empty], numerator / np.maximum(denominator, 1))


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is not nan; nan where nothing is."""
    there = ~np.isnan(values)
    total, count = np.where(there, values, 0).sum(axis), there.sum(axis)
    return np.where(count == 0, np.nan, total / np.maximum(count, 1))


class Scores:
    """Scores of a set of images: a table image x class, and its named aggregates.

    Parameters
    ----------
    class_names : sequence of str
        One per class, background first.
    empty : {"skip", "one", "zero"}
        The value of 0/0, see the module.
    background : bool
        Whether class 0 takes part in averages over classes. It is usually large and easy, and hides the rest.

    Examples
    --------
    >>> scores = Scores(["background", "tumour"])
    >>> scores.add(prediction, target, name="patient 7")
    >>> print(scores.table())
    """

    def __init__(self, class_names: tuple[str, ...] | list[str], empty: str = "skip", background: bool = False) -> None:
        if empty not in _EMPTY:
            raise DataError(f"empty is {empty!r}; expected one of {', '.join(_EMPTY)}")
        if len(class_names) < 2:
            raise DataError(f"class_names is {list(class_names)}; expected at least background and one class")
        self.class_names, self.empty, self.background = tuple(class_names), empty, background
        self.names: list[str] = []
        self._counts: list[np.ndarray] = []

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    def add(self, prediction: np.ndarray, target: np.ndarray, name: str | None = None) -> None:
        """Count one image.

        Parameters
        ----------
        prediction, target : (H, W) int arrays
            As in `confusion`, which also says what is refused.
        name : str, optional
            What to call the image in the table; its number by default.
        """
        self._counts.append(confusion(prediction, target, len(self.class_names)))
        self.names.append(f"{len(self.names)}" if name is None else name)

    @property
    def counts(self) -> np.ndarray:
        """Confusion matrix of every image: (images, C, C) int64 array, index [image, target, prediction]."""
        if not self._counts:
            raise DataError("there are no images to score yet; call add(prediction, target) first")
        return np.stack(self._counts)

    def per_image(self, metric: str = "dice") -> np.ndarray:
        """The table: score of every image and class, (images, C); nan where it is 0/0 and skipped."""
        return _metric(metric)(self.counts, self.empty)

    def pooled(self, metric: str = "dice") -> np.ndarray:
        """Score of every class from the counts summed over images, (C,): large objects weigh more."""
        return _metric(metric)(self.counts.sum(0), self.empty)

    def mean(self, metric: str = "dice") -> np.ndarray:
        """Mean over images of every class, (C,): every image weighs the same; skipped cases are left out."""
        return _mean(self.per_image(metric), axis=0)

    def skipped(self, metric: str = "dice") -> np.ndarray:
        """Number of images that `mean` leaves out for every class, (C,)."""
        return np.isnan(self.per_image(metric)).sum(0)

    def average(self, values: np.ndarray) -> float:
        """Mean over classes of values (C,) from `pooled` or `mean`; without class 0 unless `background`."""
        return float(_mean(np.asarray(values)[0 if self.background else 1 :], axis=0))

    def interval(
        self, metric: str = "dice", level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> tuple[float, float]:
        """Percentile bootstrap interval of `average(mean(metric))`: how much other images could change it.

        Draw as many images as there are, with replacement; take the average; repeat. The interval holds the
        middle `level` of the results. It knows only how these images vary, and is too narrow for a few.

        References
        ----------
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
        """
        table = self.per_image(metric)[:, 0 if self.background else 1 :]
        rng = np.random.default_rng(seed)
        draws = rng.integers(len(table), size=(resamples, len(table)))
        averages = _mean(np.stack([_mean(table[draw], axis=0) for draw in draws]), axis=1)
        averages = averages[~np.isnan(averages)]  # a draw may hold only images that are skipped
        if len(averages) == 0:
            return float("nan"), float("nan")
        low, high = np.quantile(averages, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def to_dict(self) -> dict:
        """Everything as JSON types, in the order of "images" and "classes"; an undefined score is None."""
        result = {
            "images": list(self.names),
            "classes": list(self.class_names),
            "empty": self.empty,
            "background": self.background,
        }
        for metric in METRICS:
            pooled, mean = self.pooled(metric), self.mean(metric)
            result[metric] = {
                "pooled": _jsonable(pooled),
                "mean": _jsonable(mean),
                "skipped": self.skipped(metric).tolist(),
                "average_pooled": _jsonable(self.average(pooled)),
                "average_mean": _jsonable(self.average(mean)),
                "interval": [_jsonable(bound) for bound in self.interval(metric)],
                "per_image": _jsonable(self.per_image(metric)),
            }
        return result

    def table(self) -> str:
        """Text for people: per class, every metric pooled and as mean over images, and what was skipped."""
        names, columns = (*self.class_names, "average"), []
        for metric in METRICS:
            for values in (self.pooled(metric), self.mean(metric)):
                columns.append([*values, self.average(values)])
        width = max(map(len, names)) + 2
        lines = [" " * width + "".join(f"{metric:^18}" for metric in METRICS)]
        lines.append(f"{'class':{width}}" + "   pooled     mean" * len(METRICS))
        for name, values in zip(names, np.transpose(columns), strict=True):
            cells = ("-" if np.isnan(value) else f"{value:.4f}" for value in values)
            lines.append(f"{name:{width}}" + "".join(f"{cell:>9}" for cell in cells))
        low, high = self.interval("dice")
        classes = "all classes" if self.background else "the classes without background"
        lines.append(f"{len(self)} images; average over {classes}; mean Dice, 95 % interval {low:.4f}..{high:.4f}")
        for metric in METRICS:
            missing = [
                f"{name} {count}" for name, count in zip(self.class_names, self.skipped(metric), strict=True) if count
            ]
            if missing:
                lines.append(f"0/0, left out of the mean {metric} (images): {', '.join(missing)}")
        return "\n".join(lines)

    def save_csv(self, path: str | Path) -> None:
        """Write one row per image and class: image, class, tp, fp, fn, tn, dice, iou, precision, recall.

        A skipped score is an empty cell.
        """
        counts = self.counts
        tp, fp, fn = _hits_and_misses(counts)
        tn = counts.sum((1, 2))[:, None] - tp - fp - fn
        scores = [self.per_image(metric) for metric in METRICS]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["image", "class", "tp", "fp", "fn", "tn", *METRICS])
        for n, image in enumerate(self.names):
            for k, name in enumerate(self.class_names):
                values = ("" if np.isnan(score[n, k]) else f"{score[n, k]:.6f}" for score in scores)
                writer.writerow([image, name, tp[n, k], fp[n, k], fn[n, k], tn[n, k], *values])
        write_whole(path, text.getvalue())


def _metric(name: str):
    if name not in METRICS:
        raise DataError(f"unknown metric {name!r}; expected one of {', '.join(METRICS)}")
    return METRICS[name]


def _jsonable(values: np.ndarray | float) -> list | float | None:
    """Numbers as Python floats, nan as None: JSON has no nan."""
    if np.ndim(values):
        return [_jsonable(value) for value in values]
    return None if np.isnan(values) else float(values)
