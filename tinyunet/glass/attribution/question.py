"""The question behind every map of relevance: why do these pixels get so high a score of this class?

An image classifier gives one score, a segmentation network one per pixel, so a question needs a class c and a region M:

    S = sum over (i,j) in M of z[c,i,j] - log sum_{k != c} exp(z[k,i,j])                                             (1)

with z the network's scores before softmax: the logarithm of the odds p / (1 - p) of the class. The score z[c] alone
would not do: softmax compares, so a class can win while its own score falls, if the others fall further.

`saliency`, `occlusion`, `seg_grad_cam` and the checks of such maps all ask about S; here it is computed, with its
gradient, for whole images of any height and width.

Reference: Vinogradova et al., Towards interpretable semantic segmentation via gradient-weighted class activation
mapping, 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import isqrt

import numpy as np

from ... import functional as F
from ...autograd import Tensor
from ...backend import library_of, memory_of, to_device
from ...inference import Segmenter
from ...inference.segmenter import TOGETHER
from ...inference.tiles import Axis, cut, forecast
from ...nn import Module, UNet
from ...nn.summary import readable_bytes
from ...ops.shapes import ShapeError
from ...settings import no_grad

Region = np.ndarray | tuple[int, int] | None
"""A bool mask (H, W), one pixel (i, j), or None: every pixel that the network gives to the class."""

GRADIENT = 3
"""Memory of a gradient in units of that of a prediction, at most: 1.1 to 2.8 in nine UNets that were measured."""


class Question:
    """What is asked of a network about one image.

    With a single output channel, read with a sigmoid, the log odds of class 1 are the output itself. Batch
    normalisation and dropout are in inference mode throughout, and the weights get no gradients.

    Parameters
    ----------
    model : Segmenter or Module
        A module must return scores of the image's height and width, (N, K, H, W); a UNet may be unpadded.
    image : (C, H, W) or, for grey, (H, W) array
        Raw intensities for a Segmenter, which normalises them; for a module what it takes. Any height and width.
    target : int
        The class c. 0 is the background.
    region : (H, W) bool array, (i, j) or None
        The pixels M; None is every pixel that the network gives to the class.

    Attributes
    ----------
    x : (1, C, H, W) float array
        What the network is shown, before it is padded to a size that can be pooled.
    labels : (H, W) int64 array
        What the network predicts.
    region : (H, W) bool array
        M, whatever it was given as.
    rows, columns : Axis
        How the image is padded.
    together : int
        How many images of this size are put through the network at once.

    Raises
    ------
    DataError, ShapeError
        If the network does not take the image, or a module's output has another height or width.
    ValueError
        If there is no such class, the region has another shape, another dtype or lies outside, or nothing is in it.
    MemoryError
        If the memory that is free does not suffice for an image of this size; before any is taken.
    """

    def __init__(self, model: Segmenter | Module, image: np.ndarray, target: int, region: Region = None):
        image = np.asarray(image)
        image = image[None] if image.ndim == 2 else image
        if isinstance(model, Segmenter):
            self.model, x = model.model, model.normalize(image)
        else:
            self.model, x = model, image
        if x.ndim != 3:
            raise ShapeError(f"expected one image (C, H, W), got shape {x.shape}")
        dtype = next((parameter.dtype for parameter in self.model.parameters()), np.float32)
        self.x = x[None].astype(dtype)
        self.rows, self.columns = (_axis(self.model, size) for size in x.shape[1:])
        self.together = max(1, TOGETHER // max(x[0].size, 1))
        with no_grad():
            z = self._run(Tensor(self.x)).numpy()
        self.here = tuple(slice(axis.offset, axis.offset + axis.size) for axis in (self.rows, self.columns))
        if z.shape[2:] != (self.rows.output, self.columns.output):
            raise ShapeError(
                f"expected scores for each pixel of {x.shape[1]} x {x.shape[2]}, the network returned {z.shape}; pad "
                "its convolutions, or use a UNet"
            )
        inner = z[0, :, *self.here]
        self.labels = (inner[0] > 0).astype(np.int64) if len(inner) == 1 else inner.argmax(axis=0)
        classes = max(len(inner), 2)
        if not 0 <= target < classes:
            raise ValueError(f"target must be a class from 0 to {classes - 1}, got {target!r}")
        self.target = int(target)
        self.region = self._region(region)

    def _region(self, region: Region) -> np.ndarray:
        H, W = self.labels.shape
        if region is None:
            mask = self.labels == self.target
            if not mask.any():
                raise ValueError(
                    f"the network gives no pixel of this image to class {self.target}; ask about a pixel (--pixel I,J, "
                    "or region=(i, j)) or about a mask"
                )
            return mask
        mask = np.asarray(region)
        if mask.shape == (2,) and mask.dtype.kind in "iu":
            i, j = map(int, mask)
            if not (0 <= i < H and 0 <= j < W):
                raise ValueError(f"the pixel (row, column) = ({i}, {j}) lies outside the image of {H} x {W}")
            mask = np.zeros((H, W), bool)
            mask[i, j] = True
        if mask.shape != (H, W) or mask.dtype != bool:
            raise ValueError(
                f"region must be a bool mask of {H} x {W}, such as labels == {self.target}, or a pixel (i, j), got "
                f"shape {mask.shape} of {mask.dtype}"
            )
        if not mask.any():
            raise ValueError("no pixel of the region is True; ask about at least one")
        return mask

    def _run(self, x: Tensor) -> Tensor:
        """Return the scores of images x (N, C, H, W), padded as for prediction: (N, K, OH, OW)."""
        if isinstance(self.model, UNet):
            _require_memory(self.model, *x.shape[2:], GRADIENT if x.requires_grad else 1)
        margins = tuple(side for axis in (self.rows, self.columns) for side in (axis.before, axis.after))
        with self.model.evaluating():
            return self.model(F.pad(x, margins, mode="edge").to(self.model.device))

    def score(self, x: np.ndarray) -> np.ndarray:
        """Return S, equation (1), of each of several images.

        Parameters
        ----------
        x : (N, C, H, W) float array
            Normalised, like `x` of this question; not many more than `together`.

        Returns
        -------
        (N,) float64 array
        """
        with no_grad():
            z = self._run(Tensor(x)).numpy()
        own, others = self._compared(z.astype(np.float64)[:, :, *self.here])
        highest = others.max(axis=1)
        log_sum = highest + np.log(np.exp(others - highest[:, None]).sum(axis=1))
        return ((own - log_sum) * self.region).sum(axis=(1, 2))

    def _compared(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of the class, (N, H, W), and of the other classes, (N, K-1, H, W)."""
        if z.shape[1] == 1:
            z = np.concatenate([np.zeros_like(z), z], axis=1)
        return z[:, self.target], np.delete(z, self.target, axis=1)

    def _slope(self, z: np.ndarray) -> np.ndarray:
        """Return the gradient of S in the scores of one image: 1 for the class, minus softmax for the others."""
        inner, slope = z[:, :, *self.here], np.zeros_like(z)
        if z.shape[1] == 1:
            slope[:, :, *self.here] = (2 * self.target - 1) * self.region
            return slope
        others = self._compared(inner)[1]
        p = np.exp(others - others.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        slope[:, :, *self.here] = np.insert(-p, self.target, 1, axis=1) * self.region
        return slope

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the gradient of S in the image.

        Parameters
        ----------
        x : (1, C, H, W) float array
            Normalised, like `x` of this question.

        Returns
        -------
        (1, C, H, W) float array
        """
        leaf = Tensor(x, requires_grad=True)
        with _fixed(self.model):
            z = self._run(leaf)
            z.backward(library_of(z.data).asarray(self._slope(z.numpy())))
        return to_device(leaf.grad, "cpu")

    def blank(self, value: float | None) -> np.ndarray:
        """Return what pixels are replaced by, (C, 1, 1): `value`, or without one the mean of each channel."""
        C = self.x.shape[1]
        means = self.x[0].mean(axis=(1, 2), keepdims=True)
        return means if value is None else np.full((C, 1, 1), value, self.x.dtype)


def _axis(model: Module, size: int) -> Axis:
    """Tell how an axis of the image is padded for a network; one that is no UNet takes it as it is."""
    return cut(model, size, 0, None) if isinstance(model, UNet) else Axis(size, 0, 0, 0, 0, size, (0,), 0)


def _require_memory(model: UNet, H: int, W: int, times: int) -> None:
    """Raise a MemoryError if `times` the memory of a prediction is not free."""
    memory, needed = memory_of(model.device), times * forecast(model, H, W)
    if memory and needed > memory[0]:
        side = isqrt(H * W * memory[0] // needed)
        raise MemoryError(
            f"maps are made of whole images, which takes about {readable_bytes(needed)} for one of {H} x {W}, and "
            f"{readable_bytes(memory[0])} are free on {model.device}; cut out what you ask about, at most about "
            f"{side} x {side} pixels"
        )


@contextmanager
def _fixed(model: Module) -> Iterator[None]:
    """Spend nothing on gradients of the weights, and leave none behind that a later training step would add to its own.

    The image requires a gradient, so the graph is recorded all the same.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad = True
