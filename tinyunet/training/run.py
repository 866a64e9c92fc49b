"""A whole run: data -> network -> training -> checkpoints, pictures and report in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

from .. import plot
from ..backend import choose_device, keep_freed_memory
from ..checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from ..data.instances import Instances
from ..data.sample import Dataset
from ..data.source import Sources, class_pixels, open_sources
from ..files import remove_drafts
from ..inference import Segmenter
from ..metrics import Scores
from ..report import write_evaluation
from .build import build, choose
from .compilation import compile_gpu_kernels, compile_kernels
from .fine_tune import transfer
from .forecast import describe_memory
from .history import write_history
from .settings import Settings
from .trainer import Trainer


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
        Fields of `tinyunet.training.Settings`: epochs, batch_size, lr, base_channels, depth, augment, seed, device, ...

    Returns
    -------
    Result

    Raises
    ------
    DataError
        If the data cannot be used.
    ValueError, TypeError
        If a setting is out of range, or there is none of that name.
    CheckpointError
        If the weights of `start_from` cannot be used.
    DeviceError
        If a GPU is asked for and cannot be used, with what to change.
    FileExistsError
        If `out` already holds a run.
    KeyboardInterrupt
        After Ctrl-C, when the state has been saved; `resume(out)` continues.
    """
    chosen, start = choose(data, out, settings)
    return _run(chosen, _choose_folder(chosen), open_sources_of(chosen), None, show_progress, start)


def resume(out: str | Path, *, device: str = "", show_progress: bool = True) -> Result:
    """Continue an interrupted run from its last.safetensors, with its own settings, as if it had never stopped.

    On a device of the same kind it gives the same bits, on another the same to rounding.

    Parameters
    ----------
    out : path
        The folder of the run.
    device : str
        As in `train`; by default that of the run.
    show_progress : bool
        Whether to print what is found and done.

    Returns
    -------
    Result

    Raises
    ------
    CheckpointError
        If the folder holds no readable last.safetensors.
    DeviceError
        If the run asks for a GPU and none can be used; device="cpu" then continues without.
    """
    folder = Path(out)
    if not (folder / "last.safetensors").is_file():
        raise CheckpointError(f"{folder} is not the folder of a run: it holds no last.safetensors to continue from")
    arrays, description = read_checkpoint(folder / "last.safetensors")
    saved = {"normalize_per": "slice"} | description["settings"]  # of a run from before there was a choice
    chosen = Settings(**saved | {"window": tuple(saved["window"]) if saved["window"] else None})
    chosen = replace(chosen, device=device or chosen.device)
    sources = open_sources_of(chosen)
    for name, now in _what_is_learnt(sources.train).items():
        if description.get(name, now) != now:
            raise CheckpointError(
                f"{folder} was trained on other data: {name.replace('_', ' ')} then {description[name]}, now {now} in "
                f"{chosen.data}; restore the data or start a new run"
            )
    return _run(chosen, folder, sources, (arrays, description["progress"]), show_progress)


def _what_is_learnt(dataset: Dataset) -> dict:
    """Return numbers by which `resume` tells other data from those of the run; names of files stay out of checkpoints.

    The pixels of each class hardly ever agree where one image took the place of another.
    """
    values, pixels = map(int, dataset.mask_values), class_pixels(dataset)
    return {"mask_values": list(values), "images": len(dataset), "pixels_of_classes": pixels.tolist()}


def open_sources_of(chosen: Settings) -> Sources:
    """Open the data of a run."""
    division = ("validation", "folds", "fold", "cases", "seed", "patients")
    options = {name: getattr(chosen, name) for name in (*division, "series", "ignore", "blank_missing", "on_bad_file")}
    return open_sources(chosen.data, channels=chosen.channels or None, one_size=not chosen.size, **options)


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


def _run(
    chosen: Settings,
    folder: Path,
    sources: Sources,
    saved: tuple | None,
    show_progress: bool,
    start: Segmenter | None = None,
) -> Result:
    say = print if show_progress else (lambda *text: None)
    device, device_text = choose_device(chosen.device)
    say(sources.text)
    if device_text != "cpu":
        say(f"device: {device_text}")
    keep_freed_memory()
    segmenter, trainer = build(chosen, sources, device, show_progress)
    if start:
        say(f"starting from {chosen.start_from}: {transfer(start.model, segmenter.model, fresh=chosen.fresh)}")
    description = segmenter.description() | {"settings": asdict(chosen)} | _what_is_learnt(sources.train)

    def save_position(trainer: Trainer) -> None:
        arrays, progress = trainer.state()
        write_checkpoint(folder / "last.safetensors", arrays, description | {"progress": progress})

    def save_epoch(trainer: Trainer) -> None:
        if trainer.best_so_far():
            plain = copy(segmenter)
            plain.model = segmenter.model.without_heads()
            plain.save(folder / "best.safetensors", **trainer.history[-1])
        write_history(folder, trainer.history)
        save_position(trainer)

    trainer.after_epoch = save_epoch
    parts = {"train": sources.train, "validate": sources.validation, "test": sources.test}
    with _naming(folder):
        remove_drafts(folder)
        if saved:
            trainer.restore(*saved)
            say(f"continuing after {trainer.epoch} epochs and {trainer.batch} batches")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            save_position(trainer)  # fails now, not after the first epoch, if the folder cannot be written
            counts = ", ".join(f"{len(part)} to {name}" for name, part in parts.items() if part is not None)
            frozen = sum(p.size for p in segmenter.model.parameters() if not p.requires_grad)
            frozen = f" ({frozen:,} of them frozen)" if frozen else ""
            say(f"{segmenter.model.parameter_count():,} parameters{frozen}; images: {counts}; results go to {folder}")
        say(describe_memory(trainer, sources.validation))
        if device == "cpu":
            compile_kernels(segmenter.model.arguments, chosen.loss)
        else:
            compile_gpu_kernels(trainer)
        plot.save_figure(plot.augmentations(trainer.loader), folder / "augmentation.png")
        _fit(trainer, chosen.epochs, folder, save_position)
        best = Segmenter.load(folder / "best.safetensors").to(device)
        scored, dataset = ("test", sources.test) if sources.test is not None else ("validation", sources.validation)
        instances = Instances.of_data(chosen.data, "test" if scored == "test" else "train")
        scores = None if dataset is None else best.evaluate(dataset, detailed=True, instances=instances)
        if scores is not None:
            scores.save_csv(folder / f"{scored}_scores.csv")
            say(f"\nScores on the {len(scores)} {scored} {scores.kind}:\n{scores.table()}")
        alerts = write_evaluation(
            folder,
            best,
            dataset,
            scores,
            title=f"UNet on {chosen.data}",
            scored=scored,
            history=trainer.history,
            settings=asdict(chosen) | {"device": device_text},
            data=[(f"images to {name}", str(len(part))) for name, part in parts.items() if part is not None],
            description=sources.text,
        )
        for alert in alerts:
            say(f"look at this: {alert}")
    say(
        f"\nIn {folder}: report.html, overlays.png, curves.png, augmentation.png; "
        "the trained network is best.safetensors"
    )
    say(f"Segment images with it: tinyunet predict {folder} IMAGE ...")
    return Result(best, trainer.history, scores, folder)


def _fit(trainer: Trainer, epochs: int, folder: Path, save_position: Callable[[Trainer], None]) -> None:
    """Train; after Ctrl-C save the position and raise KeyboardInterrupt with the command that continues."""
    try:
        trainer.fit(epochs)
    except KeyboardInterrupt:
        if trainer.in_step:  # by a second Ctrl-C: half a step cannot be continued, what was saved before it can
            text = f"stopped within a step of epoch {trainer.epoch + 1}; continue from what was last saved with"
        else:
            save_position(trainer)
            text = f"stopped in epoch {trainer.epoch + 1}; nothing is lost, continue with"
        raise KeyboardInterrupt(f"{text}: tinyunet train --resume {folder}") from None
