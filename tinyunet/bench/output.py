"""What a benchmark leaves: a text table, bench.json and bench.png."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .. import plot
from ..files import write_whole
from .timing import OURS

COLOURS = {
    OURS: "#0072B2",
    "tinyunet, recompute": "#56B4E9",
    "reference (NumPy)": "#999999",
    "numba, plain loops": "#56B4E9",
    "numba": "#0072B2",
    "numba, fast kernels": "#0072B2",
    "PyTorch": "#D55E00",
    "PyTorch channels_last": "#E69F00",
}


def progress(items: Iterable) -> Iterator:
    """Yield the items, with a progress bar that names them if standard error is a terminal."""
    from tqdm import tqdm

    bar = tqdm(items, unit="case", disable=None, file=sys.stderr)
    for item in bar:
        bar.set_description(str(item))
        yield item


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns: where the first row has a number to the right, else to the left."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    numeric = [cell[:1].isdigit() for cell in rows[0]]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def write(out: str | Path, content: dict, figure) -> None:
    """Write bench.json and bench.png into the folder `out`, each whole or not at all."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "bench.json", json.dumps(content, indent=1) + "\n")
    plot.save_figure(figure, out / "bench.png")


def grouped_bars(panels: dict[str, dict[str, dict[str, float]]], unit: str, lines: Sequence[float | None] = ()):
    """Draw horizontal bars with their values.

    Parameters
    ----------
    panels : dict
        Title -> group -> bar -> length; the same groups in all panels.
    unit : str
        What the lengths mean.
    lines : sequence of float or None
        Where to draw a dashed line in each panel; empty for nowhere.

    Returns
    -------
    matplotlib.figure.Figure
    """
    first = next(iter(panels.values()))
    groups, names = list(first), list(next(iter(first.values())))
    figure = plot.new_figure(3 + 4.5 * len(panels), 1.4 + len(groups) * (0.2 + 0.2 * len(names)))
    height = 0.8 / len(names)
    for axes, (title, bars) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for k, name in enumerate(names):
            places = [i + (k - (len(names) - 1) / 2) * height for i in range(len(groups))]
            drawn = axes.barh(places, [bars[g][name] for g in groups], 0.9 * height, color=COLOURS[name], label=name)
            axes.bar_label(drawn, fmt=lambda v: f"{v:.{0 if v >= 10 else 2}f}", padding=3, fontsize=8)
        axes.set(title=title, xlabel=unit, yticks=range(len(groups)))
        axes.set_yticklabels(groups if axes is figure.axes[0] else [])
        axes.invert_yaxis()
        axes.margins(x=0.12, y=0.02)
        axes.spines[["top", "right"]].set_visible(False)
    for axes, line in zip(figure.axes, lines, strict=False):
        if line is not None:
            axes.axvline(line, color="black", linestyle="--", linewidth=1)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure
