"""Names: which files pair, and which break on another system."""

from __future__ import annotations

import re
import shlex
import unicodedata
from difflib import get_close_matches
from pathlib import Path

from ..data import dicom
from ..data.cases import Case, pair
from ..data.image_file import SUFFIXES, suffix_of
from ..data.sample import DataError
from .finding import Finding, names_of, plural

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_GUESSED = 100  # names without a partner beyond these are not compared


def find_parts(root: Path) -> dict[str, Path]:
    """Return the folders that hold `images` and `masks`: "train" and "test", or "" if the data set is not divided."""
    if (root / "train").is_dir():
        return {name: root / name for name in ("train", "test") if (root / name).is_dir()}
    return {"": root}


def check_pairs(root: Path, folder: Path, blank_missing: bool = False) -> tuple[list[Case], list[Finding]]:
    """Pair the files of a part; what does not pair is named beside its likeliest counterpart."""
    images, masks = folder / "images", folder / "masks"
    missing = [path.name for path in (images, masks) if not path.is_dir()]
    if missing:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        what = f"{folder} has no folder {' and no folder '.join(missing)}; it holds {there}"
        remedy = "put images into ROOT/images and masks of the same names into ROOT/masks (or ROOT/train/images ...)"
        return [], [Finding("error", "missing folders", what, (), remedy)]
    try:
        cases, complaints = pair(images, masks, blank_missing)
    except DataError as error:
        return [], [Finding("error", "missing pairs", str(error), (), "mend the names, then check again")]
    findings, known = [], {path for case in cases for path in (*case.images, case.mask)}
    for complaint in complaints:
        what = complaint.removeprefix(f"{images}: ").removeprefix(f"{masks}: ")
        lacking = re.match(r"(.+) lacks modalities", what)
        if lacking:
            known |= {path for path in images.iterdir() if path.name.startswith(f"{lacking[1]}_")}
            known |= {path for path in masks.iterdir() if _stem(path).removesuffix("_mask") == lacking[1]}
            remedy = "add them; or take them as blank: --blank-missing; or leave the case out: --on-bad-file skip"
            findings.append(Finding("error", "missing pairs", what, (), remedy))
        elif not re.match(r"\d+ (images without a mask|masks without an image)", what):  # these are listed below
            findings.append(Finding("error", "unusable files", what, (), "mend it, or move it away"))
    alone = [[path for path in _listed(place) if path not in known] for place in (images, masks)]
    moves = [f"mv {shlex.quote(str(mask))} {shlex.quote(str(new))}" for mask, new in _counterparts(*alone)]
    likely = f"if these belong together: {'; '.join(moves[:3])}" + f"; and {len(moves) - 3} more" * (len(moves) > 3)
    kinds = zip(alone, ("image", "mask"), ("a mask", "an image"), strict=True)
    if what := " and ".join(f"{plural(len(paths), kind)} without {other}" for paths, kind, other in kinds if paths):
        remedy = likely if moves else "add what is missing, or move them away"
        findings.append(Finding("error", "missing pairs", what, names_of(root, sum(alone, [])), remedy))
    return cases, findings


def check_names(root: Path, parts: dict[str, Path]) -> list[Finding]:
    """Find names that another operating system, or a copy to it, would change, refuse or merge."""
    reasons = {
        "differ only in capitals or in how accents are encoded, so Windows and macOS merge them": "warning",
        "are forbidden or changed on Windows": "warning",
        "hold accents as two characters, which other programs write as one": "warning",
        "hold spaces, which need quotes in a shell": "note",
    }
    merged, forbidden, decomposed, spaced = found = [[] for _ in reasons]
    for folder in (part / kind for part in parts.values() for kind in ("images", "masks")):
        seen: dict[str, Path] = {}
        for path in _listed(folder):
            name, stem = path.name, _stem(path)
            twin = seen.setdefault(unicodedata.normalize("NFC", name).casefold(), path)
            if twin != path:
                merged += [twin, path]
            elif re.search(r'[<>:"|?*\\\x00-\x1f]', name) or _RESERVED.fullmatch(name) or stem != stem.strip(" ."):
                forbidden.append(path)
            elif name != unicodedata.normalize("NFC", name):
                decomposed.append(path)
            elif " " in name:
                spaced.append(path)
    findings = []
    for paths, (why, severity) in zip(found, reasons.items(), strict=True):
        if paths:
            what = f"{len(paths)} names {why}" if len(paths) > 1 else f"1 name: such names {why}"
            remedy = "rename image and mask alike, with letters, digits, - and _ only"
            findings.append(Finding(severity, "file names", what, names_of(root, paths), remedy))
    return findings


def _listed(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.name[0] != "." and _is_image(path)]


def _is_image(path: Path) -> bool:
    try:
        return suffix_of(path) in SUFFIXES or (path.is_dir() and dicom.is_series(path))
    except DataError:  # a folder that may not be entered, which `pair` complains about
        return False


def _counterparts(images: list[Path], masks: list[Path]) -> list[tuple[Path, Path]]:
    """For images without a mask, the mask that is probably meant, and what it should be called."""
    keys = {_key(_stem(mask)): mask for mask in masks}
    found = []
    for image in images[:_GUESSED]:
        key = _key(_stem(image))
        near = [other for other in keys if key in other or other in key][:1]
        near = [key] if key in keys else near or get_close_matches(key, list(keys)[:_GUESSED], n=1, cutoff=0.7)
        if near:
            mask = keys.pop(near[0])
            found.append((mask, mask.with_name(_stem(image) + mask.name[len(_stem(mask)) :])))
    return found


def _key(stem: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", stem).casefold())


def _stem(path: Path) -> str:
    suffix = suffix_of(path)
    return path.name[: -len(suffix)] if suffix in SUFFIXES else path.name
