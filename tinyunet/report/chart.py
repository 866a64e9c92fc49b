"""Charts as SVG: text stays text, lines stay sharp, and the page needs no library to show them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .html import escape

_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 26, 34


class Line(NamedTuple):
    """A line of a chart: what it is called, how it looks, and its values, nan where there is none."""

    label: str
    colour: str
    dashes: str
    values: Sequence[float]


def line_chart(title: str, lines: Sequence[Line], highest: float | None = None) -> str:
    """Draw values against the epoch, 1 being the first.

    Parameters
    ----------
    title : str
    lines : sequence of Line
        All of the same length. Dashes tell them apart where colours do not.
    highest : float, optional
        Where the axis ends, if not at the largest value.

    Returns
    -------
    str
        An <svg> element.
    """
    epochs = max(len(line.values) for line in lines)
    finite = [value for line in lines for value in line.values if math.isfinite(value)]
    ticks = _ticks(min(finite, default=0.0), max(finite, default=1.0) if highest is None else highest)

    def x(epoch: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (epoch - 1) / max(epochs - 1, 1)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value - ticks[0]) / (ticks[-1] - ticks[0])

    parts = [f'<text x="{_LEFT}" y="14" class="title">{escape(title)}</text>']
    for tick in ticks:
        parts.append(f'<path d="M{_LEFT} {y(tick):.1f}H{_WIDTH - _RIGHT}" stroke="#d5d9de"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.4g}</text>')
    step = max(1, round(_nice((epochs - 1) / 4)))
    for epoch in sorted({1, *range(step, epochs + 1, step)}):
        parts.append(f'<text x="{x(epoch):.1f}" y="{_HEIGHT - 18}" text-anchor="middle">{epoch}</text>')
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">epoch</text>')
    legend = _LEFT
    for line in lines:
        points = [(x(e), y(v)) for e, v in enumerate(line.values, 1) if math.isfinite(v)]
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        look = f'stroke="{line.colour}" stroke-width="2" stroke-dasharray="{line.dashes}"'
        if path:
            parts.append(f'<path d="M{path}" fill="none" {look}/>')
        if len(points) < 30:
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5" fill="{line.colour}"/>' for a, b in points]
        if line.label:
            parts.append(f'<path d="M{legend} {_HEIGHT - 8}h22" {look}/>')
            parts.append(f'<text x="{legend + 27}" y="{_HEIGHT - 4}">{escape(line.label)}</text>')
            legend += 45 + 7 * len(line.label)
    return _svg(title, parts, _HEIGHT)


def strip_chart(title: str, values: Sequence[float], marks: Sequence[tuple[str, float]], unit: str = "") -> str:
    """Draw a dot for every value on one axis from 0 to 1; dots that would cover one another are stacked.

    Parameters
    ----------
    title : str
    values : sequence of float
        Between 0 and 1; nan is left out.
    marks : sequence of (name, value)
        Drawn as lines across.
    unit : str
        What a dot is.
    """
    inside = sorted(value for value in values if math.isfinite(value))
    wide = 480
    radius = 2.6 if len(inside) <= 400 else 1.4
    columns: dict[int, int] = {}
    dots = []
    for value in inside:
        x = 20 + (wide - 40) * value
        column = int(x / (2 * radius))
        columns[column] = columns.get(column, 0) + 1
        dots.append((x, columns[column]))
    tall = max((count for _, count in dots), default=1) * 2 * radius
    shrink = min(1.0, 150 / tall)  # many alike overlap rather than make the chart tall
    base = 40 + tall * shrink
    parts = [f'<text x="20" y="14" class="title">{escape(title)}</text>']
    parts += [f'<path d="M20 {base + 4:.1f}H{wide - 20}" stroke="#16191d"/>']
    for k in range(11):
        x = 20 + (wide - 40) * k / 10
        parts.append(f'<text x="{x:.1f}" y="{base + 19:.1f}" text-anchor="middle">{k / 10:g}</text>')
    for x, count in dots:
        parts.append(
            f'<circle cx="{x:.1f}" cy="{base - (count - 0.5) * 2 * radius * shrink:.1f}" r="{radius}" fill="#0072B2" '
            'fill-opacity=".75"/>'
        )
    for name, value in marks:
        if math.isfinite(value):
            x = 20 + (wide - 40) * value
            side, shift = ("end", -5) if value > 0.5 else ("start", 5)
            parts.append(f'<path d="M{x:.1f} 22V{base + 4:.1f}" stroke="#D55E00" stroke-width="1.5"/>')
            parts.append(f'<text x="{x + shift:.1f}" y="32" text-anchor="{side}">{escape(name)} {value:.3f}</text>')
    parts.append(f'<text x="{wide - 20}" y="14" text-anchor="end">{escape(unit)}</text>')
    return _svg(title, parts, base + 26, wide)


def _svg(title: str, parts: Sequence[str], height: float, width: float = _WIDTH) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(title)}</title>\n{inside}\n</svg>"
    )


def _nice(step: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... (or 0.5, 0.2, ...) from `step` on."""
    power = 10 ** math.floor(math.log10(step)) if step > 0 else 1
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, a few, from at most `low` to at least `high`."""
    # Values that differ by rounding only are one value: ticks between them would be equal floats.
    step = _nice((high - low) / 4) if high - low > 1e-6 * abs(high) else _nice(abs(high) or 1)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, max(last, first + 1) + 1)]
