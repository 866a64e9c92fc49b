"""`tinyunet train`: every setting is an option."""

from __future__ import annotations

import argparse
from dataclasses import fields


def add(commands) -> None:
    """Add the command to the parser."""
    train = commands.add_parser("train", help="train on toy data or on a folder of images")
    train.description = "Train a UNet; write checkpoints, curves, overlays and a report."
    train.set_defaults(run=_run)
    _add_settings(train)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add an option for every field of Settings; only what the user gave is passed on."""
    from ..training import Settings

    text = "do not train; look for what would keep this run from learning (a minute or so), and say what mends it"
    parser.add_argument("--check", action="store_true", help=text)
    parser.add_argument("--resume", metavar="DIR", help="continue the run in this folder with its own settings")
    for f in fields(Settings):
        text, choices, default = f.metadata["help"], f.metadata["choices"], f.default
        text += "" if default in ("", None) else f" (default: {default})"
        option = f"--{f.name.replace('_', '-')}"
        common = {"dest": f.name, "default": argparse.SUPPRESS, "help": text}
        if f.name == "data":
            parser.add_argument("data", nargs="?", default=argparse.SUPPRESS, help=text)
        elif isinstance(default, bool):
            parser.add_argument(option, action=argparse.BooleanOptionalAction, **common)
        elif f.name == "window":
            parser.add_argument(option, type=float, nargs=2, metavar=("LOW", "HIGH"), **common)
        else:
            kind = int if default is None else type(default)
            metavar = f.metadata["metavar"] or (None if choices else {int: "N", float: "X", str: "DIR"}[kind])
            parser.add_argument(option, type=kind, choices=choices, metavar=metavar, **common)


def _run(options: argparse.Namespace) -> int:
    from ..training import Settings, resume, train

    given = {f.name: getattr(options, f.name) for f in fields(Settings) if f.name in options}
    if options.check and options.resume:
        raise ValueError("--check looks at a run before it starts; leave out --resume")
    if options.resume:
        device = given.pop("device", "")
        if given:
            names = ", ".join(given)
            raise ValueError(f"--resume continues with the settings of the run; leave out: {names}")
        resume(options.resume, device=device)
        return 0
    if given.get("window"):
        given = {"normalize": "window"} | given | {"window": tuple(given["window"])}
    if options.check:
        from ..checkup.training import examine_training

        found = examine_training(**given, show_progress=True)
        print(found.page())
        return 1 if found.count("error") else 0
    train(**given)
    return 0
