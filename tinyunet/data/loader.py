"""From samples to batches, without worker processes: nothing hangs, and any epoch can be repeated exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinyunet.data.augment import Augment
from tinyunet.data.normalize import Normalize
from tinyunet.data.sample import IGNORE, DataError, Dataset

_ORDER = 0  # which random stream of an epoch: 0 shuffles, index + 1 belongs to the sample at index


class Loader:
    """Batches of normalised, augmented, equally large images with their masks.

    Each sample is normalised whole, so that training sees the intensities that prediction will see; then
    augmented; then cropped or padded to `size`. The order of an epoch depends only on (seed, epoch), and what
    happens to a sample only on (seed, epoch, its index): a resumed run sees what the uninterrupted one would.

    Parameters
    ----------
    dataset : Dataset
    batch_size : int
        N of every batch; the last one of an epoch is smaller if N does not divide the number of samples.
    normalize : Normalize
    augment : Augment or None
        None for validation and test.
    size : (H, W) or None
        In pixels. Larger images are cropped: at a random place if `shuffle`, else in the middle. Smaller
        ones are padded on all sides, the image with its minimum after normalisation, the mask with `IGNORE`.
        None requires that all images have one size, and keeps it.
    shuffle : bool
        A new random order (and random crops) in every epoch. True for training.
    seed : int
        Non-negative.

    Raises
    ------
    DataError
        If the dataset is empty, batch_size is below 1, a side of size is below 1, or seed is negative. While
        iterating: if size is None and the images differ in size, or image and mask of a sample do not fit.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        *,
        normalize: Normalize,
        augment: Augment | None = None,
        size: tuple[int, int] | None = None,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        if len(dataset) == 0:
            raise DataError("the dataset is empty; expected at least one sample")
        if batch_size < 1 or seed < 0 or (size is not None and min(size) < 1):
            raise DataError(
                "expected batch_size >= 1, seed >= 0 and sides of size >= 1; "
                f"got batch_size={batch_size}, seed={seed}, size={size}"
            )
        self.dataset, self.batch_size, self.normalize, self.augment = dataset, batch_size, normalize, augment
        self.size, self.shuffle, self.seed = size, shuffle, seed
        self._first_size = dataset[0].mask.shape

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.dataset) // self.batch_size)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All batches of one epoch, or those that a stopped run has still to see.

        Parameters
        ----------
        epoch : int
            0, 1, 2, ...
        first_batch : int
            Batches before this one are passed over; the others are what they would have been.

        Yields
        ------
        images : (N, C, H, W) float32 array
        masks : (N, H, W) int64 array
        """
        order = np.arange(len(self.dataset))
        if self.shuffle:
            np.random.default_rng([self.seed, epoch, _ORDER]).shuffle(order)
        for start in range(first_batch * self.batch_size, len(order), self.batch_size):
            pairs = [self._prepare(int(index), epoch) for index in order[start : start + self.batch_size]]
            images, masks = zip(*pairs, strict=True)
            yield np.stack(images), np.stack(masks)

    def _prepare(self, index: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        sample = self.dataset[index]
        if sample.image.ndim != 3 or sample.image.shape[1:] != sample.mask.shape:
            raise DataError(
                f"{sample.name}: expected image (C, H, W) and mask (H, W); "
                f"got {sample.image.shape} and {sample.mask.shape}"
            )
        if self.size is None and sample.mask.shape != self._first_size:
            raise DataError(_advise_size(self.dataset[0].name, self._first_size, sample.name, sample.mask.shape))
        try:
            image, mask = self.normalize(sample.image), sample.mask
        except DataError as error:
            raise DataError(f"{sample.name}: {error}") from error
        rng = np.random.default_rng([self.seed, epoch, index + 1])
        if self.augment is not None:
            image, mask = self.augment(image, mask, rng)
        if self.size is not None:
            image, mask = _fit(image, mask, self.size, rng if self.shuffle else None)
        return image, mask


def _advise_size(name: str, size: tuple[int, ...], other: str, other_size: tuple[int, ...]) -> str:
    propose = tuple(_below(min(pair)) for pair in zip(size, other_size, strict=True))
    return (
        f"the images differ in size: {name} is {size[0]}x{size[1]} (height x width), {other} is "
        f"{other_size[0]}x{other_size[1]}. Pass size={propose} to crop or pad all of them to one size."
    )


def _below(length: int) -> int:
    """The largest multiple of 32 (a UNet may halve it five times) up to `length`; a small length stays."""
    return length // 32 * 32 or length


def _fit(
    image: np.ndarray, mask: np.ndarray, size: tuple[int, int], rng: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray]:
    """Crop what is too large (at random, or in the middle without `rng`) and pad what is too small."""
    window, margins = [], []
    for have, want in zip(mask.shape, size, strict=True):
        spare = max(have - want, 0)
        start = spare // 2 if rng is None else int(rng.integers(spare + 1))
        window.append(slice(start, start + min(have, want)))
        lacking = max(want - have, 0)
        margins.append((lacking // 2, lacking - lacking // 2))
    rows, columns = window
    padding = image.min()
    image = np.pad(image[:, rows, columns], [(0, 0), *margins], constant_values=padding)
    return image, np.pad(mask[rows, columns], margins, constant_values=IGNORE)
