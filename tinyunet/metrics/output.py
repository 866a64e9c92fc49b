"""`Scores` as text for people, as JSON types and as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinyunet.files import write_whole
from tinyunet.metrics.counts import METRICS, hits_and_misses

if TYPE_CHECKING:
    from tinyunet.metrics.scores import Scores


def label(scores: Scores, metric: str) -> str:
    """What people call a metric, with its unit where it has one."""
    named = {
        "dice": "Dice",
        "iou": "IoU",
        "surface_dice": f"surface Dice at {scores.tolerance:g} {scores.unit}",
        "hd95": f"HD95 [{scores.unit}]",
        "assd": f"ASSD [{scores.unit}]",
        "object_f1": "object F1",
    }
    return named.get(metric, metric)


def table(scores: Scores) -> str:
    """Text for people: per class, every metric pooled and as mean over images, and what was skipped."""
    lines = _block(scores, list(METRICS), 0)
    if scores.sparse < len(scores) and scores.detailed:
        lines += ["", *_block(scores, [metric for metric in scores.metrics if metric not in METRICS], scores.first)]
        for k in range(scores.first, len(scores.class_names)):
            tp, fp, fn = np.nansum(scores.objects[:, k], axis=0)
            lines.append(f"{scores.class_names[k]}: {tp + fn:.0f} objects, {tp + fp:.0f} predicted, {tp:.0f} are pairs")
    low, high = scores.interval("dice")
    classes = "all classes" if scores.background else "the classes without background"
    unit = scores.kind if scores.groups is None else f"{scores.kind} of {scores.cases} patients"
    interval = "-" if np.isnan(low) else f"{low:.4f}..{high:.4f}"
    lines.append(f"{len(scores)} {unit}; average over {classes}; mean Dice, 95 % interval {interval}")
    alike: dict[str, list[str]] = {}  # what is missing -> the metrics that miss it
    for metric in scores.metrics:
        first = 0 if metric in METRICS else scores.first
        skipped = scores.skipped(metric) - (0 if metric in METRICS else scores.sparse)
        pairs = zip(scores.class_names[first:], skipped[first:], strict=True)
        missing = ", ".join(f"{name} {count}" for name, count in pairs if count)
        if missing:
            alike.setdefault(missing, []).append(metric)
    lines += [f"0/0, left out of the mean {', '.join(names)} ({scores.kind}): {text}" for text, names in alike.items()]
    if scores.sparse:
        lines.append(
            f"fewer than half of the pixels labelled, so no surfaces and objects ({scores.kind}): {scores.sparse}"
        )
    if scores.detailed:
        alone = [f"{name} {count}" for name, count in zip(scores.class_names, scores.one_sided(), strict=True) if count]
        if alone:
            lines.append(
                f"only in the masks or only predicted, distance = diagonal ({scores.kind}): {', '.join(alone)}"
            )
    return "\n".join(lines)


def _block(scores: Scores, metrics: list[str], first: int) -> list[str]:
    """Lines of a table of the classes from `first` on and their average, for some metrics."""
    names, columns = (*scores.class_names[first:], "average"), []
    for metric in metrics:
        for values in (scores.pooled(metric), scores.mean(metric)):
            columns.append([*values[first:], scores.average(values)])
    width = max(map(len, (*scores.class_names, "average"))) + 2
    titles = [label(scores, metric) for metric in metrics]
    wide = max(18, max(map(len, titles)) + 2)
    lines = [(" " * width + "".join(f"{title:^{wide}}" for title in titles)).rstrip()]
    lines.append(f"{'class':{width}}" + f"{'pooled':>{wide // 2}}{'mean':>{wide - wide // 2}}" * len(metrics))
    for name, values in zip(names, np.transpose(columns), strict=True):
        cells = ["-" if np.isnan(value) else f"{value:.4f}" for value in values]
        pairs = zip(cells[::2], cells[1::2], strict=True)
        lines.append(f"{name:{width}}" + "".join(f"{a:>{wide // 2}}{b:>{wide - wide // 2}}" for a, b in pairs))
    return lines


def to_dict(scores: Scores) -> dict:
    """Everything as JSON types, in the order of "images" and "classes"; an undefined score is None."""
    result = {
        "images": scores.names,
        "classes": list(scores.class_names),
        "empty": scores.empty,
        "background": scores.background,
    }
    if scores.groups is not None:
        number = {group: k for k, group in enumerate(dict.fromkeys(scores.groups), 1)}  # names of patients stay here
        result["patients"] = [number[group] for group in scores.groups]
    if scores.detailed:
        result |= {"unit": scores.unit, "tolerance": scores.tolerance, "one_sided": scores.one_sided().tolist()}
        result["objects"] = {
            name: _jsonable(column)
            for name, column in zip(("found", "made_up", "missed"), np.moveaxis(scores.objects, -1, 0), strict=True)
        }
    for metric in scores.metrics:
        pooled, mean = scores.pooled(metric), scores.mean(metric)
        result[metric] = {
            "pooled": _jsonable(pooled),
            "mean": _jsonable(mean),
            "skipped": scores.skipped(metric).tolist(),
            "average_pooled": _jsonable(scores.average(pooled)),
            "average_mean": _jsonable(scores.average(mean)),
            "interval": [_jsonable(bound) for bound in scores.interval(metric)],
            "per_image": _jsonable(scores.per_image(metric)),
        }
    return result


def save_csv(scores: Scores, path: str | Path) -> None:
    """Write one row per image and class: image, class, tp, fp, fn, tn and every metric.

    If detailed, also unit (of hd95 and assd), objects (in the target) and objects_predicted. A skipped score is an
    empty cell.
    """
    counts = scores.counts
    tp, fp, fn = hits_and_misses(counts)
    tn = counts.sum((1, 2))[:, None] - tp - fp - fn
    columns = {"tp": tp, "fp": fp, "fn": fn, "tn": tn}
    columns |= {metric: scores.per_image(metric) for metric in scores.metrics}
    if scores.detailed:
        found, made_up, missed = np.moveaxis(scores.objects, -1, 0)
        columns |= {"objects": found + missed, "objects_predicted": found + made_up}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "class", *columns, *["unit"] * scores.detailed])
    for n, image in enumerate(scores.names):
        for k, name in enumerate(scores.class_names):
            cells = [_cell(metric, column[n, k]) for metric, column in columns.items()]
            writer.writerow([image, name, *cells, *[scores.unit] * scores.detailed])
    write_whole(path, text.getvalue())


def _cell(metric: str, value: float) -> str:
    if np.isnan(value):
        return ""
    return f"{value:.0f}" if metric in ("tp", "fp", "fn", "tn", "objects", "objects_predicted") else f"{value:.6f}"


def _jsonable(values: np.ndarray | float) -> list | float | None:
    """Numbers as Python floats, nan as None: JSON has no nan."""
    if np.ndim(values):
        return [_jsonable(value) for value in values]
    return None if np.isnan(values) else float(values)
