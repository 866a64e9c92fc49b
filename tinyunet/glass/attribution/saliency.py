"""Saliency: which pixels would change a score the most if they changed a little.

    g[c,p,q] = dS / dx[c,p,q]                 S: the score of a region, see `question`                               (1)

One backward pass gives it exactly, but only for tiny changes: where a ReLU has switched off, or softmax would be
saturated, a pixel may matter and have a small gradient. The gradient of a deep network also varies much between images
that look alike; SmoothGrad takes the mean over noisy copies. Whether a map shows the network at all, or just the image,
is what `sanity` tests.

References: Simonyan et al., Deep inside convolutional networks, 2014; Smilkov et al., SmoothGrad, 2017.
"""

from __future__ import annotations

import numpy as np

from ...inference import Segmenter
from ...nn import Module
from .question import Question, Region


def saliency(
    model: Segmenter | Module,
    image: np.ndarray,
    target: int,
    region: Region = None,
    *,
    times_input: bool = False,
    samples: int = 0,
    noise: float = 0.15,
    seed: int = 0,
) -> np.ndarray:
    """Return how strongly each pixel of the image would move the score of a class over a region.

        m[p,q] = max_c |g[c,p,q]|                 or, times the input,  m[p,q] = sum_c x[c,p,q] g[c,p,q]             (2)

    Parameters
    ----------
    model, image, target, region
        As in `Question`.
    times_input : bool
        Multiply by the normalised image: the share of each pixel in a linear network's score, positive where the pixel
        speaks for the class. What is 0 after normalisation (black, with minmax) then never counts.
    samples : int
        SmoothGrad: take the mean of g over so many copies of the image with noise added; 0 takes the image itself.
    noise : float
        Standard deviation of that noise, as a fraction of the normalised image's range.
    seed : int
        Of the noise.

    Returns
    -------
    (H, W) float array
        In units of the score per unit of normalised intensity, at least 0; times the input in units of the score, of
        either sign.

    Raises
    ------
    ValueError
        If samples or noise are negative; otherwise as in `Question`.
    """
    if samples < 0 or noise < 0:
        raise ValueError(f"samples and noise must be at least 0, got {samples} and {noise}")
    question = Question(model, image, target, region)
    x = question.x
    if samples:
        rng = np.random.default_rng(seed)
        std = noise * float(x.max() - x.min())
        g = np.zeros_like(x)
        for _ in range(samples):
            g += question.gradient(x + rng.normal(0, std, x.shape).astype(x.dtype)) / samples
    else:
        g = question.gradient(x)
    return (x * g)[0].sum(axis=0) if times_input else np.abs(g)[0].max(axis=0)
