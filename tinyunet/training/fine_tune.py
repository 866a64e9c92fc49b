"""Fine-tuning: weights of another network as the start, adapted where channels or classes differ; frozen layers."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from ..checkpoint import is_checkpoint
from ..inference import Segmenter
from ..interop import borrow
from ..interop.networks import require_same
from ..nn import UNet

_FIRST, _LAST = "encoder1.0.weight", ("decoder1.weight", "decoder1.bias")


@dataclass(frozen=True)
class Transfer:
    """What became of every array of the new network.

    Attributes
    ----------
    copied : tuple of str
        Names of the arrays taken over as they are.
    adapted : dict of str
        Name -> how it was changed to fit.
    fresh : dict of str
        Name -> why it keeps its random start.
    """

    copied: tuple[str, ...]
    adapted: dict[str, str]
    fresh: dict[str, str]

    def __str__(self) -> str:
        total = len(self.copied) + len(self.adapted) + len(self.fresh)
        lines = [f"{len(self.copied)} of {total} arrays copied"]
        lines += [f"adapted: {name}, {how}" for name, how in self.adapted.items()]
        lines += [f"fresh: {name}, {why}" for name, why in self.fresh.items()]
        return "\n".join(lines)


def transfer(source: UNet, model: UNet, *, fresh: str = "") -> Transfer:
    """Copy the weights of one UNet into another of the same size, which may have other channels and classes.

    The first kernel w[o,c,u,v] is adapted to another number of input channels so that an image whose channels are all
    alike gives what a grey one gave, and the reverse:

        C -> 1     sum_c w[o,c,u,v]                        a grey image, seen as C equal channels
        C -> D     w[o,d mod C,u,v] C / D                  repeated, and scaled to keep the size of the sum

    The last layer starts afresh for another number of classes, but for 1 -> 2: sigmoid(z) = softmax(0, z)[1], so the
    background gets the score 0 and nothing is lost.

    Parameters
    ----------
    source : UNet
        Left as it is.
    model : UNet
        Changed in place.
    fresh : str
        Names to leave at their random start, separated by commas, with * for any characters: "encoder1.0, up*".

    Returns
    -------
    Transfer
        Print it to see what was done.

    Raises
    ------
    CheckpointError
        If the networks differ in more than channels and classes, with every name that is missing, left over or of
        another shape.
    ValueError
        If a pattern of `fresh` matches nothing, or a frozen parameter would keep its random start.
    """
    theirs, state = source.without_heads().state_dict(), model.state_dict()
    kept = dict.fromkeys(matching(fresh, state), "as asked")
    heads = {name: "for deep supervision" for name in state if name.startswith("head")}
    kept = heads | kept
    adapted, taken = {}, {}
    C, D = theirs[_FIRST].shape[1], state[_FIRST].shape[1]
    if C != D:
        how = "kernels summed" if D == 1 else f"kernels repeated, times {C}/{D}"
        adapted[_FIRST], taken[_FIRST] = f"{C} -> {D} input channels: {how}", _adapted(theirs[_FIRST], D)
    before, after = source.arguments["classes"], model.arguments["classes"]
    for name in _LAST if before != after else ():
        if (before, after) == (1, 2):
            adapted[name] = "1 -> 2 classes: the background gets the score 0"
            taken[name] = np.concatenate([np.zeros_like(theirs[name]), theirs[name]])
        else:
            kept.setdefault(name, f"{before} -> {after} classes")
    stuck = [name for name, p in model.named_parameters() if name in kept and not p.requires_grad]
    if stuck:
        raise ValueError(f"{', '.join(stuck)} would start afresh and, being frozen, stay random; do not freeze them")
    taken = theirs | taken | {name: state[name] for name in kept if name in theirs or name in heads}
    require_same(state, taken)
    model.load_state_dict(taken)
    adapted = {name: how for name, how in adapted.items() if name not in kept}
    return Transfer(tuple(name for name in state if name not in adapted and name not in kept), adapted, kept)


def _adapted(kernel: np.ndarray, channels: int) -> np.ndarray:
    C = kernel.shape[1]
    if channels == 1:
        return kernel.sum(axis=1, keepdims=True)
    return kernel[:, np.arange(channels) % C] * kernel.dtype.type(C / channels)


def freeze(model: UNet, patterns: str) -> list[str]:
    """Keep parameters as they are in training, and with them the statistics of batch normalisations.

    Parameters
    ----------
    model : UNet
        Changed in place: the parameters no longer require gradients, so that none are computed.
    patterns : str
        Names of layers or parameters, separated by commas, with * for any characters: "encoder*, up4".

    Returns
    -------
    list of str
        The names of the frozen parameters.

    Raises
    ------
    ValueError
        If a pattern matches nothing, or nothing would be left to train.
    """
    parameters = dict(model.named_parameters())
    names = matching(patterns, parameters)
    if len(names) == len(parameters):
        raise ValueError(f"freeze {patterns!r} leaves nothing to train; the last layer is decoder1")
    for name in names:
        parameters[name].requires_grad = False
    return names


def matching(patterns: str, names) -> list[str]:
    """Return the names that one of the patterns matches, itself or as the layer that they belong to.

    Raises
    ------
    ValueError
        If a pattern matches nothing, with the layers to choose from.
    """
    found = set()
    for pattern in filter(None, map(str.strip, patterns.split(","))):
        hits = [name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")]
        if not hits:
            layers = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            raise ValueError(f"{pattern!r} names no layer; the layers are {layers} (write encoder* for all encoders)")
        found.update(hits)
    return [name for name in names if name in found]


def start_from(path: str | Path, given: dict) -> tuple[Segmenter, dict]:
    """Read the network to start from, and complete the settings of a run so that they fit it.

    Size and kind of the network are taken from it; from a checkpoint of tinyunet also the scaling of the intensities,
    unless another is given.

    Parameters
    ----------
    path : path
        What `tinyunet.interop.borrow` reads.
    given : dict
        The settings chosen so far.

    Returns
    -------
    (Segmenter, dict)

    Raises
    ------
    CheckpointError
        If the file cannot be used.
    ValueError
        If a setting that was given does not fit the network.
    """
    segmenter = borrow(path)
    arguments, normalize = segmenter.model.arguments, segmenter.normalize
    fitting = {name: arguments[name] for name in ("base_channels", "depth", "up")} | {
        "norm": arguments["norm"] or "none"
    }
    for name, value in fitting.items():
        if given.get(name, value) != value:
            raise ValueError(f"{name} is {value} in the network of {path}, but given as {given[name]}; leave it out")
    if is_checkpoint(path) and not {"normalize", "window"} & given.keys():
        window = None if normalize.low is None else (normalize.low, normalize.high)
        per = given.get("normalize_per", normalize.per)
        fitting |= {"normalize": normalize.kind, "window": window, "normalize_per": per}
    return segmenter, given | fitting
