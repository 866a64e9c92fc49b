"""An attempt to learn a few images by heart, in which every layer is watched."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ..autograd import NonFiniteError, Tensor
from ..backend import to_device
from ..nn import Conv2d, ConvTranspose2d, ReLU, UpsampleConv2d
from ..nn.module import watching
from ..settings import debug, no_grad
from ..training import Trainer
from ..training.supervision import supervise

LEARNT = 0.2
"""Learnt by heart: the loss has fallen to this share of that of a network that only knows how frequent classes are."""

_SLOW = 0.8  # a loss that is still above this share of the first one after half of the steps is given up
_CANDIDATES, _LEAST, _MOST = 32, 2, 4  # images to choose from, and to learn
_KINDS = (Conv2d, ConvTranspose2d, UpsampleConv2d)


class Layer(NamedTuple):
    """What was seen of a convolution and of the rectifier behind it.

    Attributes
    ----------
    name : str
    gradient : float
        Length of the weight's gradient at the start, per length of the weight.
    update : float
        Length of a step, per length of the weight; the median of all steps.
    dead : float
        Share of the rectifier's channels that are 0 in all pixels after the last step; nan if there is none behind it.
    """

    name: str
    gradient: float
    update: float
    dead: float


class Trial(NamedTuple):
    """An attempt to learn a few images by heart.

    Attributes
    ----------
    lr : float
    losses : list of float
        Before each step.
    layers : tuple of Layer
    learnt : bool
    error : str
        Where a number ceased to be finite, or "".
    """

    lr: float
    losses: list[float]
    layers: tuple[Layer, ...]
    learnt: bool
    error: str


def choose_batch(trainer: Trainer) -> tuple[np.ndarray, ...]:
    """Return images, masks and any pixel weights of a few training images that show all classes, if that few can."""
    loader = copy.copy(trainer.loader)
    loader.augment, loader.shuffle = None, False
    count = len(loader.dataset)
    indices = np.unique(np.linspace(0, count - 1, min(count, _CANDIDATES)).astype(int))
    samples = [loader.prepare(int(k), 0) for k in indices]
    shown = [set(np.unique(sample[1][sample[1] >= 0]).tolist()) for sample in samples]
    taken: list[int] = []
    seen: set[int] = set()
    while len(taken) < min(_MOST, len(samples)) and (len(taken) < _LEAST or seen < set().union(*shown)):
        left = [k for k in range(len(samples)) if k not in taken]
        taken.append(max(left, key=lambda k: (len(shown[k] - seen), len(shown[k]), (samples[k][1] > 0).sum())))
        seen |= shown[taken[-1]]
    return tuple(np.stack(parts) for parts in zip(*(samples[k] for k in taken), strict=True))


def learn_by_heart(trainer: Trainer, batch: tuple, lr: float, steps: int, show_progress: bool = False) -> Trial:
    """Train on one batch at a constant learning rate until it is known, and watch the layers.

    Parameters
    ----------
    trainer : Trainer
        Its network and optimizer go on from where they are.
    batch : tuple of arrays
        Images, masks and any weights of pixels.
    lr : float
    steps : int
        At most.
    show_progress : bool

    Returns
    -------
    Trial
    """
    trainer.base_lr, trainer.schedule = lr, lambda step: 1.0
    model, (images, *maps) = trainer.model, batch
    weights = {
        name: layer.weight
        for name, layer in model.named_modules()
        if isinstance(layer, _KINDS) and layer.weight.requires_grad
    }
    threshold = LEARNT * _loss_without_learning(trainer, maps)
    model.train()
    losses, gradients, updates = [], dict.fromkeys(weights, np.nan), {name: [] for name in weights}
    learnt, error = False, ""
    try:
        gradients = _gradients(trainer, batch, weights)
        hidden = None if show_progress else True  # None: hidden where there is no terminal
        for _ in tqdm(range(steps), desc=f"{len(images)} images, lr {lr:g}", leave=False, disable=hidden):
            before = {name: weight.numpy().copy() for name, weight in weights.items()}
            losses.append(float(trainer.step(*batch)))
            if not np.isfinite(losses[-1]):  # on a GPU; elsewhere the step has raised this itself
                trainer.explain(batch, losses[-1])
            for name, weight in weights.items():
                updates[name].append(_length(weight.numpy() - before[name]) / _length(before[name]))
            learnt = losses[-1] < threshold
            hopeless = len(losses) > steps // 2 and losses[-1] > _SLOW * losses[0]
            if learnt or hopeless:
                break
    except NonFiniteError as stopped:
        error = str(stopped)
    dead = {} if error else _dead_channels(trainer, images)
    layers = tuple(
        Layer(name, gradients[name], float(np.median(updates[name] or [np.nan])), dead.get(name, np.nan))
        for name in weights
    )
    return Trial(lr, losses, layers, learnt, error)


def _loss_without_learning(trainer: Trainer, maps: tuple) -> float:
    """Return the loss of scores that are the same everywhere: even, or as frequent as the classes are, the lower."""
    masks, classes = maps[0], trainer.model.arguments["classes"]
    shares = np.bincount(masks[masks >= 0], minlength=classes) / max((masks >= 0).sum(), 1)
    values = []
    for level in (np.zeros(classes), np.log(np.maximum(shares, 1e-6))):
        scores = np.broadcast_to(level.astype(np.float32)[:, None, None], (len(masks), classes, *masks.shape[1:]))
        values.append(trainer.loss(Tensor(np.ascontiguousarray(scores)).to(trainer.model.device), *maps).item())
    return min(values)


def _gradients(trainer: Trainer, batch: tuple, weights: dict) -> dict[str, float]:
    """Return the length of every gradient, before any clipping, per length of the weight."""
    images, *maps = batch
    trainer.model.zero_grad()
    with debug(2):  # in this first pass, forward and backward name a layer whose numbers are not finite
        supervise(trainer.loss, trainer.model(images), *maps).backward()
    return {name: _length(to_device(w.grad, "cpu")) / _length(w.numpy()) for name, w in weights.items()}


def _dead_channels(trainer: Trainer, images: np.ndarray) -> dict[str, float]:
    """Return for each convolution with a rectifier behind it the share of channels that it leaves at 0 everywhere."""
    dead, last = {}, ""

    def look(name, module, y):
        nonlocal last
        if isinstance(module, _KINDS):
            last = name
        elif isinstance(module, ReLU):
            dead[last] = float((y.numpy().max(axis=(0, 2, 3)) <= 0).mean())

    with no_grad(), watching(look):
        trainer.model(images)
    return dead


def _length(array: np.ndarray) -> float:
    return max(float(np.linalg.norm(array)), 1e-30)
