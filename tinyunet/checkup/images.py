"""What the intensities, the channels and the geometry of the images tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..data.cases import Case
from ..data.dicom import identifying_tags
from ..data.image_file import suffix_of
from ..data.places import plane_of
from ..data.sample import DataError
from .finding import Finding, names_of, plural
from .survey import Look

_CLIPPED = 0.1  # share of pixels at the largest value from which an image counts as clipped
_HOUNSFIELD = -900  # CT has air at -1000
_KINDS = {1: "grey", 3: "RGB"}


def check_images(root: Path, looks: Sequence[Look]) -> list[Finding]:
    """Check values: constant, clipped, like a mask, of several types or scales; and what a PNG holds besides."""
    varied = [look for look in looks if look.low < look.high]
    clipped = [look for look in varied if look.clipped > _CLIPPED and look.levels > 4]
    tables = (
        ("warning", "constant images", [look for look in looks if look.low == look.high],
         "{} with one value everywhere", "export again, or remove with the mask"),
        ("warning", "images like masks", [look for look in varied if look.levels <= 4],
         "{} with at most four values", "are images and masks swapped? Then exchange the two folders' names"),
        ("warning", "clipped images", clipped, "{} with more than 10 % of the pixels at the largest value",
         "what was brighter is lost: export with a wider window, or in 16 bit"),
        ("note", "alpha channels", [look for look in looks if look.storage == "alpha"],
         "{} with an alpha channel, which is dropped", "if it holds anything, export without transparency"),
        ("note", "palettes", [look for look in looks if look.storage == "palette"],
         "{} with a palette, read as its colours", "if the scan is grey, train with --channels 1"),
        ("note", "turned images", [look for look in looks if look.storage == "turned"],
         "{} that their EXIF or TIFF entry turns or mirrors, as viewers do", "look whether the masks fit them"),
        ("note", "grey in RGB", [look for look in looks if look.storage == "grey"],
         "{} with three equal channels", "--channels 1 reads a third of the data and loses nothing"),
    )  # fmt: skip
    findings = [
        Finding(severity, kind, what.format(plural(len(found), "image")), _files(root, found), remedy)
        for severity, kind, found, what, remedy in tables
        if found
    ]
    return findings + _check_scales(root, varied)


def _check_scales(root: Path, looks: Sequence[Look]) -> list[Finding]:
    findings, remedy = [], "export alike; until then normalise each image: --normalize zscore (or minmax, the default)"
    groups = _grouped(looks, lambda look: look.dtype)
    if len(groups) > 1:
        few = min(groups.values(), key=len)
        what = "images of several types: " + ", ".join(f"{len(g)} {dtype}" for dtype, g in groups.items())
        findings.append(Finding("warning", "mixed types", what, _files(root, few), remedy))
    unit = [look for look in looks if look.low >= 0 and look.high <= 1]
    if unit and len(unit) < len(looks):
        few = unit if 2 * len(unit) <= len(looks) else [look for look in looks if look not in unit]
        what = f"{len(unit)} images lie in [0, 1], {len(looks) - len(unit)} do not"
        findings.append(Finding("warning", "mixed scales", what, _files(root, few), remedy))
    if looks and np.median([look.low for look in looks]) <= _HOUNSFIELD:
        what = "the intensities look like Hounsfield units (CT)"
        remedy = "--normalize window --window -160 240 for soft tissue, -1000 400 for lungs, -500 1300 for bone"
        findings.append(Finding("note", "CT", what, (), remedy))
    return findings


def check_shapes(root: Path, looks: Sequence[Look], size: int, channels: int | None, depth: int) -> list[Finding]:
    """Check that images can be stacked to batches: channels and sizes."""
    return _check_channels(root, looks, channels) + _check_sizes(root, looks, size, depth)


def _check_channels(root: Path, looks: Sequence[Look], wanted: int | None) -> list[Finding]:
    found = _grouped(looks, lambda look: look.shape[0])
    kinds = [f"{len(group)} {_KINDS.get(count, f'{count}-channel')}" for count, group in sorted(found.items())]
    if wanted:
        stuck = [look for look in looks if look.shape[0] != wanted]
        stuck = [look for look in stuck if {look.shape[0], wanted} != {1, 3} or len(look.case.images) > 1]
        if not stuck:
            return []
        what = f"--channels {wanted} cannot be made of all images: there are {' and '.join(kinds)} ones"
        remedy = "only grey and RGB images are converted; leave --channels out, or give every case the same modalities"
        return [Finding("error", "mixed channels", what, _files(root, stuck), remedy)]
    if len(found) < 2:
        return []
    by_part = _grouped(looks, lambda look: look.part)
    within = any(len({look.shape[0] for look in group}) > 1 for group in by_part.values())
    grey = all(look.storage == "grey" for look in looks if look.shape[0] == 3)
    remedy = "--channels 1 (the RGB images are grey anyway)" if grey else "--channels 1 (or 3) reads all alike"
    if not set(found) <= {1, 3}:
        remedy = "give every case the same modalities"
    severity = "error" if within or not set(found) <= {1, 3} else "warning"  # test images are read as those to train on
    what = f"channels are mixed: {' and '.join(kinds)} images"
    return [Finding(severity, "mixed channels", what, _files(root, min(found.values(), key=len)), remedy)]


def _check_sizes(root: Path, looks: Sequence[Look], size: int, depth: int) -> list[Finding]:
    findings = []
    training = [look for look in looks if look.part != "test"]
    sizes = _grouped(training, lambda look: look.shape[2:])
    if not sizes:
        return findings
    step, side = 2**depth, min(min(shape) for shape in sizes)
    fitting = max(side // step * step, step)
    if size:
        if size % step or size > side:
            why = f"no multiple of {step}" if size % step else f"above the shortest side, {side}"
            remedy = f"--size {min(fitting, -(-size // step) * step)}, which needs no padding"
            findings.append(Finding("note", "size", f"--size {size} is {why}", (), remedy))
    elif len(sizes) > 1:
        few = min(sizes.values(), key=len)
        extremes = ["x".join(map(str, f(sizes, key=lambda s: s[0] * s[1]))) for f in (min, max)]
        what = f"{len(sizes)} sizes from {extremes[0]} to {extremes[1]} (height x width), so they cannot be stacked"
        remedy = f"train on squares cut from them: --size {fitting} (or a smaller multiple of {step})"
        findings.append(Finding("error", "mixed sizes", what, _files(root, few), remedy))
    elif any(length % step for length in next(iter(sizes))):
        shape = "x".join(map(str, next(iter(sizes))))
        what = f"{shape} cannot be halved {depth} times, so images are padded and cropped back"
        remedy = "nothing" + f"; or --size {fitting}, which is padded nowhere" * (side >= step)
        findings.append(Finding("note", "size", what, (), remedy))
    return findings


def check_volumes(root: Path, looks: Sequence[Look]) -> list[Finding]:
    """Check spacing, direction and number of slices of volumes, and whether images from files have a size in mm."""
    findings = []
    known = [look for look in looks if look.geometry is not None]
    if known and len(known) < len(looks):
        few = [look for look in looks if look.geometry is None]
        what = f"{len(few)} of {len(looks)} images know no spacing"
        findings.append(
            Finding("note", "spacing", what, _files(root, few), "distances (HD95) of these are in pixels, not mm")
        )
    if known:
        steps = np.array([look.geometry.spacing[:2] for look in known])
        far = np.abs(np.log2(steps / np.median(steps, axis=0))).max(axis=1) > np.log2(1.5)
        if far.any():
            what = (
                f"pixels of {steps.min():.3g} to {steps.max():.3g} mm: the same organ has another size in these images"
            )
            files = _files(root, [look for look, odd in zip(known, far, strict=True) if odd])
            remedy = "resample to one spacing (images linearly, masks with nearest neighbour), or train with --zoom 1.5"
            findings.append(Finding("warning", "spacing", what, files, remedy))
    volumes = [look for look in known if len(look.geometry.spacing) == 3]
    planes = _grouped(volumes, lambda look: plane_of(look.geometry))
    if len(planes) > 1:
        what = "slices of several directions: " + ", ".join(f"{len(group)} {plane}" for plane, group in planes.items())
        remedy = "reorient the volumes; a network learns better from slices of one direction"
        findings.append(Finding("warning", "orientation", what, _files(root, min(planes.values(), key=len)), remedy))
    depths = [look.shape[1] for look in looks]
    stacks = [look for look in looks if look.shape[1] > 1]
    if stacks and len(stacks) < len(looks):
        few = min(stacks, [look for look in looks if look.shape[1] == 1], key=len)
        what = f"{len(stacks)} volumes are mixed with {len(looks) - len(stacks)} single images"
        findings.append(Finding("warning", "slices", what, _files(root, few), "keep one kind in a data set"))
    elif stacks and max(depths) > 4 * min(depths):
        few = [look for look in stacks if look.shape[1] <= max(depths) / 4]
        what = f"volumes of {min(depths)} to {max(depths)} slices: the longest count most"
        findings.append(Finding("note", "slices", what, _files(root, few), "nothing, unless slices are missing"))
    return findings


def check_privacy(root: Path, cases: Sequence[Case]) -> list[Finding]:
    """Name the DICOM entries that could identify a patient; never what they say."""
    tags, paths = set(), []
    for path in (path for case in cases for path in (*case.images, case.mask)):
        if suffix_of(path) == ".dcm" or path.is_dir():
            try:
                found = identifying_tags(path)
            except DataError:
                continue  # it cannot be read, which the survey has said
            if found:
                tags.update(found)
                paths.append(path)
    if not tags:
        return []
    what = f"{plural(len(paths), 'DICOM case')} with entries that identify a patient: {', '.join(sorted(tags))}"
    remedy = "tinyunet writes none of them anywhere; de-identify before you pass the files on"
    return [Finding("warning", "identifying entries", what, names_of(root, paths), remedy)]


def _files(root: Path, looks: Sequence[Look]) -> tuple[str, ...]:
    return names_of(root, (look.image for look in looks))


def _grouped(looks: Sequence[Look], key: Callable) -> dict:
    groups: dict = {}
    for look in looks:
        groups.setdefault(key(look), []).append(look)
    return groups
