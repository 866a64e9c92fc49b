"""A whole run: data -> network -> training -> checkpoints, pictures and report in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .. import functional as F
from ..checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from ..data import Augment, Loader, Normalize
from ..data.source import Sources, open_sources
from ..inference import Segmenter
from ..metrics import Scores
from ..nn import UNet
from ..optim import SGD, Adam, AdamW, Constant, Cosine, Poly, Step
from . import report
from .trainer import Trainer

OPTIMIZERS = {"adam": Adam, "adamw": AdamW, "sgd": partial(SGD, momentum=0.9, nesterov=True)}
SCHEDULES = {"cosine": Cosine, "poly": Poly, "step": Step, "constant": Constant}
LOSSES = {"ce+dice": F.cross_entropy_dice, "ce": F.cross_entropy, "dice": F.dice_loss}


def _setting(default: Any, text: str, choices=None):
    return field(default=default, metadata={"help": text, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run. `tinyunet train --help` and `tinyunet.train` are made from this one list.

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
    epochs: int = _setting(20, "passes over the training images")
    batch_size: int = _setting(8, "images per step")
    lr: float = _setting(2e-3, "learning rate")
    optimizer: str = _setting("adam", "how the weights are changed; sgd has Nesterov momentum 0.9", tuple(OPTIMIZERS))
    weight_decay: float = _setting(0.0, "pull of the weights towards 0")
    schedule: str = _setting("cosine", "course of the learning rate", tuple(SCHEDULES))
    warm_up: int = _setting(0, "steps that approach the learning rate")
    clip_norm: float = _setting(0.0, "largest length of the gradient; 0 for any")
    loss: str = _setting("ce+dice", "what is minimised: cross-entropy, soft Dice, or their sum", tuple(LOSSES))
    base_channels: int = _setting(16, "channels of the first level")
    depth: int = _setting(3, "number of poolings")
    up: str = _setting("transposed", "how the decoder enlarges", ("transposed", "article", "nearest"))
    norm: str = _setting("batch", "normalisation after each convolution", ("batch", "group", "none"))
    dropout: float = _setting(0.0, "probability of dropping a value at the two deepest levels")
    normalize: str = _setting(
        "minmax",
        "scaling of intensities: each image to [0,1], to [-1,1], to mean 0 and deviation 1, or all by one window",
        ("minmax", "symmetric", "zscore", "window"),
    )
    window: tuple[float, float] | None = _setting(None, "intensities that become 0 and 1 with --normalize window")
    augment: bool = _setting(True, "flip, quarter turns and gamma at random")
    rotate: float = _setting(0.0, "also rotate by up to so many degrees")
    zoom: float = _setting(1.0, "also scale by a factor of up to this, or its inverse")
    size: int = _setting(0, "train on squares cut from the images with this side; 0 for whole images")
    channels: int = _setting(0, "read images as grey (1) or RGB (3); 0 as they are", (0, 1, 3))
    validation: float = _setting(0.2, "share of the training images held out to choose the best epoch; 0 for none")
    seed: int = _setting(0, "of weights, order, augmentation and splits; the same seed gives the same bits")

    def __post_init__(self):
        least = {"epochs": 1, "batch_size": 1, "weight_decay": 0, "warm_up": 0, "clip_norm": 0, "rotate": 0, "zoom": 1}
        for name, lowest in (least | {"size": 0, "seed": 0}).items():
            if not getattr(self, name) >= lowest:
                raise ValueError(f"{name} must be at least {lowest}, got {getattr(self, name)}")
        for f in fields(self):
            choices = f.metadata["choices"]
            if choices and getattr(self, f.name) not in choices:
                allowed = ", ".join(map(str, choices))
                raise ValueError(f"{f.name} must be one of {allowed}, got {getattr(self, f.name)!r}")
        if (self.normalize == "window") != (self.window is not None):
            raise ValueError("window and normalize='window' belong together: give both or neither")


class Result(NamedTuple):
    """What `train` returns.

    Attributes
    ----------
    segmenter : Segmenter
        With the best weights.
    history : list of dict
        One row per epoch.
    scores : Scores or None
        On the test images; on the validation images if there is no test set.
    folder : Path
        Where everything was written.
    """

    segmenter: Segmenter
    history: list[dict]
    scores: Scores | None
    folder: Path


def train(data: str | Path = "tumour", out: str | Path = "", *, show_progress: bool = True, **settings) -> Result:
    """Train a UNet on toy data or on a folder of images, and write checkpoints, pictures and a report.

    Parameters
    ----------
    data : str or path
        Kind of toy data, or a folder.
    out : path
        Folder for the results; by default runs/NAME, numbered if it exists.
    show_progress : bool
        Whether to print what is found and done.
    **settings
        Fields of `tinyunet.training.Settings`: epochs, batch_size, lr, base_channels, depth, augment, seed, ...

    Returns
    -------
    Result

    Raises
    ------
    DataError
        If the data cannot be used.
    ValueError, TypeError
        If a setting is out of range, or there is none of that name.
    FileExistsError
        If `out` already holds a run.
    KeyboardInterrupt
        After Ctrl-C, when the state has been saved; `resume(out)` continues.
    """
    chosen = Settings(data=str(data), out=str(out), **settings)
    return _run(chosen, _choose_folder(chosen), open_sources_of(chosen), None, show_progress)


def resume(out: str | Path, *, show_progress: bool = True) -> Result:
    """Continue an interrupted run from its last.safetensors, with its own settings, as if it had never stopped.

    Parameters
    ----------
    out : path
        The folder of the run.
    show_progress : bool
        Whether to print what is found and done.

    Returns
    -------
    Result

    Raises
    ------
    CheckpointError
        If the folder holds no readable last.safetensors.
    """
    folder = Path(out)
    if not (folder / "last.safetensors").is_file():
        raise CheckpointError(f"{folder} is not the folder of a run: it holds no last.safetensors to continue from")
    arrays, description = read_checkpoint(folder / "last.safetensors")
    saved = description["settings"]
    chosen = Settings(**saved | {"window": tuple(saved["window"]) if saved["window"] else None})
    sources = open_sources_of(chosen)
    if tuple(description["mask_values"]) != tuple(sources.train.mask_values):
        raise CheckpointError(
            f"{folder} was trained with the mask values {tuple(description['mask_values'])}, but {chosen.data} now has "
            f"{tuple(sources.train.mask_values)}; restore the data or start a new run"
        )
    return _run(chosen, folder, sources, (arrays, description["progress"]), show_progress)


def open_sources_of(chosen: Settings) -> Sources:
    """Open the data of a run."""
    return open_sources(
        chosen.data,
        validation=chosen.validation,
        seed=chosen.seed,
        channels=chosen.channels or None,
        one_size=not chosen.size,
    )


def _choose_folder(chosen: Settings) -> Path:
    if chosen.out:
        folder = Path(chosen.out)
        if (folder / "last.safetensors").exists():
            raise FileExistsError(
                f"{folder} already holds a run; continue it with --resume {folder}, or choose another --out"
            )
    else:
        stem = Path("runs") / Path(chosen.data).resolve().name
        folder, k = stem, 1
        while folder.exists():
            k += 1
            folder = stem.with_name(f"{stem.name}-{k}")
    return folder


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Let an error of the file system, such as a full disk, say which run it stopped and how to go on."""
    try:
        yield
    except OSError as error:
        text = f"the run in {folder} cannot be written: {error}"
        if (folder / "last.safetensors").exists():
            text += f"; the last state that was saved is unharmed, continue with: tinyunet train --resume {folder}"
        raise OSError(text) from error


def _run(chosen: Settings, folder: Path, sources: Sources, saved: tuple | None, show_progress: bool) -> Result:
    say = print if show_progress else (lambda *text: None)
    say(sources.text)
    segmenter, trainer = _build(chosen, sources, show_progress)
    description = segmenter.description() | {"settings": asdict(chosen)}

    def save_position(trainer: Trainer) -> None:
        arrays, progress = trainer.state()
        write_checkpoint(folder / "last.safetensors", arrays, description | {"progress": progress})

    def save_epoch(trainer: Trainer) -> None:
        if trainer.best_so_far():
            segmenter.save(folder / "best.safetensors", **trainer.history[-1])
        report.write_history(folder, trainer.history)
        save_position(trainer)

    trainer.after_epoch = save_epoch
    with _naming(folder):
        if saved:
            trainer.restore(*saved)
            say(f"continuing after {trainer.epoch} epochs and {trainer.batch} batches")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            save_position(trainer)  # fails now, not after the first epoch, if the folder cannot be written
            parts = {"train": sources.train, "validate": sources.validation, "test": sources.test}
            counts = ", ".join(f"{len(part)} to {name}" for name, part in parts.items() if part is not None)
            say(f"{segmenter.model.parameter_count():,} parameters; images: {counts}; results go to {folder}")
        _fit(trainer, chosen.epochs, folder, save_position)
        best = Segmenter.load(folder / "best.safetensors")
        scored, dataset = ("test", sources.test) if sources.test is not None else ("validation", sources.validation)
        scores = None if dataset is None else best.evaluate(dataset)
        if scores is not None:
            scores.save_csv(folder / f"{scored}_scores.csv")
            report.write_overlays(folder / "overlays.png", best, dataset, scores)
            say(f"\nScores on the {len(dataset)} {scored} images:\n{scores.table()}")
            for warning in report.warnings_about(scores, best.class_names):
                say(f"look at this: {warning}")
        title = f"UNet on {chosen.data}"
        report.write_report(folder, title, asdict(chosen), sources.text, trainer.history, scores, scored)
    say(f"\nIn {folder}: report.md, overlays.png, curves.png; the trained network is best.safetensors")
    say(f"Segment images with it: tinyunet predict {folder} IMAGE ...")
    return Result(best, trainer.history, scores, folder)


def _fit(trainer: Trainer, epochs: int, folder: Path, save_position: Callable[[Trainer], None]) -> None:
    """Train; after Ctrl-C save the position and raise KeyboardInterrupt with the command that continues."""
    from ..ops.jit import announce_compilation  # imports numba, which `tinyunet train --help` can do without

    try:
        with announce_compilation():
            trainer.fit(epochs)
    except KeyboardInterrupt:
        if trainer.in_step:  # by a second Ctrl-C: half a step cannot be continued, what was saved before it can
            text = f"stopped within a step of epoch {trainer.epoch + 1}; continue from what was last saved with"
        else:
            save_position(trainer)
            text = f"stopped in epoch {trainer.epoch + 1}; nothing is lost, continue with"
        raise KeyboardInterrupt(f"{text}: tinyunet train --resume {folder}") from None


def _build(chosen: Settings, sources: Sources, show_progress: bool) -> tuple[Segmenter, Trainer]:
    """Make the network and its trainer from the settings."""
    training = sources.train
    low, high = chosen.window or (None, None)
    normalize = Normalize(chosen.normalize, low, high)
    model = UNet(
        training.channels,
        len(training.class_names),
        chosen.base_channels,
        chosen.depth,
        up=chosen.up,
        norm=None if chosen.norm == "none" else chosen.norm,
        dropout=chosen.dropout,
        seed=chosen.seed,
    )
    segmenter = Segmenter(model, normalize, training.class_names, training.mask_values)
    augment = None
    if chosen.augment:
        zoom = (1 / chosen.zoom, chosen.zoom)
        augment = Augment(flip=True, rot90=True, rotate=chosen.rotate, scale=zoom, gamma=(0.7, 1.5))
    loader = Loader(
        training,
        chosen.batch_size,
        normalize=normalize,
        augment=augment,
        size=(chosen.size, chosen.size) if chosen.size else None,
        shuffle=True,
        seed=chosen.seed,
    )
    optimizer = OPTIMIZERS[chosen.optimizer](model.parameters(), chosen.lr, weight_decay=chosen.weight_decay)
    validation = sources.validation
    trainer = Trainer(
        segmenter,
        optimizer,
        loader,
        loss=LOSSES[chosen.loss],
        schedule=SCHEDULES[chosen.schedule](chosen.epochs * len(loader), warm_up=chosen.warm_up),
        clip_norm=chosen.clip_norm or None,
        validate=None if validation is None else lambda: segmenter.evaluate(validation),
        show_progress=show_progress,
    )
    return segmenter, trainer
