"""From samples to batches, without worker processes: nothing hangs, and any epoch can be repeated exactly."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import numpy as np

from tinyunet.data.augment import Augment
from tinyunet.data.augment.geometry import Window
from tinyunet.data.normalize import Normalize
from tinyunet.data.sample import IGNORE, DataError, Dataset, Sample

_ORDER = 0  # which random stream of an epoch: 0 shuffles, index + 1 belongs to the sample at index


class Loader:
    """Batches of normalised, augmented, equally large images with their masks.

    Each sample is normalised whole, or as its volume is, so that training sees the intensities that prediction will
    see; then augmented; then cropped or padded to `size`. The order of an epoch depends only on (seed, epoch), and what
    happens to a sample only on (seed, epoch, its index): a resumed run sees what the uninterrupted one would.

    While one batch is worked on, a thread prepares the next ones, which changes no bit of them. NumPy and the kernels
    let go of Python's lock while they compute, so the two run side by side as far as there are cores. The thread starts
    no parallel kernel, which would take the cores away from the training step.

    Parameters
    ----------
    dataset : Dataset
        Asked for samples in that thread, one at a time.
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
    weights : function or None
        From a Sample to the weights (H, W) of its pixels, which move along; padding weighs 0.
    prefetch : int
        Batches that are prepared ahead; 0 for none, and without the thread.

    Raises
    ------
    DataError
        If the dataset is empty, batch_size is below 1, a side of size is below 1, or seed or prefetch is negative.
        While iterating: if size is None and the images differ in size, or image, mask and weights of a sample do not
        fit.
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
        weights: Callable[[Sample], np.ndarray] | None = None,
        prefetch: int = 2,
    ) -> None:
        if len(dataset) == 0:
            raise DataError("the dataset is empty; expected at least one sample")
        if batch_size < 1 or seed < 0 or prefetch < 0 or (size is not None and min(size) < 1):
            raise DataError(
                "expected batch_size >= 1, seed >= 0, prefetch >= 0 and sides of size >= 1; "
                f"got batch_size={batch_size}, seed={seed}, prefetch={prefetch}, size={size}"
            )
        self.dataset, self.batch_size, self.normalize, self.augment = dataset, batch_size, normalize, augment
        self.size, self.shuffle, self.seed, self.weights, self.prefetch = size, shuffle, seed, weights, prefetch
        self._first_size = dataset[0].mask.shape
        # What normalisation makes of a channel of zeros: at prediction, that stands for a modality that is not there.
        self._missing = float(normalize(np.zeros((1, 1, 1))).item())

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.dataset) // self.batch_size)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[tuple[np.ndarray, ...]]:
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
        weights : (N, H, W) float array
            Only with `weights`.
        """
        order = np.arange(len(self.dataset))
        if self.shuffle:
            np.random.default_rng([self.seed, epoch, _ORDER]).shuffle(order)

        def batch(start: int) -> tuple[np.ndarray, ...]:
            samples = [self.prepare(int(index), epoch) for index in order[start : start + self.batch_size]]
            return tuple(np.stack(parts) for parts in zip(*samples, strict=True))

        return _ahead(batch, range(first_batch * self.batch_size, len(order), self.batch_size), self.prefetch)

    def prepare(self, index: int, epoch: int) -> tuple[np.ndarray, ...]:
        """Return what training sees of one sample in this epoch.

        Parameters
        ----------
        index : int
            Of the sample in the dataset.
        epoch : int

        Returns
        -------
        image : (C, H, W) float32 array
        mask : (H, W) int64 array
        weights : (H, W) float array
            Only with `weights`.
        """
        sample = self.dataset[index]
        if sample.image.ndim != 3 or sample.image.shape[1:] != sample.mask.shape:
            raise DataError(
                f"{sample.name}: expected image (C, H, W) and mask (H, W); "
                f"got {sample.image.shape} and {sample.mask.shape}"
            )
        if self.size is None and sample.mask.shape != self._first_size:
            raise DataError(_advise_size(self.dataset[0].name, self._first_size, sample.name, sample.mask.shape))
        maps = () if self.weights is None else (self.weights(sample),)
        if any(part.shape != sample.mask.shape for part in maps):
            raise DataError(f"{sample.name}: the mask is {sample.mask.shape}, its pixel weights {maps[0].shape}")
        try:
            image = self.normalize(sample.image, volume=sample.statistics)
        except DataError as error:
            raise DataError(f"{sample.name}: {error}") from error
        rng = np.random.default_rng([self.seed, epoch, index + 1])
        size = self.size or sample.mask.shape
        window = _crop(sample.mask.shape, size, rng if self.shuffle else None)
        padding = image.min()
        if self.augment is None:
            parts = [part[..., window[0], window[1]] for part in (image, sample.mask, *maps)]
        else:
            parts = self.augment(image, sample.mask, rng, *maps, window=window, missing=self._missing)
        return tuple(_pad(part, size, fill) for part, fill in zip(parts, (padding, IGNORE, 0), strict=False))


def _ahead(make: Callable[[int], tuple], jobs: range, count: int) -> Iterator[tuple]:
    """Yield make(job) of each job in turn, with up to `count` next ones being made by a thread meanwhile.

    An error in the thread is raised here, with its own traceback, when its turn comes. When the loop ends, for whatever
    reason, so does the thread, after the job it is at.
    """
    if count == 0:
        yield from map(make, jobs)
        return
    pool = ThreadPoolExecutor(1, thread_name_prefix="tinyunet-loader")
    inside = copy_context().run  # settings such as np.errstate hold in the thread as well
    try:
        waiting = deque(pool.submit(inside, make, job) for job in jobs[:count])
        for job in [*jobs[count:], *[None] * len(waiting)]:
            made = waiting.popleft().result()
            if job is not None:
                waiting.append(pool.submit(inside, make, job))
            yield made
    finally:
        pool.shutdown(cancel_futures=True)


def _advise_size(name: str, size: tuple[int, ...], other: str, other_size: tuple[int, ...]) -> str:
    propose = tuple(halvable(min(pair)) for pair in zip(size, other_size, strict=True))
    return (
        f"the images differ in size: {name} is {size[0]}x{size[1]} (height x width), {other} is "
        f"{other_size[0]}x{other_size[1]}. Pass size={propose} to crop or pad all of them to one size."
    )


def halvable(length: int) -> int:
    """Return the largest multiple of 32 (a UNet may halve it five times) up to `length`; a small length stays."""
    return length // 32 * 32 or length


def _crop(have: tuple[int, int], want: tuple[int, int], rng: np.random.Generator | None) -> Window:
    """Rows and columns to keep of what is too large: at random, or in the middle without `rng`."""
    window = []
    for length, kept in zip(have, want, strict=True):
        spare = max(length - kept, 0)
        start = spare // 2 if rng is None else int(rng.integers(spare + 1))
        window.append(slice(start, start + min(length, kept)))
    return window[0], window[1]


def _pad(array: np.ndarray, size: tuple[int, int], fill: float) -> np.ndarray:
    """Pad (..., H, W) that is too small with `fill` on all sides."""
    lacking = [want - have for want, have in zip(size, array.shape[-2:], strict=True)]
    margins = [(0, 0)] * (array.ndim - 2) + [(one // 2, one - one // 2) for one in lacking]
    return np.pad(array, margins, constant_values=fill)
