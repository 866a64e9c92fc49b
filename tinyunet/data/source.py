"""From the word that a user types ("tumour", or a folder) to the three data sets of a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .cases import some
from .folder import ImageFolder
from .loader import halvable
from .patients import guess_rule
from .sample import DataError, Dataset
from .split import Subset, few, split
from .split import fold as split_fold
from .toy import KINDS, Toy

_TOY = (96, 96)  # height and width of toy images


class Sources(NamedTuple):
    """The data sets of a run; each image is in exactly one of them.

    Attributes
    ----------
    train : Dataset
    validation : Dataset or None
        For choosing the best epoch.
    test : Dataset or None
        For the score that is reported; touched once, at the end.
    text : str
        What was found, for people.
    """

    train: Dataset
    validation: Dataset | None
    test: Dataset | None
    text: str


def open_sources(
    data: str | Path,
    *,
    validation: float = 0.2,
    folds: int = 0,
    fold: int = 1,
    cases: int = 0,
    seed: int = 0,
    one_size: bool = False,
    patients: str = "",
    **options,
) -> Sources:
    """Open toy data or an image folder, and divide it.

    Parameters
    ----------
    data : str or path
        The kind of toy data, or a folder with `images/` and `masks/`, or with `train/` and `test/` that hold them. A
        folder that is not divided gives a fifth of its images to the test set. Slices of one volume, and images of one
        patient, stay together.
    validation : float
        Share of the training images that are held out, from 0 (none) to below 1.
    folds, fold : int
        Hold out the fold of this number, 1 to folds, instead of a share; 0 folds for the share. The test set is the
        same for all.
    cases : int
        Train on so many of the remaining cases (volumes, patients or images); 0 for all. Validation and test stay.
    seed : int
        Which images are held out; for toy data also which images there are.
    one_size : bool
        Whether whole images will be stacked to batches, so that those to train on must agree in size.
    patients : str
        As in `ImageFolder`.
    **options
        channels, series, ignore, blank_missing and on_bad_file, as in `ImageFolder`.

    Raises
    ------
    DataError
        As `ImageFolder`; if the share is out of range or leaves nothing; if sizes differ and `one_size` is true; if a
        patient is in train/ and in test/; if there are fewer cases than asked for.
    """
    if not 0 <= validation < 1:
        raise DataError(f"the validation share must be at least 0 and below 1, got {validation}")
    if str(data) in KINDS and not Path(data).exists():
        whole: Dataset = Toy(str(data), 120, _TOY, seed)
        test: Dataset | None = Toy(str(data), 40, _TOY, seed + 1)
        names = ", ".join(whole.class_names)
        text = f"toy {data}: 120 images to train and validate, 40 to test, {_TOY[0]}x{_TOY[1]}; classes {names}"
    else:
        whole, test, text = _open_folder(Path(data), seed, one_size, patients, **options)
    if folds:
        train, held_out = split_fold(whole, folds, fold, seed, groups=_groups(whole))
    else:
        train, held_out = _hold_out(whole, validation, seed) if validation else (whole, None)
    if cases:
        groups = _groups(train, one=True)
        count = len(set(groups or range(len(train))))
        train = few(train, cases, seed, groups)
        text += f"\ntraining on {cases} of {count} cases (the same ones, and more, with a larger --cases)"
    return Sources(train, held_out, test, "\n".join([text, *_warnings(train, patients)]))


def _open_folder(
    root: Path, seed: int, one_size: bool, patients: str, channels: int | None = None, **options
) -> tuple[Dataset, Dataset | None, str]:
    """Return what a folder holds to train on and to test on, and its description."""
    options |= {"patients": patients}
    if not root.exists():
        raise DataError(f"there is no folder {root}, and it is no kind of toy data ({', '.join(KINDS)})")
    if (root / "train").is_dir():
        folder = whole = ImageFolder(root, "train", channels=channels, **options)
        text, test = folder.describe(), None
        if (root / "test").is_dir():
            test = ImageFolder(root, "test", mask_values=whole.mask_values, channels=whole.channels, **options)
            text += "\n" + test.describe()
            both = sorted(set(folder.patients) & set(test.patients)) if patients else []
            if both:
                raise DataError(
                    f"{root}: by the rule {patients!r}, train/ and test/ share the patients {some(both)}; move all "
                    "images of a patient to one side, or the score would lie"
                )
    else:
        folder = ImageFolder(root, channels=channels, **options)
        text = folder.describe()
        whole, test = _hold_out(folder, 0.2, seed)
    if one_size and len(set(folder.sizes)) > 1:
        smallest, largest = min(folder.sizes, key=min), max(folder.sizes, key=max)
        side = halvable(min(smallest))
        raise DataError(
            f"{root}: the images differ in size, for example {smallest[0]}x{smallest[1]} and "
            f"{largest[0]}x{largest[1]} (height x width), so they cannot be stacked to batches; train on squares "
            f"cut from them, for example with --size {side} (in Python size={side})"
        )
    return whole, test, text


def _hold_out(dataset: Dataset, fraction: float, seed: int) -> tuple[Subset, Subset]:
    if len(dataset) < 2:
        raise DataError(
            "there are too few images to hold some out, to test on and to choose the best epoch by; add more, or train "
            "with --validation 0 in a train/ folder"
        )
    return split(dataset, fraction, seed, groups=_groups(dataset))


def _groups(dataset: Dataset, one: bool = False) -> list[str] | None:
    """Return by what to divide: patients, if one has several samples, else None; `one` allows that there is one."""
    folder, indices = _origin(dataset)
    if not isinstance(folder, ImageFolder):
        return None
    patients = [folder.patients[index] for index in indices]
    if len(set(patients)) == len(patients):
        return None
    if len(set(patients)) == 1 and not one:
        raise DataError(
            f"all {len(patients)} images or slices come from one patient, {patients[0]}, so none can be held out: they "
            "are too alike to test on. Add other patients, or train with --validation 0 in a train/ folder."
        )
    return patients


def _origin(dataset: Dataset) -> tuple[Dataset, list[int]]:
    """Return the whole data set that a subset of a subset is taken from, and which of its samples."""
    if not isinstance(dataset, Subset):
        return dataset, list(range(len(dataset)))
    whole, indices = _origin(dataset.dataset)
    return whole, [indices[index] for index in dataset.indices]


def class_pixels(dataset: Dataset) -> np.ndarray:
    """Count the pixels of every class in all masks, (C,).

    Those of a folder were counted when it was opened, a volume as a whole: no run divides one.
    """
    folder, indices = _origin(dataset)
    if isinstance(folder, ImageFolder):
        return folder.pixels_of(indices)
    masks = (dataset[k].mask for k in range(len(dataset)))
    return sum(np.bincount(mask[mask >= 0], minlength=len(dataset.class_names)) for mask in masks)


def _warnings(train: Dataset, rule: str) -> list[str]:
    """Lines about classes that nobody shows the network, and about patients who may be on both sides."""
    folder, _ = _origin(train)
    if not isinstance(folder, ImageFolder):
        return []
    lines = []
    absent = [name for name, n in zip(train.class_names, class_pixels(train), strict=True) if not n]
    if absent:
        lines.append(
            f"look at this: no image to train on shows {some(absent)}, so it cannot be learnt; another --seed divides "
            "otherwise"
        )
    if not rule and len(set(folder.patients)) == len(folder) and (guess := guess_rule(folder.names)):
        lines.append(
            "look at this: by their names, several images seem to show one patient, but each is divided by itself; "
            f"--patients {shlex.quote(guess)} keeps those of a patient together"
        )
    return lines
