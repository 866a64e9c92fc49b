"""`Segmenter`: a trained network with everything needed to use it on new images, and how to save and load it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..backend import announce_compilation, memory_of
from ..checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from ..data.normalize import Normalize, Statistics
from ..data.sample import DataError, Dataset, Sample
from ..metrics import Scores, measure
from ..nn import UNet
from .looks import Prediction, check_looks, look, to_prediction
from .tidy import tidy
from .tiles import blend, choose_tile, cut, forecast

TOGETHER = 2**17
"""Pixels of small images that go through the network in one batch."""


class Segmenter:
    """A network together with the normalisation and the classes it was trained with.

    Parameters
    ----------
    model : UNet
    normalize : Normalize
        Applied to every image before the network.
    class_names : sequence of str
        One per class, background first.
    mask_values : sequence of int
        The value of each class in mask files.
    """

    def __init__(self, model: UNet, normalize: Normalize, class_names: Sequence[str], mask_values: Sequence[int]):
        self.model, self.normalize = model, normalize
        self.class_names, self.mask_values = tuple(class_names), tuple(mask_values)

    def to(self, device: str) -> Segmenter:
        """Move the network to "cpu", "cuda" or "cuda:1", ...; return self. Images and masks stay NumPy arrays."""
        self.model.to(device)
        return self

    def probabilities(
        self,
        image: np.ndarray,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        tta: int = 1,
        passes: int = 0,
        volume: bool | Statistics = False,
    ) -> np.ndarray:
        """Return the probability of every class for every pixel.

        Parameters
        ----------
        image : (C, H, W) or, for grey, (H, W) array; or several of one size, (N, C, H, W)
            Raw intensities as in training (0..255 from an 8-bit file), any height and width. Several images give what
            one by one gives; small ones are put through the network together, which is faster.
        tile : int, optional
            Cut the image into windows that give so many pixels each way (rounded up to what the pools divide); 0 means
            whole. By default whole, unless that would take more memory than is free.
        overlap : int, optional
            By how many pixels windows overlap at least. By default by twice the distance that the network looks: tiles
            then give what the whole image gives, but for rounding (see `tinyunet.inference.tiles`).
        tta : 1, 4 or 8
            Test-time augmentation: the mean over so many mirror images. 8 includes quarter turns.
        passes : int
            The mean over so many passes with dropout, the same ones on every call; 0 is one pass without.
        volume : bool or Statistics
            True if the images are the slices of one volume, which are normalised by what is common to all of them (see
            `Normalize`); or the statistics of the volume, if they are only some of its slices.

        Returns
        -------
        (classes, H, W) or (N, classes, H, W) float32 array
            Sums to 1 over the classes.

        Raises
        ------
        DataError
            If the image has another shape or number of channels, or holds NaN.
        ValueError
            If an option is out of range, or the network has no dropout to do passes with.
        """
        return self._whole(image, tile=tile, overlap=overlap, tta=tta, passes=passes, volume=volume)

    def examine(self, image: np.ndarray, **options) -> Prediction:
        """Return the probabilities of every pixel and how uncertain they are, see `tinyunet.inference.looks`.

        Parameters
        ----------
        image : array
        **options
            Both as in `probabilities`. Without `tta` and `passes` there is one look only, and no mutual information:
            it is 0.
        """
        return to_prediction(self._whole(image, with_entropy=True, **options))

    def predict(self, image: np.ndarray, *, largest: bool = False, smallest: int = 0, **options) -> np.ndarray:
        """Return the most probable class of every pixel.

        Parameters
        ----------
        image : array
        **options
            Both as in `probabilities`.
        largest : bool
            Keep of every class only the largest object.
        smallest : int
            Keep only objects of so many pixels, see `tinyunet.inference.tidy`.

        Returns
        -------
        (H, W) or (N, H, W) int64 array
            Class indices; `mask_values[index]` is the value in mask files.
        """
        labels = self.probabilities(image, **options).argmax(axis=-3)
        if labels.ndim == 2:
            return tidy(labels, largest=largest, smallest=smallest)
        return np.stack([tidy(each, largest=largest, smallest=smallest) for each in labels])

    def _whole(self, image: np.ndarray, *, volume: bool | Statistics = False, **options) -> np.ndarray:
        """Return everything that `by_rows` yields for one image, (K, H, W), or several, (N, K, H, W)."""
        image = np.asarray(image)
        if image.ndim == 2:
            image = image[None]
        channels = self.model.arguments["in_channels"]
        if image.ndim not in (3, 4) or image.shape[-3] != channels:
            hint = "; use image.transpose(2, 0, 1)" if image.ndim == 3 and image.shape[2] == channels else ""
            raise DataError(f"expected an image ({channels}, H, W), got shape {image.shape}{hint}")
        images = image if image.ndim == 4 else image[None]
        if isinstance(volume, bool):
            volume = Statistics.of(images) if volume else None
        H, W = images.shape[2:]
        together = 1 if options.get("passes") else max(1, TOGETHER // max(H * W, 1))  # dropout differs within a batch
        outputs = []
        for k in range(0, len(images), together):
            x = np.stack([self.normalize(each, volume=volume) for each in images[k : k + together]])
            strips = self.by_rows(lambda first, last, x=x: x[:, :, first:last], H, W, **options)
            outputs.append(np.concatenate(list(strips), axis=2))
        y = np.concatenate(outputs)
        return y if image.ndim == 4 else y[0]

    def by_rows(
        self,
        read: Callable[[int, int], np.ndarray],
        height: int,
        width: int,
        *,
        tile: int | None = None,
        overlap: int | None = None,
        tta: int = 1,
        passes: int = 0,
        with_entropy: bool = False,
        progress: Callable[[Iterable], Iterable] = iter,
    ) -> Iterator[np.ndarray]:
        """Look at images that need not fit into memory, and yield finished rows from top to bottom.

        Parameters
        ----------
        read : callable
            (first, last) -> normalised rows first..last-1, (N, C, last - first, width).
        height, width : int
        tile, overlap, tta, passes : int
            As in `probabilities`.
        with_entropy : bool
            Append the mean entropy of the looks to the classes.
        progress : callable
            Wraps the list of rows of tiles, such as `tqdm.tqdm`.

        Returns
        -------
        iterator of (N, classes, h, width) or (N, classes + 1, h, width) arrays
        """
        check_looks(self.model, tta, passes)
        if tile is None:
            memory = memory_of(self.model.device)
            fits = memory is None or forecast(self.model, height, width) < memory[0]
            tile = 0 if fits else choose_tile(self.model, memory[0])
        rows, columns = (cut(self.model, size, tile, overlap) for size in (height, width))
        options = {"tta": tta, "passes": passes, "rng": np.random.default_rng(0), "with_entropy": with_entropy}
        return blend(rows, columns, read, lambda x: look(self.model, x, **options), progress)

    def compile_kernels(self, **options) -> None:
        """Segment a tiny image, so that the first real one need not wait; says so where compilation takes place.

        Options are those of `probabilities`, and wrong ones are found here.
        """
        with announce_compilation(self.model.device):
            self.probabilities(np.zeros((self.model.arguments["in_channels"], 8, 8), np.float32), **options)

    def evaluate(
        self,
        dataset: Dataset,
        *,
        empty: str = "skip",
        detailed: bool = False,
        tolerance: float = 1.0,
        instances: Callable[[Sample], np.ndarray] | None = None,
        largest: bool = False,
        smallest: int = 0,
        **options,
    ) -> Scores:
        """Predict every image of a data set and compare with its masks.

        Parameters
        ----------
        dataset : Dataset
            With the classes that this network was trained with.
        empty : "skip", "one" or "zero"
            The value of 0/0, see `tinyunet.metrics`.
        detailed : bool
            Also measure surfaces and count objects, see `Scores`.
        tolerance : float
            Of surface Dice, in mm where the spacing is known, else in pixels.
        instances : callable, optional
            Sample -> instance map (H, W), to count touching objects by.
        largest, smallest : bool, int
            As in `predict`; objects of a volume go through its slices.
        **options
            As in `probabilities`.

        Returns
        -------
        Scores

        Raises
        ------
        DataError
            If the data set has other mask values, or an image does not fit.
        """
        if tuple(dataset.mask_values) != self.mask_values:
            raise DataError(
                f"the network was trained with the mask values {self.mask_values}, this data set has "
                f"{tuple(dataset.mask_values)}; open it with mask_values={self.mask_values}"
            )
        scores = Scores(self.class_names, empty=empty, detailed=detailed, tolerance=tolerance)
        return measure(
            lambda image, **volume: self.predict(image, **options, **volume),
            dataset,
            scores,
            finish=lambda labels: tidy(labels, largest=largest, smallest=smallest),
            instances=instances,
        )

    def description(self) -> dict:
        """Return everything but the weights, as JSON types."""
        return {
            "network": "UNet",
            "arguments": self.model.arguments,
            "normalize": self.normalize.to_dict(),
            "class_names": self.class_names,
            "mask_values": self.mask_values,
        }

    @classmethod
    def from_description(cls, description: dict) -> Segmenter:
        """Build what `description` describes, with fresh weights."""
        normalize = Normalize.from_dict(description["normalize"])
        return cls(UNet(**description["arguments"]), normalize, description["class_names"], description["mask_values"])

    def save(self, path: str | Path, **notes) -> None:
        """Write weights and description into one safetensors file, whole or not at all.

        Parameters
        ----------
        path : path
        **notes
            JSON types to keep with it, such as the scores.
        """
        write_checkpoint(path, self.model.state_dict(), self.description() | {"notes": notes})

    @classmethod
    def load(cls, path: str | Path) -> Segmenter:
        """Rebuild a Segmenter from a checkpoint, or from the folder of a run (its best.safetensors).

        Raises
        ------
        CheckpointError
            If the file is missing, damaged or not from tinyunet, or its weights do not fit its description.
        """
        arrays, description = read_checkpoint(path)
        if "progress" in description:  # last.safetensors: the weights stand beside the optimizer's arrays
            arrays = {name.removeprefix("model."): a for name, a in arrays.items() if name.startswith("model.")}
        try:
            segmenter = cls.from_description(description)
            segmenter.model.load_state_dict(arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} does not describe a network that tinyunet can rebuild: {error}") from error
        return segmenter
