"""What a check returns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ..data.cases import some

SEVERITIES = ("error", "warning", "note")
_NAMED = 4  # files of a finding that are named


class Finding(NamedTuple):
    """One thing to know about a data set.

    Attributes
    ----------
    severity : "error", "warning" or "note"
        error: `tinyunet train` would refuse the data, or its score could not be believed. warning: look at it before
        training. note: good to know.
    kind : str
        The same few words whatever the data, such as "empty masks".
    what : str
        One line.
    files : tuple of str
        All that it is about, relative to the folder that was examined; empty if it is about all of them.
    remedy : str
        What to do: an option, a command, or where to look.
    """

    severity: Literal["error", "warning", "note"]
    kind: str
    what: str
    files: tuple[str, ...] = ()
    remedy: str = ""


def count(findings: Iterable[Finding], severity: str) -> int:
    """Return how many findings are that severe."""
    return sum(finding.severity == severity for finding in findings)


def listing(findings: Sequence[Finding]) -> list[str]:
    """Return findings as lines for people, and how many there are."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.severity:8} {finding.what}")
        if finding.files:
            lines.append(f"         {some(finding.files, _NAMED)}")
        if finding.remedy:
            lines.append(f"         -> {finding.remedy}")
    return [*lines, "", ", ".join(plural(count(findings, severity), severity) for severity in SEVERITIES)]


def plural(count: int, thing: str) -> str:
    """Return "1 mask", "2 masks"."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def names_of(root: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    """Return paths relative to the folder that was examined."""
    return tuple(path.relative_to(root).as_posix() for path in paths)
