"""Which files belong together: the modalities of a case, and its mask.

| in `images/` | becomes |
|---|---|
| `NAME.png`, `NAME.tif`, `NAME.nii.gz`, ... | the case NAME: an image, a stack or a volume |
| `NAME_0000.nii.gz`, `NAME_0001.nii.gz`, ... | the case NAME, one file per channel (modality), as in nnU-Net |
| `NAME/` with DICOM files directly in it | the case NAME: a series |

Its mask is `masks/NAME.*` or `masks/NAME_mask.*`. An image `NAME_0007.png` with a mask of just that name is a case by
itself, so numbered pictures are no modalities.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import dicom
from .image_file import SUFFIXES, read_labels, read_scan, suffix_of
from .places import check_same_place
from .sample import DataError, Geometry, Scan


class Pixels(NamedTuple):
    """A case in memory, in the dtypes of its files."""

    image: np.ndarray  # (C, D, H, W)
    raw: np.ndarray  # (D, H, W) values of the mask
    geometry: Geometry | None


class Case(NamedTuple):
    """A patient's scan, or a picture: what is read and segmented in one go.

    Attributes
    ----------
    name : str
        From the names of the files or of the folder.
    images : tuple of Path
        One file (or DICOM folder), or one per modality.
    mask : Path or None
    blank : tuple of int
        Numbers of the channels that no file gives, because these modalities are missing; they are 0 everywhere.
    """

    name: str
    images: tuple[Path, ...]
    mask: Path | None = None
    blank: tuple[int, ...] = ()

    def read(self, channels: int | None = None, series: int | None = None) -> Scan:
        """Read the image; several modalities become its channels.

        Parameters and errors are those of `tinyunet.data.image_file.read_scan`; also if modalities differ in size or
        place, or one has several channels.
        """
        count = len(self.images) + len(self.blank)
        if count == 1:
            return read_scan(self.images[0], channels, series)
        if channels not in (None, count):
            raise DataError(f"{self.images[0]}: {self.name} has {count} modalities; expected {channels}")
        scans = [read_scan(path, series=series) for path in self.images]
        for path, scan in zip(self.images, scans, strict=True):
            if len(scan.pixels) > 1:
                raise DataError(
                    f"{path}: has {len(scan.pixels)} channels; expected one, as it is one of the modalities"
                )
            check_same_place(path, scan, self.images[0], scans[0])
        planes = [scan.pixels for scan in scans]
        for k in self.blank:  # in ascending order, so that each finds its place
            planes.insert(k, np.zeros_like(planes[0]))
        return Scan(np.concatenate(planes), scans[0].geometry)

    def read_pair(self, channels: int | None = None, series: int | None = None) -> Pixels:
        """Read image and mask, which must have one size and place; parameters and errors as in `read`."""
        scan, labels = self.read(channels, series), read_labels(self.mask)
        check_same_place(self.mask, labels, self.images[0], scan)
        return Pixels(scan.pixels, labels.pixels[0], scan.geometry)


def pair(
    images: Path, masks: Path, blank_missing: bool = False, channels: int | None = None
) -> tuple[list[Case], list[str]]:
    """Find the cases of a data set, in alphabetical order, and what does not pair.

    Parameters
    ----------
    images, masks : path
    blank_missing : bool
        Take cases that lack modalities which others have, with blank channels in their place, rather than complain.
    channels : int or None
        How many modalities there are, if it is known: perhaps no case has all of them.

    Returns
    -------
    cases : list of Case
    complaints : list of str
        One line for each kind of mistake.

    Raises
    ------
    DataError
        If a folder holds no images, or two files have one name.
    """
    complaints: list[str] = []
    image_by_stem = _by_stem(_entries(images, complaints))
    mask_by_stem = {}
    for stem, path in _by_stem(_entries(masks, complaints)).items():
        name = stem if stem in image_by_stem else stem.removesuffix("_mask")
        if name in mask_by_stem:
            raise _twins(mask_by_stem[name], path)
        mask_by_stem[name] = path
    files: dict[str, dict[int, Path]] = {}
    modalities: set[int] = set()
    lonely = []
    for stem, path in image_by_stem.items():
        parts = re.fullmatch(r"(.+)_(\d{4})", stem)
        if stem in mask_by_stem:
            files.setdefault(stem, {})[0] = path
        elif parts and parts[1] in mask_by_stem and parts[1] not in image_by_stem:
            files.setdefault(parts[1], {})[int(parts[2])] = path
            modalities.update(range(channels or 0) if blank_missing else ())
        else:
            lonely.append(path.name)
    modalities.update(*files.values())
    lacking = {name: tuple(sorted(modalities - set(files[name]))) for name in files} if len(modalities) > 1 else {}
    for name, numbers in lacking.items():
        if numbers and not blank_missing:
            complaints.append(f"{images}: {name} lacks modalities that other cases have: {_modalities(name, numbers)}")
            del files[name], mask_by_stem[name]
    lonely_masks = [mask_by_stem[name].name for name in sorted(mask_by_stem.keys() - files.keys())]
    if lonely:
        complaints.append(
            f"{images}: {len(lonely)} images without a mask: {some(lonely)} (images/NAME.* needs masks/NAME.* or "
            "masks/NAME_mask.*)"
        )
    if lonely_masks:
        complaints.append(f"{masks}: {len(lonely_masks)} masks without an image: {some(lonely_masks)}")
    cases = [
        Case(name, tuple(files[name][k] for k in sorted(files[name])), mask_by_stem[name], lacking.get(name, ()))
        for name in sorted(files)
    ]
    return cases, complaints


def find_cases(names: Sequence[str | Path], channels: int, blank_missing: bool = False) -> list[Case]:
    """Find the cases behind names of files and folders, to be segmented by a network with so many channels.

    Files NAME_0000.*, NAME_0001.*, ... are taken for modalities if there are exactly as many as channels.

    Parameters
    ----------
    names : sequence of paths
    channels : int
    blank_missing : bool
        Take NAME_0001.*, without NAME_0000.*, for a case with a blank channel.

    Raises
    ------
    DataError
        If a name does not exist, a folder holds no images, or two cases have one name, so that one result would
        overwrite the other; if a case lacks modalities and they are not to be blank.
    """
    paths: list[Path] = []
    for path in map(Path, names):
        if path.is_dir() and not dicom.is_series(path):
            complaints: list[str] = []
            paths += _entries(path, complaints)
            if complaints:
                raise DataError("\n".join(complaints))
        elif path.exists():
            paths.append(path)
        else:
            raise DataError(f"there is no file or folder {path}")
    by_stem = _by_stem(paths, "would be written to one name; predict them in two calls")
    groups: dict[str, list[str]] = {}
    for stem in by_stem:
        parts = re.fullmatch(r"(.+)_(\d{4})", stem)
        groups.setdefault(parts[1] if parts else stem, []).append(stem)
    cases = []
    for name, stems in groups.items():
        if channels > 1 and sorted(stems) == [f"{name}_{k:04d}" for k in range(channels)]:
            cases.append(Case(name, tuple(by_stem[stem] for stem in sorted(stems))))
        elif numbers := _missing(name, [by_stem[stem] for stem in sorted(stems)], channels, blank_missing):
            cases.append(Case(name, tuple(by_stem[stem] for stem in sorted(stems)), None, numbers))
        else:
            cases += [Case(stem, (by_stem[stem],)) for stem in stems]
    return cases


def _missing(name: str, paths: Sequence[Path], channels: int, blank_missing: bool) -> tuple[int, ...]:
    """Numbers of the modalities that are missing beside these files; none if they look like images of their own."""
    there = {int(path.name[len(name) + 1 :][:4]) for path in paths if path.name.startswith(f"{name}_")}
    if channels == 1 or len(there) < len(paths) or not there < set(range(channels)):
        return ()
    if len(read_scan(paths[0]).pixels) == channels:  # numbered images with all that is needed, such as colours
        return ()
    numbers = tuple(sorted(set(range(channels)) - there))
    if not blank_missing:
        raise DataError(
            f"{name}: the network takes {channels} channels, and {_modalities(name, numbers)} is missing. Add it; or "
            "segment without, best if trained with --drop-channel: --blank-missing (blank_missing=True); or, if these "
            "are no modalities, rename the files"
        )
    return numbers


def _modalities(name: str, numbers: Iterable[int]) -> str:
    return ", ".join(f"{name}_{k:04d}.*" for k in numbers)


def some(items: Iterable[object], limit: int = 10) -> str:
    """Return the first items as text, and how many more there are."""
    items = list(items)
    more = f", and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(str(item) for item in items[:limit]) + more


def _entries(folder: Path, complaints: list[str]) -> list[Path]:
    """What is named like an image, and folders of DICOM files; anything else and what is hidden is passed over."""
    found, others = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        try:
            wanted = suffix_of(path) in SUFFIXES or (path.is_dir() and dicom.is_series(path))
        except DataError as error:
            complaints.append(str(error))
            continue
        (found if wanted else others).append(path)
    if not found:
        text = some(path.name + "/" * path.is_dir() for path in others) or "nothing"
        raise DataError(
            f"{folder} holds no images; expected files ending in {', '.join(SUFFIXES)} or folders of DICOM files; "
            f"found {text}"
        )
    return found


def _by_stem(paths: Iterable[Path], advice: str = "belong to one name; keep one of them") -> dict[str, Path]:
    by_stem: dict[str, Path] = {}
    for path in paths:
        suffix = suffix_of(path)
        stem = path.name[: -len(suffix)] if suffix in SUFFIXES else path.name
        if stem in by_stem:
            raise _twins(by_stem[stem], path, advice)
        by_stem[stem] = path
    return by_stem


def _twins(path: Path, twin: Path, advice: str = "belong to one name; keep one of them") -> DataError:
    return DataError(f"{path} and {twin} {advice}")
