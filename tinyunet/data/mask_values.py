"""From the values in mask files to classes: which are found, whether they can be classes, and what each becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .cases import some
from .sample import IGNORE, DataError

MAX_CLASSES = 32


def count_values(raw: np.ndarray) -> dict[int, int]:
    """Count the pixels of each value in a mask (D, H, W), slice by slice: sorting a volume would take seconds."""
    low, high = int(raw.min()), int(raw.max())
    if high - low >= 2**16:
        return dict(zip(*(a.tolist() for a in np.unique(raw, return_counts=True)), strict=True))
    counts = sum(np.bincount(plane.ravel().astype(np.int64) - low, minlength=high - low + 1) for plane in raw)
    return {low + k: count for k, count in enumerate(counts.tolist()) if count}


def check_mask(path: Path, values: Sequence[int], expected: Sequence[int] | None) -> None:
    """Refuse a mask with too many values, or with others than expected.

    Raises
    ------
    DataError
        In these cases.
    """
    if len(values) > MAX_CLASSES:
        raise DataError(f"{path}: {_advise(len(values))}")
    unknown = sorted(set(values) - set(expected)) if expected is not None else []
    if unknown:
        raise DataError(
            f"{path}: holds the values {some(unknown)}; expected only {some(expected)}. "
            "Masks must use the values that the model was trained with; one that means 'not labelled' is named by "
            "--ignore (ignore=VALUE)."
        )


def check_classes(masks: Path, values: Sequence[int], ignore: int | None) -> None:
    """Refuse values of all masks of a folder that cannot be the classes.

    Raises
    ------
    DataError
        If there are more than `MAX_CLASSES`, or fewer than two.
    """
    if len(values) > MAX_CLASSES:
        raise DataError(f"{masks}: {_advise(len(values))}")
    if len(values) < 2:
        found = f"holds the single value {values[0]}" if values else "holds nothing"
        if ignore is None:
            wanted = "expected at least two values, such as 0 for the background and 255 for the object"
        else:
            wanted = "a network learns from two classes at least, so the background needs scribbles of its own"
            found += f" besides {ignore}, which is ignored"
        raise DataError(f"{masks}: every mask {found}; {wanted}")


def class_lookup(values: Sequence[int], ignore: int | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from raw values, all of them known, to class indices and, for one of them, `IGNORE`."""
    classes = np.arange(len(values))
    if ignore is not None:
        values, classes = [*values, ignore], np.append(classes, IGNORE)
    low, span = min(values), max(values) - min(values)
    if span >= 2**16:
        order = np.argsort(values)
        return lambda raw: classes[order[np.searchsorted(values, raw, sorter=order)]]
    table = np.zeros(span + 1, np.int64)
    table[np.array(values) - low] = classes
    return lambda raw: table[raw.astype(np.int64) - low]


def class_names(values: Sequence[int]) -> tuple[str, ...]:
    """Name classes by their values in masks."""
    if len(values) == 2:
        return ("background", "foreground")
    return ("background", *(f"value {value}" for value in values[1:]))


def _advise(count: int) -> str:
    return (
        f"holds {count} distinct values; expected one value per class, at most {MAX_CLASSES}. This looks like a grey "
        "image or a probability map: are images and masks swapped, or was the mask resized with interpolation?"
    )
