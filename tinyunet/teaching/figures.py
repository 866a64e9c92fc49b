"""Figures that lessons share: arrays as squares with their numbers, rows of pictures. One colour per role throughout.

Everything is drawn from arrays that the lesson computed, so that figure and code cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..plot import GRADIENT, INPUT, KERNEL, OUTPUT, new_figure

ROLES = {"input": INPUT, "kernel": KERNEL, "output": OUTPUT, "gradient": GRADIENT}


def show_arrays(
    arrays: Mapping[str, np.ndarray],
    roles: Sequence[str] = (),
    marks: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    between: Sequence[str] = (),
):
    """Draw small 2-D arrays side by side, every number in its square, the squares shaded by value.

    Parameters
    ----------
    arrays : title -> (H, W) array
        Numbers; NaN leaves a square empty.
    roles : sequence of "input", "kernel", "output", "gradient"
        One for each array; it sets the colour. By default all are inputs.
    marks : title -> [(i, j), ...]
        Squares that get a thick frame.
    between : sequence of str
        Signs between the arrays, such as ("*", "=").

    Returns
    -------
    matplotlib.figure.Figure
    """
    arrays = {title: np.atleast_2d(np.asarray(getattr(a, "data", a), float)) for title, a in arrays.items()}
    roles = list(roles) + ["input"] * (len(arrays) - len(roles))
    tallest = max(a.shape[0] for a in arrays.values())
    width = sum(max(a.shape[1], 2) for a in arrays.values()) + len(arrays) - 1
    scale = min(0.55, 10 / width)  # inches per square, the same in all arrays
    figure = new_figure(scale * (width + 0.4), scale * (tallest + 1))
    axes = figure.subplots()
    left = 0
    for (title, values), role, sign in zip(arrays.items(), roles, [*between, *[""] * len(arrays)], strict=False):
        H, W = values.shape
        top, room = (tallest - H) / 2, max(W, 2)
        _draw_array(axes, values, top, left + (room - W) / 2, ROLES[role], 20 * scale)
        axes.text(left + room / 2, top - 0.15, title, ha="center", va="bottom", fontsize=10, color=ROLES[role])
        for i, j in (marks or {}).get(title, ()):
            axes.add_patch(_square(top + i, left + (room - W) / 2 + j, fill=False, edgecolor="black", linewidth=2.2))
        axes.text(left + room + 0.5, tallest / 2, sign, ha="center", va="center", fontsize=14)
        left += room + 1
    axes.set(xlim=(-0.2, width + 0.2), ylim=(tallest + 0.1, -0.9), aspect="equal")
    axes.axis("off")
    return figure


def _draw_array(axes, values: np.ndarray, top: float, left: float, colour: str, fontsize: float) -> None:
    from matplotlib.colors import to_rgb

    largest = np.abs(values[np.isfinite(values)]).max(initial=0) or 1
    for (i, j), value in np.ndenumerate(values):
        strength = 0.08 if np.isnan(value) else 0.12 + 0.55 * abs(value) / largest
        tint = 1 - strength * (1 - np.array(to_rgb(colour)))
        axes.add_patch(_square(top + i, left + j, facecolor=tint, edgecolor="white", linewidth=1))
        if not np.isnan(value):
            axes.text(left + j + 0.5, top + i + 0.5, f"{value:.3g}", ha="center", va="center", fontsize=fontsize)


def _square(i: float, j: float, **style):
    from matplotlib.patches import Rectangle

    return Rectangle((j, i), 1, 1, **style)


def show_images(
    images: Mapping[str, np.ndarray], columns: int = 4, limits: tuple[float, float] | None = None, cmap: str = "gray"
):
    """Draw pictures in a grid, each with its title.

    Parameters
    ----------
    images : title -> (H, W) array or (H, W, 3) picture
        Of any range.
    columns : int
    limits : (low, high)
        Values shown as the two ends of the colour map; by default each picture's own.
    cmap : str
        matplotlib's name of a colour map, for arrays without colour.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = -(-len(images) // columns)
    used = min(columns, len(images))
    figure = new_figure(2.5 * used, 2.75 * rows)
    panels = figure.subplots(rows, used, squeeze=False).ravel()
    low, high = limits or (None, None)
    for axes, (title, image) in zip(panels, images.items(), strict=False):
        axes.imshow(image, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        axes.set_title(title, fontsize=9)
    for axes in panels:
        axes.axis("off")
    return figure
