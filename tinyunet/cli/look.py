"""`tinyunet graph` and `tinyunet explain`: the library's own workings, drawn and told."""

from __future__ import annotations

import argparse
import shutil
import sys

from ..files import write_whole
from .common import network


def add(commands) -> None:
    """Add the commands to the parser."""
    _add_explain(commands)
    graph = commands.add_parser("graph", help="draw the operations of a network, module by module")
    graph.description = (
        "Run a network once and draw its operations with shapes and with the bytes that they keep for backward: as a "
        "page whose modules unfold at a click, or, with a name that ends in .svg, as a picture."
    )
    graph.set_defaults(run=_graph)
    graph.add_argument(
        "model",
        nargs="?",
        default="unet",
        help="checkpoint, folder of a run, 'article', 'paper' or 'unet' (default: that of `tinyunet train`)",
    )
    graph.add_argument("--size", type=int, default=64, metavar="PIXELS", help="height and width (default: 64)")
    graph.add_argument(
        "--out", default="graph.html", metavar="FILE", help="file to write, .html or .svg (default: graph.html)"
    )


def _graph(options: argparse.Namespace) -> int:
    from ..glass import draw_graph

    if options.size < 1:
        raise ValueError(f"--size takes a positive number of pixels, got {options.size}")
    model = network(options.model)
    side = model.next_size(options.size)
    drawing = draw_graph(model, (1, model.arguments["in_channels"], side, side))
    drawing.save(options.out)
    print(f"{drawing.summary()}\nIn {options.out}")
    return 0


def _add_explain(commands) -> None:
    explain = commands.add_parser("explain", help="an operation from its formula to its code, its cost and its numbers")
    explain.description = (
        "Show an operation: formula, index convention, the code of every rung by equation, FLOPs and bytes, and one "
        "result and one gradient written out in numbers. Without OP, list the operations."
    )
    explain.set_defaults(run=_explain)
    explain.add_argument("op", nargs="?", metavar="OP", help="for example conv2d")
    explain.add_argument("--html", metavar="FILE", help="write a page with the rungs side by side instead")
    explain.add_argument(
        "--shape",
        type=int,
        nargs=4,
        metavar=("N", "C", "H", "W"),
        help="of the input, for the cost (default: 4 32 128 128)",
    )


def _explain(options: argparse.Namespace) -> int:
    from ..glass.explain.explanation import explain, list_operations

    if options.op is None:
        print(list_operations())
        return 0
    explanation = explain(options.op, options.shape and tuple(options.shape))
    if options.html:
        write_whole(options.html, explanation.page())
        print(f"In {options.html}")
    else:
        print(explanation.text(shutil.get_terminal_size().columns if sys.stdout.isatty() else 0))
    return 0
