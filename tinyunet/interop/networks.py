"""Networks from PyTorch state dicts and back: which UNet the names and shapes belong to, and where each array goes.

Two families of names are known.

    own         encoder1.0.weight, ..., up4.weight, decoder4.0.weight, ..., decoder1.weight: those of `nn.UNet`, and so
                of the article's listing (section 5)
    milesial    inc.double_conv.0.weight, down1.maxpool_conv.1.double_conv.0.weight, up1.up.weight,
                up1.conv.double_conv.0.weight, outc.conv.weight, ...: those of milesial/Pytorch-UNet

The two networks differ in two things besides the names. milesial joins (skip, enlarged) where `nn.UNet` joins
(enlarged, skip), so the halves of the input channels of each decoder's first kernel change places. And its older
versions have biases before batch normalisation, which `nn.UNet` has not; what they add is what the mean takes away:

    (x + b - mean) rstd = (x - (mean - b)) rstd

so the bias goes into the running mean, and nothing of it is left for training to change.

Where 2^depth divides height and width the scores are then the same. Elsewhere `nn.UNet` pads the image, with its edge,
and milesial the enlarged maps, with zeros, so the scores differ, most near the border.
"""

from __future__ import annotations

import re

import numpy as np

from ..checkpoint import CheckpointError
from ..nn import UNet

_OWN_FIRST, _MILESIAL_FIRST = "encoder1.0.weight", "inc.double_conv.0.weight"


def network_of(state: dict[str, np.ndarray]) -> tuple[UNet, str]:
    """Build the UNet that a PyTorch state dict belongs to, with its weights.

    The number of levels, channels, classes, the normalisation and the way up follow from names and shapes. Two choices
    leave no trace in them and are taken as `nn.UNet` has them: padding "same", and the number of groups of a group
    normalisation. A prefix common to all names, such as DataParallel's "module.", is left out.

    Parameters
    ----------
    state : dict of arrays
        By PyTorch's names.

    Returns
    -------
    (UNet, str)
        The network and the family of its names, "own" or "milesial".

    Raises
    ------
    CheckpointError
        If the names are of neither family, or names or shapes do not fit the network that the others describe; the
        error lists what is missing, left over or of another shape.
    """
    for names, first in (("own", _OWN_FIRST), ("milesial", _MILESIAL_FIRST)):
        found = [name for name in state if name == first or name.endswith("." + first)]
        if len(found) == 1:
            prefix = found[0].removesuffix(first)
            theirs = {name.removeprefix(prefix): array for name, array in state.items()}
            own = theirs if names == "own" else _from_milesial(theirs)
            model = UNet(**_arguments(own, batch_norm=names == "milesial"))
            bias = first.replace("weight", "bias") in theirs
            require_same(model.state_dict() if names == "own" else to_milesial(model, bias=bias), theirs)
            model.load_state_dict(own)
            return model, names
    some = ", ".join(sorted(map(str, state))[:3])
    raise CheckpointError(
        f"the names are those of no network that is known here ({some}, ...); known are nn.UNet's, which are those of "
        f"the article ({_OWN_FIRST}, ...), and milesial/Pytorch-UNet's ({_MILESIAL_FIRST}, ...)"
    )


def require_same(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> None:
    """Require that two states have the same names and shapes.

    Raises
    ------
    CheckpointError
        If not, with every name that is missing, left over or of another shape.
    """
    shapes = [
        f"{name} {found[name].shape} instead of {array.shape}"
        for name, array in expected.items()
        if name in found and found[name].shape != array.shape
    ]
    differences = {
        "missing": [name for name in expected if name not in found],
        "left over": [name for name in found if name not in expected],
        "of another shape": shapes,
    }
    if any(differences.values()):
        text = "; ".join(f"{what}: {', '.join(names)}" for what, names in differences.items() if names)
        raise CheckpointError(f"the weights do not fit this network: {text}")


def to_milesial(model: UNet, *, bias: bool = False) -> dict[str, np.ndarray]:
    """Return the weights under the names of milesial/Pytorch-UNet, for its `load_state_dict(strict=True)`.

    Its own network has base_channels 64 and depth 4; other sizes need a copy of it that is built so.

    Parameters
    ----------
    model : UNet
        With batch normalisation, padding "same", and up "transposed" (there: bilinear=False) or "bilinear".
    bias : bool
        Also give the convolutions the biases (0) that its versions before 3 have.

    Returns
    -------
    dict of arrays

    Raises
    ------
    ValueError
        If the network is built otherwise.
    """
    needed = {"norm": ("batch",), "padding": ("same",), "up": ("transposed", "bilinear")}
    for name, allowed in needed.items():
        if model.arguments[name] not in allowed:
            raise ValueError(
                f"milesial/Pytorch-UNet has no network with {name}={model.arguments[name]!r}; only "
                f"{' or '.join(map(repr, allowed))} can be written with its names"
            )
    depth, state = model.depth, {}
    for name, array in model.state_dict().items():
        theirs = _milesial_name(name, depth)
        state[theirs] = _swapped(array) if _joins(name) else array
        if bias and re.fullmatch(r".*double_conv\.[03]\.weight", theirs):
            state[theirs.removesuffix("weight") + "bias"] = np.zeros(len(array), array.dtype)
    return state


def _from_milesial(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a state with milesial's names as one with our own; what is not known keeps its name."""
    depth = sum(name.endswith("maxpool_conv.1.double_conv.0.weight") for name in state)
    names = {_milesial_name(name, depth): name for name in _own_names(depth)}
    own = {}
    for theirs, array in state.items():
        name = names.get(theirs, theirs)
        own[name] = _swapped(array) if _joins(name) and array.ndim == 4 else array
    for name in [name for name in own if re.fullmatch(r"(encoder|decoder)\d+\.[03]\.bias", name)]:
        block, layer, _ = name.split(".")
        mean = f"{block}.{int(layer) + 1}.running_mean"
        if mean in own and own[mean].shape == own[name].shape:
            own[mean] = own[mean] - own.pop(name)
    return own


def _own_names(depth: int) -> list[str]:
    """Return all names that a network of this depth can have, with biases before batch normalisation."""
    blocks = [f"encoder{level}" for level in range(1, depth + 2)] + [f"decoder{level}" for level in range(2, depth + 2)]
    convolutions = [f"{b}.{i}.{what}" for b in blocks for i in (0, 3) for what in ("weight", "bias")]
    values = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    norms = [f"{b}.{i}.{what}" for b in blocks for i in (1, 4) for what in values]
    others = [*(f"up{level}" for level in range(2, depth + 2)), "decoder1"]
    return convolutions + norms + [f"{layer}.{what}" for layer in others for what in ("weight", "bias")]


def _milesial_name(name: str, depth: int) -> str:
    """Translate one name; milesial counts the way up from below: its up1 belongs to level D+1."""
    kind, level, rest = re.fullmatch(r"(encoder|decoder|up)(\d+)\.(.+)", name).groups()
    level = int(level)
    if kind == "encoder":
        return f"inc.double_conv.{rest}" if level == 1 else f"down{level - 1}.maxpool_conv.1.double_conv.{rest}"
    if level == 1:
        return f"outc.conv.{rest}"
    return f"up{depth + 2 - level}.{'up' if kind == 'up' else 'conv.double_conv'}.{rest}"


def _joins(name: str) -> bool:
    """Tell whether an array is the kernel that meets a joined map: the first of decoder2, decoder3, ..."""
    return re.fullmatch(r"decoder(?!1\.)\d+\.0\.weight", name) is not None


def _swapped(kernel: np.ndarray) -> np.ndarray:
    """Exchange the halves of the input channels, which are the skip and the enlarged map; its own inverse."""
    return np.roll(kernel, kernel.shape[1] // 2, axis=1)


def _arguments(state: dict[str, np.ndarray], *, batch_norm: bool) -> dict:
    """Return the arguments of the UNet that a state with our own names belongs to, perhaps only with `batch_norm`."""
    shapes = {name: array.shape for name, array in state.items()}
    depth = max(1, sum(re.fullmatch(r"encoder\d+\.0\.weight", name) is not None for name in shapes) - 1)
    deepest, last_joined, last = f"encoder{depth + 1}.0.weight", f"decoder{depth + 1}.0.weight", "decoder1.weight"
    kernels = [name for name in (_OWN_FIRST, deepest, last_joined, last) if len(shapes.get(name, ())) != 4]
    if batch_norm and "encoder1.1.running_mean" not in shapes:
        kernels.append("encoder1.1.running_mean")
    if kernels:
        shown = [_milesial_name(name, depth) for name in kernels] if batch_norm else kernels
        raise CheckpointError(
            f"a UNet of depth {depth} needs {', '.join(shown)}; missing or without the 4 axes of a kernel"
        )
    (base, in_channels, *_), wide = shapes[_OWN_FIRST], shapes[deepest][1]
    if enlarge := shapes.get(f"up{depth + 1}.weight"):
        up = "article" if enlarge[2:] == (3, 3) else "transposed"
    else:
        up = "bilinear" if shapes[last_joined][1] == 2 * wide else "nearest"
    # Before a network of this size is built: the weights themselves have it.
    if wide != base * 2 ** (depth - 1) or shapes[deepest][0] != (wide if up == "bilinear" else 2 * wide):
        raise CheckpointError(
            f"channels that double from level to level, from {base} at the first, do not give the "
            f"{shapes[deepest][0]} and {wide} of level {depth + 1}"
        )
    norm = None
    if "encoder1.1.weight" in shapes:
        norm = "batch" if "encoder1.1.running_mean" in shapes else "group"
    sizes = {"in_channels": in_channels, "classes": shapes[last][0], "base_channels": base, "depth": depth}
    return sizes | {"up": up, "norm": norm}
