"""An image in overlapping windows, so that its size is limited by patience and not by memory.

A window shows the network less than the image does: next to a cut, what a pixel would see beyond is missing. How far
that reaches, the margin, follows from the layers (`nn.summary.seen_rows`): 107 pixels for a UNet of depth 4.
Windows that overlap by two margins cover every pixel with one that shows all it can see, and values next to a cut are
not used. Then tiles give what the whole image gives, but for rounding. That takes windows that begin where the pools
begin a new block, which `cut` sees to.

It cannot be so with less overlap, nor if a layer looks at the whole image: group normalisation takes its mean over it,
and bilinear enlarging places its rows by its height. Then all values are used, and those near the middle of a window
count more, by a Gaussian whose standard deviation is an eighth of the window, so that seams fade.

Reference: Isensee et al., nnU-Net, 2021 (the Gaussian); Ronneberger et al., U-Net, 2015 (overlapping tiles).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import isqrt

import numpy as np

from ..nn import GroupNorm, UNet, UpsampleBilinear2d
from ..nn.summary import run_layers, seen_rows


@dataclass(frozen=True)
class Axis:
    """How one axis of an image is cut, in pixels.

    Attributes
    ----------
    size : int
        Of the image.
    before, after : int
        Edge pixels that are added so that the network takes it.
    border : int
        By how much an output of the network is smaller than its input.
    offset : int
        Place of the image's first pixel in the output.
    length : int
        Output of one window.
    starts : tuple of int
        Where the windows begin in the output.
    hidden : int
        Values next to a cut that are not used.
    """

    size: int
    before: int
    after: int
    border: int
    offset: int
    length: int
    starts: tuple[int, ...]
    hidden: int

    @property
    def output(self) -> int:
        """Length of the output of all windows together."""
        return self.starts[-1] + self.length

    def weights(self, start: int) -> np.ndarray:
        """Return how much the values of a window count: (length,) float32."""
        if len(self.starts) == 1:
            return np.ones(self.length, np.float32)
        i = np.arange(self.length)
        w = np.exp(-0.5 * ((i - (self.length - 1) / 2) / (self.length / 8)) ** 2).astype(np.float32)
        w[: self.hidden if start > 0 else 0] = 0
        w[self.length - (self.hidden if start < self.starts[-1] else 0) :] = 0
        return w


def sees_everything(model: UNet) -> bool:
    """Tell whether an output pixel depends on the whole image, however large."""
    return any(isinstance(module, (GroupNorm, UpsampleBilinear2d)) for _, module in model.named_modules())


def margin(model: UNet) -> int:
    """Return how many pixels beyond its own place an output pixel looks, where cuts can hide them from it.

    None are hidden where the network is unpadded: a window is then as much larger than its output as it looks far.
    """
    if model.border:
        return 0
    step, side = 2**model.depth, model.next_size(1)
    i = np.arange(step)  # how the pools cut the image repeats after so many rows
    first, last = seen_rows(run_layers(model, (1, model.arguments["in_channels"], side, side)), i, i)
    return int(max((i - first).max(), (last - i).max()))


def cut(model: UNet, size: int, tile: int, overlap: int | None) -> Axis:
    """Cut one axis of an image into windows.

    Parameters
    ----------
    model : UNet
    size : int
        Height or width of the image.
    tile : int
        Output of one window, rounded up to what the pools divide; 0 means the whole axis.
    overlap : int or None
        Of neighbouring windows, at least; None takes two margins, or half a window if the margins fill it or the
        network sees everything.

    Raises
    ------
    ValueError
        If tile or overlap is negative, or windows do not go forward.
    """
    if tile < 0:
        raise ValueError(f"tile must be a number of pixels, or 0 for the whole image, got {tile}")
    border, step = model.border, 2**model.depth
    padded = model.next_size(size + border)
    offset = 0 if border else (padded - size) // 2
    before, output = offset + border // 2, padded - border
    length = model.next_size(tile + border) - border if tile else output
    shape = (size, before, padded - size - before, border, offset)
    if tile and overlap is not None and not 0 <= overlap <= length - step:
        raise ValueError(
            f"overlap must be from 0 to {length - step} pixels with tiles of {length}, which then go on by {step} or "
            f"more, got {overlap}"
        )
    if length >= output:
        return Axis(*shape, output, (0,), 0)
    needed = 2 * margin(model)
    if overlap is None:
        overlap = needed if length - needed >= step and not sees_everything(model) else length // 2
    stride = (length - overlap) // step * step
    starts = (*range(0, output - length, stride), output - length)
    exact = overlap >= needed and not sees_everything(model)
    return Axis(*shape, length, starts, needed // 2 if exact else 0)


def caveat(model: UNet, tile: int, overlap: int | None) -> str:
    """Return why tiles of this size can differ from the whole image, or "" if they cannot."""
    if sees_everything(model):
        return (
            "group normalisation and bilinear enlarging look at the whole image, so tiles give a similar result, not "
            "the same"
        )
    needed = 2 * margin(model)
    length = model.next_size(tile + model.border) - model.border
    text = f"this network looks {needed // 2} pixels far, so tiles that overlap by less than {needed} give a similar "
    if overlap is not None and overlap < needed:
        return f"{text}result, not the same"
    if length - needed < 2**model.depth:
        return f"{text}result, not the same; --tile {4 * needed} leaves room for that"
    return ""


def forecast(model: UNet, height: int, width: int) -> int:
    """Return about how many bytes the network needs at once to segment an image of this size.

    The most is alive on the way up, behind the first convolution of a level: the skips of this level and of those
    above, the map from below, what was enlarged of it, that and the skip joined, the convolution's output and that of
    the next layer. It is level 1, but for small images in wide networks: there a deep one, where the convolution's
    scratch memory counts.
    """
    arguments = model.arguments
    base, classes, depth = arguments["base_channels"], max(arguments["classes"], 2), model.depth
    pixels = model.next_size(height + model.border) * model.next_size(width + model.border)
    enlarged = 2 if arguments["up"] == "nearest" else 1  # in units of the level's channels
    skips, most = 0.0, (base + 3 * classes) * pixels  # the last map; scores and probabilities
    for level in range(depth):
        channels, size = base * 2**level, base * pixels / 2**level
        skips += size
        joined = 1 + enlarged
        alive = skips + (0.5 + enlarged + joined + 2) * size + _scratch(joined * channels, channels)
        most = max(most, alive)
    channels, size = base * 2**depth, base * pixels / 2**depth
    most = max(most, skips + 2.5 * size + _scratch(channels, channels))
    return int(4 * (most + 3 * arguments["in_channels"] * pixels))


def _scratch(C: int, O: int) -> int:
    """Return how many numbers a 3 x 3 convolution C -> O holds on a CPU besides its maps, see `ops/conv2d/cpu_fast.py`.

    They are the lifted weights, twice as many as the weights, and in each thread the lifted rows of a tile.
    """
    from numba import get_num_threads

    return 18 * C * O + get_num_threads() * 6 * max(min(16384, 300 * C), 80 * C)


def choose_tile(model: UNet, free: int | None) -> int:
    """Return a side for tiles: eight times what the network looks beyond them, or what half the memory holds."""
    wanted = max(8 * max(margin(model), model.border // 2), 256)
    if free is None:
        return wanted
    per_pixel = forecast(model, 1024, 1024) // 2**20
    return max(2**model.depth, min(wanted, isqrt(free // 2 // per_pixel)))


def blend(
    rows: Axis,
    columns: Axis,
    read: Callable[[int, int], np.ndarray],
    run: Callable[[np.ndarray], np.ndarray],
    progress: Callable[[Iterable], Iterable] = iter,
) -> Iterator[np.ndarray]:
    """Run a network on every window and join the outputs, from top to bottom.

        y = sum_t w_t y_t / sum_t w_t        over the windows t that cover a pixel

    Parameters
    ----------
    rows, columns : Axis
    read : callable
        (first, last) -> rows first..last-1 of the images, (N, C, last - first, W).
    run : callable
        Window (N, C, h, w) -> output (N, K, h - border, w - border).
    progress : callable
        Wraps the list of rows of windows, such as `tqdm.tqdm`.

    Yields
    ------
    (N, K, h, W) array
        The next rows of the images, as soon as no further window touches them.
    """
    total = None
    for k, top in enumerate(progress(rows.starts)):
        x = _input(rows, columns, read, top)
        for left in columns.starts:
            y = run(x[..., left : left + columns.length + columns.border])
            if total is None:
                total = np.zeros((*y.shape[:2], rows.length, columns.output), y.dtype)
                weight = np.zeros(total.shape[2:], y.dtype)
            w = rows.weights(top)[:, None] * columns.weights(left)
            here = slice(left, left + columns.length)
            total[..., here] += w * y
            weight[:, here] += w
        done = (rows.starts[k + 1] if k + 1 < len(rows.starts) else rows.output) - top
        inside = slice(max(rows.offset - top, 0), max(min(done, rows.offset + rows.size - top), 0))
        across = slice(columns.offset, columns.offset + columns.size)
        yield total[:, :, inside, across] / weight[inside, across]
        for array in (total, weight):
            array[..., :-done, :] = array[..., done:, :].copy()
            array[..., -done:, :] = 0


def _input(rows: Axis, columns: Axis, read: Callable[[int, int], np.ndarray], top: int) -> np.ndarray:
    """Read what a row of windows needs, and continue the image beyond its edges by repeating them."""
    first = top - rows.before
    last = first + rows.length + rows.border
    a, b = max(first, 0), min(last, rows.size)
    margins = ((0, 0), (0, 0), (a - first, last - b), (columns.before, columns.after))
    return np.pad(read(a, b), margins, mode="edge")
