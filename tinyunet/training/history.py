"""The history of a run as CSV, as JSON and as a picture, written anew after every epoch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from .. import plot
from ..files import write_whole


def write_history(folder: Path, history: Sequence[dict]) -> None:
    """Write history.csv, history.json and curves.png."""
    text = io.StringIO()
    writer = csv.DictWriter(text, history[-1].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_whole(folder / "history.csv", text.getvalue())
    # JSON has no NaN, which the Dice of validation images with nothing to find is
    rows = [{name: None if value != value else value for name, value in row.items()} for row in history]
    write_whole(folder / "history.json", json.dumps(rows, indent=1))
    plot.save_figure(plot.curves(history), folder / "curves.png")
