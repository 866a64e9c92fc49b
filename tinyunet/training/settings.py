"""The settings of a run: one list, from which `tinyunet.train` and `tinyunet train --help` are made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from .. import functional as F
from ..backend import gpu_number
from ..data.augment import PRESETS
from ..optim import SGD, Adam, AdamW, Constant, Cosine, Poly, Step
from .weights import numbers

OPTIMIZERS = {"adam": Adam, "adamw": AdamW, "sgd": partial(SGD, momentum=0.9, nesterov=True)}
SCHEDULES = {"cosine": Cosine, "poly": Poly, "step": Step, "constant": Constant}
LOSSES = {"ce+dice": F.cross_entropy_dice, "ce": F.cross_entropy, "dice": F.dice_loss}
LEAST = {
    **dict.fromkeys(("epochs", "batch_size", "accumulate", "zoom", "fold"), 1),
    **dict.fromkeys(("patience", "weight_decay", "warm_up", "clip_norm", "border_weight", "rotate"), 0),
    **dict.fromkeys(("size", "folds", "cases", "seed"), 0),
}


def _setting(default: Any, text: str, choices=None, metavar=None):
    return field(default=default, metadata={"help": text, "choices": choices, "metavar": metavar})


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run. `tinyunet train --help` and `tinyunet.train` are made from this one list.

    There is no switch that makes a run repeatable, as every run is. `seed` is the one source of all that is random, and
    on one machine the same settings, data and library give the same bits: with any number of threads, in any process,
    stopped and resumed or not, with `recompute` or without. `tests/training/test_determinism.py` says so. Other bits
    come from another kind of device (a GPU and a CPU add in different orders), from a processor with wider vectors, and
    from a validation image that is cut into tiles because memory is short; they differ by rounding.

    Raises
    ------
    ValueError
        If a value is out of range, naming the setting, the choices and what came.
    """

    data: str = _setting(
        "tumour",
        "kind of toy data (tumour, organ, lesion, cells, vessels), or a folder with images/ and masks/, or with train/ "
        "and test/ that hold them",
    )
    out: str = _setting("", "folder for the results; by default runs/NAME, numbered if it exists")
    epochs: int = _setting(12, "passes over the training images")
    patience: int = _setting(0, "stop after so many epochs without a better validation Dice; 0 for never")
    batch_size: int = _setting(8, "images that go through the network together")
    accumulate: int = _setting(
        1, "batches per step: the memory of one, the step of all together (but norm batch sees one at a time)"
    )
    lr: float = _setting(2e-3, "learning rate")
    optimizer: str = _setting("adam", "how the weights are changed; sgd has Nesterov momentum 0.9", tuple(OPTIMIZERS))
    weight_decay: float = _setting(0.0, "pull of the weights towards 0")
    schedule: str = _setting("cosine", "course of the learning rate", tuple(SCHEDULES))
    warm_up: int = _setting(0, "steps that approach the learning rate")
    clip_norm: float = _setting(0.0, "largest length of the gradient; 0 for any")
    loss: str = _setting("ce+dice", "what is minimised: cross-entropy, soft Dice, or their sum", tuple(LOSSES))
    class_weights: str = _setting(
        "none",
        "in the cross-entropy: none, balanced (rare classes weigh more), or one for each such as '1, 5'",
        metavar="W",
    )
    border_weight: float = _setting(
        0.0,
        "weight of narrow gaps between objects in the cross-entropy, 10 in the U-Net paper; 0 for none. Objects that "
        "touch in instances/ are taken apart",
    )
    border_sigma: float = _setting(5.0, "width in pixels of the gaps that --border-weight is about")
    base_channels: int = _setting(16, "channels of the first level")
    depth: int = _setting(3, "number of poolings")
    up: str = _setting("transposed", "how the decoder enlarges", ("transposed", "article", "nearest", "bilinear"))
    norm: str = _setting("batch", "normalisation after each convolution", ("batch", "group", "none"))
    dropout: float = _setting(0.0, "probability of dropping a value at the two deepest levels")
    deep_supervision: bool = _setting(
        False, "let lower levels of the decoder predict, too, in training: losses weigh 1, 1/2, 1/4, ... as in nnU-Net"
    )
    recompute: bool = _setting(
        False,
        "activation checkpointing: keep only the inputs of blocks, and compute what is inside again in backward. A "
        "third less memory, a third more time, the same bits",
    )
    normalize: str = _setting(
        "minmax",
        "scaling of intensities: each image to [0,1], to [-1,1], to mean 0 and deviation 1, or all by one window",
        ("minmax", "symmetric", "zscore", "window"),
    )
    normalize_per: str = _setting(
        "volume", "what --normalize measures: each volume as a whole, or each of its slices", ("volume", "slice")
    )
    window: tuple[float, float] | None = _setting(None, "intensities that become 0 and 1 with --normalize window")
    augment: bool = _setting(True, "change the training images at random, as --augmentation says")
    augmentation: str = _setting(
        "light",
        "flips, quarter turns and gamma (light); more, for soft tissue (elastic); as nnU-Net does (strong); upright, "
        "with a bias field (mri). augmentation.png shows it",
        tuple(name for name in PRESETS if name != "none"),
    )
    rotate: float = _setting(0.0, "rotate by up to so many degrees; 0 for what --augmentation says")
    zoom: float = _setting(1.0, "scale by a factor of up to this, or its inverse; 1 for what --augmentation says")
    swap: str = _setting(
        "", "classes that change places when an image is mirrored, '1:2' for left and right kidney", metavar="PAIRS"
    )
    drop_channel: float = _setting(
        0.0, "probability of blanking each modality, so that the network learns to do without it; one stays"
    )
    size: int = _setting(0, "train on squares cut from the images with this side; 0 for whole images")
    channels: int = _setting(0, "read images as grey (1) or RGB (3); 0 as they are", (0, 1, 3))
    ignore: int | None = _setting(
        None, "value of masks that stands for 'not labelled', as between scribbles: counts nowhere", metavar="VALUE"
    )
    patients: str = _setting(
        "",
        "whom an image shows, told by the beginning of its name: '[^_]+' is all before the first underscore (a regular "
        "expression; its first group, if it has one). A patient is never divided",
        metavar="RULE",
    )
    blank_missing: bool = _setting(False, "take cases that lack a modality, with a blank channel in its place")
    series: int | None = _setting(None, "DICOM series to take where a folder holds several", metavar="N")
    on_bad_file: str = _setting("stop", "what to do about files that cannot be used", ("stop", "skip"))
    validation: float = _setting(0.2, "share of the training images held out to choose the best epoch; 0 for none")
    folds: int = _setting(0, "divide the training images into so many folds, by patients, and validate on one of them")
    fold: int = _setting(1, "which of --folds validates, 1 being the first")
    cases: int = _setting(
        0, "train on so many cases (volumes, patients or images) only, to see how many are needed; 0 for all"
    )
    start_from: str = _setting(
        "",
        "start with the weights of this checkpoint, safetensors or .pth file, of any channels and classes; depth, "
        "base_channels, up and norm are then those of its network",
        metavar="FILE",
    )
    freeze: str = _setting(
        "", "layers of --start-from that stay as they are, such as 'encoder*' or 'encoder1, encoder2'", metavar="NAMES"
    )
    fresh: str = _setting("", "layers that do not take over the weights of --start-from", metavar="NAMES")
    seed: int = _setting(0, "of weights, order, augmentation and splits; the same seed gives the same bits")
    device: str = _setting(
        "auto", "cpu, cuda (a GPU), cuda:1 (the second one); auto: a GPU if one can be used", metavar="DEVICE"
    )

    def __post_init__(self):
        for name, lowest in LEAST.items():
            if not getattr(self, name) >= lowest:
                raise ValueError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        for f in fields(self):
            choices = f.metadata["choices"]
            if choices and getattr(self, f.name) not in choices:
                allowed = ", ".join(map(str, choices))
                raise ValueError(f"{f.name} must be one of {allowed}, got {getattr(self, f.name)!r}")
        if not re.fullmatch(r"(\d+:\d+(,\s*\d+:\d+)*)?", self.swap):
            raise ValueError(f"swap takes pairs of classes such as '1:2, 3:4', got {self.swap!r}")
        if self.device not in ("auto", "cpu"):
            gpu_number(self.device)
        if (self.freeze or self.fresh) and not self.start_from:
            raise ValueError("freeze and fresh choose among layers that have weights already: give start_from")
        if self.class_weights not in ("none", "balanced"):
            numbers(self.class_weights)
        if self.loss == "dice" and (self.class_weights != "none" or self.border_weight):
            raise ValueError("class_weights and border_weight are for the cross-entropy: choose loss ce or ce+dice")
        if not self.border_sigma > 0:
            raise ValueError(f"border_sigma must be above 0, got {self.border_sigma}")
        if self.deep_supervision and self.depth < 2:
            raise ValueError(f"deep_supervision needs a depth of at least 2, got {self.depth}")
        if self.folds == 1 or self.fold > max(self.folds, 1):
            raise ValueError(f"folds must be 0 or at least 2, and fold 1 to folds, got {self.folds} and {self.fold}")
        if self.patience and not (self.validation or self.folds):
            raise ValueError("patience needs validation images: give validation above 0, or folds")
        if (self.normalize == "window") != (self.window is not None):
            raise ValueError("window and normalize='window' belong together: give both or neither")
