"""Is it enough to train, to validate and to test on, and does it fit into memory?"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..data.patients import patients_by
from ..nn.summary import readable_bytes
from ..training import Settings
from .finding import Finding, plural
from .survey import Look

_FEW_IMAGES, _FEW_TO_TRAIN, _FEW_TO_JUDGE = 20, 10, 10  # the last two of patients, volumes or images
_BYTES_PER_PIXEL = 1000  # of each image in a batch, for the default network: `tinyunet bench --memory`


def check_count(parts: Sequence[str], looks: Sequence[Look], rule: str = "") -> list[Finding]:
    """Check how many patients (as a rule tells them; else volumes, or images) there are to train, validate and test on.

    Slices of one patient are alike, so hundreds of them are one case.
    """
    findings = []
    names = [look.case.name for look in looks]
    found = set(zip(patients_by(rule, names) if rule else names, [look.part == "test" for look in looks], strict=True))
    test = sum(tested for _, tested in found)
    whole = known = len(found) - test
    if "" in parts:  # train holds a fifth out
        test = max(1, round(0.2 * whole))
        whole -= test
    validation = max(1, round(Settings().validation * whole))
    thing = "patient" if rule else "volume" if any(look.shape[1] > 1 for look in looks) else "image"
    if whole < 2 or (test == 0 and "test" in parts):
        what = f"{plural(len(found), thing)} cannot be divided into some to train, to validate and to test on"
        remedy = "add more; or put them into train/ and use --validation 0, which leaves no honest score"
        return [Finding("error", "too few", what, (), remedy)]
    counts = f"{whole - validation} to train, {validation} to validate and {test} to test"
    images = sum(look.shape[1] for look in looks if look.part != "test") * (whole - validation) // known
    if images < _FEW_IMAGES or whole - validation < _FEW_TO_TRAIN:
        what = f"{plural(len(found), thing)} ({counts}) are few"
        remedy = "vary them more: --rotate 15 --zoom 1.2; or start from a trained network: --start-from FILE"
        findings.append(Finding("warning", "few cases", what, (), remedy))
    if validation < _FEW_TO_JUDGE or test < _FEW_TO_JUDGE:
        what = f"few judge the network ({counts}): the best epoch, and the score, are partly luck"
        remedy = (
            "trust differences above the spread of several --seed 0, 1, 2 only; a larger --validation judges better"
        )
        findings.append(Finding("note", "few to judge by", what, (), remedy))
    if test == 0:
        what = "there is no test/, so the score comes from images that chose the best epoch"
        remedy = "put a fifth of the cases into test/images and test/masks"
        findings.append(Finding("note", "no test set", what, (), remedy))
    return findings


def check_memory(looks: Sequence[Look], size: int) -> list[Finding]:
    """Check that a batch of the default size fits into half of the memory."""
    training = [look for look in looks if look.part != "test"]
    if not training or not hasattr(os, "sysconf"):
        return []
    defaults = Settings()
    pixels = size * size or max(look.shape[2] * look.shape[3] for look in training)
    one = pixels * _BYTES_PER_PIXEL
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fitting = int(0.5 * have / one)
    if fitting >= defaults.batch_size:
        return []
    side = int((0.5 * have / defaults.batch_size / _BYTES_PER_PIXEL) ** 0.5) // 32 * 32
    what = (
        f"a batch of {defaults.batch_size} whole images takes about {readable_bytes(defaults.batch_size * one)}; "
        f"this machine has {readable_bytes(have)}"
    )
    remedy = f"--size {side}" + f" or --batch-size {fitting}" * (fitting > 0)
    return [Finding("warning", "memory", what, (), remedy)]
