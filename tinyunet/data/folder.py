"""Images and masks in folders, as most people have them; every mistake is named before training starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from . import volume
from .cases import check_same_place, describe_places, pair, some
from .image_file import ARRAYS, PICTURES, read_labels, suffix_of
from .sample import DataError, Geometry, Sample, SampleCache

MAX_CLASSES = 32
_LAYOUTS = """expected one of these layouts:
    ROOT/images  ROOT/masks
    ROOT/train/images  ROOT/train/masks  and the same in test"""


class _Decoded(NamedTuple):
    """A case in memory, in the dtypes of its files."""

    pixels: np.ndarray  # (C, D, H, W)
    raw: np.ndarray  # (D, H, W) values of the mask
    geometry: Geometry | None


class ImageFolder:
    """Images and volumes with their masks, paired by name; a volume counts as its slices.

    Which files are found and how they pair (modalities, DICOM folders, `NAME_mask`) is said in `tinyunet.data.cases`,
    which formats are read in `tinyunet.data.image_file`. Everything is decoded once when the folder is opened, so that
    every bad file is known before training starts; what was decoded stays in memory as far as 1 GiB goes.

    The distinct values of all masks become the classes 0..C-1 in ascending order. Masks are never scaled: 0/255 and
    0/1 give the same two classes. Slices are those of a volume's last stored axis; none is turned or resampled.

    Parameters
    ----------
    root : path
    split : "train", "test" or None
        Which sub-folder; None if `images` and `masks` lie directly in `root`.
    mask_values : sequence of int, optional
        The raw value of each class, in class order. Pass `train.mask_values` when opening a test set, so
        that a class keeps its index even if the test masks lack another one.
    channels : int or None
        1 or 3 converts every image to grey or to RGB; another number only checks; None takes them as they are,
        provided that they agree.
    series : int or None
        Which DICOM series (its SeriesNumber), where folders hold several.
    on_bad_file : "stop" or "skip"
        What to do about files that cannot be used: raise an error that lists all of them, or leave their cases out.

    Attributes
    ----------
    names : tuple of str
        Names of the cases in alphabetical order, with the number of the slice (from 0) for volumes: the order of the
        samples.
    sizes : tuple of (H, W)
        Size of each sample, in pixels.
    patients : tuple of str
        Case of each sample, for `split(..., groups=patients)`.
    skipped : tuple of str
        What was left out and why.
    class_names, channels, mask_values
        See `tinyunet.data.sample.Dataset`.

    Raises
    ------
    DataError
        If a folder is missing or empty; files do not pair or cannot be read (see `read_scan`, `read_labels`); an
        image and its mask differ in size or place; grey and RGB are mixed; the masks hold more than `MAX_CLASSES`
        values, only one value, or a value that is not in `mask_values`.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        *,
        mask_values: Sequence[int] | None = None,
        channels: int | None = None,
        series: int | None = None,
        on_bad_file: Literal["stop", "skip"] = "stop",
    ) -> None:
        if split not in (None, "train", "test"):
            raise DataError(f"split is {split!r}; expected None, 'train' or 'test'")
        if on_bad_file not in ("stop", "skip"):
            raise DataError(f"on_bad_file is {on_bad_file!r}; expected 'stop' or 'skip'")
        if channels is not None and channels < 1:
            raise DataError(f"channels is {channels!r}; expected None or at least 1, such as 1 (grey) or 3 (RGB)")
        if mask_values is not None and (len(mask_values) < 2 or len(set(mask_values)) < len(mask_values)):
            raise DataError(f"mask_values is {tuple(mask_values)}; expected at least two different values")
        self.root, self.split = Path(root), split
        self._channels, self._series = channels, series
        self._cache: SampleCache[_Decoded] = SampleCache()
        folder = _find(self.root, split)
        cases, bad = pair(folder / "images", folder / "masks")
        files = [path for case in cases for path in (*case.images, case.mask)]
        if any(suffix_of(path) not in PICTURES + ARRAYS for path in files):
            volume.simpleitk()  # if it is missing, that is no fault of each single file
        self._cases = {case.name: case for case in cases}
        self._scan(bad, mask_values)
        if bad and (on_bad_file == "stop" or not self._cases):
            raise DataError(_list_bad(folder, bad))
        self.skipped = tuple(bad)
        self._check_channels()
        self.mask_values = tuple(mask_values if mask_values is not None else sorted(self._pixels))
        self._check_values(folder / "masks")
        self.class_names = _class_names(self.mask_values)
        self._class_of = _class_lookup(self.mask_values)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} samples")
        name, k = self._places[index]
        pixels, raw, geometry = self._cache.get(name, self._decode)
        spacing = None if geometry is None else geometry.spacing[::-1]
        image, mask = pixels[:, k].astype(np.float32), self._class_of(raw[k])
        return Sample(image, mask, self.names[index], name, spacing)

    def _decode(self, name: str) -> _Decoded:
        """Read a case and its mask, and check that they fit."""
        case = self._cases[name]
        scan = case.read(self._channels, self._series)
        labels = read_labels(case.mask)
        check_same_place(case.mask, labels, case.images[0], scan)
        raw = labels.pixels[0]
        if raw.min() >= 0 and raw.max() < 256:
            raw = raw.astype(np.uint8)
        return _Decoded(scan.pixels, raw, scan.geometry)

    def _scan(self, bad: list[str], expected: Sequence[int] | None) -> None:
        """Decode every case; keep sizes and counts of the good ones, add a line to `bad` for each of the others."""
        self._pixels: Counter[int] = Counter()  # how many pixels, and how many cases, hold each value
        self._files: Counter[int] = Counter()
        self._channel_counts: dict[str, int] = {}
        self._geometries: list[Geometry | None] = []
        places, names, sizes = [], [], []
        for name, case in _progress(list(self._cases.items())):
            try:
                pixels, raw, geometry = self._cache.get(name, self._decode)
                found = _count(raw)
                _check_mask(case.mask, found, expected)
            except (DataError, MemoryError) as error:
                del self._cases[name]
                memory = f"{case.images[0]}: there is not enough memory to read it; cut it into parts"
                bad.append(memory if isinstance(error, MemoryError) else str(error))
                continue
            self._pixels.update(found)
            self._files.update(found.keys())
            self._channel_counts[name] = len(pixels)
            self._geometries.append(geometry)
            for k in range(len(raw)):
                places.append((name, k))
                names.append(name if len(raw) == 1 else f"{name}_slice{k:03d}")
                sizes.append(raw.shape[1:])
        self._places, self.names, self.sizes = places, tuple(names), tuple(sizes)
        self.patients = tuple(name for name, _ in places)

    def _check_channels(self) -> None:
        by_count: dict[int, list[str]] = {}
        for name, count in self._channel_counts.items():
            by_count.setdefault(count, []).append(self._cases[name].images[0].name)
        if len(by_count) > 1:
            what = {1: "grey", 3: "RGB"}
            parts = [f"{len(n)} {what.get(c, f'{c}-channel')} images ({some(n)})" for c, n in sorted(by_count.items())]
            raise DataError(
                f"{self.root}: {parts[0]} are mixed with {' and '.join(parts[1:])}. Make all of them grey with "
                "channels=1 (--channels 1), or RGB with channels=3 (--channels 3)."
            )
        (self.channels,) = by_count

    def _check_values(self, masks: Path) -> None:
        if len(self.mask_values) > MAX_CLASSES:
            raise DataError(f"{masks}: {_advise_values(len(self.mask_values))}")
        if len(self.mask_values) < 2:
            raise DataError(
                f"{masks}: every mask holds the single value {self.mask_values[0]}; expected at "
                "least two values, such as 0 for the background and 255 for the object"
            )

    def describe(self) -> str:
        """Text for people: where, how many, which sizes, and how mask values became classes."""
        heights, widths = zip(*self.sizes, strict=True)
        cases = len(self._cases)
        size = f"{heights[0]}x{widths[0]}"
        if len(set(self.sizes)) > 1:
            size = f"{min(heights)}..{max(heights)}x{min(widths)}..{max(widths)}"
        lines = [
            f"{self.root}{f' ({self.split})' if self.split else ''}",
            f"  images    {len(self)}" + f" (slices of {cases} volumes)" * (cases < len(self)),
            f"  size      {size} (height x width)",
            *describe_places(self._geometries),
            f"  channels  {self.channels}{ {1: ' (grey)', 3: ' (RGB or three modalities)'}.get(self.channels, '') }",
            "  classes   mask value -> class: share of pixels, masks that hold it",
        ]
        total = sum(self._pixels.values())
        for index, (value, name) in enumerate(zip(self.mask_values, self.class_names, strict=True)):
            share, files = self._pixels[value] / total, self._files[value]
            lines.append(f"    {value:5d} -> {index} {name}: {share:.2%}, {files} of {cases}")
        if self.skipped:
            lines += [f"  skipped   {len(self.skipped)}, because:", *(f"    {line}" for line in self.skipped)]
        return "\n".join(lines)


def _find(root: Path, split: str | None) -> Path:
    """The folder that holds `images` and `masks`."""
    folder = root / split if split else root
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        return folder
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder; {_LAYOUTS}")
    missing = [name for name in ("images", "masks") if not (folder / name).is_dir()]
    place = folder if folder.is_dir() else root
    found = [path.name + "/" * path.is_dir() for path in sorted(place.iterdir())]
    hint = ""
    if split is None and (root / "train" / "images").is_dir():
        hint = '\nThe folder has a train part: choose split="train" (--split train).'
    elif split is not None and (root / "images").is_dir() and not folder.is_dir():
        hint = "\nThe folder is not divided: leave out the split."
    raise DataError(
        f"{folder}: no folder {' and no folder '.join(missing)}; {_LAYOUTS}\n"
        f"{place} holds: {some(found) or 'nothing'}{hint}"
    )


def _list_bad(folder: Path, bad: Sequence[str], limit: int = 1000) -> str:
    """One line per bad file, and what can be done about them."""
    if len(bad) == 1:
        return f'{bad[0]} (Or go on without: on_bad_file="skip", --on-bad-file skip.)'
    lines = [f"{folder}: {len(bad)} things are wrong:", *(f"  {line}" for line in bad[:limit])]
    lines += [f"  and {len(bad) - limit} more"] * (len(bad) > limit)
    return "\n".join([*lines, 'Mend them, or go on without: on_bad_file="skip" (--on-bad-file skip).'])


def _count(raw: np.ndarray) -> dict[int, int]:
    """How many pixels hold each value, slice by slice: sorting a whole volume would take seconds."""
    low, high = int(raw.min()), int(raw.max())
    if high - low >= 2**16:
        return dict(zip(*(a.tolist() for a in np.unique(raw, return_counts=True)), strict=True))
    counts = sum(np.bincount(plane.ravel().astype(np.int64) - low, minlength=high - low + 1) for plane in raw)
    return {low + k: count for k, count in enumerate(counts.tolist()) if count}


def _check_mask(path: Path, found: dict[int, int], expected: Sequence[int] | None) -> None:
    if len(found) > MAX_CLASSES:
        raise DataError(f"{path}: {_advise_values(len(found))}")
    unknown = sorted(set(found) - set(expected)) if expected is not None else []
    if unknown:
        raise DataError(
            f"{path}: holds the values {some(unknown)}; expected only {some(expected)}. "
            "Masks must use the values that the model was trained with."
        )


def _advise_values(count: int) -> str:
    return (
        f"holds {count} distinct values; expected one value per class, at most {MAX_CLASSES}. This looks like a grey "
        "image or a probability map: are images and masks swapped, or was the mask resized with interpolation?"
    )


def _class_lookup(values: Sequence[int]) -> Callable[[np.ndarray], np.ndarray]:
    """The function from raw values, all of them known, to class indices."""
    low, span = min(values), max(values) - min(values)
    if span >= 2**16:
        order = np.argsort(values)
        return lambda raw: order[np.searchsorted(values, raw, sorter=order)]
    table = np.zeros(span + 1, np.int64)
    table[np.array(values) - low] = np.arange(len(values))
    return lambda raw: table[raw.astype(np.int64) - low]


def _class_names(values: Sequence[int]) -> tuple[str, ...]:
    if len(values) == 2:
        return ("background", "foreground")
    return ("background", *(f"value {value}" for value in values[1:]))


def _progress(items: list) -> Iterable:
    """A progress bar, if there is enough to wait for."""
    from tqdm import tqdm

    return tqdm(items, desc="reading images and masks", unit="case", disable=len(items) <= 200)
