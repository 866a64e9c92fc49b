"""What an evaluation leaves: overlays, report.html, and a line in the record of test uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from .. import plot
from ..checkpoint import CheckpointError, read_checkpoint
from ..data.sample import Dataset
from ..inference import Segmenter
from ..metrics import Scores
from .page import write_report
from .pictures import Case, case_of, per_image_average, worst_first
from .uses import fingerprints, note_test_use


def write_evaluation(
    out: Path,
    segmenter: Segmenter,
    dataset: Dataset | None,
    scores: Scores | None,
    *,
    title: str,
    scored: str = "test",
    run: Path | None = None,
    predict: Callable[..., np.ndarray] | None = None,
    finish: Callable[[np.ndarray], np.ndarray] = lambda labels: labels,
    how: Mapping[str, object] = {},
    **facts,
) -> list[str]:
    """Write overlays.png and report.html, and note the use of a test set.

    Parameters
    ----------
    out : path
        An existing folder.
    segmenter : Segmenter
    dataset, scores : Dataset and its Scores by `tinyunet.metrics.measure`, or None and None
        Where there was nothing to score.
    title : str
    scored : str
        What `dataset` is. Only the uses of "test" are noted.
    run : path, optional
        Where they are noted: the folder of the run. By default `out`.
    predict, finish : callable, optional
        As they were given to `measure`; by default `segmenter.predict`, and nothing.
    how : dict of JSON types
        What changes its predictions beside the weights.
    **facts
        history, settings, data, description and command, for `write_report`.

    Returns
    -------
    list of str
        What the person must not overlook: the alerts of the report, to be printed as well.
    """
    if dataset is None or scores is None:
        write_report(out / "report.html", title=title, segmenter=segmenter, scores=None, scored=scored, **facts)
        return []
    alerts = warnings_about(scores) + alarms_of(facts.get("history", ()))
    if scored == "test":
        dice = scores.average(scores.mean("dice"))
        used = note_test_use(run or out, segmenter.model.state_dict(), fingerprints(dataset), dice, how)
        alerts += [used] if used else []

    slices = [shape[0] if len(shape) == 3 else 1 for shape in scores.shapes]
    first = np.cumsum([0, *slices])

    def case(i: int) -> Case:
        return case_of([dataset[k] for k in range(first[i], first[i + 1])], predict or segmenter.predict, finish)

    write_overlays(out / "overlays.png", scores, case)
    write_report(
        out / "report.html",
        title=title,
        segmenter=segmenter,
        scores=scores,
        scored=scored,
        case=case,
        alerts=alerts,
        **facts,
    )
    return alerts


def write_overlays(path: Path, scores: Scores, case: Callable[[int], Case]) -> None:
    """Draw the images with the lowest, the median and the highest Dice."""
    dice, order = per_image_average(scores), worst_first(scores)
    chosen = order[np.unique(np.linspace(0, len(order) - 1, 3).round().astype(int))]
    rows = []
    for i in map(int, chosen):
        shown = case(i)
        title = [scores.names[i], shown.note, "nothing to find" if np.isnan(dice[i]) else f"Dice {dice[i]:.3f}"]
        text = plot.plain("\n".join(filter(None, title)))
        rows.append((text, shown.image, shown.truth, shown.prediction))
    plot.save_figure(plot.overlays(rows, scores.class_names), path)


def warnings_about(scores: Scores) -> list[str]:
    """Name what a glance at the average may miss: a class never predicted, or everything called one class."""
    counts = scores.counts.sum(axis=0)  # [target, prediction]
    predicted, present = counts.sum(axis=0), counts.sum(axis=1)
    if (predicted > 0).sum() == 1:
        name = scores.class_names[int(predicted.argmax())]
        return [f"every pixel is predicted as {name!r}: the network has not learnt yet (more epochs, other lr?)"]
    missed = [name for name, p, t in zip(scores.class_names, predicted, present, strict=True) if t and not p]
    return [f"class {name!r} is in the masks but never predicted" for name in missed]


def alarms_of(history: Sequence[Mapping]) -> list[str]:
    """Return the alarms that were given in training."""
    return [f"in training, after epoch {row['epoch']}: {row['alarm']}" for row in history if row.get("alarm")]


def facts_of_run(folder: Path) -> dict:
    """Return history and settings of the run in a folder, as `write_evaluation` takes them; what is not there is not.

    Raises
    ------
    CheckpointError
        If history.json is damaged; as `read_checkpoint`.
    """
    facts = {}
    if (folder / "history.json").is_file():
        try:
            rows = json.loads((folder / "history.json").read_text(encoding="utf-8"))
            facts["history"] = [{k: np.nan if v is None else v for k, v in row.items()} for row in rows]
        except (ValueError, AttributeError) as error:
            raise CheckpointError(f"{folder / 'history.json'} is damaged ({error}); delete or restore it") from error
    if (folder / "last.safetensors").is_file():
        facts["settings"] = read_checkpoint(folder / "last.safetensors")[1].get("settings")
    return facts
