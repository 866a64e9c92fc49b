"""Looking at the same pixels several times, and what the disagreement says.

A network that was trained well should not mind whether an image is mirrored, nor whether a few of its values are
dropped. The mean of several looks is a little better than one; where they disagree the network does not know.

    p = 1/T sum_t p_t                    the mean of T looks
    entropy  H(p) = - sum_c p_c ln p_c   how undecided the mean is, 0 to ln(classes)
    mutual information  H(p) - 1/T sum_t H(p_t)

The entropy is high wherever the classes are hard to tell apart, along every blurred edge for example. The mutual
information is the part of it that comes from looks that contradict one another: there, more training data would help.

References: Gal and Ghahramani, Dropout as a Bayesian approximation, 2016; Wang et al., Aleatoric uncertainty estimation
with test-time augmentation, 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from .. import functional as F
from ..nn import Dropout, Module
from ..settings import no_grad


class Prediction(NamedTuple):
    """What a network says about an image, and how sure it is.

    Attributes
    ----------
    probabilities : (classes, H, W) array
    entropy, mutual_information : (H, W) arrays
        In nats. Several images have N in front.
    """

    probabilities: np.ndarray
    entropy: np.ndarray
    mutual_information: np.ndarray


def to_prediction(y: np.ndarray) -> Prediction:
    """Split what `Segmenter.by_rows` yields: classes and mean entropy, (..., classes + 1, H, W)."""
    p = y[..., :-1, :, :]
    H = entropy(p, -3)
    return Prediction(p, H, np.maximum(H - y[..., -1, :, :], 0))  # below 0 by rounding only


def mirror(x: np.ndarray, k: int) -> np.ndarray:
    """Return one of the 8 mirror images of x (..., H, W); with k < 4 those that keep height and width."""
    if k & 4:
        x = x.swapaxes(-1, -2)
    return x[..., :: -1 if k & 1 else 1, :: -1 if k & 2 else 1]


def mirror_back(y: np.ndarray, k: int) -> np.ndarray:
    """Undo `mirror`."""
    y = y[..., :: -1 if k & 1 else 1, :: -1 if k & 2 else 1]
    return y.swapaxes(-1, -2) if k & 4 else y


def entropy(p: np.ndarray, axis: int) -> np.ndarray:
    """Return - sum p ln p along the axis of the classes, in nats; 0 ln 0 = 0."""
    return -(p * np.log(np.maximum(p, np.finfo(p.dtype).tiny))).sum(axis=axis)


def check_looks(model: Module, tta: int, passes: int) -> None:
    """Raise a ValueError if an image cannot be looked at like that."""
    if tta not in (1, 4, 8):
        raise ValueError(f"tta must be 1 (off), 4 (mirror images) or 8 (mirror images and quarter turns), got {tta!r}")
    if passes < 0:
        raise ValueError(f"passes must be at least 0, got {passes}")
    if passes and not any(isinstance(module, Dropout) and module.p for _, module in model.named_modules()):
        raise ValueError(
            f"{passes} passes with dropout need a network that was trained with dropout; this one has none. Train it "
            "with dropout (--dropout 0.2), or use mirror images (tta=4)"
        )


def look(
    model: Module, x: np.ndarray, *, tta: int, passes: int, rng: np.random.Generator, with_entropy: bool
) -> np.ndarray:
    """Return the mean of the probabilities that a network gives in several looks at normalised images.

    Parameters
    ----------
    model : Module
    x : (N, C, H, W) float32 array
        Of a size that the network takes as it is.
    tta : 1, 4 or 8
        How many mirror images to look at.
    passes : int
        How often to look at each with dropout; 0 is once, without.
    rng : numpy.random.Generator
        Source of the dropout.
    with_entropy : bool
        Append the mean of the entropies of the looks as another channel.

    Returns
    -------
    (N, classes, OH, OW) or (N, classes + 1, OH, OW) float array
    """
    total = None
    with no_grad(), model.evaluating(), _dropping(model, rng if passes else None):
        for k in range(tta):
            seen = np.ascontiguousarray(mirror(x, k))
            for _ in range(max(passes, 1)):
                scores = model(seen)
                p = (F.sigmoid(scores) if scores.shape[1] == 1 else F.softmax(scores)).numpy()
                p = mirror_back(np.concatenate([1 - p, p], axis=1) if p.shape[1] == 1 else p, k)
                if with_entropy:
                    p = np.concatenate([p, entropy(p, 1)[:, None]], axis=1)
                total = p if total is None else total + p
    return total / (tta * max(passes, 1))


@contextmanager
def _dropping(model: Module, rng: np.random.Generator | None) -> Iterator[None]:
    """Let dropout layers drop, with random numbers of their own so that a later training is not changed."""
    layers = [module for _, module in model.named_modules() if isinstance(module, Dropout)] if rng else []
    own = [layer.rng for layer in layers]
    for layer in layers:
        layer.rng, layer.training = rng, True
    try:
        yield
    finally:
        for layer, before in zip(layers, own, strict=True):
            layer.rng = before
