"""The deletion check: do the pixels that a map calls relevant matter more to the network than others?

Pixels are blanked, the most relevant first, and the score is followed down. If the map is right it falls faster than
when pixels are blanked in random order. That does not show that the map is complete, nor that a doctor should look
there: an image with blanked pixels is unlike any that the network was trained with, which alone lowers scores. Hence
the comparison.

References: Samek et al., Evaluating the visualization of what a deep neural network has learned, 2017; Petsiuk et al.,
RISE, 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ...inference import Segmenter
from ...nn import Module
from .question import Question, Region


class Deletion(NamedTuple):
    """How the score falls as pixels are blanked.

    Attributes
    ----------
    fraction : (T,) array
        Of the pixels that are blanked, from 0 to 1.
    scores : title -> (T,) array
        Mean score of the region's pixels where those are blanked first that a map calls most relevant.
    random : (R, T) array
        The same in R random orders.
    """

    fraction: np.ndarray
    scores: dict[str, np.ndarray]
    random: np.ndarray

    def advantage(self, title: str) -> float:
        """Return the area between the mean random curve and a map's: positive if the map finds what matters."""
        return float(np.trapezoid(self.random.mean(axis=0) - self.scores[title], self.fraction))


def delete_pixels(
    model: Segmenter | Module,
    image: np.ndarray,
    target: int,
    maps: Mapping[str, np.ndarray],
    region: Region = None,
    *,
    blank: float | None = None,
    steps: int = 20,
    orders: int = 3,
    seed: int = 0,
) -> Deletion:
    """Blank pixels, the most relevant first, and compare how the score falls with random orders.

    Parameters
    ----------
    model, image, target, region
        As in `Question`.
    maps : title -> (H, W) array
        The maps under test; where one is largest is blanked first.
    blank : float, optional
        What pixels are replaced by, in normalised intensities; by default the mean of each channel.
    steps : int
        In so many equal steps.
    orders : int
        Number of random orders.
    seed : int
        Of these orders.

    Returns
    -------
    Deletion

    Raises
    ------
    ValueError
        If a map has another size than the image, or steps or orders are below 1; otherwise as in `Question`.
    """
    question = Question(model, image, target, region)
    for title, map in maps.items():
        if map.shape != question.labels.shape:
            raise ValueError(f"the map {title!r} is {map.shape}, the image {question.labels.shape}; they must agree")
    if min(steps, orders) < 1:
        raise ValueError(f"steps and orders must be at least 1, got {steps} and {orders}")
    size = question.labels.size
    blank = question.blank(blank)
    counts = np.linspace(0, size, steps + 1).round().astype(int)
    rng = np.random.default_rng(seed)

    def follow(order: np.ndarray) -> np.ndarray:
        rank = np.empty(size, int)
        rank[order] = np.arange(size)
        rank = rank.reshape(question.labels.shape)
        scores = []
        for k in range(0, len(counts), question.together):
            now = counts[k : k + question.together]
            x = np.stack([np.where(rank < count, blank, question.x[0]) for count in now])
            scores.append(question.score(x))
        return np.concatenate(scores) / question.region.sum()

    random = np.stack([follow(rng.permutation(size)) for _ in range(orders)])
    scores = {}
    for title, map in maps.items():
        shuffled = rng.permutation(size)  # so that equal values, such as many zeros, are not blanked row by row
        scores[title] = follow(shuffled[np.argsort(-map.ravel()[shuffled], kind="stable")])
    return Deletion(counts / size, scores, random)
