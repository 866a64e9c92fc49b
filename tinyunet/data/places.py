"""Where scans lie in the patient: whether two of them match pixel by pixel, and what to say of many."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from .sample import DataError, Geometry, Scan


def check_same_place(path: Path, scan: Scan, other_path: Path, other: Scan) -> None:
    """Raise a DataError unless two scans have one size and no pixel lies more than half a pixel apart."""
    size, wanted = scan.pixels.shape[1:], other.pixels.shape[1:]
    if size != wanted:
        if size[0] == wanted[0] == 1:
            size, wanted, axes = size[1:], wanted[1:], "height x width"
        else:
            axes = "slices x height x width"
        shown = "x".join(map(str, size)), "x".join(map(str, wanted))
        raise DataError(
            f"{path}: is {shown[0]} ({axes}), {other_path.name} is {shown[1]}. Export both at one size; resize masks "
            "with nearest neighbour only."
        )
    a, b = scan.geometry, other.geometry
    if a is None or b is None or len(a.spacing) != len(b.spacing):
        return
    apart = np.linalg.norm(_corners(a, size) - _corners(b, size), axis=1).max()
    if apart > 0.5 * min(b.spacing):
        raise DataError(
            f"{path}: lies up to {apart:.1f} mm from {other_path.name}: spacing {_short(a.spacing)} and "
            f"{_short(b.spacing)}, origin {_short(a.origin)} and {_short(b.origin)}, direction {_short(a.direction)} "
            f"and {_short(b.direction)}. Resample one onto the other; or, if the pixels do match, copy the geometry "
            "with SimpleITK's CopyInformation."
        )


def _corners(geometry: Geometry, size: Sequence[int]) -> np.ndarray:
    """Positions of the corner pixels in mm."""
    n = len(geometry.spacing)
    places = np.array(list(itertools.product(*((0, side - 1) for side in size[::-1][:n]))))
    return places * geometry.spacing @ np.reshape(geometry.direction, (n, n)).T + geometry.origin


def _short(values: Iterable[float]) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in values) + ")"


def describe_places(geometries: Iterable[Geometry | None]) -> list[str]:
    """Lines for people about the spacing and the direction of the slices of volumes, one geometry per volume."""
    known = [g for g in geometries if g is not None]
    if not known:
        return []
    steps = list(itertools.zip_longest(*(g.spacing for g in known), fillvalue=math.nan))
    ranges = [f"{min(s):.3g}" if max(s) - min(s) < 1e-3 else f"{min(s):.3g}..{max(s):.3g}" for s in steps[:2][::-1]]
    lines = [f"  spacing   {' x '.join(ranges)} mm (rows x columns)"]
    planes = Counter(plane_of(g) for g in known if len(g.spacing) == 3)
    if planes:
        shares = ", ".join(f"{plane} {count}" for plane, count in planes.most_common())
        lines.append(f"  slices    {shares} (volumes)")
    if len(planes) > 1:
        lines.append("    look at this: a network learns better from slices of one direction; reorient the volumes")
    return lines


def plane_of(geometry: Geometry) -> str:
    """Name the plane in which the slices of a volume lie, as nearly as they do."""
    normal = np.reshape(geometry.direction, (3, 3))[:, 2]
    return ("sagittal", "coronal", "axial")[np.abs(normal).argmax()]
