"""The training doctor behind `tinyunet train --check`: can this network learn these images with these settings?

It does in a minute what would otherwise be found out after hours: a few images, without augmentation, must be learnt by
heart. Whatever stops that (a learning rate, masks that do not belong to the images, weights that die) would stop the
whole run, and while it happens every layer is looked at. Nothing is written, and the test set is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..backend import choose_device, keep_freed_memory
from ..data.cases import some
from ..data.instances import Instances
from ..data.sample import Dataset
from ..data.source import class_pixels
from ..training import Settings
from ..training.alarms import best_constant
from ..training.build import build, choose
from ..training.compilation import compile_kernels
from ..training.fine_tune import transfer
from ..training.forecast import describe_memory
from ..training.run import open_sources_of
from .finding import SEVERITIES, Finding, count, listing, plural
from .masks import RARE
from .trial import Trial, choose_batch, learn_by_heart

STEPS, LEAST_STEPS = 100, 50
"""Steps in which a few images must be learnt; with the default settings toy images take 40 to 70. With fewer than the
second number, a network that can learn looks like one that cannot."""

_NAMED = 4  # layers of a finding that the page names
_DEAD = 0.5  # share of channels that are never active
_FADED, _HUGE = 1e-6, 1e3  # length of a gradient per length of the weights
_STILL, _WILD = 3e-5, 0.3  # length of a step per length of the weights; about 1e-3 is usual
_FLAT, _LOUD = 1e-3, 100.0  # standard deviation and largest value of what the network gets


class TrainingExamination(NamedTuple):
    """What `examine_training` returns.

    Attributes
    ----------
    text : str
        The data.
    findings : tuple of Finding
        The severest first.
    trial : Trial
        With the learning rate that was asked for.
    """

    text: str
    findings: tuple[Finding, ...]
    trial: Trial

    def count(self, severity: str) -> int:
        """Return how many findings are that severe."""
        return count(self.findings, severity)

    def page(self) -> str:
        """Return layers and findings as text for people."""
        lines = [self.text, "", "layer            gradient   step       dead channels", "-" * 53]
        for layer in self.trial.layers:
            dead = "" if np.isnan(layer.dead) else f"{layer.dead:.0%}"
            lines.append(f"{layer.name:15}  {layer.gradient:<9.2g}  {layer.update:<9.2g}  {dead}")
        lines += ["(gradient at the start, and step of the optimizer, per length of the weights)", ""]
        return "\n".join([*lines, *listing(self.findings)])


def examine_training(
    data: str | Path = "tumour", *, steps: int = STEPS, show_progress: bool = False, **settings
) -> TrainingExamination:
    """Look for what would keep a run from learning, before it starts.

    Two to four images with all classes are to be learnt by heart, without augmentation and at a constant learning rate.
    If that fails, a tenth and ten times the learning rate are tried, and the default one.

    Parameters
    ----------
    data : str or path
    steps : int
        At most so many for each learning rate; at least `LEAST_STEPS`.
    show_progress : bool
    **settings
        Both as `tinyunet.train` will be told.

    Returns
    -------
    TrainingExamination

    Raises
    ------
    DataError, ValueError, TypeError, CheckpointError, DeviceError
        As `tinyunet.train`.
    """
    if steps < LEAST_STEPS:
        raise ValueError(
            f"steps must be at least {LEAST_STEPS}, got {steps}: fewer do not tell whether a network learns"
        )
    chosen, start = choose(data, "", settings)
    sources = open_sources_of(chosen)
    device, _ = choose_device(chosen.device)
    keep_freed_memory()
    segmenter, trainer = build(chosen, sources, device, show_progress=False)
    if start:
        transfer(start.model, segmenter.model, fresh=chosen.fresh)
    if device == "cpu":
        compile_kernels(segmenter.model.arguments, chosen.loss)
    findings = check_shares(chosen, sources.train)
    batch = choose_batch(trainer)
    findings += check_batch(*batch[:2])
    arrays, progress = trainer.state()
    beginning = {name: array.copy() for name, array in arrays.items()}, progress
    trials = []
    for lr in dict.fromkeys((chosen.lr, chosen.lr / 10, chosen.lr * 10, Settings().lr)):
        trainer.restore(*beginning)
        trials.append(learn_by_heart(trainer, batch, lr, steps, show_progress))
        if trials[-1].learnt:
            break
    findings += check_trials(trials, len(batch[0])) + check_layers(trials[0])
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    text = f"{sources.text}\n{describe_memory(trainer, sources.validation)}"
    return TrainingExamination(text, tuple(findings), trials[0])


def check_shares(chosen: Settings, dataset: Dataset) -> list[Finding]:
    """Tell what a network that learnt nothing would score, and what helps rare classes."""
    names, pixels = dataset.class_names, class_pixels(dataset)
    shares = pixels / max(pixels.sum(), 1)
    best, dice = best_constant(pixels)
    what = (
        f"a network that calls every pixel {names[shares.argmax()]!r} is right in {shares.max():.1%} of them; the best "
        f"pooled Dice for one class everywhere is {dice:.4f} ({names[best]!r})"
    )
    findings = [Finding("note", "baseline", what, (), "judge by the Dice; training gives an alarm if it stays below")]
    rare = [k for k, share in enumerate(shares) if 0 < share < RARE]
    if rare:
        what = "rare classes: " + ", ".join(f"{names[k]} {shares[k]:.2g} of the pixels" for k in rare)
        remedies = []
        if chosen.class_weights == "none" and chosen.loss != "dice":
            remedies.append("--class-weights balanced")
        if not chosen.size and min(dataset[0].mask.shape) >= 256:
            remedies.append("--size 128 (crops: more of them fit into a batch), best of images cut around the objects")
        if not chosen.border_weight and chosen.loss != "dice" and Instances.of_data(chosen.data, "train"):
            remedies.append("--border-weight 10 (keeps objects apart that touch)")
        findings.append(Finding("warning" if remedies else "note", "rare classes", what, (), "; ".join(remedies)))
    return findings


def check_batch(images: np.ndarray, masks: np.ndarray) -> list[Finding]:
    """Check that normalisation left something to see, and that there is something to tell apart."""
    findings = []
    deviation, largest = float(images.std()), float(abs(images).max())
    if deviation < _FLAT or largest > _LOUD:
        what = f"after normalisation the images have a standard deviation of {deviation:.2g} and reach {largest:.2g}"
        remedy = "choose --window for the intensities that matter, or --normalize zscore"
        findings.append(Finding("warning", "intensities", what, (), remedy))
    if len(np.unique(masks[masks >= 0])) < 2:
        what = "the training images that were looked at show a single class each: there is nothing to tell apart"
        remedy = "look at the masks with tinyunet check; or cut less away, with a larger --size"
        findings.append(Finding("error", "one class", what, (), remedy))
    return findings


def check_trials(trials: Sequence[Trial], images: int) -> list[Finding]:
    """Tell whether the images were learnt, and with which learning rate; the first trial has the one asked for."""
    first, last = trials[0], trials[-1]
    if first.learnt:
        what = (
            f"{images} images are learnt by heart in {plural(len(first.losses), 'step')}: the loss falls from "
            f"{first.losses[0]:.3f} to {first.losses[-1]:.3f}"
        )
        return [Finding("note", "learns", what)]
    if first.error:
        what = f"learning {images} images by heart broke off: {first.error}"
    else:
        what = (
            f"{images} images are not learnt by heart in {plural(len(first.losses), 'step')}: the loss goes from "
            f"{first.losses[0]:.3f} to {first.losses[-1]:.3f}"
        )
    if last.learnt:
        remedy = f"--lr {last.lr:g}, with which it falls to {last.losses[-1]:.3f} in {plural(len(last.losses), 'step')}"
        return [Finding("warning", "learning rate", what, (), remedy)]
    others = " or ".join(f"{trial.lr:g}" for trial in trials[1:])
    remedy = (
        f"--lr {others} did not help. Do the masks belong to the images (tinyunet check)? Then put the settings that "
        "differ from the default ones back one by one"
    )
    return [Finding("error", "does not learn", what, (), remedy)]


def check_layers(trial: Trial) -> list[Finding]:
    """Look for dead rectifiers, for gradients that fade or explode, and for steps of the wrong size."""
    rows = [
        (
            "dead rectifiers",
            [layer for layer in trial.layers if layer.dead >= _DEAD],
            "half or more of the channels are never active",
            "a lower --lr, --norm batch, or another --seed; such channels do not recover",
        ),
        (
            "vanishing gradients",
            [layer for layer in trial.layers if layer.gradient < _FADED],
            "hardly any gradient arrives",
            "--norm batch; --deep-supervision brings the loss closer to deep layers",
        ),
        (
            "exploding gradients",
            [layer for layer in trial.layers if layer.gradient > _HUGE],
            "the gradient is a thousand times the weights",
            "--clip-norm 1; check --normalize",
        ),
        (
            "large steps",
            [layer for layer in trial.layers if layer.update > _WILD],
            f"a step changes the weights by more than {_WILD:.0%}",
            "a lower --lr, or --warm-up 100",
        ),
        (
            "small steps",
            [layer for layer in trial.layers if layer.update < _STILL],
            "a step hardly changes the weights",
            "a higher --lr",
        ),
    ]
    return [
        Finding("warning", kind, f"{what} in {some((layer.name for layer in layers), _NAMED)}", (), remedy)
        for kind, layers, what, remedy in rows
        if layers
    ]
