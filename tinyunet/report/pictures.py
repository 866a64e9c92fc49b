"""Pictures of what is right, predicted wrongly and missed; told apart by pattern as well as by colour.

Colours are those of `tinyunet.plot`. About one man in twelve cannot tell some colours apart, and printers are often
grey, so wrong pixels are striped and missed ones chequered.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..data.sample import IGNORE
from ..metrics import Scores
from ..metrics.measure import predict_sample
from ..plot import CLASS_COLOURS, EXTRA, MISSED, RIGHT, paint

_SIDE = 384  # pixels of the longer side of a picture, about
_TILE = 8  # pixels after which a pattern repeats


class Case(NamedTuple):
    """What is shown of one scored image.

    Attributes
    ----------
    image : (C, H, W) array
    truth, prediction : (H, W) int arrays
    note : str
        What to add to its name, such as the slice that is shown of a volume.
    """

    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    note: str = ""


def worst_first(scores: Scores) -> np.ndarray:
    """Order of the images from the lowest to the highest Dice, averaged over classes; without any score come last."""
    return np.argsort(np.nan_to_num(per_image_average(scores), nan=np.inf), kind="stable")


def per_image_average(scores: Scores, metric: str = "dice") -> np.ndarray:
    """Score of every image, averaged over the classes that take part: (images,), nan where there is none."""
    return np.array([scores.average(values) for values in scores.per_image(metric)])


def errors_of(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return 1 where a class is right, 2 where one is predicted wrongly, 3 where one is missed, else 0.

    What is some class in both, but not the same one, is 2. The background and `IGNORE` are 0.
    """
    errors = np.where((prediction > 0) & (prediction == truth), 1, 0)
    errors[(prediction > 0) & (prediction != truth)] = 2
    errors[(prediction == 0) & (truth > 0)] = 3
    errors[truth == IGNORE] = 0
    return errors


def error_picture(image: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return an image with its errors tinted and patterned, (H, W, 3) in [0, 1]; `errors` are from `errors_of`."""
    picture = paint(image, np.where(errors == 1, 1, 0), (RIGHT,), alpha=0.4)
    i, j = np.indices(errors.shape)
    stripes = (i + j) % _TILE < _TILE // 2
    chequers = (i // (_TILE // 2) + j // (_TILE // 2)) % 2 == 0
    for kind, colour, pattern in ((2, EXTRA, stripes), (3, MISSED, chequers)):
        strong = paint(image, errors == kind, (colour,), alpha=1.0)
        faint = paint(image, errors == kind, (colour,), alpha=0.6)
        where = errors == kind
        picture[where & pattern] = strong[where & pattern]
        picture[where & ~pattern] = faint[where & ~pattern] * (0.45 if kind == 2 else 1)
    return picture


def case_pictures(case: Case, class_names: Sequence[str]) -> list[tuple[str, bytes]]:
    """Return what to show of a case: (description, PNG) of the image and its errors.

    With more than one class beside the background, truth and prediction stand between them.
    """
    labels = _resize(np.stack([case.truth, case.prediction]))
    image = _resize(case.image)
    image = image.clip(*np.percentile(image, [0.1, 99.9]))  # a few bright pixels would leave the rest black
    truth, prediction = labels
    shown = [("image", paint(image, np.zeros_like(truth)))]
    if len(class_names) > 2:
        shown += [("truth", paint(image, truth)), ("prediction", paint(image, prediction))]
    shown.append(("errors", error_picture(image, errors_of(truth, prediction))))
    return [(description, png(picture)) for description, picture in shown]


def legend(class_names: Sequence[str]) -> list[tuple[str, bytes]]:
    """Return (meaning, PNG of a patch) of every colour and pattern in the pictures."""
    dark = np.full((1, 16, 32), 0.25)
    dark[0, 0, :2] = 0, 1  # so that 0.25 stays a dark grey when the picture is stretched to its range
    meanings = ((1, "right"), (2, "predicted wrongly"), (3, "missed"))
    patches = [(name, png(error_picture(dark, np.full((16, 32), kind)))) for kind, name in meanings]
    if len(class_names) > 2:
        for k, name in enumerate(class_names[1:], 1):
            patches.append((name, png(paint(dark, np.full((16, 32), k), CLASS_COLOURS))))
    return patches


def png(picture: np.ndarray) -> bytes:
    """Encode an (H, W, 3) picture in [0, 1]; grey pictures as grey, which takes a third of the bytes."""
    from PIL import Image

    pixels = (picture * 255).round().clip(0, 255).astype(np.uint8)
    if (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def case_of(
    samples: Sequence,
    predict: Callable[..., np.ndarray],
    finish: Callable[[np.ndarray], np.ndarray] = lambda labels: labels,
) -> Case:
    """Predict the samples of a scored image; of a volume's slices, take the one with the most wrong pixels.

    `predict` and `finish` are those of `tinyunet.metrics.measure`.
    """
    most, worst = -1, None
    predictions = finish(np.stack([predict_sample(predict, sample) for sample in samples]))
    for k, (sample, prediction) in enumerate(zip(samples, predictions, strict=True), 1):
        wrong = int(((prediction != sample.mask) & (sample.mask != IGNORE)).sum())
        if wrong > most:
            note = f"slice {k} of {len(samples)}" if len(samples) > 1 else ""
            most, worst = wrong, Case(sample.image, sample.mask, prediction, note)
    return worst


def _resize(array: np.ndarray) -> np.ndarray:
    """Repeat or leave out pixels of (C, H, W) so that the longer side comes near `_SIDE`."""
    longer = max(array.shape[1:])
    step = -(-longer // (2 * _SIDE))
    array = array[:, ::step, ::step]
    times = max(1, round(_SIDE / max(array.shape[1:])))
    return array.repeat(times, axis=1).repeat(times, axis=2)
