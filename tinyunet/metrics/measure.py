"""From a data set and something that predicts to `Scores`; slices of a volume are joined before they are measured."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tinyunet.data.sample import Dataset, Sample
from tinyunet.metrics.scores import Scores


def measure(
    predict: Callable[..., np.ndarray],
    dataset: Dataset,
    scores: Scores,
    *,
    finish: Callable[[np.ndarray], np.ndarray] = lambda labels: labels,
    instances: Callable[[Sample], np.ndarray] | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Scores:
    """Predict every image of a data set and add it to scores.

    Slices of a volume, which follow one another, are joined and measured as one volume (D, H, W). Distances are in mm
    where samples have a spacing; a volume's needs three numbers (slices, rows, columns). Images are grouped by patient.

    Parameters
    ----------
    predict : callable
        Image (C, H, W) -> class indices (H, W). Slices come with `volume=`, what `Normalize` needs of their volume,
        where it is known; such as `Segmenter.predict`.
    dataset : Dataset
    scores : Scores
        To add to.
    finish : callable
        Class indices (H, W) or, of a volume, (D, H, W) -> what to measure, such as the largest object.
    instances : callable, optional
        Sample -> instance map (H, W), to count touching objects by.
    progress : callable
        Wraps the numbers of the samples, such as `tqdm.tqdm`.

    Returns
    -------
    Scores
        The same.

    Raises
    ------
    DataError
        As `Scores.add`.
    """
    for samples in _volumes(dataset[i] for i in progress(range(len(dataset)))):
        predictions, targets, maps, first = [], [], [], None
        for sample in samples:
            first = first or sample
            predictions.append(_small(predict_sample(predict, sample)))
            targets.append(_small(sample.mask))
            if instances is not None:
                maps.append(_small(instances(sample)))
        if len(targets) == 1:  # a picture
            name, spacing = first.name, first.spacing and first.spacing[-2:]
            prediction, target, objects = predictions[0], targets[0], maps[0] if maps else None
        else:
            name, spacing = first.volume, first.spacing
            if spacing is not None and len(spacing) < 3:
                spacing = None  # how far the slices lie apart is not known
            prediction, target, objects = np.stack(predictions), np.stack(targets), np.stack(maps) if maps else None
        scores.add(finish(prediction), target, name, spacing=spacing, instances=objects, group=first.patient)
    return scores


def _volumes(samples: Iterable[Sample]) -> Iterator[Iterator[Sample]]:
    """Group the samples that follow one another as slices of one volume; use up one before the next."""

    def volume(place: tuple[int, Sample]) -> object:
        i, sample = place
        return sample.volume or i

    for _, group in itertools.groupby(enumerate(samples), volume):
        yield (sample for _, sample in group)


def predict_sample(predict: Callable[..., np.ndarray], sample: Sample) -> np.ndarray:
    """Call `predict` with an image and, where it is a slice of a known volume, with the volume's statistics."""
    return predict(sample.image, **({} if sample.statistics is None else {"volume": sample.statistics}))


def _small(labels: np.ndarray) -> np.ndarray:
    """Labels in two bytes where they fit: a volume of hundreds of slices is held as a whole."""
    return labels.astype(np.int16) if labels.max(initial=0) < 2**15 else labels
