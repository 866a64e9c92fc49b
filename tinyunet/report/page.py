"""report.html: what a network is worth, on what, and how to get it again, in one file to send and to print."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from .. import __version__
from ..files import write_whole
from ..inference import Segmenter
from ..metrics import METRICS, Scores
from ..metrics.output import label
from ..metrics.scores import DISTANCES
from . import html
from .card import card, data_facts, definitions, upper
from .chart import Line, line_chart, strip_chart
from .pictures import Case, case_pictures, legend, per_image_average, worst_first

ROWS, CASES = 200, 12

_MEANINGS = {
    "dice": "overlap of prediction and truth: 1 is perfect, 0 is none",
    "surface_dice": "share of the boundary that lies within the tolerance",
    "hd95": "how far apart the boundaries run, but for the worst twentieth; 0 is perfect",
    "object_f1": "objects found one by one, at an IoU above 1/2",
}


def write_report(
    path: str | Path,
    *,
    title: str,
    segmenter: Segmenter,
    scores: Scores | None,
    scored: str = "test",
    case: Callable[[int], Case] | None = None,
    history: Sequence[Mapping[str, float]] = (),
    settings: Mapping[str, object] | None = None,
    data: Sequence[tuple[str, str]] = (),
    description: str = "",
    command: str = "",
    alerts: Sequence[str] = (),
) -> None:
    """Write one self-contained HTML file.

    Parameters
    ----------
    path : path
    title : str
    segmenter : Segmenter
    scores : Scores or None
        None where there was nothing to score.
    scored : str
        What was scored: "test", "validation".
    case : callable, optional
        Place of an image in `scores` -> its `Case`, called for those that are shown.
    history : sequence of dict
        Rows of `Trainer.history`.
    settings : dict, optional
        Of the training.
    data : sequence of (name, text)
        Facts about the data, such as the sizes of the splits.
    description : str
        Of the data, in lines that are kept.
    command : str
        What scores it again; the one that trains it again follows from the settings.
    alerts : sequence of str
        What a reader must not overlook; it comes first.
    """
    parts = [f"<header><h1>{html.escape(title)}</h1>"]
    parts += [html.paragraph(f"{date.today().isoformat()} · tinyunet {__version__} · not for diagnosis", "quiet")]
    parts += [f'<p class="alert"><b>Look at this:</b> {html.escape(text)}</p>' for text in alerts]
    parts += ["</header>"]
    if scores is None:
        parts.append(html.section("Result", html.paragraph("There are no validation or test images, so no score.")))
    else:
        parts += [_headline(scores, scored), _per_class(scores)]
        if case is not None:
            parts.append(_pictures(scores, case, segmenter.class_names))
        parts.append(_per_image(scores))
    if history:
        parts.append(_training(history))
    parts += [data_facts(scores, data, description), card(segmenter, scored, settings, command)]
    if scores is not None:
        parts.append(definitions(scores))
    write_whole(path, html.page(title, "\n".join(parts)))


def _headline(scores: Scores, scored: str) -> str:
    shown = [metric for metric in _MEANINGS if metric in scores.metrics]
    cards = []
    for metric in shown:
        low, high = scores.interval(metric)
        value = scores.average(scores.mean(metric))
        cards.append(
            f'<div class="number">{html.escape(upper(label(scores, metric)))}<b>{_number(value, metric)}</b>'
            f"{_range(low, high, metric)}<br>"
            f'<span class="quiet">{_MEANINGS[metric]}</span></div>'
        )
    what = f"Mean over {_images(scores, scored)}"
    if len(scores.class_names) > 2:
        what += " and over the classes" + ("" if scores.background else " but the background")
    what += f"; in brackets the 95 % interval that other such {scores.kind} would move it in."
    if scores.cases < 10:
        what += f" With only {scores.cases} {scores.kind if scores.groups is None else 'patients'} it is too narrow."
    return html.section("Result", html.paragraph(what), f'<div class="numbers">{"".join(cards)}</div>')


def _per_class(scores: Scores) -> str:
    rows, objects = [], []
    columns = {m: (scores.mean(m), scores.intervals(m), scores.pooled(m), scores.skipped(m)) for m in scores.metrics}
    for k in range(len(scores.class_names)):
        for metric in scores.metrics if k >= scores.first else METRICS:
            mean, interval, pooled, skipped = (values[k] for values in columns[metric])
            first = scores.class_names[k] if metric == scores.metrics[0] else ""
            cells = [_number(mean, metric), _range(*interval, metric), _number(pooled, metric), f"{skipped}"]
            rows.append([first, upper(label(scores, metric)), *cells])
        if scores.detailed and k >= scores.first:
            found, made_up, missed = np.nansum(scores.objects[:, k], axis=0)
            objects.append(
                f"{scores.class_names[k]}: {found + missed:.0f} objects in the masks, {found + made_up:.0f} predicted, "
                f"{found:.0f} of them pairs."
            )
    if scores.sparse:
        objects.append(
            f"Of {scores.sparse} of {len(scores)} {scores.kind}, fewer than half of the pixels are labelled: their "
            "surfaces and objects were not measured."
        )
    header = ["class", "score", f"mean over {scores.kind}", "95 % interval", "pooled", "0/0, left out"]
    return html.section("Classes", html.table(header, rows, words=2), *map(html.paragraph, objects))


def _pictures(scores: Scores, case: Callable[[int], Case], class_names: Sequence[str]) -> str:
    order = worst_first(scores)
    dice = per_image_average(scores)
    chosen = [int(i) for i in order[: max(CASES - 2, 1)]]
    known = [int(i) for i in order if not np.isnan(dice[i])]
    others = {} if len(known) <= len(chosen) else {known[len(known) // 2]: "the median", known[-1]: "the best"}
    chosen += [i for i in others if i not in chosen]
    figures = []
    for i in chosen:
        shown = case(i)
        pictures = "".join(
            html.image(content, f"{scores.names[i]}: {what}") for what, content in case_pictures(shown, class_names)
        )
        facts = [scores.names[i]] + [text for text in (shown.note, others.get(i, "")) if text]
        facts.append("nothing to find" if np.isnan(dice[i]) else f"Dice {dice[i]:.3f}")
        if scores.detailed:
            found, made_up, missed = scores.objects[i, scores.first :].sum(0)
            if not np.isnan(found):
                facts.append(f"objects {found + missed:.0f}, predicted {found + made_up:.0f}, pairs {found:.0f}")
        caption = f"<figcaption>{html.escape(' · '.join(facts))}</figcaption>"
        figures.append(f'<figure><div class="pair">{pictures}</div>{caption}</figure>')
    patches = "".join(f"<span>{html.image(p, '')} {html.escape(name)}</span>" for name, p in legend(class_names))
    shown = "Image and errors" if len(class_names) == 2 else "Image, truth, prediction and errors"
    what = f"{shown}, the lowest Dice first" + (", then the median and the best." if others else ".")
    return html.section(
        "Worst cases first",
        html.paragraph(what),
        f'<div class="legend">{patches}</div>',
        f'<div class="pictures">{"".join(figures)}</div>',
    )


def _per_image(scores: Scores) -> str:
    order = worst_first(scores)
    columns = {label(scores, metric): (per_image_average(scores, metric), metric) for metric in scores.metrics}
    differ = len(set(scores.shapes)) > 1
    rows = []
    for i in order[:ROWS]:
        row = [scores.names[i], *[" x ".join(map(str, scores.shapes[i]))] * differ]
        row += [_number(values[i], metric) for values, metric in columns.values()]
        if scores.detailed:
            found, made_up, missed = scores.objects[i, scores.first :].sum(0)
            row += ["–" if np.isnan(count) else f"{count:.0f}" for count in (found + missed, found + made_up)]
        rows.append(row)
    header = ["image", *["size"] * differ, *map(upper, columns), *["objects", "predicted"] * scores.detailed]
    dice = per_image_average(scores)
    marks = [("mean", scores.average(scores.mean("dice")))]
    parts = [strip_chart(f"Dice of all {scores.kind}", dice, marks, f"a dot is one of {len(dice)} {scores.kind}")]
    if len(order) > ROWS:
        parts.append(html.paragraph(f"The {ROWS} with the lowest Dice of {len(order)}; the CSV file holds all."))
    return html.section("Images", *parts, html.table(header, rows))


def _training(history: Sequence[Mapping[str, float]]) -> str:
    def values(name: str) -> list[float]:
        return [row[name] for row in history]

    charts = [line_chart("training loss", [Line("", "#0072B2", "", values("loss"))])]
    if "dice_mean" in history[0]:
        lines = [Line("mean over images", "#009E73", "", values("dice_mean"))]
        lines.append(Line("pooled", "#D55E00", "6 3", values("dice_pooled")))
        charts.append(line_chart("validation Dice", lines))
    charts.append(line_chart("learning rate", [Line("", "#555555", "", values("lr"))]))
    last, seconds = history[-1], sum(values("seconds"))
    took = f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.1f} minutes"
    text = f"{last['epoch']} epochs in {took}; training loss {last['loss']:.4f} at the end. "
    text += f"The weights are from {which_epoch(history)}."
    return html.section("Training", html.paragraph(text), f'<div class="charts">{"".join(charts)}</div>')


def which_epoch(history: Sequence[Mapping[str, float]]) -> str:
    """Say which epoch the best weights are from, and why."""
    validated = [row for row in history if not np.isnan(row.get("dice_mean", np.nan))]
    if not validated:
        return "the last epoch, because there was no validation Dice to choose by"
    best = max(validated, key=lambda row: row["dice_mean"])  # the first of equals, as in training
    return f"epoch {best['epoch']}, which had the highest mean validation Dice, {best['dice_mean']:.4f}"


def _images(scores: Scores, scored: str) -> str:
    text = f"{len(scores)} {scored} {scores.kind}"
    return text if scores.groups is None else f"{text} of {scores.cases} patients"


def _number(value: float, metric: str) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.2f}" if metric in DISTANCES else f"{value:.3f}"


def _range(low: float, high: float, metric: str) -> str:
    return "–" if np.isnan(low) else f"[{_number(low, metric)} to {_number(high, metric)}]"
