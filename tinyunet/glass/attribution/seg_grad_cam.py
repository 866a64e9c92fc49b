"""Seg-Grad-CAM: where in the image the features lie that speak for a class in a region.

With A[k,u,v] the output of a layer and S the score of a region (see `question`),

    a[k]   = mean over (u,v) of dS / dA[k,u,v]         how much channel k speaks for the class                       (1)
    L[u,v] = max(0, sum_k a[k] A[k,u,v])               where what speaks for it is                                   (2)

L is then enlarged to the image. The mean in (1) forgets where a feature helps: a channel that matters at one place is
shown wherever it is active, and one that helps by being silent in the region is shown elsewhere. So a map can point
away from what matters; `deletion` tells. It depends on the layer. That before a last 1 x 1 convolution gives the score
map itself, for there the weights are that convolution's, and nothing is explained.

References: Vinogradova et al., 2020; Selvaraju et al., Grad-CAM, 2017.
"""

from __future__ import annotations

import numpy as np

from ...backend import to_device
from ...inference import Segmenter
from ...inference.tiles import Axis
from ...nn import Module, UNet
from ...nn.module import watching
from ...nn.summary import Ran, seen_rows
from ...ops.shapes import ShapeError
from .question import Question, Region


def seg_grad_cam(
    model: Segmenter | Module, image: np.ndarray, target: int, region: Region = None, *, layer: str | None = None
) -> np.ndarray:
    """Return where the features of a layer speak for a class in a region.

    Parameters
    ----------
    model, image, target, region
        As in `Question`.
    layer : str, optional
        Name of a layer or block, as in `model.named_modules()`. By default the deepest block of a UNet's decoder; the
        paper took the end of the encoder below it. Of a layer that runs several times, the last time.

    Returns
    -------
    (H, W) float64 array
        At least 0; enlarged along straight lines between the centres of the layer's pixels.

    Raises
    ------
    ValueError
        If there is no such layer, none is named and the network is no UNet, or no gradient reaches the layer (where a
        network recomputes its blocks, for one); otherwise as in `Question`.
    ShapeError
        If the layer's output is not (1, K, h, w).
    """
    question = Question(model, image, target, region)
    network = question.model
    names = [name for name, _ in network.named_modules() if name]
    if layer is None and isinstance(network, UNet):
        layer = f"decoder{network.depth + 1}"
    if layer not in names:
        raise ValueError(f"layer must be one of {', '.join(names)}, got {layer!r}")
    ran: list[Ran] = []
    kept = []

    def keep(name, module, y):
        if not any(True for _ in module.named_children()):
            ran.append(Ran(name, module, y.shape, y.data.nbytes))
        if name == layer:
            kept[:] = y.retain_grad(), len(ran)

    with watching(keep):
        question.gradient(question.x)
    if not kept or kept[0].grad is None:
        raise ValueError(
            f"no gradient reaches the layer {layer}: the score does not depend on it, or the network recomputes its "
            "blocks in backward, which `network.recompute = False` ends"
        )
    output, before = kept
    if output.ndim != 4:
        raise ShapeError(f"Seg-Grad-CAM needs a layer whose output is (1, K, h, w); {layer} gives {output.shape}")
    A, gA = (to_device(a, "cpu")[0].astype(np.float64) for a in (output.data, output.grad))
    a = gA.mean(axis=(1, 2))  # (1)
    L = np.maximum(0, np.tensordot(a, A, axes=1))  # (2)
    unpadded = isinstance(network, UNet) and network.padding == "valid"
    step = _step(ran[:before]) if unpadded else None
    rows, columns = (_spread(axis, n, step) for axis, n in zip((question.rows, question.columns), L.shape, strict=True))
    return rows @ L @ columns.T


def _step(ran: list[Ran]) -> float:
    """Return how many pixels of the image lie between neighbouring pixels of the last layer that ran."""
    far = 2**12  # even out that rows behind an enlargement come in groups that see the same
    return (seen_rows(ran, far, far)[0] - seen_rows(ran, 0, 0)[0]) / far


def _spread(axis: Axis, count: int, step: float | None) -> np.ndarray:
    """Return the matrix (size, count) that enlarges one axis of a layer to the image.

    Every layer of a UNet, padded or not, looks at the image symmetrically, so that the middles lie on each other. Step
    is how many pixels of the image its pixels are apart; None means that they fill the padded image.
    """
    padded = axis.before + axis.size + axis.after
    step = padded / count if step is None else step
    centres = (padded - 1) / 2 + step * (np.arange(count) - (count - 1) / 2)
    pixels = axis.before + np.arange(axis.size)
    return np.stack([np.interp(pixels, centres, one) for one in np.eye(count)], axis=1)
