"""Deep supervision: lower levels of the decoder are told what to find, too, at their own resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..autograd import Tensor
from ..data.sample import IGNORE


def supervise(loss: Callable[..., Tensor], scores: Tensor | Sequence[Tensor], *maps: np.ndarray) -> Tensor:
    """Return the loss of a network's output; with deep supervision the mean over its levels, of which lower count less.

        total = sum_k 2^-k loss_k / sum_k 2^-k          k = 0 at full size, 1 at half the height and width, ...

    Parameters
    ----------
    loss : callable
        (scores, *maps) -> Tensor with one number.
    scores : (N, classes, h, w) Tensor, or a list of them
        What `nn.UNet` returns in training; the k-th of a list has cells of 2^k x 2^k pixels.
    *maps : (N, H, W) arrays
        Masks, and weights of pixels if the loss takes them. Every level gets theirs in the middle of its cells, as
        resizing by nearest neighbour does. Where scores reach beyond the image, masks are ignored.

    Returns
    -------
    Tensor with one number

    References
    ----------
    Lee et al., Deeply-supervised nets, 2015; Isensee et al., nnU-Net, 2021 (the weights).
    """
    if isinstance(scores, Tensor):
        return loss(scores, *(in_cells(array, 1, scores.shape[2:]) for array in maps))
    shares = 0.5 ** np.arange(len(scores))
    losses = [
        float(share) * loss(y, *(in_cells(array, 2**k, y.shape[2:]) for array in maps))
        for k, (share, y) in enumerate(zip(shares / shares.sum(), scores, strict=True))
    ]
    return sum(losses[1:], losses[0])


def in_cells(array: np.ndarray, side: int, size: tuple[int, int]) -> np.ndarray:
    """Return the values in the middle of square cells that lie evenly around the middle of the image.

    Parameters
    ----------
    array : (N, H, W) array
        Class indices or weights.
    side : int
        Of a cell, in pixels.
    size : (h, w)
        Number of cells each way; together they may be smaller or larger than the image.

    Returns
    -------
    (N, h, w) array
        Outside the image `IGNORE`, or the weight 0.
    """
    H, W = array.shape[1:]
    if (side, *size) == (1, H, W):
        return array
    rows, columns = (
        side * np.arange(n) + side // 2 - (side * n - length) // 2 for n, length in zip(size, (H, W), strict=True)
    )
    inside = np.outer((0 <= rows) & (rows < H), (0 <= columns) & (columns < W))
    values = array[:, rows.clip(0, H - 1)[:, None], columns.clip(0, W - 1)]
    return np.where(inside, values, array.dtype.type(IGNORE if array.dtype.kind == "i" else 0))
