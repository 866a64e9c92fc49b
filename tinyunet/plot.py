"""Figures: training curves, and predictions beside the truth. matplotlib is imported only when one is drawn.

Colours are those of Okabe and Ito (2008), which most colour-blind readers can tell apart, and mean the same everywhere.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .data.sample import IGNORE
from .files import write_whole

if TYPE_CHECKING:
    from .data.loader import Loader
    from .inference import Prediction

CLASS_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#F0E442", "#0072B2", "#D55E00")
RIGHT, EXTRA, MISSED = "#009E73", "#D55E00", "#56B4E9"
INPUT, KERNEL, OUTPUT, GRADIENT = "#0072B2", "#E69F00", "#009E73", "#CC79A7"  # roles, in lessons and glass-box tools


def new_figure(width: float, height: float):
    """Return a matplotlib figure of this size in inches that belongs to no window and needs no screen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure._repr_png_ = lambda: _png(figure)  # a notebook asks for this, whether or not pyplot was used in it
    return figure


def _png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def save_figure(figure, path: str | Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    write_whole(path, _png(figure))


def plain(name: str) -> str:
    """Return a name as matplotlib shows it: $ would begin a formula, and what is no UTF-8 cannot be drawn."""
    return name.encode("utf-8", "replace").decode().replace("$", r"\$")


def curves(history: Sequence[dict]):
    """Draw loss, validation Dice and learning rate against the epoch.

    Parameters
    ----------
    history : sequence of dict
        The rows of `Trainer.history`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator

    panels = [("training loss", {"loss": ("", "#0072B2")})]
    if "dice_mean" in history[0]:
        lines = {"dice_mean": ("mean over images", "#009E73"), "dice_pooled": ("all pixels pooled", "#E69F00")}
        panels.append(("validation Dice", lines))
    panels.append(("learning rate, end of epoch", {"lr": ("", "#555555")}))
    figure = new_figure(4.2 * len(panels), 3.2)
    epochs = [row["epoch"] for row in history]
    for axes, (title, lines) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for name, (label, colour) in lines.items():
            axes.plot(epochs, [row[name] for row in history], color=colour, marker=".", label=label)
        axes.set(title=title, xlabel="epoch", xlim=(0.5, len(history) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.25)
        if len(lines) > 1:
            axes.legend()
            axes.set_ylim(top=1)
    return figure


def paint(
    image: np.ndarray,
    labels: np.ndarray,
    colours: Sequence[str] = CLASS_COLOURS,
    alpha: float = 0.5,
    limits: tuple[float, float] | None = None,
):
    """Return an RGB picture of an image with every class but the background tinted.

    Parameters
    ----------
    image : (C, H, W) array
        Any range; one channel is shown grey, three as RGB, of other numbers the first.
    labels : (H, W) int array
        Class indices; 0 and `IGNORE` are not tinted.
    colours : sequence of str
        Colours of class 1, 2, ..., repeated if there are more.
    alpha : float
        Strength of the tint.
    limits : (low, high)
        Intensities that are shown black and white; by default the smallest and the largest of the image.

    Returns
    -------
    (H, W, 3) float array in [0, 1]
    """
    from matplotlib.colors import to_rgb

    shown = image if len(image) == 3 else image[:1]
    low, high = limits or (float(shown.min()), float(shown.max()))
    picture = np.repeat((shown - low) / ((high - low) or 1), 3 // len(shown), axis=0).transpose(1, 2, 0).clip(0, 1)
    for k in range(1, int(labels.max(initial=0)) + 1):
        where = labels == k
        picture[where] = (1 - alpha) * picture[where] + alpha * np.array(to_rgb(colours[(k - 1) % len(colours)]))
    return picture


def class_patches(class_names: Sequence[str]) -> list:
    """Return what a legend shows for each class but the background."""
    from matplotlib.patches import Patch

    return [Patch(color=CLASS_COLOURS[k % len(CLASS_COLOURS)], label=name) for k, name in enumerate(class_names[1:])]


def overlays(rows: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]], class_names: Sequence[str]):
    """Draw image, truth, prediction and errors of several samples, one row each.

    Parameters
    ----------
    rows : sequence of (title, image, truth, prediction)
        image (C, H, W); truth and prediction (H, W) class indices.
    class_names : sequence of str
        Background first.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.patches import Patch

    figure = new_figure(11, 2.75 * len(rows) + 0.5)
    for (title, image, truth, prediction), axes in zip(rows, figure.subplots(len(rows), 4, squeeze=False), strict=True):
        # 1 right, 2 predicted but wrong, 3 missed; what is a class in both but not the same one is 2
        errors = np.where((prediction > 0) & (prediction == truth), 1, 0)
        errors[(prediction > 0) & (prediction != truth)] = 2
        errors[(prediction == 0) & (truth > 0)] = 3
        errors[truth == IGNORE] = 0
        pictures = (
            paint(image, np.zeros_like(truth)),
            paint(image, truth),
            paint(image, prediction),
            paint(image, errors, (RIGHT, EXTRA, MISSED), alpha=0.65),
        )
        for a, picture in zip(axes, pictures, strict=True):
            a.imshow(picture, interpolation="nearest")
            a.set(xticks=[], yticks=[])
        axes[0].set_ylabel(title, fontsize=9)
    for a, heading in zip(figure.axes[:4], ("image", "truth", "prediction", "errors"), strict=True):
        a.set_title(heading)
    errors = [(RIGHT, "right"), (EXTRA, "predicted wrongly"), (MISSED, "missed")]
    errors = [Patch(color=c, label=label) for c, label in errors]
    for handles, side, title in (
        (class_patches(class_names), "left", "truth, prediction"),
        (errors, "right", "errors"),
    ):
        figure.legend(handles=handles, loc=f"outside lower {side}", ncols=4, title=title, frameon=False)
    return figure


def uncertainty(image: np.ndarray, labels: np.ndarray, prediction: Prediction):
    """Draw what was found, how undecided the network is (entropy) and where its looks disagree (mutual information).

    Parameters
    ----------
    image : (C, H, W) array
    labels : (H, W) int array
    prediction : Prediction
        Of `Segmenter.examine`. Mutual information is left out where it is 0 everywhere: there was one look only.

    Returns
    -------
    matplotlib.figure.Figure
    """
    maps = [("entropy", prediction.entropy), ("mutual information", prediction.mutual_information)]
    maps = maps if prediction.mutual_information.any() else maps[:1]
    H, W = labels.shape
    figure = new_figure(4 * (1 + len(maps)), min(max(4 * H / W, 2), 12))
    found, *others = figure.subplots(1, 1 + len(maps))
    found.imshow(paint(image, outline(labels), alpha=1), interpolation="nearest")
    found.set_title("found")
    for axes, (title, values) in zip(others, maps, strict=True):
        highest = np.log(len(prediction.probabilities)) if title == "entropy" else None
        shown = axes.imshow(values, cmap="magma", vmin=0, vmax=highest, interpolation="nearest")
        figure.colorbar(shown, ax=axes, location="bottom", shrink=0.8, label="nats")
        axes.set_title(title)
    for axes in (found, *others):
        axes.set(xticks=[], yticks=[])
    return figure


def outline(labels: np.ndarray) -> np.ndarray:
    """Keep of every object the pixels at its rim, one pixel wide and inside it.

    Parameters
    ----------
    labels : (H, W) int array

    Returns
    -------
    (H, W) int array
        The label where one of the four neighbours has another one, 0 elsewhere.
    """
    padded = np.pad(labels, 1, mode="edge")
    neighbours = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    return np.where(np.any([n != labels for n in neighbours], axis=0), labels, 0)


def augmentations(loader: Loader, samples: int = 3, variants: int = 5):
    """Draw what training sees: some samples as they are and in the first epochs, with the rims of the masks.

    Grey values are comparable along a row. Hatched: `IGNORE`, what no loss counts.

    Parameters
    ----------
    loader : Loader
    samples : int
        How many of the first samples of the dataset.
    variants : int
        How many epochs.

    Returns
    -------
    matplotlib.figure.Figure
    """
    dataset = loader.dataset
    rows = min(samples, len(dataset))
    figure = new_figure(2.2 * (variants + 1), 2.3 * rows + 0.5)
    for index, axes in enumerate(figure.subplots(rows, variants + 1, squeeze=False)):
        sample = dataset[index]
        original = loader.normalize(sample.image, volume=sample.statistics)
        limits = float(original.min()), float(original.max())
        seen = [(original, sample.mask), *(loader.prepare(index, epoch)[:2] for epoch in range(variants))]
        for a, (image, mask) in zip(axes, seen, strict=True):
            a.imshow(paint(image, outline(mask), alpha=1, limits=limits), interpolation="nearest")
            if (mask == IGNORE).any():
                hatched = a.contourf(mask == IGNORE, levels=[0.5, 1], colors="none", hatches=["////"])
                hatched.set(edgecolor="#999999", linewidth=0.5)
            a.set(xticks=[], yticks=[])
        axes[0].set_ylabel(plain(sample.name), fontsize=9)
    figure.axes[0].set_title("as it is")
    for epoch, a in enumerate(figure.axes[1 : variants + 1], start=1):
        a.set_title(f"epoch {epoch}")
    figure.legend(handles=class_patches(dataset.class_names), loc="outside lower left", ncols=6, frameon=False)
    return figure
