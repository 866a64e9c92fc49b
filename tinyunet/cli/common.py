"""What several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..inference import Segmenter
    from ..nn import UNet


def add_out(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --out DIR, the folder for the results."""
    parser.add_argument("--out", default=default, metavar="DIR", help=f"folder for the results (default: {default})")


def folder_to_write(path: str) -> Path:
    """Return a folder as a path; one that cannot be made is found here, before any work is done.

    Raises
    ------
    NotADirectoryError
        If it, or a folder around it, is a file.
    """
    folder = Path(path)
    if file := next((place for place in (folder, *folder.parents) if place.is_file()), None):
        raise NotADirectoryError(f"results are written to a folder; {folder} cannot be one, for {file} is a file")
    return folder


def add_device(parser: argparse.ArgumentParser, default: str = "auto") -> None:
    """Add --device."""
    text = f"cpu, cuda, cuda:1, ...; auto: a GPU if one can be used (default: {default})"
    parser.add_argument("--device", default=default, metavar="DEVICE", help=text)


def load(options: argparse.Namespace) -> Segmenter:
    """Load the network of `options.model` onto the device asked for, and name that if it is a GPU."""
    from ..backend import choose_device
    from ..inference import Segmenter

    device, text = choose_device(options.device)
    segmenter = Segmenter.load(options.model).to(device)
    if text != "cpu":
        print(f"device: {text}")
    return segmenter


def network(name: str, **sizes: int) -> UNet:
    """Return the network of a checkpoint or of the folder of a run, or a new one: "article", "paper" or "unet".

    Parameters
    ----------
    name : str
    **sizes
        in_channels and classes of a new network; of "unet" also base_channels and depth.

    Raises
    ------
    ValueError
        If sizes are given that the network has already.
    """
    from ..inference import Segmenter
    from ..nn import UNet

    free = {"article": 2, "paper": 2, "unet": 4}.get(name, 0)
    own = set(sizes) - set(("in_channels", "classes", "base_channels", "depth")[:free])
    if own:
        names = ", ".join(f"--{size.replace('_', '-')}" for size in sorted(own))
        raise ValueError(f"the network {name} has sizes of its own; leave out {names}")
    if name == "unet":
        return UNet(**{"in_channels": 1, "classes": 2, "base_channels": 16, "depth": 3} | sizes)
    return getattr(UNet, name)(**sizes) if free else Segmenter.load(name).model
