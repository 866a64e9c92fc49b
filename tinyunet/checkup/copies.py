"""The same image, or the same patient, twice: within a set it counts double, on both sides it falsifies the score.

Exact copies have the same pixels, whatever the file. Near copies (compressed again, resized, brightened, turned or
mirrored) have the same details: thumbnails of 32 x 32 are freed of everything coarse,

    d = t - mean of t over 3 x 3,

because bodies look alike from afar, and then correlated in all eight positions of a square.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..data.cases import some
from ..data.patients import guess_rule, patient_of, patients_by
from .finding import Finding, names_of, plural
from .survey import SIDE, Look

_ALIKE = 0.9  # correlation of details from which two images count as near copies
_BLOCK = 512  # images compared with all others at a time


def check_copies(root: Path, looks: Sequence[Look]) -> list[Finding]:
    """Find exact and near copies, within and between parts."""
    exact = _exact(looks)
    near = _near(looks)
    findings = []
    for pairs, kind in ((exact, "copies"), (near, "near copies")):
        inside = [(a, b) for a, b in pairs if a.part == b.part]
        across = [(a, b) for a, b in pairs if a.part != b.part]
        if across:
            what = f"{plural(len(across), 'test image')} {_are(across, kind)} of training images: the score would lie"
            severity = "error" if kind == "copies" else "warning"
            findings.append(Finding(severity, f"{kind} in test", what, _both(root, across), _remove(root, across)))
        if inside:
            count = plural(len(inside), "image")
            what = f"{count} {_are(inside, kind)} of another: they count twice, and may be validated on"
            findings.append(Finding("warning", kind, what, _both(root, inside), _remove(root, inside)))
    other = [(a, b) for a, b in exact if a.mask_print != b.mask_print]
    if other:
        what = f"{plural(len(other), 'image')} {_are(other, 'copies')} of another, but with a different mask"
        findings.append(
            Finding("warning", "copies with other masks", what, _both(root, other), "keep the better mask of the two")
        )
    return findings


def check_patients(root: Path, looks: Sequence[Look], rule: str = "") -> list[Finding]:
    """Find patients, as a rule or as far as names tell, on both sides of a split."""
    names = [look.case.name for look in looks]
    if rule:
        patients = patients_by(rule, names)
    else:
        patients = [patient_of(look.case.name) or (look.case.name if look.shape[1] > 1 else "") for look in looks]
    by_patient: dict[str, list[Look]] = {}
    for patient, look in zip(patients, looks, strict=True):
        by_patient.setdefault(patient, []).append(look)
    by_patient.pop("", None)
    if len(by_patient) < 3 and not rule:  # a word and two numbers that are no patient and slice
        return []
    both = {p: group for p, group in by_patient.items() if len({look.part for look in group}) > 1}
    files = lambda groups: names_of(root, (look.image for group in groups.values() for look in group))  # noqa: E731
    if both:
        what = f"by the {'rule' if rule else 'names'}, train and test share {plural(len(both), 'patient')}"
        remedy = f"move all images of a patient to one side, for example those of {next(iter(both))}"
        return [Finding("error" if rule else "warning", "patients on both sides", what, files(both), remedy)]
    if rule:
        counts = [len(group) for group in by_patient.values()]
        each = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        what = f"by the rule, {plural(len(counts), 'patient')} of {each} cases: "
        return [Finding("note", "patients", what + some(by_patient, 4), (), "train with the same --patients")]
    several = {p: group for p, group in by_patient.items() if len(group) > 1 and group[0].part != "test"}
    if several:
        what = f"by the names, there are several images of {plural(len(several), 'patient')}"
        remedy = "images are held out one by one, so a patient may come to lie on both sides: "
        if guess := guess_rule(names):
            remedy += f"--patients {shlex.quote(guess)} keeps together what begins alike, such as {next(iter(several))}"
        else:
            remedy += "--patients tells by a rule whom an image shows"
        remedy += "; or save the slices of each as one stack (a TIFF of several pages, or an NPY of shape (D, H, W))"
        return [Finding("warning", "several images of a patient", what, files(several), remedy)]
    return []


def _exact(looks: Sequence[Look]) -> list[tuple[Look, Look]]:
    first: dict[str, Look] = {}
    pairs = [(first.setdefault(look.print, look), look) for look in looks if look.low < look.high]
    return [(a, b) for a, b in pairs if a is not b]


def _near(looks: Sequence[Look]) -> list[tuple[Look, Look]]:
    """Each image that is like an earlier one, with the one that it is most like; exact copies are left out."""
    looks = list({look.print: look for look in reversed(looks)}.values())[::-1]
    details = [_details(look.thumbnail) for look in looks]
    looks = [look for look, detail in zip(looks, details, strict=True) if detail is not None]
    if len(looks) < 2:
        return []
    flat = np.stack([detail for detail in details if detail is not None])
    pairs = []
    for start in range(0, len(looks), _BLOCK):
        block = flat[start : start + _BLOCK]
        turned = np.stack([np.rot90(side, k, (1, 2)) for side in (block, block[:, :, ::-1]) for k in range(4)])
        products = turned.reshape(-1, SIDE * SIDE) @ flat.reshape(-1, SIDE * SIDE).T  # one call for all positions
        best = products.reshape(8, len(block), -1).max(axis=0)
        for i, row in enumerate(best, start):
            if i and row[:i].max() > _ALIKE:
                pairs.append((looks[int(row[:i].argmax())], looks[i]))
    return pairs


def _details(thumbnail: np.ndarray) -> np.ndarray | None:
    """What is fine in a thumbnail, with mean 0 and length 1; None if there is nothing."""
    framed = np.pad(thumbnail, 1, mode="edge")
    n = len(thumbnail)
    fine = thumbnail - sum(framed[i : i + n, j : j + n] for i in range(3) for j in range(3)) / 9
    fine -= fine.mean()
    length = np.linalg.norm(fine)
    return fine / length if length > 1e-3 * np.linalg.norm(thumbnail) and length > 0 else None


def _are(pairs: Sequence, kind: str) -> str:
    return f"is a {kind.replace('copies', 'copy')}" if len(pairs) == 1 else f"are {kind}"


def _both(root: Path, pairs: Sequence[tuple[Look, Look]]) -> tuple[str, ...]:
    return tuple(" = ".join(names_of(root, (b.image, a.image))) for a, b in pairs)


def _remove(root: Path, pairs: Sequence[tuple[Look, Look]]) -> str:
    a, b = pairs[0]
    gone = a if b.part == "test" else b  # from the part that can spare it
    paths = " ".join(shlex.quote(str(path)) for path in (*gone.case.images, gone.case.mask))
    return f"compare them, then remove one of each with its mask, for example: rm {'-r ' * gone.image.is_dir()}{paths}"
