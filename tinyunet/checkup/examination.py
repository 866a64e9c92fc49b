"""The whole examination, and the page that tells it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..data import volume
from ..data.array_file import ARRAYS
from ..data.cases import Case, some
from ..data.image_file import PICTURES, suffix_of
from ..data.places import describe_places
from ..data.sample import DataError
from ..training import Settings
from . import copies, fitness, images, masks, names
from .finding import SEVERITIES, Finding, count, listing, plural
from .survey import Look, Reader, survey


class Examination(NamedTuple):
    """What `examine` returns.

    Attributes
    ----------
    root : Path
    findings : tuple of Finding
        The severest first.
    cases : tuple of (str, Case)
        Part and case, also of those that cannot be read.
    looks : tuple of Look
        What was kept of those that can.
    reader : Reader
        Reads a case again.
    """

    root: Path
    findings: tuple[Finding, ...]
    cases: tuple[tuple[str, Case], ...]
    looks: tuple[Look, ...]
    reader: Reader

    def count(self, severity: str) -> int:
        """Return how many findings are that severe."""
        return count(self.findings, severity)

    def overview(self) -> str:
        """Return a few lines about what there is."""
        parts = Counter(part for part, _ in self.cases)
        divided = ", ".join(f"{count} in {part}/" for part, count in parts.items() if part)
        lines = [f"{self.root}: {plural(len(self.cases), 'case')}{f' ({divided})' * bool(divided)}"]
        if not self.looks:
            return lines[0]
        sizes = Counter(look.shape[2:] for look in self.looks)
        shown = ", ".join(f"{h}x{w}" + f" ({n})" * (len(sizes) > 1) for (h, w), n in sizes.most_common(4))
        lines.append(f"  size      {shown}{', ...' if len(sizes) > 4 else ''} (height x width)")
        depths = [look.shape[1] for look in self.looks]
        if max(depths) > 1:
            lines.append(f"  slices    {min(depths)} to {max(depths)}, {sum(depths)} in all")
        lines += describe_places(look.geometry for look in self.looks)[:1]
        channels = some(sorted({look.shape[0] for look in self.looks}))
        low, high = min(look.low for look in self.looks), max(look.high for look in self.looks)
        lines.append(f"  values    {low:g} to {high:g}, {some(sorted({look.dtype for look in self.looks}))}")
        lines.append(f"  channels  {channels}")
        totals = masks.Totals(self.looks)
        lines.append("  masks     value: share of the pixels, masks that hold it")
        for value in totals.values[:8]:
            share = f"{totals.share(value):.2%}" if totals.share(value) >= 1e-4 else "below 0.01%"
            lines.append(f"    {value:6d}: {share}, {totals.masks[value]} of {totals.count}")
        lines += [f"    and {len(totals.values) - 8} more values"] * (len(totals.values) > 8)
        return "\n".join(lines)

    def page(self) -> str:
        """Return overview and findings as text for people."""
        return "\n".join([self.overview(), "", *listing(self.findings)])

    def to_dict(self) -> dict:
        """Return what `json.dumps` can write: counts by severity, and the findings with all their files."""
        return {
            "root": str(self.root),
            "counts": {severity: self.count(severity) for severity in SEVERITIES},
            "findings": [finding._asdict() for finding in self.findings],
        }


def examine(
    root: str | Path,
    *,
    size: int = 0,
    channels: int | None = None,
    series: int | None = None,
    ignore: int | None = None,
    patients: str = "",
    blank_missing: bool = False,
    show_progress: bool = False,
) -> Examination:
    """Look for everything in a data set that spoils training, or a score, without a word.

    Every file is decoded once; a few numbers and a thumbnail of each stay in memory. Nothing is changed.

    Parameters
    ----------
    root : path
        A folder with `images/` and `masks/`, or with `train/` and `test/` that hold them; see `tinyunet.data.cases`.
    size, channels, series, ignore, patients, blank_missing
        As `tinyunet train` will be told: 0 and None for what it does by default.
    show_progress : bool

    Returns
    -------
    Examination

    Raises
    ------
    DataError
        If there is no such folder, or `patients` does not fit the names.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; expected one that holds images/ and masks/")
    parts = names.find_parts(root)
    findings = names.check_names(root, parts)
    cases: list[tuple[str, Case]] = []
    for part, folder in parts.items():
        paired, found = names.check_pairs(root, folder, blank_missing)
        cases += [(part, case) for case in paired]
        findings += found
    readable, missing = _readable(cases)
    reader = Reader(series)
    looks, found = survey(root, readable, reader, show_progress, ignore)
    findings += missing + found
    findings += images.check_images(root, looks)
    findings += images.check_shapes(root, looks, size, channels, Settings().depth)
    findings += images.check_volumes(root, looks)
    findings += images.check_privacy(root, [case for _, case in readable])
    findings += masks.check_masks(root, looks, ignore)
    findings += copies.check_copies(root, looks) + copies.check_patients(root, looks, patients)
    if looks:
        findings += fitness.check_count(tuple(parts), looks, patients) + fitness.check_memory(looks, size)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Examination(root, tuple(findings), tuple(cases), tuple(looks), reader)


def _readable(cases: Sequence[tuple[str, Case]]) -> tuple[list[tuple[str, Case]], list[Finding]]:
    """Leave out volumes if SimpleITK is missing, which is no fault of each single file."""
    medical = [
        item for item in cases if any(suffix_of(p) not in PICTURES + ARRAYS for p in (*item[1].images, item[1].mask))
    ]
    if medical:
        try:
            volume.simpleitk()
        except DataError as error:
            left = [item for item in cases if item not in medical]
            what = f"{plural(len(medical), 'volume')} cannot be read: {error}"
            return left, [Finding("error", "missing SimpleITK", what, (), 'pip install "tinyunet[medical]"')]
    return list(cases), []
