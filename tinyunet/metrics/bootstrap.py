"""How much would the mean over images change with other images? The percentile bootstrap answers without a formula.

Draw as many images as there are, with replacement; take the mean; repeat. Images of one patient are alike, so where
patients are known, whole patients are drawn: a hundred slices of two patients are two cases, not a hundred. The
interval knows only how these cases vary, and is too narrow for a few.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from tinyunet.data.sample import DataError


def bootstrap_means(
    table: np.ndarray, groups: Sequence[Hashable] | None = None, *, resamples: int = 1000, seed: int = 0
) -> np.ndarray:
    """Means of the columns of a table whose rows are drawn anew, with replacement, `resamples` times.

    Parameters
    ----------
    table : (images, C) float array
        nan where an image has no score; it is left out of the mean.
    groups : sequence of labels, optional
        The patient of each image; all images of a patient are drawn together. By default each image on its own.
    resamples : int
    seed : int

    Returns
    -------
    (resamples, C) float64 array
        nan where a draw holds no image with a score.

    Raises
    ------
    DataError
        If there is no image, or not one label for each.

    References
    ----------
    Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13; for groups, Davison and Hinkley,
    Bootstrap methods and their application, 1997, section 3.8.
    """
    table = np.asarray(table, float)
    labels = list(range(len(table))) if groups is None else list(groups)
    if not len(table) or len(labels) != len(table):
        raise DataError(f"there are {len(table)} images and {len(labels)} labels of groups; expected one for each")
    place = {label: g for g, label in enumerate(dict.fromkeys(labels))}
    group = [place[label] for label in labels]
    there = ~np.isnan(table)
    sums, counts = np.zeros((2, len(place), table.shape[1]))
    np.add.at(sums, group, np.where(there, table, 0))
    np.add.at(counts, group, there)
    G = len(place)
    times = np.random.default_rng(seed).multinomial(G, np.full(G, 1 / G), size=resamples)  # each group is drawn
    count = times @ counts
    return np.where(count == 0, np.nan, (times @ sums) / np.maximum(count, 1))


def bootstrap_interval(means: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Return the ends of the middle `level` of some means; nan if all of them are nan.

    Parameters
    ----------
    means : (resamples,) float array
        Of one quantity, from `bootstrap_means`.
    level : float
    """
    means = means[~np.isnan(means)]  # a draw may hold only images without a score
    if len(means) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
