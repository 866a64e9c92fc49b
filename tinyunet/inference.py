"""`Segmenter`: a trained network with everything needed to use it on new images, and how to save and load it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import functional as F
from .autograd import Tensor
from .checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from .data.normalize import Normalize
from .data.sample import DataError, Dataset
from .metrics import Scores
from .nn import UNet
from .settings import no_grad


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

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Return the probability of every class for every pixel of one image.

        Parameters
        ----------
        image : (C, H, W) or, for grey, (H, W) array
            Raw intensities as in training (0..255 from an 8-bit file), any height and width.

        Returns
        -------
        (classes, H, W) float32 array
            Sums to 1 over the classes.

        Raises
        ------
        DataError
            If the image has another shape or number of channels, or holds NaN.
        """
        image = np.asarray(image)
        channels = self.model.arguments["in_channels"]
        if image.ndim == 2:
            image = image[None]
        if image.ndim != 3 or image.shape[0] != channels:
            hint = "; use image.transpose(2, 0, 1)" if image.ndim == 3 and image.shape[2] == channels else ""
            raise DataError(f"expected an image ({channels}, H, W), got shape {image.shape}{hint}")
        with no_grad(), self.model.evaluating():
            p = _probabilities(self._scores(self.normalize(image)[None])).data[0]
        return np.concatenate([1 - p, p]) if len(p) == 1 else p

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Return the most probable class of every pixel; parameters and errors as in `probabilities`.

        Returns
        -------
        (H, W) int64 array
            Class indices; `mask_values[index]` is the value in mask files.
        """
        return self.probabilities(image).argmax(axis=0)

    def _scores(self, x: np.ndarray) -> Tensor:
        """Run the network; an unpadded one gets an edge wide enough to give back the whole image."""
        _, _, H, W = x.shape
        border = self.model.border
        if not border:
            return self.model(x)
        extra_h, extra_w = (self.model.next_size(size + border) - size for size in (H, W))
        before = border // 2
        margins = ((0, 0), (0, 0), (before, extra_h - before), (before, extra_w - before))
        return F.crop(self.model(np.pad(x, margins, mode="edge")), (0, extra_h - border, 0, extra_w - border))

    def compile_kernels(self) -> None:
        """Segment a tiny image, so that the first real one need not wait; says so where compilation takes place."""
        from .ops.jit import announce_compilation  # imports numba

        with announce_compilation():
            self.probabilities(np.zeros((self.model.arguments["in_channels"], 8, 8), np.float32))

    def evaluate(self, dataset: Dataset, *, empty: str = "skip") -> Scores:
        """Predict every image of a data set and compare with its masks.

        Parameters
        ----------
        dataset : Dataset
            With the classes that this network was trained with.
        empty : "skip", "one" or "zero"
            The value of 0/0, see `tinyunet.metrics`.

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
        scores = Scores(self.class_names, empty=empty)
        for sample in (dataset[i] for i in range(len(dataset))):
            scores.add(self.predict(sample.image), sample.mask, sample.name)
        return scores

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


def _probabilities(scores: Tensor) -> Tensor:
    return F.sigmoid(scores) if scores.shape[1] == 1 else F.softmax(scores)
