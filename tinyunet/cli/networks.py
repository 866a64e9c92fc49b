"""`tinyunet summary` and `tinyunet convert`: what a network is made of, and where its weights come from."""

from __future__ import annotations

import argparse


def add(commands) -> None:
    """Add the commands to the parser."""
    summary = commands.add_parser("summary", help="show the layers of a network")
    summary.description = "Show output shape, parameters, receptive field and bytes of every layer."
    summary.set_defaults(run=_summary)
    summary.add_argument(
        "model", nargs="?", help="checkpoint, folder of a run, 'article' or 'paper'; default: a new UNet"
    )
    summary.add_argument(
        "--size", type=int, nargs="+", default=[256], metavar="PIXELS", help="height and width (default: 256)"
    )
    for name, default in (("in-channels", 1), ("classes", 2), ("base-channels", 16), ("depth", 3)):
        text = f"of a new UNet (default: {default})"
        summary.add_argument(f"--{name}", type=int, default=default, metavar="N", help=text)

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
    from ..inference import Segmenter
    from ..nn import UNet

    size = options.size if len(options.size) == 2 else options.size * 2
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"--size takes one or two positive numbers, got {options.size}")
    sizes = {name: getattr(options, name) for name in ("in_channels", "classes")}
    if options.model in ("article", "paper"):
        model = getattr(UNet, options.model)(**sizes)
    elif options.model:
        model = Segmenter.load(options.model).model
    else:
        model = UNet(**sizes, base_channels=options.base_channels, depth=options.depth)
    print(model.summary(*(model.next_size(side) for side in size)))
    return 0


def _convert(options: argparse.Namespace) -> int:
    from ..interop import convert

    print(convert(options.source, options.out, names=options.names))
    return 0
