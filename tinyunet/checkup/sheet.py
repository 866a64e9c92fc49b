"""The contact sheet: images with their masks outlined, those with the severest findings first."""

from __future__ import annotations

import math

import numpy as np

from ..data.cases import Case
from ..data.sample import DataError
from ..plot import new_figure, paint, plain
from .examination import Examination
from .finding import SEVERITIES, names_of
from .masks import Totals

_COLUMNS, _SIDE, _SHOWN = 6, 256, 24
_COLOURS = {"error": "#B00000", "warning": "#A05A00", "note": "#000000"}


def contact_sheet(examination: Examination, count: int = _SHOWN):
    """Draw up to `count` cases; what room the findings leave is filled with others from all over the data set.

    Returns
    -------
    matplotlib.figure.Figure
    """
    about = _findings_by_case(examination)
    ranked = sorted(about, key=lambda k: [-sum(s == severity for s, _ in about[k]) for severity in SEVERITIES])
    chosen = [k for k in ranked if about[k]][:count]
    others = [k for k in ranked if not about[k]]
    spread = np.linspace(0, len(others) - 1, min(count - len(chosen), len(others))).round().astype(int)
    chosen += [others[i] for i in spread]
    titles = {k: _title(*examination.cases[k], about[k]) for k in chosen}
    lines = max((title.count("\n") + 1 for title, _ in titles.values()), default=1)
    rows = max(1, math.ceil(len(chosen) / _COLUMNS))
    figure = new_figure(2.2 * _COLUMNS, (2.25 + 0.15 * lines) * rows + 0.4)
    values = Totals(examination.looks).values
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes, k in zip(panels, chosen, strict=False):
        _draw(axes, examination, examination.cases[k][1], values)
        title, colour = titles[k]
        axes.set_title(title, fontsize=8, color=colour, pad=3)
    for axes in panels:
        axes.set_axis_off()
    total = f"{len(chosen)} of {len(examination.cases)} cases of {examination.root.name or examination.root}"
    order = "the severest findings first" if any(about.values()) else "no findings about single files"
    figure.suptitle(f"{total}, masks outlined; {order}", fontsize=10)
    return figure


def _findings_by_case(examination: Examination) -> dict[int, list[tuple[str, str]]]:
    """For each case the (severity, kind) of what is said about its files."""
    about: dict[int, list[tuple[str, str]]] = {k: [] for k in range(len(examination.cases))}
    by_file = {}
    for k, (_, case) in enumerate(examination.cases):
        by_file |= dict.fromkeys(names_of(examination.root, (*case.images, case.mask)), k)
    for finding in examination.findings:
        for file in finding.files:
            if (k := by_file.get(file.partition(" = ")[0])) is not None:
                about[k].append((finding.severity, finding.kind))
    return about


def _title(part: str, case: Case, found: list[tuple[str, str]]) -> tuple[str, str]:
    """Name and the two severest kinds of findings, and the colour of the severest."""
    severity = next((s for s in SEVERITIES if any(s == its for its, _ in found)), "note")
    kinds = list(dict.fromkeys(kind for _, kind in found))  # they come with the severest first
    name = _short(f"{part}/{case.name}" if part else case.name)
    return "\n".join([plain(name), *kinds[:2]]), _COLOURS[severity]


def _draw(axes, examination: Examination, case: Case, values: list[int]) -> None:
    """Draw an image and the outlines of its mask; `values` are all that occur, so that a colour means one class."""
    look = next((look for look in examination.looks if look.case == case), None)
    if look is None:
        axes.set_box_aspect(1)
        axes.text(0.5, 0.5, "cannot be read", ha="center", va="center", fontsize=9, transform=axes.transAxes)
        return
    try:
        pixels = examination.reader.read(case)
    except DataError as error:  # it could be read a moment ago
        raise DataError(f"{error} (the file changed during the examination)") from error
    image, raw = pixels.image[:, look.shown].astype(np.float32), pixels.raw[look.shown]
    step = max(1, -(-max(raw.shape) // _SIDE))
    image, raw = image[:, ::step, ::step], raw[::step, ::step]
    labels = np.searchsorted(values, raw)
    axes.imshow(paint(image, np.where(_outline(labels), labels, 0), alpha=1.0))


def _outline(labels: np.ndarray) -> np.ndarray:
    """Where the next pixel, above, below, left or right, has another label."""
    framed = np.pad(labels, 1, mode="edge")
    middle = framed[1:-1, 1:-1]
    sides = framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]
    return np.any([side != middle for side in sides], axis=0)


def _short(name: str, limit: int = 28) -> str:
    return name if len(name) <= limit else f"{name[: limit // 2 - 1]}...{name[-(limit // 2 - 2) :]}"
