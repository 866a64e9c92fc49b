"""Whom images show, as far as their names tell: images of one patient must not be divided between training and test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .sample import DataError

_RULES = ("[^_]+", "[^-]+", "[^_]+_[^_]+", "[^-]+-[^-]+", ".+(?=_)", ".+(?=-)")
_GENERAL = r"(.*\d.*?)[ _.-]+[A-Za-z]*[ _-]?\d+$"
_FEWEST = 3  # patients: two may be a word and a number, or chance


def patients_by(rule: str, names: Sequence[str]) -> list[str]:
    """Return the patient of each name: what a regular expression matches at its beginning.

    With "[^_]+" it is what comes before the first underscore: "p03" of "p03_s12". If the expression has a group, it is
    the first group: "scan_(p[0-9]+)" finds "p03" in "scan_p03_12".

    Raises
    ------
    DataError
        If `rule` is no regular expression, or finds nothing in some name.
    """
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise DataError(
            f"the rule for patients, {rule!r}, is no regular expression ({error}); such as '[^_]+' for all before the "
            "first underscore"
        ) from None
    found = [pattern.match(name) for name in names]
    patients = ["" if match is None else match[min(1, pattern.groups)] or "" for match in found]
    lost = [name for name, patient in zip(names, patients, strict=True) if not patient]
    if lost:
        raise DataError(
            f"the rule for patients, {rule!r}, finds nothing at the beginning of {len(lost)} of {len(names)} names, "
            f"such as {lost[0]!r}; '[^_]+' is all before the first underscore, 'scan_([0-9]+)' the number after scan_"
        )
    return patients


def patient_of(name: str) -> str:
    """Guess whom an image shows from a name with two numbers, patient and slice: "p012_s03" -> "p012"; else ""."""
    found = re.match(_GENERAL, name)
    return found[1] if found else ""


def guess_rule(names: Sequence[str]) -> str:
    """Return the simplest rule that divides names as `patient_of` does; "" unless some patient has several images."""
    patients = [patient_of(name) for name in names]
    known = Counter(filter(None, patients))
    if len(known) < _FEWEST or max(known.values()) < 2 or "" in patients:
        return ""
    for rule in _RULES:
        try:
            if patients_by(rule, names) == patients:
                return rule
        except DataError:  # it does not fit these names
            continue
    return _GENERAL
