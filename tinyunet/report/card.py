"""What goes with the scores: the data, the model card, and how to read it all."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields

from .. import __version__
from ..inference import Segmenter
from ..metrics import Scores
from ..metrics.output import label
from . import html


def data_facts(scores: Scores | None, data: Sequence[tuple[str, str]], description: str) -> str:
    """Return the section about the data: facts, and a description whose lines are kept."""
    pairs = list(data)
    if scores is not None:
        pairs.append((f"scored {scores.kind}", str(len(scores))))
        sizes = sorted(set(scores.shapes))
        text = " x ".join(map(str, sizes[0]))
        if len(sizes) > 1:
            text += f" to {' x '.join(map(str, sizes[-1]))}, {len(sizes)} different sizes"
        pairs.append(("their sizes", f"{text} pixels" + ("" if scores.unit == "px" else ", spacing in mm")))
        if scores.groups is not None:
            pairs.append(("their patients", str(scores.cases)))
        pixels = scores.counts.sum((0, 2))
        shares = zip(scores.class_names, pixels / max(pixels.sum(), 1), strict=True)
        pairs.append(("their class shares", ", ".join(f"{name} {share:.2%}" for name, share in shares)))
    parts = [html.facts(pairs)] if pairs else []
    return html.section("Data", *parts, *([html.preformatted(description)] if description else []))


def card(segmenter: Segmenter, scored: str, settings: Mapping[str, object] | None, command: str) -> str:
    """Return the model card: network, settings, versions, command, and what it is not for."""
    model = segmenter.model
    side = model.next_size(128)
    summary = model.summary(side, side)
    size = summary.splitlines()[-1]
    classes = zip(segmenter.class_names, segmenter.mask_values, strict=True)
    normalize = ", ".join(
        f"{name} {value}" for name, value in segmenter.normalize.to_dict().items() if value is not None
    )
    pairs = [
        ("network", "UNet: " + ", ".join(f"{name} {value}" for name, value in model.arguments.items())),
        ("size", f"{size} (bytes for one image of {side} x {side})"),
        ("classes", ", ".join(f"{name} (mask value {value})" for name, value in classes)),
        ("intensities", normalize),
        ("made with", ", ".join(f"{name} {version}" for name, version in versions().items())),
        ("intended use", "teaching and research: segmenting images like those it was trained on"),
        (
            "not for",
            "diagnosis, treatment or any other clinical decision. It is no medical device. Other scanners, stainings, "
            "resolutions, patients and diseases than those above were not tested; it may fail on them in silence.",
        ),
        (
            "limits of this report",
            "the validation images chose the weights, so these scores flatter"
            if scored == "validation"
            else "one set of images, scored against masks that are taken for the truth",
        ),
    ]
    parts = [html.facts(pairs)]
    commands = "\n".join(filter(None, (command_of(settings) if settings else "", command)))
    if commands:
        parts += [html.paragraph("To repeat it:"), html.preformatted(commands, "command")]
    if settings:
        parts += ["<h3>Settings</h3>", html.facts([(name, str(value)) for name, value in settings.items()])]
    return html.section("Model card", *parts, "<h3>Layers</h3>", html.preformatted(summary))


def definitions(scores: Scores) -> str:
    """Return the formulas and policies behind the scores."""
    unit, drawn = scores.unit, scores.kind if scores.groups is None else "patients"
    nothing = {"skip": "left out and counted", "one": "counted as right", "zero": "counted as wrong"}[scores.empty]
    pairs = [
        ("Dice", "2 TP / (2 TP + FP + FN), over pixels"),
        ("IoU", "TP / (TP + FP + FN)"),
        ("precision, recall", "TP / (TP + FP), TP / (TP + FN)"),
        ("mean, pooled", "every image scored, then averaged; or the pixels of all images counted together"),
        ("0/0", f"a class that is neither there nor predicted is {nothing}"),
        (
            "95 % interval",
            f"percentile bootstrap of the mean: 1000 times, as many {drawn} drawn with replacement, seed 0. It knows "
            "only how these differ.",
        ),
    ]
    if scores.detailed:
        alone = [f"{name} {n}" for name, n in zip(scores.class_names, scores.one_sided(), strict=True) if n]
        pairs += [
            ("surface", "pixels of a class with a neighbour, by a side, outside it"),
            (
                upper(label(scores, "surface_dice")),
                f"share of both surfaces within {scores.tolerance:g} {unit} of the other",
            ),
            (f"HD95 [{unit}]", "the larger of the 95th percentiles of the distances from one surface to the other"),
            (f"ASSD [{unit}]", "mean distance from each surface to the other"),
            (
                "only one surface",
                "where a class is only in the truth or only predicted, the distance is the diagonal of the image: "
                + (", ".join(alone) if alone else "nowhere here"),
            ),
            ("object F1", "2 TP / (2 TP + FP + FN), over objects; a pair has an IoU above 1/2"),
            (
                "objects",
                "connected parts of the prediction; of the truth, "
                + ("the values of the instance maps" if scores.instance_maps else "connected parts as well"),
            ),
        ]
    return html.section("How to read the scores", html.facts(pairs))


def command_of(settings: Mapping[str, object]) -> str:
    """Return the command that trains with these fields of `Settings`: what differs from the defaults."""
    from ..training.settings import Settings  # training writes reports, so it cannot be imported before this

    words = ["tinyunet", "train", str(settings["data"])]
    for f in fields(Settings):
        value, option = settings.get(f.name, f.default), f"--{f.name.replace('_', '-')}"
        if f.name in ("data", "out") or value == f.default:
            continue
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        else:
            words += [option, *map(str, value if isinstance(value, (tuple, list)) else (value,))]
    return shlex.join(words)


def versions() -> dict[str, str]:
    """Return the versions of what computed the result."""
    names = ("numpy", "numba")
    return {"tinyunet": __version__, "Python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }


def upper(text: str) -> str:
    """Return a text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]
