"""Setting samples aside: a model is judged on images that it has never seen."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from tinyunet.data.sample import DataError, Dataset, Sample


class Subset:
    """Some samples of a dataset, in a given order, without copying any.

    Parameters
    ----------
    dataset : Dataset
    indices : sequence of int
        Which samples of `dataset`.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, tuple(int(index) for index in indices)
        self.class_names, self.channels = dataset.class_names, dataset.channels
        self.mask_values = dataset.mask_values

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[self.indices[index]]


def split(
    dataset: Dataset, fraction: float = 0.2, seed: int = 0, groups: Sequence[Hashable] | None = None
) -> tuple[Subset, Subset]:
    """Divide a dataset at random into a training part and a held-out part, reproducibly.

    Parameters
    ----------
    dataset : Dataset
    fraction : float
        Share of the samples (or of the groups) to hold out, rounded to whole ones, at least one on each side.
    seed : int
        Non-negative; the same seed gives the same division.
    groups : sequence of len(dataset) labels, optional
        The patient of each sample. No patient comes to lie on both sides: slices of one patient look so
        alike that a network which has learnt them by heart would score as if it had understood them.

    Returns
    -------
    train, held_out : Subset
        Both in the order of `dataset`.

    Raises
    ------
    DataError
        If the fraction is not between 0 and 1, `groups` has another length than the dataset, or there are
        fewer than two samples (or groups) to divide.
    """
    if not 0 < fraction < 1:
        raise DataError(f"fraction is {fraction}; expected a number between 0 and 1, such as 0.2")
    labels, distinct = _distinct(dataset, groups, 2)
    count = min(max(round(fraction * len(distinct)), 1), len(distinct) - 1)
    chosen = np.random.default_rng(seed).permutation(len(distinct))[:count]
    return _set_aside(dataset, labels, {distinct[k] for k in chosen})


def fold(
    dataset: Dataset, folds: int, number: int, seed: int = 0, groups: Sequence[Hashable] | None = None
) -> tuple[Subset, Subset]:
    """Divide a dataset at random into equal folds, and hold out one: over all numbers, each sample just once.

    Parameters
    ----------
    dataset : Dataset
    folds : int
        K, at least 2. They differ by at most one sample (or group) in size.
    number : int
        Which fold to hold out, 1 to K.
    seed : int
        Non-negative; the same seed gives the same folds.
    groups : sequence of len(dataset) labels, optional
        As in `split`.

    Returns
    -------
    train, held_out : Subset
        Both in the order of `dataset`.

    Raises
    ------
    DataError
        If folds or number is out of range, `groups` has another length than the dataset, or there are fewer samples
        (or groups) than folds.
    """
    if folds < 2 or not 1 <= number <= folds:
        raise DataError(f"expected at least 2 folds and one of 1 to {folds}, got {folds} folds and number {number}")
    labels, distinct = _distinct(dataset, groups, folds)
    chosen = np.random.default_rng(seed).permutation(len(distinct))[number - 1 :: folds]
    return _set_aside(dataset, labels, {distinct[k] for k in chosen})


def few(dataset: Dataset, count: int, seed: int = 0, groups: Sequence[Hashable] | None = None) -> Subset:
    """Keep `count` samples (or groups) at random: with one seed, the few are always among the many.

    Parameters
    ----------
    dataset : Dataset
    count : int
        At least 1.
    seed : int
        Non-negative.
    groups : sequence of len(dataset) labels, optional
        As in `split`.

    Returns
    -------
    Subset
        In the order of `dataset`.

    Raises
    ------
    DataError
        If there are fewer than `count`.
    """
    labels, distinct = _distinct(dataset, groups, 1)
    if count > len(distinct):
        raise DataError(f"asked for {count} cases to train on, but there are {len(distinct)}")
    kept = {distinct[k] for k in np.random.default_rng(seed).permutation(len(distinct))[:count]}
    return _set_aside(dataset, labels, kept)[1]


def _distinct(dataset: Dataset, groups: Sequence[Hashable] | None, parts: int) -> tuple[list, list]:
    """Return the label of every sample, and each label once; there must be enough for so many parts."""
    labels = list(range(len(dataset))) if groups is None else list(groups)
    if len(labels) != len(dataset):
        raise DataError(f"groups has {len(labels)} labels for {len(dataset)} samples; expected one for each")
    distinct = list(dict.fromkeys(labels))
    if len(distinct) < parts:
        what = "samples" if groups is None else "groups"
        raise DataError(f"cannot divide {len(distinct)} {what} into {parts} parts; expected at least {parts}")
    return labels, distinct


def _set_aside(dataset: Dataset, labels: list, aside: set) -> tuple[Subset, Subset]:
    train = [index for index, label in enumerate(labels) if label not in aside]
    held_out = [index for index, label in enumerate(labels) if label in aside]
    return Subset(dataset, train), Subset(dataset, held_out)
