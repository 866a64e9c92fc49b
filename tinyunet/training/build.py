"""From settings and data to a network and its trainer."""

from __future__ import annotations

from pathlib import Path

from ..data import Loader, Normalize, preset
from ..data.borders import Bordered
from ..data.instances import Instances
from ..data.source import Sources
from ..inference import Segmenter
from ..nn import UNet
from .fine_tune import freeze, start_from
from .settings import LOSSES, OPTIMIZERS, SCHEDULES, Settings
from .trainer import Trainer
from .weights import weighted, weights_of_classes


def choose(data: str | Path, out: str | Path, settings: dict) -> tuple[Settings, Segmenter | None]:
    """Make Settings of the arguments of `train`, and read the network to start from, if there is one."""
    start = None
    if settings.get("start_from"):
        start, settings = start_from(settings["start_from"], settings)
        settings["start_from"] = str(settings["start_from"])
    return Settings(data=str(data), out=str(out), **settings), start


def build(chosen: Settings, sources: Sources, device: str, show_progress: bool) -> tuple[Segmenter, Trainer]:
    """Make the network and its trainer from the settings.

    Parameters
    ----------
    chosen : Settings
    sources : Sources
    device : "cpu", "cuda" or "cuda:1", ...
    show_progress : bool
        Of the trainer.

    Returns
    -------
    (Segmenter, Trainer)

    Raises
    ------
    ValueError
        If a setting does not fit the data or the others.
    """
    training = sources.train
    low, high = chosen.window or (None, None)
    normalize = Normalize(chosen.normalize, low, high, chosen.normalize_per)
    model = UNet(
        training.channels,
        len(training.class_names),
        chosen.base_channels,
        chosen.depth,
        up=chosen.up,
        norm=None if chosen.norm == "none" else chosen.norm,
        dropout=chosen.dropout,
        deep_supervision=chosen.deep_supervision,
        seed=chosen.seed,
    ).to(device)
    model.recompute = chosen.recompute
    if chosen.freeze:
        freeze(model, chosen.freeze)
    segmenter = Segmenter(model, normalize, training.class_names, training.mask_values)
    changes: dict = {"drop_channel": chosen.drop_channel}
    swapped = [tuple(map(int, pair.split(":"))) for pair in chosen.swap.split(",")] if chosen.swap else []
    if max(map(max, swapped), default=0) >= len(training.class_names):
        raise ValueError(f"swap {chosen.swap!r} names a class beyond the last one, {len(training.class_names) - 1}")
    changes |= {"swap": swapped} if swapped else {}
    changes |= {"rotate": chosen.rotate} if chosen.rotate else {}
    changes |= {"scale": (1 / chosen.zoom, chosen.zoom)} if chosen.zoom != 1 else {}
    augment = preset(chosen.augmentation, **changes) if chosen.augment else None
    borders = None
    if chosen.border_weight:
        instances = Instances.of_data(chosen.data, "train")
        training = borders = Bordered(training, instances, chosen.border_weight, chosen.border_sigma)
    loader = Loader(
        training,
        chosen.batch_size * chosen.accumulate,
        normalize=normalize,
        augment=augment,
        size=(chosen.size, chosen.size) if chosen.size else None,
        shuffle=True,
        seed=chosen.seed,
        weights=borders and borders.term,
    )
    optimizer = OPTIMIZERS[chosen.optimizer](model.parameters(), chosen.lr, weight_decay=chosen.weight_decay)
    validation = sources.validation
    trainer = Trainer(
        segmenter,
        optimizer,
        loader,
        loss=weighted(LOSSES[chosen.loss], weights_of_classes(chosen.class_weights, training), borders is not None),
        schedule=SCHEDULES[chosen.schedule](chosen.epochs * len(loader), warm_up=chosen.warm_up),
        clip_norm=chosen.clip_norm or None,
        accumulate=chosen.accumulate,
        validate=None if validation is None else lambda: segmenter.evaluate(validation),
        patience=chosen.patience,
        show_progress=show_progress,
    )
    return segmenter, trainer
