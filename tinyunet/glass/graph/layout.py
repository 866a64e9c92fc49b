"""Where the boxes of a graph go: a layered drawing after Sugiyama, Tagawa and Toda (1981), from left to right.

Three questions, one after another: in which column is a box (the longest path to it), in which order are those of a
column (each at the mean of its neighbours, the barycentre), and at which height are they (as near to the neighbours as
their sizes allow). An edge that passes columns gets a bend in each of them, which takes its place like a box.

One thing is our own: boxes also belong to *bands*, which lie above one another. With a band for every resolution of the
images an encoder goes down, a decoder comes up, and a skip runs straight through its band: the U of a UNet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

COLUMN_GAP, BAND_GAP, GAP = 34.0, 34.0, 16.0  # pixels between columns, bands, and boxes of a column
SWEEPS = (True, False) * 4  # from the first box to the last, and back
STRAIGHT = 1000.0  # how much more a bend resists than a box

Point = tuple[float, float]


class Layout(NamedTuple):
    """Centres of the boxes, points that each edge passes (without its ends), and the size of the whole, in pixels."""

    centres: list[Point]
    bends: dict[tuple[int, int], list[Point]]
    width: float
    height: float


def place(sizes: Sequence[Point], edges: Sequence[tuple[int, int]], bands: Sequence[int]) -> Layout:
    """Lay out an acyclic graph.

    Parameters
    ----------
    sizes : sequence of (width, height)
        Of each box, in pixels. Boxes are in topological order: an edge goes from a smaller number to a larger.
    edges : sequence of (int, int)
    bands : sequence of int
        Of each box, from 0 at the top.

    Returns
    -------
    Layout
    """
    column = _columns(edges, bands)
    boxes, bands, chains = list(sizes), list(bands), {}
    beside: dict[int, list[int]] = defaultdict(list)
    for a, b in edges:
        chain = [a]
        for k in range(column[a] + 1, column[b]):
            chain.append(len(boxes))
            boxes.append((0.0, 0.0))
            bands.append(bands[a])
            column.append(k)
        chains[a, b] = [*chain, b]
        for k, j in zip(chain, chains[a, b][1:], strict=True):
            beside[k].append(j)
            beside[j].append(k)

    cells = _order(column, bands, beside)
    weight = [1.0] * len(sizes) + [STRAIGHT] * (len(boxes) - len(sizes))
    y = _heights(cells, boxes, bands, beside, weight)
    x, width = _across(column, boxes)
    height = _stack_bands(y, boxes, bands)
    points = list(zip(x, y, strict=True))
    return Layout(points[: len(sizes)], {e: [points[k] for k in c[1:-1]] for e, c in chains.items()}, width, height)


def _columns(edges, bands) -> list[int]:
    """Return the column of each box: the longest path to it. An edge to the next band may go straight down or up."""

    def step(a: int, b: int) -> int:
        return int(abs(bands[a] - bands[b]) != 1)

    column, users = [0] * len(bands), defaultdict(list)
    for a, b in sorted(edges):
        column[b] = max(column[b], column[a] + step(a, b))
        users[a].append(b)
    for leaf in users.keys() - {b for _, b in edges}:  # it stands beside the first box that uses it
        column[leaf] = max(column[leaf], min(column[b] - step(leaf, b) for b in users[leaf]))
    return column


def _order(column, bands, beside) -> list[list[int]]:
    """Return the boxes of each (column, band) from top to bottom, the columns from left to right."""
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    for k, key in enumerate(zip(column, bands, strict=True)):
        cells[key].append(k)
    rank = [0] * len(column)

    def mean_of_neighbours(k: int) -> float:
        near = [bands[j] * len(column) + rank[j] for j in beside[k]]
        return sum(near) / len(near) if near else 0.0

    cells = [cells[key] for key in sorted(cells)]
    for forward in SWEEPS:
        for cell in cells if forward else reversed(cells):
            cell.sort(key=mean_of_neighbours)
            for r, k in enumerate(cell):
                rank[k] = r
    return cells


def _heights(cells, boxes, bands, beside, weight) -> list[float]:
    """Return the height of each box's centre inside its band."""
    y = [0.0] * len(boxes)
    for forward in SWEEPS:
        for cell in cells if forward else reversed(cells):
            wanted = []
            for k in cell:
                near = [(y[j], weight[j]) for j in beside[k] if bands[j] == bands[k]]
                total = sum(w for _, w in near)
                wanted.append(sum(v * w for v, w in near) / total if near else y[k])
            found = _apart(wanted, [boxes[k][1] for k in cell], [weight[k] for k in cell])
            for k, value in zip(cell, found, strict=True):
                y[k] = value
    return y


def _apart(wanted: list[float], heights: list[float], weights: list[float]) -> list[float]:
    """Return the heights nearest to the wanted ones, by weighted squares, at which neighbours do not overlap.

    Without the distances that they must keep it is isotonic regression: what is out of order is averaged.
    """
    needed = [0.0]
    for upper, lower in zip(heights, heights[1:], strict=False):
        needed.append(needed[-1] + (upper + lower) / 2 + GAP)
    blocks: list[list[float]] = []  # mean, weight, count
    for value, distance, weight in zip(wanted, needed, weights, strict=True):
        blocks.append([value - distance, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, more, count = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + mean * more) / (last[1] + more)
            last[1:] = last[1] + more, last[2] + count
    means = [mean for mean, _, count in blocks for _ in range(int(count))]
    return [mean + distance for mean, distance in zip(means, needed, strict=True)]


def _across(column, boxes) -> tuple[list[float], float]:
    """Return the centre of each box from left to right, and the width of all columns."""
    widths = [0.0] * (max(column) + 1)
    for k, (width, _) in enumerate(boxes):
        widths[column[k]] = max(widths[column[k]], width)
    lefts, right = [], 0.0
    for width in widths:
        lefts.append(right)
        right += width + COLUMN_GAP
    return [lefts[c] + widths[c] / 2 for c in column], right - COLUMN_GAP


def _stack_bands(y: list[float], boxes, bands) -> float:
    """Move the bands below one another, in place, and return the height of all."""
    top = 0.0
    for band in sorted(set(bands)):
        inside = [k for k in range(len(y)) if bands[k] == band]
        first = min(y[k] - boxes[k][1] / 2 for k in inside)
        last = max(y[k] + boxes[k][1] / 2 for k in inside)
        for k in inside:
            y[k] += top - first
        top += last - first + BAND_GAP
    return top - BAND_GAP
