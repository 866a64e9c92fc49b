"""Images and masks in folders, as most people have them; every mistake is named before training starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from . import volume
from .array_file import ARRAYS
from .cases import Pixels, pair, some
from .image_file import PICTURES, suffix_of
from .mask_values import check_classes, check_mask, class_lookup, class_names, count_values
from .normalize import Statistics
from .patients import patients_by
from .places import describe_places
from .sample import DataError, Geometry, Sample, SampleCache

_LAYOUTS = """expected one of these layouts:
    ROOT/images  ROOT/masks
    ROOT/train/images  ROOT/train/masks  and the same in test"""


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
    ignore : int or None
        The raw value of pixels whose class nobody has said, such as those between scribbles: they become `IGNORE`.
    patients : str
        Whom an image shows, as a regular expression for the beginning of its name, see `tinyunet.data.patients`; by
        default each case is a patient.
    blank_missing : bool
        Take cases that lack some modality, with a blank channel in its place.
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
        Patient of each sample, for `split(..., groups=patients)`.
    skipped : tuple of str
        What was left out and why.
    class_names, channels, mask_values
        See `tinyunet.data.sample.Dataset`.

    Raises
    ------
    DataError
        If a folder is missing or empty; files do not pair or cannot be read (see `read_scan`, `read_labels`); an
        image and its mask differ in size or place; grey and RGB are mixed; the masks hold more values than
        `tinyunet.data.mask_values.MAX_CLASSES`, only one, or one that is not in `mask_values`; `patients` does not fit
        the names.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        *,
        mask_values: Sequence[int] | None = None,
        channels: int | None = None,
        series: int | None = None,
        ignore: int | None = None,
        patients: str = "",
        blank_missing: bool = False,
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
        self._channels, self._series, self._ignore, self._rule = channels, series, ignore, patients
        self._cache: SampleCache[Pixels] = SampleCache()
        folder = _find(self.root, split)
        if mask_values is not None and ignore in mask_values:
            raise DataError(f"the value {ignore} cannot both be ignored and be a class: mask_values {mask_values}")
        cases, bad = pair(folder / "images", folder / "masks", blank_missing, channels)
        files = [path for case in cases for path in (*case.images, case.mask)]
        if any(suffix_of(path) not in PICTURES + ARRAYS for path in files):
            volume.simpleitk()  # if it is missing, that is no fault of each single file
        self._cases = {case.name: case for case in cases}
        self._scan(bad, mask_values)
        if bad and (on_bad_file == "stop" or not self._cases):
            raise DataError(_list_bad(folder, bad))
        self.skipped = tuple(bad)
        self._check_channels()
        by_case = dict(zip(self._cases, patients_by(patients, list(self._cases)), strict=True)) if patients else {}
        self.patients = tuple(by_case.get(name, name) for name, _ in self._places)
        self.mask_values = tuple(mask_values if mask_values is not None else sorted(self._pixels))
        check_classes(folder / "masks", self.mask_values, ignore)
        self.class_names = class_names(self.mask_values)
        self._class_of = class_lookup(self.mask_values, ignore)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} samples")
        name, k = self._places[index]
        pixels, raw, geometry = self._cache.get(name, self._decode)
        spacing = None if geometry is None else geometry.spacing[::-1]
        image, mask = pixels[:, k].astype(np.float32), self._class_of(raw[k])
        volume = name if len(raw) > 1 else ""
        return Sample(image, mask, self.names[index], self.patients[index], spacing, volume, self._statistics.get(name))

    def pixels_of(self, indices: Iterable[int]) -> np.ndarray:
        """Count the pixels of every class in the cases that some samples belong to; nothing is read."""
        found = [self._found[name] for name in {self._places[index][0] for index in indices}]
        return np.array([sum(values.get(value, 0) for values in found) for value in self.mask_values])

    def _decode(self, name: str) -> Pixels:
        """Read a case and its mask, which is kept in few bytes."""
        pixels = self._cases[name].read_pair(self._channels, self._series)
        small = pixels.raw.min() >= 0 and pixels.raw.max() < 256
        return pixels._replace(raw=pixels.raw.astype(np.uint8)) if small else pixels

    def _scan(self, bad: list[str], expected: Sequence[int] | None) -> None:
        """Decode every case; keep sizes and counts of the good ones, add a line to `bad` for each of the others."""
        self._pixels: Counter[int] = Counter()  # how many pixels, and how many cases, hold each value
        self._files: Counter[int] = Counter()
        self._found: dict[str, dict[int, int]] = {}  # the former for each case
        self._ignored = 0
        self._statistics: dict[str, Statistics] = {}  # of volumes
        self._channel_counts: dict[str, int] = {}
        self._geometries: list[Geometry | None] = []
        places, names, sizes = [], [], []
        for name, case in _progress(list(self._cases.items())):
            try:
                pixels, raw, geometry = self._cache.get(name, self._decode)
                found = count_values(raw)
                ignored = found.pop(self._ignore, 0)
                check_mask(case.mask, list(found), expected)
            except (DataError, MemoryError) as error:
                del self._cases[name]
                memory = f"{case.images[0]}: there is not enough memory to read it; cut it into parts"
                bad.append(memory if isinstance(error, MemoryError) else str(error))
                continue
            if len(raw) > 1:
                self._statistics[name] = Statistics.of(pixels.swapaxes(0, 1))
            self._found[name] = found
            self._ignored += ignored
            self._pixels.update(found)
            self._files.update(found.keys())
            self._channel_counts[name] = len(pixels)
            self._geometries.append(geometry)
            for k in range(len(raw)):
                places.append((name, k))
                names.append(name if len(raw) == 1 else f"{name}_slice{k:03d}")
                sizes.append(raw.shape[1:])
        self._places, self.names, self.sizes = places, tuple(names), tuple(sizes)

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
            *self._describe_patients(),
            *describe_places(self._geometries),
            f"  channels  {self.channels}{ {1: ' (grey)', 3: ' (RGB or three modalities)'}.get(self.channels, '') }",
        ]
        total = sum(self._pixels.values())
        if self._ignore is not None:
            everything = total + self._ignored
            lines.append(f"  labelled  {total / everything:.2%} of the pixels; the value {self._ignore} is ignored")
        what = "pixels" if self._ignore is None else "labelled pixels"
        lines.append(f"  classes   mask value -> class: share of {what}, masks that hold it")
        for index, (value, name) in enumerate(zip(self.mask_values, self.class_names, strict=True)):
            share, files = self._pixels[value] / total, self._files[value]
            lines.append(f"    {value:5d} -> {index} {name}: {share:.2%}, {files} of {cases}")
        if self.skipped:
            lines += [f"  skipped   {len(self.skipped)}, because:", *(f"    {line}" for line in self.skipped)]
        return "\n".join(lines)

    def _describe_patients(self) -> list[str]:
        if not self._rule:
            return []
        counts = Counter(dict(zip((name for name, _ in self._places), self.patients, strict=True)).values())
        least, most = min(counts.values()), max(counts.values())
        each = f"{least}" if least == most else f"{least} to {most}"
        return [f"  patients  {len(counts)} of {each} cases, by {self._rule!r}: {some(sorted(counts), 4)}"]


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


def _progress(items: list) -> Iterable:
    """A progress bar, if there is enough to wait for."""
    from tqdm import tqdm

    return tqdm(items, desc="reading images and masks", unit="case", disable=len(items) <= 200)
