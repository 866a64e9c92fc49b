"""Segmenting an image file that is too large for memory: read, segmented and written a few rows at a time.

What is in memory is a row of tiles: it grows with the width of the image and the side of the tiles, not with the
height. The file is read twice where the normalisation asks for the range or the mean of the whole image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..backend import memory_of
from ..data.normalize import Statistics
from ..data.rows import Rows
from ..data.write import RowWriter, values_for
from ..files import writing_whole
from .looks import Prediction, to_prediction
from .segmenter import Segmenter
from .tiles import choose_tile

LARGE = 2**26
"""Pixels above which `tinyunet predict` works by rows: 8192 x 8192."""

_VIEW = 2048  # pixels of the longer side of what is shown


class Overview(NamedTuple):
    """Every so many-th pixel of a large image and of what was found in it.

    Attributes
    ----------
    image : (C, h, w) array
    labels : (h, w) int array
    prediction : Prediction or None
        Where uncertainty was asked for.
    found : set of int
        The classes that some pixel of the whole image was given.
    """

    image: np.ndarray
    labels: np.ndarray
    prediction: Prediction | None
    found: set[int]


def segment_rows(
    segmenter: Segmenter,
    rows: Rows,
    labels: Path,
    *,
    probabilities: Path | None = None,
    uncertainty: Path | None = None,
    tile: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
    **options,
) -> Overview:
    """Segment an image file and write what was found; each file appears whole or not at all.

    Parameters
    ----------
    segmenter : Segmenter
    rows : Rows
        The open file, see `tinyunet.data.rows.open_rows`.
    labels : path
        .png or .npy, for the value of each class.
    probabilities : path, optional
        .npy, for (classes, H, W) float32.
    uncertainty : path, optional
        .npy, for (2, H, W) float32: entropy and mutual information, see `tinyunet.inference.looks`.
    tile : int, optional
        As in `Segmenter.probabilities`; by default never whole.
    progress : callable
        Wraps the list of rows of tiles, such as `tqdm.tqdm`.
    **options
        overlap, tta, passes as in `Segmenter.probabilities`.

    Returns
    -------
    Overview

    Raises
    ------
    DataError
        If the file is damaged or holds NaN, or the values of the classes do not fit the format.
    """
    H, W = rows.height, rows.width
    if tile is None:
        memory = memory_of(segmenter.model.device)
        tile = choose_tile(segmenter.model, memory and memory[0])
    values = values_for(labels, segmenter.mask_values)
    step = 256
    whole = None
    if segmenter.normalize.kind != "window":
        whole = Statistics.of(rows.read(i, min(i + step, H)) for i in range(0, H, step))
    strips = segmenter.by_rows(
        lambda first, last: segmenter.normalize(rows.read(first, last), whole)[None],
        H,
        W,
        tile=tile,
        with_entropy=uncertainty is not None,
        progress=progress,
        **options,
    )
    every, found, done, seen = -(-max(H, W) // _VIEW), set(), 0, []
    with ExitStack() as files:

        def open_writer(path: Path, shape: tuple[int, ...], dtype) -> RowWriter:
            return RowWriter(files.enter_context(writing_whole(path)), path.suffix, shape, dtype)

        classes = len(segmenter.mask_values)
        to_labels = open_writer(labels, (H, W), values.dtype)
        to_probabilities = probabilities and open_writer(probabilities, (classes, H, W), np.float32)
        to_uncertainty = uncertainty and open_writer(uncertainty, (2, H, W), np.float32)
        for strip in strips:
            prediction = to_prediction(strip[0]) if to_uncertainty else None
            p = strip[0, :classes]
            here, count = p.argmax(axis=0), p.shape[1]
            found |= set(np.unique(here).tolist())
            to_labels.write(values[here])
            if to_probabilities:
                to_probabilities.write(p)
            if to_uncertainty:
                to_uncertainty.write(np.stack(prediction[1:]))
            part = (slice(-done % every, None, every), slice(None, None, every))
            if count > part[0].start:
                arrays = (rows.read(done, done + count), here, *(prediction or ()))
                seen.append([a[..., *part].copy() for a in arrays])  # a view would keep the whole strip
            done += count
    image, small, *maps = (np.concatenate(parts, axis=-2) for parts in zip(*seen, strict=True))
    return Overview(image, small, Prediction(*maps) if maps else None, found)
