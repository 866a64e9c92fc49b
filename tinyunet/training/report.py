"""What a run leaves for people: history as CSV and JSON, curves and overlays as PNG, and a report to read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import plot
from ..data.sample import Dataset
from ..files import write_whole
from ..inference import Segmenter
from ..metrics import Scores


def write_history(folder: Path, history: Sequence[dict]) -> None:
    """Write history.csv, history.json and curves.png."""
    text = io.StringIO()
    writer = csv.DictWriter(text, history[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_whole(folder / "history.csv", text.getvalue())
    # JSON has no NaN, which the Dice of validation images with nothing to find is
    rows = [{name: None if np.isnan(value) else value for name, value in row.items()} for row in history]
    write_whole(folder / "history.json", json.dumps(rows, indent=1))
    plot.save_figure(plot.curves(history), folder / "curves.png")


def write_overlays(path: Path, segmenter: Segmenter, dataset: Dataset, scores: Scores) -> None:
    """Draw the samples with the lowest, the median and the highest Dice of `scores`, which is of `dataset`."""
    per_image = scores.per_image("dice")[:, 1:]
    counted = ~np.isnan(per_image)
    dice = np.where(counted, per_image, 0).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    order = np.argsort(np.where(counted.any(axis=1), dice, 2.0), kind="stable")  # images without any class come last
    chosen = order[np.unique(np.linspace(0, len(order) - 1, 3).round().astype(int))]
    rows = []
    for i in chosen:
        sample = dataset[int(i)]
        title = f"{sample.name}\nDice {dice[i]:.3f}" if counted[i].any() else f"{sample.name}\nnothing to find"
        rows.append((title, sample.image, sample.mask, segmenter.predict(sample.image)))
    plot.save_figure(plot.overlays(rows, segmenter.class_names), path)


def warnings_about(scores: Scores, class_names: Sequence[str]) -> list[str]:
    """Name what a glance at the average may miss: a class never predicted, or everything called one class."""
    counts = scores.counts.sum(axis=0)  # [target, prediction]
    predicted, present = counts.sum(axis=0), counts.sum(axis=1)
    if (predicted > 0).sum() == 1:
        name = class_names[int(predicted.argmax())]
        return [f"every pixel is predicted as {name!r}: the network has not learnt yet (more epochs, other lr?)"]
    missed = [name for name, p, t in zip(class_names, predicted, present, strict=True) if t and not p]
    return [f"class {name!r} is in the masks but never predicted" for name in missed]


def write_report(
    folder: Path, title: str, settings: dict, data: str, history: Sequence[dict], scores: Scores | None, scored: str
) -> None:
    """Write report.md: what was run, on what, with which result, and the pictures."""
    last = history[-1]
    lines = [f"# {title}", "", "## Result", ""]
    if scores is None:
        lines += ["There are no validation or test images, so no score.", ""]
    else:
        lines += [f"Scores on the {len(scores)} {scored} images, with the weights in `best.safetensors`.", ""]
        lines += ["```", scores.table(), "```", ""]
        lines += ["pooled: the pixels of all images counted together; mean: every image scored, then averaged.", ""]
        lines += [f"**Look at this:** {text}\n" for text in warnings_about(scores, scores.class_names)]
        lines += [f"The {scored} images with the lowest, the median and the highest Dice:", ""]
        lines += ["![Image, truth, prediction and errors](overlays.png)", ""]
        lines += [f"Every image: `{scored}_scores.csv`.", ""]
    minutes = sum(row["seconds"] for row in history) / 60
    lines += [
        "## Training",
        "",
        f"{last['epoch']} epochs in {minutes:.1f} minutes; loss {last['loss']:.4f} at the end. "
        f"`best.safetensors` is from {_which_epoch(history)}.",
    ]
    lines += ["", "![Loss, validation Dice and learning rate](curves.png)", "", "## Data", "", "```", data, "```", ""]
    lines += ["## Settings", "", "| setting | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in settings.items()]
    write_whole(folder / "report.md", "\n".join(lines) + "\n")


def _which_epoch(history: Sequence[dict]) -> str:
    validated = [row for row in history if not np.isnan(row.get("dice_mean", np.nan))]
    if not validated:
        return "the last epoch, because there was no validation Dice to choose by"
    best = max(validated, key=lambda row: row["dice_mean"])  # the first of equals, as in training
    return f"epoch {best['epoch']}, which had the highest mean validation Dice, {best['dice_mean']:.4f}"
