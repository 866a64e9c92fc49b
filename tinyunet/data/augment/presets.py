"""Recommended settings of augmentation, by name."""

from __future__ import annotations

from dataclasses import replace

from tinyunet.data.augment.recipe import Augment
from tinyunet.data.sample import DataError

_STRONG = Augment(
    rotate=180,
    scale=(0.7, 1.4),
    gamma=(0.7, 1.5),
    contrast=(0.75, 1.25),
    brightness=0.25,
    blur=1.0,
    noise=0.3,
    probability={
        "rotate": 0.2,
        "scale": 0.2,
        "gamma": 0.3,
        "contrast": 0.15,
        "brightness": 0.15,
        "blur": 0.2,
        "noise": 0.1,
    },
)
PRESETS: dict[str, Augment | None] = {
    "none": None,
    "light": Augment(rot90=True, gamma=(0.7, 1.5)),
    "elastic": Augment(rot90=True, gamma=(0.7, 1.5), rotate=15, scale=(0.9, 1.1), shift=0.05, elastic=0.02),
    "strong": _STRONG,
    "mri": replace(
        _STRONG,
        flip="horizontal",
        rotate=15,
        bias=0.2,
        per_channel=True,
        probability={**_STRONG.probability, "rotate": 0.5, "bias": 0.5},
    ),
}
"""Recommended settings by name.

======= ==============================================================================================
none    nothing
light   flips, quarter turns and gamma: cheap, and right for whatever has no up and down
elastic light, with small rotations, zooms and shifts and the deformation of the U-Net paper: few
        images of soft tissue
strong  ranges and probabilities of nnU-Net's training in two dimensions (Isensee et al. 2021), without
        its simulated low resolution and inverted gamma: long trainings, images of several scanners
mri     strong for what stands upright: mirrored only left to right, turned by up to 15 degrees; bias
        field; each modality by itself
======= ==============================================================================================
"""


def preset(name: str, **changes) -> Augment | None:
    """Return a recommended Augment, with these settings in place of its own.

    Raises
    ------
    DataError
        If there is no preset or no setting of that name, or a value is out of range.
    """
    if name not in PRESETS:
        raise DataError(f"unknown augmentation {name!r}; expected one of {', '.join(PRESETS)}")
    found = PRESETS[name]
    if found is None:
        return None
    if unknown := set(changes) - set(Augment.__dataclass_fields__):
        raise DataError(f"unknown settings of augmentation: {', '.join(sorted(unknown))}")
    return replace(found, **changes)
