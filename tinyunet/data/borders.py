"""The narrow gaps between objects: where they are, how much they weigh, and masks that have one where objects touch."""

from __future__ import annotations

import numpy as np

from ..morphology import connected_components, distance_transform
from .instances import Instances
from .sample import Dataset, Sample


def border_map(labels: np.ndarray, weight: float, sigma: float) -> np.ndarray:
    """Return the border term of the U-Net paper's weight map, which is large in narrow gaps between objects.

        w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2))          the second term, on the background; else 0

    d1 and d2 are the Euclidean distances to the nearest and to the second nearest object. They are exact where the term
    is not below float32's reach: an object is looked for up to 6 sigma away, and exp(-18) = 1.5e-8.

    Parameters
    ----------
    labels : (H, W) int array
        0 is background, every other value one object.
    weight : float
        w0: 10 in the paper.
    sigma : float
        In pixels: 5 in the paper.

    Returns
    -------
    (H, W) float32 array

    References
    ----------
    Ronneberger et al., U-Net, 2015, equation 2.
    """
    reach = int(np.ceil(6 * sigma))
    first, second = np.full(labels.shape, np.inf), np.full(labels.shape, np.inf)
    for value in np.unique(labels[labels != 0]):
        own = labels == value
        rows, columns = (np.flatnonzero(own.any(axis)) for axis in (1, 0))
        near = tuple(slice(max(line[0] - reach, 0), line[-1] + reach + 1) for line in (rows, columns))
        d = distance_transform(own[near])
        second[near] = np.minimum(second[near], np.maximum(first[near], d))
        first[near] = np.minimum(first[near], d)
    term = weight * np.exp(-((first + second) ** 2) / (2 * sigma**2))
    return np.where(labels == 0, term, 0).astype(np.float32)


class Bordered:
    """A data set with the border term of every image, and with gaps in its masks where objects of instance maps touch.

    The term weighs gaps, so there must be one to learn: as in the paper, objects that touch are taken apart. Maps and
    masks are all made at once, twelve bytes a pixel: the loader's thread, which asks for them, must start no parallel
    kernel.

    Parameters
    ----------
    dataset : Dataset
    instances : Instances or None
        Tells touching objects apart; without, the connected parts of each class count as objects, and none touch.
    weight, sigma : float
        As in `border_map`.
    """

    def __init__(self, dataset: Dataset, instances: Instances | None, weight: float, sigma: float) -> None:
        self.dataset = dataset
        self.class_names, self.channels, self.mask_values = dataset.class_names, dataset.channels, dataset.mask_values
        self.masks: list[np.ndarray] = []
        self.terms: dict[tuple[str, str], np.ndarray] = {}
        for k in range(len(dataset)):
            sample = dataset[k]
            labels = objects_of(sample) if instances is None else instances(sample)
            apart = labels if instances is None else take_apart(labels)
            self.masks.append(np.where((labels != apart) & (sample.mask > 0), 0, sample.mask))
            self.terms[sample.patient, sample.name] = border_map(apart, weight, sigma)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[index]._replace(mask=self.masks[index])

    def term(self, sample: Sample) -> np.ndarray:
        """Return the border term (H, W) of one of the samples."""
        return self.terms[sample.patient, sample.name]


def take_apart(labels: np.ndarray) -> np.ndarray:
    """Return labels (H, W) with a gap of one pixel between objects that touched, at a side or a corner.

    Of two objects, the one with the higher number gives way.
    """
    H, W = labels.shape
    around = np.pad(labels, 1)
    neighbours = (around[i : i + H, j : j + W] for i in range(3) for j in range(3))
    gap = np.any([(other > 0) & (other < labels) for other in neighbours], axis=0)
    return np.where(gap, 0, labels)


def objects_of(sample: Sample) -> np.ndarray:
    """Number the connected parts of all classes but the background in a mask (H, W)."""
    labels = np.zeros(sample.mask.shape, np.int64)
    for c in np.unique(sample.mask[sample.mask > 0]):
        parts, _ = connected_components(sample.mask == c)
        labels[parts > 0] = parts[parts > 0] + labels.max()
    return labels
