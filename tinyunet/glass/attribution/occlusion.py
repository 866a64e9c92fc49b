"""Occlusion: hide a patch of the image and see how far the score falls.

    m[P] = S(x) - S(x with patch P blanked)       S: the score of a region, see `question`                           (1)

It needs no gradient and asks about real changes, not about tiny ones. It costs one forward pass per patch, sees nothing
finer than a patch, and shows the network images that it was not trained on: a blank patch has edges, and another blank
value gives another map.

Reference: Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from ...inference import Segmenter
from ...nn import Module
from .question import Question, Region


def occlusion(
    model: Segmenter | Module,
    image: np.ndarray,
    target: int,
    region: Region = None,
    *,
    patch: int | None = None,
    stride: int | None = None,
    blank: float | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> np.ndarray:
    """Return by how much the score of a class over a region falls where the image is hidden.

    Parameters
    ----------
    model, image, target, region
        As in `Question`.
    patch : int, optional
        Side of the patches in pixels; by default a tenth of the shorter side, at least 4.
    stride : int, optional
        From patch to patch, at most `patch`, by default half of it. Where patches overlap the map is their mean.
    blank : float, optional
        What is put in place of a patch, in normalised intensities; by default the mean of each channel.
    progress : callable
        Wraps the list of batches, such as `tqdm.tqdm`.

    Returns
    -------
    (H, W) float64 array
        In units of the score; positive where the network needs what was hidden, negative where it is misled by it.

    Raises
    ------
    ValueError
        If patch or stride are below 1 or stride exceeds patch; otherwise as in `Question`.
    """
    question = Question(model, image, target, region)
    H, W = question.labels.shape
    patch = max(4, min(H, W) // 10) if patch is None else patch
    stride = max(1, patch // 2) if stride is None else stride
    if not 1 <= stride <= patch:
        raise ValueError(
            f"expected 1 <= stride <= patch, so that no pixel is left out, got stride={stride} and patch={patch}"
        )
    blank = question.blank(blank)
    whole = question.score(question.x)[0]
    patches = [(slice(p, p + patch), slice(q, q + patch)) for p in range(0, H, stride) for q in range(0, W, stride)]
    total, count = np.zeros((H, W)), np.zeros((H, W))
    for k in progress(range(0, len(patches), question.together)):
        hidden = patches[k : k + question.together]
        x = np.repeat(question.x, len(hidden), axis=0)
        for each, where in zip(x, hidden, strict=True):
            each[:, *where] = blank
        for score, where in zip(question.score(x), hidden, strict=True):
            total[where] += whole - score
            count[where] += 1
    return total / count
