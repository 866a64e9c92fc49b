"""The figures of provenance: input, kernel and result with what belongs together in colour; and the receptive field."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from ...plot import GRADIENT, INPUT, KERNEL, OUTPUT, new_figure, paint

if TYPE_CHECKING:
    from .answer import Part, Provenance

READABLE = 12
"""Rows and columns up to which a plane is drawn as squares with numbers, above as a picture."""

SHOWN = 3
"""Planes (channels) of one tensor that are drawn."""


def planes(name: str, values: np.ndarray, mask: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Cut an array into the 2-D planes that hold something of the mask.

    Returns
    -------
    list of (title, values, mask)
        The title has the indices of the leading axes: x[0,2]. An array with fewer than two axes is one row.
    """
    values, mask = np.atleast_2d(values), np.atleast_2d(mask)
    found = []
    for k in np.ndindex(values.shape[:-2]):
        if mask[k].any():
            found.append((f"{name}[{','.join(map(str, k))}]" if k else name, values[k], mask[k]))
    return found


def draw(p: Provenance):
    """Draw what made the element; see `Provenance.figure`."""
    here = np.zeros(p.result.shape, bool)
    here[p.at] = True
    kernels = [w for w in p.weights.values() if w.values.ndim == 4]
    columns = [(INPUT, _shown(p.inputs))]
    if len(kernels) == 1:  # an operation; of a network no kernel says more than another
        columns.append((KERNEL, _shown(kernels[0])))
    columns = [(colour, found) for colour, found in (*columns, (OUTPUT, planes("y", p.result, here))) if found]

    # Everything stands in one system of coordinates whose unit is a square, so that all squares have one size.
    left, bottom, placed = 0.0, 0.0, []
    for colour, found in columns:
        top = 0.0
        for title, values, mask in found:
            H, W = _size(values)
            placed.append((left, top, title, values, mask, colour))
            top += H + 1.3
        left += max(W, len(title) / 4) + 1
        bottom = max(bottom, top)
    width, height = max(left - 1, 8), bottom - 1
    lines = textwrap.wrap(sentence(p), int(4.9 * width))
    scale = min(0.42, 11 / width)
    below = height + 0.65 * len(lines) + 0.2
    figure = new_figure(scale * (width + 0.4), scale * (below + 1.2))
    axes = figure.subplots()
    for place in placed:
        _draw_plane(axes, *place)
    axes.text(0, height, "\n".join(lines), fontsize=21 * scale, va="top", family="monospace", in_layout=False)
    axes.set(xlim=(-0.2, width + 0.2), ylim=(below, -1.2), aspect="equal")
    axes.axis("off")
    return figure


def _shown(part: Part) -> list:
    """Return the first planes of a part; the title of the last one says how many more there are."""
    found = planes(part.name, part.values, part.mask)
    if len(found) > SHOWN:
        title, values, mask = found[SHOWN - 1]
        found[SHOWN - 1 :] = [(f"{title} and {len(found) - SHOWN} more", values, mask)]
    return found


def _size(values: np.ndarray) -> tuple[float, float]:
    """Return the height and width of a plane in squares; a large one is a picture with the longer side READABLE."""
    H, W = values.shape
    return (H, W) if max(H, W) <= READABLE else (READABLE * H / max(H, W), READABLE * W / max(H, W))


def sentence(p: Provenance) -> str:
    """Return the sum of products if it is short, otherwise how much of everything was needed."""
    first, _, products = str(p).partition("\n")
    return f"{first.partition(', made of')[0]} {products.strip()}" if products and len(p.terms) <= 20 else first


def _draw_plane(axes, left: float, top: float, title: str, values, mask, colour: str) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    axes.text(left, top - 0.2, title, color=colour, fontsize=10, va="bottom")
    H, W = _size(values)
    if (H, W) != values.shape:
        picture = paint(values[None].astype(float), mask.astype(int), (colour,), alpha=0.45)
        axes.imshow(picture, extent=(left, left + W, top + H, top), interpolation="nearest")
        if mask.sum() == 1:  # one pixel of a large picture would not be seen
            (i, j), size = np.argwhere(mask)[0], H / len(mask)
            centre = left + (j + 0.5) * size, top + (i + 0.5) * size
            axes.plot(*centre, "s", markersize=8, markerfacecolor="none", markeredgecolor=colour, markeredgewidth=2)
        return
    tint = 1 - 0.45 * (1 - np.array(to_rgb(colour)))
    for (i, j), value in np.ndenumerate(values):
        face, ink = (tint, "black") if mask[i, j] else ("#f2f3f5", "#6d757d")
        place = left + j, top + i
        axes.add_patch(Rectangle(place, 1, 1, facecolor=face, edgecolor="white", linewidth=1.5))
        text = f"{value:.3g}"
        size = 9 - 0.7 * max(len(text) - 4, 0)
        axes.text(left + j + 0.5, top + i + 0.5, text, ha="center", va="center", fontsize=size, color=ink)


def draw_receptive_field(p: Provenance):
    """Draw the theoretical and the effective receptive field in one picture; see `Provenance.receptive_field`."""
    from matplotlib.patches import Patch

    n, (i, j) = p.at[0], p.at[-2:]
    image, mask = p.inputs.values[n], p.inputs.mask[n].any(axis=0)
    strength = np.abs(p.inputs.gradient[n]).sum(axis=0)
    most = _box_holding(strength, 0.9)
    H, W = mask.shape
    figure = new_figure(9.2, 4.4 * min(max(H / W, 0.5), 1.6) + 0.6)
    left, right = figure.subplots(1, 2)
    left.imshow(paint(image.astype(float), mask.astype(int), (INPUT,), alpha=0.3), interpolation="nearest")
    left.set_title("what could change it", fontsize=10)
    ratio = np.log10(np.maximum(strength / (strength.max() or 1), 1e-4))
    shown = right.imshow(ratio, cmap="gray_r", vmin=-4, vmax=0, interpolation="nearest")
    right.set_title("how much it would (derivative)", fontsize=10)
    bar = figure.colorbar(shown, ax=right, shrink=0.8, ticks=[-4, -2, 0])
    bar.set_ticklabels(["1/10000", "1/100", "largest"])
    for axes in (left, right):
        for area, colour in ((mask, INPUT), (most, GRADIENT)):
            edge = np.pad(area, 1).astype(float)  # so that an area up to the rim has a line there too
            axes.contour(np.arange(-1, W + 1), np.arange(-1, H + 1), edge, [0.5], colors=[colour], linewidths=1.8)
        if mask.shape == p.result.shape[-2:]:
            axes.plot(j, i, "s", markersize=7, markerfacecolor="none", markeredgecolor=OUTPUT, markeredgewidth=2)
        axes.set(xticks=[], yticks=[], xlim=(-1, W), ylim=(H, -1))
    handles = [
        Patch(color=INPUT, label=f"receptive field, {_extent(mask)} pixels"),
        Patch(color=GRADIENT, label=f"90 % of the derivative, {_extent(most)} pixels"),
        Patch(color=OUTPUT, label=f"y[{','.join(map(str, p.at))}]"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _box_holding(strength: np.ndarray, share: float) -> np.ndarray:
    """Return the smallest square around the centre of mass that holds this share of the whole."""
    p, q = np.indices(strength.shape)
    mass = strength.sum() or 1
    distance = np.maximum(*(abs(k - np.rint((k * strength).sum() / mass)) for k in (p, q)))
    held = [strength[distance <= radius].sum() for radius in range(int(distance.max()) + 1)]
    return distance <= np.searchsorted(held, share * mass)


def _extent(mask: np.ndarray) -> str:
    """Return height x width of the smallest box around a mask."""
    return " x ".join(str(np.ptp(np.flatnonzero(mask.any(axis=k))) + 1) for k in (1, 0))
