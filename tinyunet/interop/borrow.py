"""From a file of weights to a network that segments, and from a trained network to a file for PyTorch."""

from __future__ import annotations

from pathlib import Path

from ..checkpoint import CheckpointError, is_checkpoint
from ..data.normalize import Normalize
from ..inference import Segmenter
from .networks import network_of, to_milesial
from .torch_file import read_weights, write_weights


def borrow(path: str | Path) -> Segmenter:
    """Return the network in a checkpoint of tinyunet or in a file of PyTorch's weights, ready to segment.

    Weights say nothing about the images they were trained with. Those of milesial/Pytorch-UNet get what its code does:
    intensities 0..255 become 0..1; its mask values are used where the file has them. All others get each image scaled
    to [0, 1] and the mask values 0, 1, 2, ...; give the Segmenter another `normalize` where you know better.

    Parameters
    ----------
    path : path
        A checkpoint, the folder of a run, a safetensors file or a `.pth` file.

    Returns
    -------
    Segmenter

    Raises
    ------
    CheckpointError
        If the file cannot be read (see `read_weights`), or holds no network that is known (see `network_of`).
    """
    if is_checkpoint(path):
        return Segmenter.load(path)
    weights = read_weights(path)
    try:
        model, names = network_of(weights.arrays)
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error
    normalize = Normalize("window", 0, 255) if names == "milesial" else Normalize()
    classes = max(model.arguments["classes"], 2)  # one channel stands for background and foreground
    values = _mask_values(weights.extras.get("mask_values"), classes)
    class_names = ["background", "foreground"] if classes == 2 else ["background", *(f"value {v}" for v in values[1:])]
    return Segmenter(model, normalize, class_names, values)


def _mask_values(found, classes: int) -> list[int]:
    """Return the mask values that milesial/Pytorch-UNet saves, if they are grey values and one per class."""
    usable = type(found) is list and all(type(v) is int and 0 <= v < 65536 for v in found)
    return found if usable and len(set(found)) == len(found) == classes else list(range(classes))


def convert(source: str | Path, out: str | Path, *, names: str = "tinyunet") -> str:
    """Turn weights into a checkpoint of tinyunet, or a trained network into weights for PyTorch.

    Parameters
    ----------
    source : path
        What `borrow` reads.
    out : path
        A safetensors file to write, whole or not at all.
    names : "tinyunet" or "milesial"
        "tinyunet" writes a checkpoint, which every command takes and whose arrays have the names of the article's
        listing. "milesial" writes bare weights for `load_state_dict(strict=True)` of milesial/Pytorch-UNet.

    Returns
    -------
    str
        What was read and written, and how to use it.

    Raises
    ------
    CheckpointError
        If `source` cannot be used.
    ValueError
        If `names` is unknown, `out` does not end in .safetensors, or the network has no counterpart in
        milesial/Pytorch-UNet.
    """
    if names not in ("tinyunet", "milesial"):
        raise ValueError(f"names must be 'tinyunet' or 'milesial', got {names!r}")
    if Path(out).suffix != ".safetensors":
        raise ValueError(f"what is written is a safetensors file; give it a name that ends so, not {str(out)!r}")
    segmenter = borrow(source)
    model, normalize = segmenter.model, segmenter.normalize
    a = model.arguments
    sizes = ", ".join(
        f"{name} {a[name]}" for name in ("in_channels", "classes", "base_channels", "depth", "up", "norm")
    )
    text = f"{source}: a UNet with {model.parameter_count():,} parameters ({sizes})\n"
    if names == "milesial":
        write_weights(out, to_milesial(model.without_heads()))
        return text + f'{out}: in PyTorch, net.load_state_dict(safetensors.torch.load_file("{out}"))'
    segmenter.save(out)
    scaling = normalize.kind if normalize.low is None else f"{normalize.kind} {normalize.low:g}..{normalize.high:g}"
    return text + (
        f"{out}: images are scaled by {scaling}; classes {', '.join(segmenter.class_names)}; segment with: "
        f"tinyunet predict {out} IMAGE ..."
    )
