"""What several commands share."""

from __future__ import annotations

import argparse


def add_out(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --out DIR, the folder for the results."""
    parser.add_argument("--out", default=default, metavar="DIR", help=f"folder for the results (default: {default})")


def add_device(parser: argparse.ArgumentParser, default: str = "auto") -> None:
    """Add --device."""
    text = f"cpu, cuda, cuda:1, ...; auto: a GPU if one can be used (default: {default})"
    parser.add_argument("--device", default=default, metavar="DEVICE", help=text)
