"""Figures of maps of relevance, always beside the image, what is true and what was predicted, and of what checks found.

A map by itself persuades too easily. Its colours run from its own smallest to its own largest values, so that maps of
different methods, whose units differ, can be compared by their places only.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest

import numpy as np

from ...plot import CLASS_COLOURS, class_patches, new_figure, outline, paint
from .deletion import Deletion
from .sanity import WeightsCheck

MARK = "#56B4E9"
"""Of the ring around a single pixel: seen on grey, on dark maps and on light ones."""

CLIP = 99.5
"""Percentile of the values but 0 from which on colours no longer change: a few are far above all others."""

COLUMNS = 4
"""Pictures side by side, at most."""


def show_maps(
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    *,
    prediction: np.ndarray,
    truth: np.ndarray | None = None,
    region: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    title: str = "",
):
    """Draw image, truth, prediction and maps side by side; if they are many, the maps below the others.

    Parameters
    ----------
    image : (C, H, W) array
    maps : title -> (H, W) array
        Maps with negative values get colours of two kinds: red speaks for the class, blue against it.
    prediction, truth : (H, W) int array
        Class indices; the truth is left out where it is not known.
    region : (H, W) bool array, optional
        The pixels that were asked about, drawn as a line around them in the image and the maps.
    class_names : sequence of str
        Background first, for the legend.
    title : str
        What was asked.

    Returns
    -------
    matplotlib.figure.Figure
    """
    labels = {"image": np.zeros_like(prediction), "truth": truth, "prediction": prediction}
    pictures = {name: paint(image, outline(a), alpha=1) for name, a in labels.items() if a is not None}
    rows = [[*pictures, *maps]]
    if len(rows[0]) > COLUMNS:
        rows = [list(pictures), *(list(maps)[k : k + COLUMNS] for k in range(0, len(maps), COLUMNS))]
    columns = max(map(len, rows))
    H, W = prediction.shape
    figure = new_figure(2.9 * columns, len(rows) * (min(max(2.5 * H / W, 1), 6) + 0.6) + 0.8)
    figure.get_layout_engine().set(h_pad=0.1)  # inches around everything, so that no title touches another
    for names, axes in zip(rows, figure.subplots(len(rows), columns, squeeze=False), strict=True):
        for name, a in zip_longest(names, axes):
            if name is None:
                a.set_visible(False)
                continue
            if name in pictures:
                a.imshow(pictures[name], interpolation="nearest")
            else:
                extend = "both" if maps[name].min() < 0 else "max"
                shown = _draw(a, maps[name])
                figure.colorbar(shown, ax=a, location="bottom", shrink=0.8, aspect=30, extend=extend)
            if region is not None and name not in ("truth", "prediction"):
                _mark(a, region)
            a.set_title(textwrap.fill(name, 30), fontsize=10)
            a.set(xticks=[], yticks=[])
    if class_names:
        figure.legend(handles=class_patches(class_names), loc="outside lower left", ncols=6, frameon=False, fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


def show_weights_check(checks: Mapping[str, WeightsCheck], *, columns: int = 6):
    """Draw how maps change while the network forgets, and their similarity to the first.

    Parameters
    ----------
    checks : method -> WeightsCheck
        All of one network.
    columns : int
        How many maps of each are drawn, from the trained to the untrained network.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.gridspec import GridSpec

    blocks = [step.block or "trained" for step in next(iter(checks.values())).steps]
    shown = np.unique(np.linspace(0, len(blocks) - 1, columns).round().astype(int))
    H, W = next(iter(checks.values())).steps[0].map.shape
    row = min(max(1.7 * H / W, 0.8), 3) + 0.25
    figure = new_figure(1.75 * len(shown) + 0.6, row * len(checks) + 3)
    grid = GridSpec(len(checks) + 1, len(shown), figure, height_ratios=[*[row] * len(checks), 2.6])
    curves = figure.add_subplot(grid[-1, :])
    for k, (method, check) in enumerate(checks.items()):
        for column, index in enumerate(shown):
            step = check.steps[index]
            a = figure.add_subplot(grid[k, column])
            _draw(a, step.map)
            a.set(xticks=[], yticks=[])
            a.set_xlabel(f"{step.similarity:.2f}", fontsize=9)
            if k == 0:
                a.set_title("trained" if index == 0 else f"... {step.block}", fontsize=9)
            if column == 0:
                a.set_ylabel(method, fontsize=9)
        colour = CLASS_COLOURS[k % len(CLASS_COLOURS)]
        curves.plot(range(len(blocks)), [step.similarity for step in check.steps], ".-", color=colour, label=method)
        curves.axhline(check.floor, color=colour, linestyle=":", linewidth=1)
    curves.set_xticks(range(len(blocks)), blocks, rotation=30, ha="right", fontsize=8)
    curves.set_xlabel("weights replaced by untrained ones up to here", fontsize=9)
    curves.set_ylabel("rank correlation\nwith the trained map", fontsize=9)
    curves.set_ylim(top=1.05)
    curves.grid(alpha=0.25)
    curves.legend(fontsize=8, title="dotted: two untrained networks", title_fontsize=8, loc="lower left")
    return figure


def show_deletion(deletion: Deletion):
    """Draw how the score falls where pixels are blanked, by each map and at random.

    Parameters
    ----------
    deletion : Deletion

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(5.6, 3.6)
    axes = figure.subplots()
    low, high = deletion.random.min(axis=0), deletion.random.max(axis=0)
    axes.fill_between(deletion.fraction, low, high, color="#BBBBBB", label="random orders")
    for k, (title, score) in enumerate(deletion.scores.items()):
        label = f"{title} ({deletion.advantage(title):+.2f})"
        axes.plot(deletion.fraction, score, ".-", color=CLASS_COLOURS[k % len(CLASS_COLOURS)], label=label)
    axes.set(xlabel="fraction of the image that is blanked", ylabel="mean score of the region", xlim=(0, 1))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, title="most relevant first (area below random)", title_fontsize=8)
    return figure


def _draw(axes, map: np.ndarray):
    """Draw one map with colours of its own range; return what a colour bar needs."""
    sizes = np.abs(map[map != 0])
    high = np.percentile(sizes, CLIP) if sizes.size else 1.0
    low, colours = (-high, "RdBu_r") if map.min() < 0 else (0, "magma")
    return axes.imshow(map, cmap=colours, vmin=low, vmax=high, interpolation="nearest")


def _mark(axes, region: np.ndarray) -> None:
    """Draw a line around a region, along the edges of its pixels; around a single pixel also a ring."""
    from matplotlib.collections import LineCollection

    padded = np.pad(region, 1).astype(int)
    i, j = np.nonzero(np.diff(padded, axis=0))  # edges between a pixel and the one below
    p, q = np.nonzero(np.diff(padded, axis=1))  # ... and the one to the right
    across = np.stack([np.stack([j - 1.5, i - 0.5], 1), np.stack([j - 0.5, i - 0.5], 1)], 1)
    down = np.stack([np.stack([q - 0.5, p - 1.5], 1), np.stack([q - 0.5, p - 0.5], 1)], 1)
    for width, colour in ((2.0, "black"), (0.9, "white")):  # seen on dark and on bright ground
        axes.add_collection(LineCollection(np.concatenate([across, down]), colors=colour, linewidths=width))
    if len(pixels := np.argwhere(region)) == 1:
        axes.plot(*pixels[0, ::-1], "o", markersize=11, markerfacecolor="none", markeredgecolor=MARK)
