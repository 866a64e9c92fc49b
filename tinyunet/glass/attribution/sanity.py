"""The randomised-weights check: does a map of relevance show what the network learned, or just the image?

A map that looks convincing may be a picture of edges: they are in the image, whatever the network knows. So the weights
are replaced by untrained ones, block by block from the last to the first, and the map is made anew after each. One that
explains the network must fall apart; its likeness to the first map is measured by Spearman's rank correlation. Maps
that stay must not be used as explanations.

In segmentation there can be a floor above 0. The question names a region, and even an untrained network looks only
around it, so that any two maps agree about what is near. The floor is measured: the likeness of the maps of two
networks that have learned nothing. A region of the whole image, `np.ones((H, W), bool)`, gives no place away and brings
it down.

Reference: Adebayo et al., Sanity checks for saliency maps, 2018.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import numpy as np

from ...inference import Segmenter
from ...nn import Module, UNet
from ...nn.module import watching
from .question import Question, Region
from .saliency import saliency

Method = Callable[[Segmenter | Module, np.ndarray, int, Region], np.ndarray]
"""What makes a map: `saliency`, or any other of its form; options by `functools.partial`."""


class Randomised(NamedTuple):
    """A map after some blocks have lost what they learned.

    Attributes
    ----------
    block : str
        The last one that was randomised; "" for the trained network.
    map : (H, W) array
    similarity : float
        To the map of the trained network, see `rank_correlation`; NaN where one of them has a single value everywhere.
    """

    block: str
    map: np.ndarray
    similarity: float


class WeightsCheck(NamedTuple):
    """What the randomised-weights check found.

    Attributes
    ----------
    steps : list of Randomised
        The trained network first, the untrained one last.
    floor : float
        Similarity between the maps of two untrained networks: what `similarity` of a good map falls to.
    """

    steps: list[Randomised]
    floor: float


def randomise_weights(
    model: Segmenter | Module,
    image: np.ndarray,
    target: int,
    region: Region = None,
    *,
    method: Method = saliency,
    untrained: Callable[[int], Module] | None = None,
    seed: int = 0,
    progress: Callable[[Iterable], Iterable] = iter,
) -> WeightsCheck:
    """Make a map again and again while the network forgets what it learned, from its last block to its first.

    Parameters
    ----------
    model, image, target, region
        As in `Question`. The model is left as it is; a copy forgets. A region of None is what the trained network gives
        to the class, all along.
    method : callable
        (model, image, target, region) -> (H, W) map.
    untrained : callable, optional
        Seed -> the network with fresh weights; a UNet builds its own.
    seed : int
        Of these weights; those of the floor's other network have the next one.
    progress : callable
        Wraps the list of blocks, such as `tqdm.tqdm`.

    Returns
    -------
    WeightsCheck

    Raises
    ------
    ValueError
        If the network is no UNet and `untrained` is missing; otherwise as in `Question`.
    KeyError
        If what `untrained` makes has other layers.
    """
    model = copy.deepcopy(model)
    network = model.model if isinstance(model, Segmenter) else model
    if untrained is None:
        if not isinstance(network, UNet):
            raise ValueError("only a UNet can be built anew by itself; pass untrained=, which makes fresh networks")
        untrained = partial(_build, network.arguments)
    ran: list[str] = []
    with watching(lambda name, module, y: ran.append(name)):
        region = Question(model, image, target, region).region
    first = method(model, image, target, region)
    steps = [Randomised("", first, 1.0)]
    fresh = untrained(seed).state_dict()
    # In the order in which they ran: every block once, without layers inside of blocks and those that have no weights.
    blocks = [name for name, block in network.named_children() if name in ran and block.state_dict()]
    for name in progress(sorted(blocks, key=ran.index, reverse=True)):
        forgotten = {key: array for key, array in fresh.items() if key.startswith(f"{name}.")}
        network.load_state_dict(network.state_dict() | forgotten)
        map = method(model, image, target, region)
        steps.append(Randomised(name, map, rank_correlation(first, map)))
    network.load_state_dict(untrained(seed + 1).state_dict())
    return WeightsCheck(steps, rank_correlation(steps[-1].map, method(model, image, target, region)))


def _build(arguments: dict, seed: int) -> UNet:
    return UNet(**arguments, seed=seed)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Spearman's rank correlation: that of the places which pixels have when sorted by their values.

        rho = cov(r(a), r(b)) / (std(r(a)) std(r(b)))            equal values share the mean of their places

    Parameters
    ----------
    a, b : arrays of the same shape

    Returns
    -------
    float
        From -1 (the opposite order) to 1 (the same order); NaN if either has a single value everywhere.
    """
    r, s = (_ranks(x) - (x.size - 1) / 2 for x in (a, b))
    spread = np.sqrt((r**2).sum() * (s**2).sum())
    return float((r * s).sum() / spread) if spread else np.nan


def _ranks(x: np.ndarray) -> np.ndarray:
    """Return the place of each value in sorted order, from 0; the mean of their places for equal ones."""
    _, which, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[which.ravel()]
