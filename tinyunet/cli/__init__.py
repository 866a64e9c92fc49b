"""The `tinyunet` command: check, train, predict, evaluate, attribute, summary, convert, bench, doctor, graph, explain,
lessons.

Exit codes: 0 done, 1 it could not be done (one line says why and what to change), 2 the command line is wrong,
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from .. import __version__
from ..backend import DeviceError, keep_freed_memory
from ..teaching.notebooks import MissingExtra
from . import apply, attribute, check, lessons, look, machine, networks, train


def main(arguments: list[str] | None = None) -> int:
    """Run the command with `arguments` (default: those of the process) and return its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if not options.command:
        parser.print_help()
        return 2
    keep_freed_memory()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
    try:
        return options.run(options)
    except KeyboardInterrupt as stop:
        print(f"\n{stop}" if stop.args else "\nstopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, ArithmeticError, MemoryError, DeviceError, MissingExtra) as error:
        # What the library raises about data, settings, files and training; anything else is a bug and shows its trace.
        if options.traceback:
            raise
        print(f"tinyunet: error: {_explain(error)}", file=sys.stderr)
        return 1


def _explain(error: Exception) -> str:
    """Return what to say about an error; the system's own words do not tell that it is the folder that is missing."""
    if isinstance(error, FileNotFoundError) and error.filename:
        folder = Path(error.filename).parent
        if not folder.exists():
            return f"{error.filename}: there is no folder {folder}; make it first, or give another name"
    return str(error)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; the site's page of the command is made from it too."""
    parser = argparse.ArgumentParser(
        prog="tinyunet",
        description="Segment medical images with a UNet that is readable down to its last loop.",
        epilog="Start with:  tinyunet train         (toy tumours, about a minute)\nThen:        tinyunet train FOLDER",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tinyunet {__version__}")
    parser.add_argument("--traceback", action="store_true", help="on an error, show where in the code it arose")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for module in (check, train, apply, attribute, networks, machine, look, lessons):
        module.add(commands)
    return parser
