"""What the values of the masks tell: are they classes at all, and how much of each is there?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..data.cases import some
from ..data.mask_values import MAX_CLASSES
from .finding import Finding, names_of, plural
from .survey import Look

_THIN = 0.1  # share of inner pixels below which a value lies along edges only
_LITTLE = 0.1  # share of the foreground below which such a value is doubted
_TINY, _SELDOM = 1e-5, 0.02  # share of all pixels, and of the masks, below which any value is doubted
RARE = 0.01
"""Share of all pixels below which a class needs care."""


class Totals:
    """Pixels, inner pixels and masks of every value, over several masks."""

    def __init__(self, looks: Iterable[Look]) -> None:
        self.pixels: Counter[int] = Counter()
        self.inner: Counter[int] = Counter()
        self.masks: Counter[int] = Counter()
        self.count = 0
        for look in looks:
            values = look.labels.values.tolist()
            self.pixels.update(dict(zip(values, look.labels.pixels.tolist(), strict=True)))
            self.inner.update(dict(zip(values, look.labels.inner.tolist(), strict=True)))
            self.masks.update(values)
            self.count += 1

    @property
    def values(self) -> list[int]:
        """All values, in the order of the classes."""
        return sorted(self.pixels)

    def share(self, value: int) -> float:
        """Share of all pixels."""
        return self.pixels[value] / sum(self.pixels.values())


def check_masks(root: Path, looks: Sequence[Look], ignore: int | None = None) -> list[Finding]:
    """Check values, classes and empty masks of all parts."""
    if not looks:
        return []
    if ignore is not None:  # scribbles are thin and few, which the checks of whole masks would take for faults
        return _check_labelled(root, looks, ignore)
    findings = _check_kind(root, looks)
    if not findings:
        findings = _check_coding(root, looks)
    if any(finding.severity == "error" for finding in findings):
        return findings  # what follows would count classes that are none
    strays = _strays(Totals(looks))
    findings += _check_tested(looks, strays) + _ask_about(root, looks, strays) + _check_presence(root, looks)
    return findings + _check_balance(looks, strays)


def _check_labelled(root: Path, looks: Sequence[Look], ignore: int) -> list[Finding]:
    """What is labelled where the rest is to be ignored."""
    findings = _check_coding(root, looks) + _check_tested(looks, ())
    none = [look for look in looks if look.labels.distinct == 0]
    if none:
        what = (
            f"{plural(len(none), 'mask')} with no labelled pixel: nothing can be learnt from them, nor judged by them"
        )
        findings.append(Finding("warning", "unlabelled", what, _masks(root, none), "label some pixels of them"))
    totals = Totals(looks)
    labelled = sum(totals.pixels.values())
    share = labelled / max(labelled + sum(look.labels.unlabelled for look in looks), 1)
    parts = ", ".join(f"{value}: {totals.masks[value]} of {totals.count}" for value in totals.values)
    what = f"{share:.2%} of the pixels are labelled ({ignore} is ignored); mask value: masks that hold it: {parts}"
    remedy = "scores count labelled pixels only; test on fully labelled masks if you can"
    return [*findings, Finding("note", "labelled", what, (), remedy)]


def _check_kind(root: Path, looks: Sequence[Look]) -> list[Finding]:
    """Masks that hold no classes: instance maps, smeared ones, pictures."""
    kinds: dict[str, list[Look]] = {}
    if _are_instances(looks):
        kinds["instances"] = [look for look in looks if look.labels.distinct > 2]
    else:
        for look in looks:
            if kind := _kind(look):
                kinds.setdefault(kind, []).append(look)
        if "smeared" in kinds:  # then other masks are, too, that have few values in between
            true = {value for look in kinds["smeared"] for value in look.labels.values[:2].tolist()}
            others = [look for look in looks if not _kind(look) and not true.issuperset(look.labels.values.tolist())]
            kinds["smeared"] += others
    texts = {
        "instances": (
            "instance maps",
            "with one value per object instead of per class",
            "save numpy.where(mask > 0, 255, 0) as the mask; put the instance maps into instances/ beside masks/",
        ),
        "smeared": (
            "smeared masks",
            "with in-between values along the edges, as JPEG, anti-aliasing or resizing make them",
            "export again as PNG, resized with nearest neighbour; or round each pixel to the nearest true value, for "
            "0 and 255: numpy.where(mask > 127, 255, 0)",
        ),
        "picture": (
            "masks like images",
            "with so many values that they look like images or probability maps",
            "are images and masks swapped? Else save one whole number per class",
        ),
    }
    findings = []
    for kind, found in kinds.items():
        title, what, remedy = texts[kind]
        most = max(look.labels.distinct for look in found)
        what = f"{plural(len(found), 'mask')} {what} (up to {most} values)"
        findings.append(Finding("error", title, what, _masks(root, found), remedy))
    values = set().union(*(look.labels.values.tolist() for look in looks if look.part != "test"))
    if not findings and len(values) > MAX_CLASSES:
        what = f"the masks hold {len(values)} values together; each would become a class, at most {MAX_CLASSES} can"
        findings.append(Finding("error", "masks like images", what, (), "save one whole number per class"))
    return findings


def _kind(look: Look) -> str:
    """What a mask with many values is, or "" if it may hold classes."""
    values, pixels, inner = look.labels.values, look.labels.pixels, look.labels.inner
    if look.labels.distinct < 6:
        return ""
    rest = slice(2, None)
    smooth = inner[1:].sum() / pixels[1:].sum()
    if pixels[:2].sum() > 0.8 * pixels.sum() and inner[rest].sum() < 0.25 * pixels[rest].sum():
        return "smeared"
    if look.labels.distinct > MAX_CLASSES:
        return "instances" if smooth > 0.25 and len(values) < 0.05 * pixels.sum() else "picture"
    return "picture" if smooth < _THIN else ""


def _are_instances(looks: Sequence[Look]) -> bool:
    """Whether objects seem to be numbered: 1..n in nearly every mask, with another n each time, unlike classes."""
    several = [look.labels for look in looks if look.labels.distinct > 2]
    if len(several) < 2:
        return False
    counts = {labels.distinct for labels in several}
    numbered = [set(labels.values.tolist()) >= set(range(1, len(labels.values))) for labels in several]
    smooth = [labels.inner[1:].sum() > 0.25 * labels.pixels[1:].sum() for labels in several]
    return max(counts) > 5 and len(counts) > 2 and np.mean(numbered) > 0.8 and np.mean(smooth) > 0.8


def _check_coding(root: Path, looks: Sequence[Look]) -> list[Finding]:
    """One class under two values, values that only the test masks have, a single value."""
    findings = []
    training = [look for look in looks if look.part != "test"]
    test = [look for look in looks if look.part == "test"]
    ones, full = ([look for look in looks if set(look.labels.values.tolist()) - {0} == {v}] for v in (1, 255))
    if ones and full and len(ones) + len(full) >= sum((look.labels.values != 0).any() for look in looks):
        few, value = (ones, 255) if len(ones) <= len(full) else (full, 1)
        what = f"{len(ones)} masks hold 0 and 1, {len(full)} hold 0 and 255: 1 and 255 would become two classes"
        remedy = f"save these few with the values of the others: numpy.where(mask > 0, {value}, 0)"
        return [Finding("error", "mixed coding", what, _masks(root, few), remedy)]
    known = Totals(training).values
    if len(known) < 2:
        value = f"the single value {known[0]}" if known else "no value that counts"
        what = f"every mask to train on holds {value}: there is nothing to learn"
        findings.append(Finding("error", "one value", what, (), "export the masks again; are they all empty?"))
    unknown = sorted(set(Totals(test).values) - set(known)) if training else []
    if unknown:
        what = f"test masks hold the values {some(unknown)}, which no mask to train on holds ({some(known)})"
        found = [look for look in test if np.isin(look.labels.values, unknown).any()]
        remedy = "save masks of both parts with the same values"
        findings.append(Finding("error", "unknown values", what, _masks(root, found), remedy))
    return findings


def _check_tested(looks: Sequence[Look], strays: Sequence[int]) -> list[Finding]:
    """Classes that only the images to train on show."""
    test = Totals(look for look in looks if look.part == "test")
    unseen = [value for value in Totals(looks).values if value not in test.pixels and value not in strays]
    if not test.count or not unseen:
        return []
    what = f"no test mask holds the {_values(unseen)}, so there is no score for {'it' if len(unseen) == 1 else 'them'}"
    return [Finding("warning", "untested class", what, (), "move cases that hold it from train/ to test/")]


def _strays(totals: Totals) -> list[int]:
    """Values so rare or so thin that they may be no class."""
    values = totals.values
    if len(values) < 3:
        return []
    background = max(values, key=lambda v: totals.pixels[v])
    foreground = sum(totals.pixels.values()) - totals.pixels[background]
    strays = []
    for value in values:
        part = totals.pixels[value] / foreground
        thin = totals.inner[value] < _THIN * totals.pixels[value] and part < _LITTLE
        seldom = totals.masks[value] < _SELDOM * totals.count
        if value != background and (thin or seldom or totals.share(value) < _TINY):
            strays.append(value)
    return strays if len(strays) < len(values) - 1 else []


def _ask_about(root: Path, looks: Sequence[Look], strays: Sequence[int]) -> list[Finding]:
    if not strays:
        return []
    totals = Totals(looks)
    kept = [value for value in totals.values if value not in strays]
    pixels = sum(totals.pixels[value] for value in strays)
    found = [look for look in looks if np.isin(look.labels.values, strays).any()]
    what = (
        f"the {_values(strays)} {'is' if len(strays) == 1 else 'are'} in only "
        f"{plural(pixels, 'pixel')} of {plural(len(found), 'mask')}; each would become a class"
    )
    remedy = (
        f"if they are classes, all is well; if not, give each of these pixels the nearest of {some(kept)} and save "
        "again: kept[numpy.abs(mask[..., None] - kept).argmin(-1)] with kept = numpy.array([...])"
    )
    return [Finding("warning", "stray values", what, _masks(root, found), remedy)]


def _check_presence(root: Path, looks: Sequence[Look]) -> list[Finding]:
    """Masks, and slices, in which there is nothing, or nothing else."""
    totals = Totals(looks)
    background = totals.values[0]
    single = [look for look in looks if look.labels.distinct == 1]
    empty = [look for look in single if look.labels.values[0] == background]
    full = [look for look in single if look.labels.values[0] != background]
    findings = []
    if empty:
        severity = "warning" if 2 * len(empty) > len(looks) else "note"
        what = f"{len(empty)} of {plural(len(looks), 'mask')} {'is' if len(empty) == 1 else 'are'} empty"
        remedy = "right if these images show nothing to find; tinyunet evaluate --empty says how they count"
        findings.append(Finding(severity, "empty masks", what, _masks(root, empty), remedy))
    if full:
        what = f"{plural(len(full), 'mask')} without any background"
        findings.append(Finding("warning", "full masks", what, _masks(root, full), "look at them; are they inverted?"))
    slices = sum(look.shape[1] for look in looks)
    idle = sum(look.labels.empty_slices for look in looks)
    if slices > len(looks) and idle > 0.5 * slices:
        what = f"{idle} of {slices} slices show nothing but background"
        remedy = "right for whole scans; crop the volumes to the organ if training is slow to find it"
        findings.append(Finding("note", "empty slices", what, (), remedy))
    if totals.share(background) < 0.5:
        what = f"value {background}, which becomes class 0 (background), covers only {totals.share(background):.1%}"
        remedy = "look at the contact sheet: are the masks inverted? If the object fills the image, all is well"
        findings.append(Finding("note", "little background", what, (), remedy))
    return findings


def _check_balance(looks: Sequence[Look], strays: Sequence[int]) -> list[Finding]:
    """Rare classes, and what a network that learnt nothing would score."""
    totals = Totals(looks)
    values = totals.values
    if len(values) < 2:
        return []
    findings = []
    rare = [value for value in values[1:] if totals.share(value) < RARE and value not in strays]
    if rare:
        shares = ", ".join(f"{value}: {100 * totals.share(value):.2g}%" for value in rare)
        what = f"rare classes (mask value: share of pixels): {shares}"
        remedy = "keep --loss ce+dice (the default) or try --loss dice; --loss ce alone tends to predict background"
        findings.append(Finding("note", "rare classes", what, (), remedy))
    judged = [look for look in looks if look.part == "test"] or looks
    totals = Totals(judged)
    share = totals.share(values[0])
    without = sum(look.labels.distinct == 1 for look in judged) / len(judged)
    what = (
        f"predicting background everywhere scores accuracy {share:.1%}, Dice {2 * share / (1 + share):.3f} of the "
        f"background and 0 of every other class{f' ({without:.0%} of the masks are empty)' if without else ''}"
    )
    where = "test images" if judged[0].part == "test" else "images"
    remedy = f"judge a network on these {where} by the Dice of the classes, never by accuracy or a mean with background"
    return [*findings, Finding("note", "baseline", what, (), remedy)]


def _values(values: Sequence[int]) -> str:
    return f"value{'' if len(values) == 1 else 's'} {some(values)}"


def _masks(root: Path, looks: Iterable[Look]) -> tuple[str, ...]:
    return names_of(root, (look.case.mask for look in looks))
