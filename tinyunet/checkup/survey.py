"""Reading every case once and keeping a few numbers of each, so that a large data set needs little memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data.cases import Case, Pixels
from ..data.image_file import PICTURES, is_turned, opened, suffix_of
from ..data.sample import DataError, Geometry, SampleCache
from ..report.uses import fingerprint
from .finding import Finding, names_of

SIDE = 32  # of a thumbnail, in pixels
_MOST_VALUES = 1024  # of a mask that are kept
_SAMPLED = 10_000  # pixels whose values are counted, to tell pictures from masks


class Labels(NamedTuple):
    """The values of one mask, the most frequent first.

    Attributes
    ----------
    values, pixels : (K,) int arrays
        What occurs, and how often.
    inner : (K,) int array
        How many of these pixels have only equal ones above, below, left and right: none of a value that was smeared
        along edges.
    distinct : int
        How many values there are; K is at most 1024.
    empty_slices : int
        How many slices hold a single value.
    unlabelled : int
        How many pixels have the value that is to be ignored, which counts in none of the above.
    """

    values: np.ndarray
    pixels: np.ndarray
    inner: np.ndarray
    distinct: int
    empty_slices: int
    unlabelled: int = 0


class Look(NamedTuple):
    """What is kept of a case.

    Attributes
    ----------
    part : str
        "train", "test", or "" if the data set is not divided.
    case : Case
    shape : (C, D, H, W)
    dtype : str
    low, high : float
        Smallest and largest intensity.
    clipped : float
        Share of the pixels that have the largest one.
    levels : int
        How many intensities there are in a sample of the pixels.
    storage : str
        "turned" if EXIF says so, "alpha" or "palette" if a PNG has one, "grey" if three channels are equal, else "".
    geometry : Geometry or None
    print, mask_print : str
        Fingerprints of the pixels of image and mask.
    thumbnail : (SIDE, SIDE) float32 array
        The middle slice.
    shown : int
        The slice with most foreground.
    labels : Labels
    """

    part: str
    case: Case
    shape: tuple[int, ...]
    dtype: str
    low: float
    high: float
    clipped: float
    levels: int
    storage: str
    geometry: Geometry | None
    print: str
    mask_print: str
    thumbnail: np.ndarray
    shown: int
    labels: Labels

    @property
    def image(self) -> Path:
        """Its file, or the first of its modalities."""
        return self.case.images[0]


class Reader:
    """Reads cases; what it has read stays in memory as far as 256 MiB go, for the contact sheet."""

    def __init__(self, series: int | None) -> None:
        self._series = series
        self._cache: SampleCache[Pixels] = SampleCache(2**28)

    def read(self, case: Case) -> Pixels:
        """Return image and mask; a DataError says why they cannot be used."""
        return self._cache.get(case, lambda case: case.read_pair(series=self._series))


def survey(
    root: Path, cases: Sequence[tuple[str, Case]], reader: Reader, show_progress: bool, ignore: int | None = None
) -> tuple[list[Look], list[Finding]]:
    """Look at every (part, case); those that cannot be read become findings, one for each kind of fault."""
    from tqdm import tqdm

    looks, faults = [], {}
    for part, case in tqdm(cases, desc="reading", unit="case", disable=None if show_progress else True):
        try:
            looks.append(_look(part, case, reader.read(case), ignore))
        except (DataError, MemoryError) as error:
            text = str(error) or "there is not enough memory to read it"
            path = next((p for p in (*case.images[::-1], case.mask) if text.startswith(f"{p}: ")), case.images[0])
            body = text.removeprefix(f"{path}: ")
            faults.setdefault(re.sub(r"[^ ]*\d[^ ]*", "#", body), []).append((path, body))
    findings = []
    for faulty in faults.values():
        paths, bodies = zip(*faulty, strict=True)
        many = f"{len(paths)} files, the first of them" if len(paths) > 1 else "1 file cannot be used"
        what = f"{many}: {bodies[0]}"
        remedy = f"mend {'it' if len(paths) == 1 else 'them'}, or go on without: tinyunet train --on-bad-file skip"
        findings.append(Finding("error", "unusable files", what, names_of(root, paths), remedy))
    return looks, findings


def _look(part: str, case: Case, pixels: Pixels, ignore: int | None) -> Look:
    image = pixels.image
    low, high = image.min(), image.max()
    sample = image.reshape(-1)[:: max(1, image.size // _SAMPLED)]
    grey = len(image) == 3 and len(case.images) == 1 and (image == image[:1]).all()
    labels, shown = _count(pixels.raw, ignore)
    return Look(
        part,
        case,
        image.shape,
        str(image.dtype),
        float(low),
        float(high),
        np.count_nonzero(image == high) / image.size,
        len(np.unique(sample)),
        _storage(case.images[0]) or ("grey" if grey else ""),
        pixels.geometry,
        fingerprint([image]),
        fingerprint([pixels.raw]),
        _thumbnail(image[:, image.shape[1] // 2].mean(axis=0, dtype=np.float32)),
        shown,
        labels,
    )


def _count(raw: np.ndarray, ignore: int | None) -> tuple[Labels, int]:
    """Count the values of a mask (D, H, W), and find the slice that shows most."""
    low, high = int(raw.min()), int(raw.max())
    values = np.arange(low, high + 1) if high - low < 2**16 else np.unique(raw)
    pixels, inner = np.zeros((2, len(values)), np.int64)
    most, shown, empty = -1, 0, 0
    for k, plane in enumerate(raw):
        index = plane.astype(np.int64) - low if high - low < 2**16 else np.searchsorted(values, plane)
        framed = np.pad(index, 1, mode="edge")
        same = (framed[:-2, 1:-1] == index) & (framed[2:, 1:-1] == index)
        same &= (framed[1:-1, :-2] == index) & (framed[1:-1, 2:] == index)
        here = np.bincount(index.ravel(), minlength=len(values))
        pixels += here
        inner += np.bincount(index[same], minlength=len(values))
        empty += here.max() == index.size
        if index.size - here.max() > most:
            most, shown = index.size - here.max(), k
    unlabelled = int(pixels[values == ignore].sum()) if ignore is not None else 0
    pixels[values == ignore] = 0
    order = np.argsort(-pixels, kind="stable")[: min(_MOST_VALUES, np.count_nonzero(pixels))]
    return Labels(
        values[order], pixels[order], inner[order], int(np.count_nonzero(pixels)), int(empty), unlabelled
    ), shown


def _thumbnail(plane: np.ndarray) -> np.ndarray:
    """Return (H, W) as (SIDE, SIDE), the averages of equal parts."""
    from PIL import Image

    return np.asarray(Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BOX))


def _storage(path: Path) -> str:
    suffix = suffix_of(path)
    if suffix in PICTURES:
        with opened(path) as image:
            if is_turned(image):
                return "turned"
    if suffix != ".png":
        return ""
    with open(path, "rb") as file:
        head = file.read(26)
    return {3: "palette", 4: "alpha", 6: "alpha"}.get(head[25], "")  # the colour type in the header of a PNG
