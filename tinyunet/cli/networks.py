"""`tinyunet summary` and `tinyunet convert`: what a network is made of, and where its weights come from."""

from __future__ import annotations

import argparse

from .common import network


def add(commands) -> None:
    """Add the commands to the parser."""
    summary = commands.add_parser("summary", help="show the layers of a network")
    summary.description = "Show output shape, parameters, receptive field and bytes of every layer."
    summary.set_defaults(run=_summary)
    summary.add_argument(
        "model",
        nargs="?",
        default="unet",
        help="checkpoint, folder of a run, 'article', 'paper' or 'unet' (default: that of `tinyunet train`)",
    )
    summary.add_argument(
        "--size", type=int, nargs="+", default=[256], metavar="PIXELS", help="height and width (default: 256)"
    )
    for name, text in (
        ("in-channels", "of a new network (default: 1)"),
        ("classes", "of a new network (default: 2, of the article's 1)"),
        ("base-channels", "of 'unet' (default: 16)"),
        ("depth", "of 'unet' (default: 3)"),
    ):
        summary.add_argument(f"--{name}", type=int, default=argparse.SUPPRESS, metavar="N", help=text)

    convert = commands.add_parser("convert", help="weights of PyTorch to a checkpoint, or a network to weights")
    convert.description = (
        "Read a .pth or safetensors file of milesial/Pytorch-UNet or of the article's network, without PyTorch and "
        "without running anything in it, and write a checkpoint for predict, evaluate and train --start-from. With "
        "--names milesial, write the weights of a trained network for PyTorch."
    )
    convert.set_defaults(run=_convert)
    convert.add_argument("source", metavar="FILE", help=".pth, safetensors, checkpoint, or the folder of a run")
    convert.add_argument("out", metavar="OUT", help="safetensors file to write")
    convert.add_argument(
        "--names", choices=("tinyunet", "milesial"), default="tinyunet", help="names of the arrays (default: tinyunet)"
    )


def _summary(options: argparse.Namespace) -> int:
    size = options.size if len(options.size) == 2 else options.size * 2
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"--size takes one or two positive numbers, got {options.size}")
    names = ("in_channels", "classes", "base_channels", "depth")
    model = network(options.model, **{name: getattr(options, name) for name in names if name in options})
    print(model.summary(*(model.next_size(side) for side in size)))
    return 0


def _convert(options: argparse.Namespace) -> int:
    from ..interop import convert

    print(convert(options.source, options.out, names=options.names))
    return 0
