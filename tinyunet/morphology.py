"""Shapes in label images: which pixels hang together, and how far each is from the nearest pixel of a set.

Metrics count objects and measure the distance of boundaries with these two, and whatever else asks about shape can.
Both take pictures (H, W) and volumes (D, H, W), and visit every pixel a constant number of times.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .ops.jit import kernel, serial


def connected_components(mask: np.ndarray, *, corners: bool = False) -> tuple[np.ndarray, int]:
    """Number the connected parts of a mask 1, 2, ... in the order of their first pixels.

    Parameters
    ----------
    mask : (H, W) or (D, H, W) array
        What is not 0 belongs to some part.
    corners : bool
        Whether pixels that share only a corner (or an edge, in a volume) hang together: 8 instead of 4 neighbours,
        26 instead of 6.

    Returns
    -------
    labels : int32 array of the same shape
        0 where the mask is 0.
    count : int

    References
    ----------
    Rosenfeld and Pfaltz, Sequential operations in digital picture processing, 1966: two passes; here with a
    union-find forest in which the root of a part is its lowest provisional label.
    """
    mask = np.asarray(mask)
    if mask.ndim not in (2, 3):
        raise ValueError(f"expected a mask (H, W) or (D, H, W), got shape {mask.shape}")
    volume = np.ascontiguousarray(mask != 0).reshape((1, *mask.shape)[-3:])
    labels, count = np.zeros(volume.shape, np.int32), np.zeros(1, np.int64)
    parent = np.zeros(mask.size // 2 + 2, np.int32)  # no two pixels that begin a label are neighbours
    _label[1](volume, corners, labels, parent, count)
    return labels.reshape(mask.shape), int(count[0])


def distance_transform(mask: np.ndarray, spacing: Sequence[float] | None = None) -> np.ndarray:
    """Exact Euclidean distance of every pixel to the nearest pixel of a mask.

        D(p) = min over q in the mask of sqrt(sum_k (s_k (p_k - q_k))^2)

    Parameters
    ----------
    mask : (H, W) or (D, H, W) array
        The pixels to reach: what is not 0.
    spacing : sequence of float, optional
        Distance s_k of neighbouring pixels along each axis, such as mm; 1 by default.

    Returns
    -------
    float64 array of the same shape
        In the unit of `spacing`; 0 in the mask, inf everywhere if the mask is empty.

    References
    ----------
    Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, 2012: the square is a sum over the axes,
    so they can be taken one after another, and along a line it is the lower envelope of one parabola per pixel.
    """
    mask = np.asarray(mask)
    steps = (1.0,) * mask.ndim if spacing is None else tuple(float(step) for step in spacing)
    if len(steps) != mask.ndim or not all(step > 0 for step in steps):
        raise ValueError(f"spacing is {spacing}; expected {mask.ndim} positive numbers, one per axis of the mask")
    squares = np.where(mask != 0, 0.0, np.inf)
    for axis, step in enumerate(steps):
        lines = np.ascontiguousarray(np.moveaxis(squares, axis, -1))
        f = lines.reshape(-1, lines.shape[-1])
        _lower_envelopes[len(f)](f, step)
        squares = np.moveaxis(lines, -1, axis)
    return np.sqrt(squares)


@kernel
def _lower_envelopes(first, last, f, step):
    """Replace every line of f by min over q of f[q] + (step (p - q))^2; inf in f is no parabola."""
    n = f.shape[1]
    centre = np.empty(n, np.int64)  # of the parabolas of the envelope, from left to right
    start = np.empty(n)  # where each of them becomes the lowest
    line = np.empty(n)
    for i in range(first, last):
        count = 0
        for q in range(n):
            if f[i, q] == np.inf:
                continue
            begin = -np.inf
            while count > 0:
                v = centre[count - 1]
                begin = ((f[i, q] - f[i, v]) / (step * step) + q * q - v * v) / (2 * (q - v))  # where the two cross
                if begin > start[count - 1]:
                    break
                count -= 1  # the new parabola is below that one wherever it was the lowest
                begin = -np.inf
            centre[count], start[count] = q, begin
            count += 1
        if count == 0:
            continue
        k = 0
        for p in range(n):
            while k + 1 < count and start[k + 1] < p:
                k += 1
            away = step * (p - centre[k])
            line[p] = f[i, centre[k]] + away * away
        f[i] = line


@serial
def _find(parent, a):
    while parent[a] != a:
        parent[a] = parent[parent[a]]  # halves the path for the next who asks
        a = parent[a]
    return a


@kernel
def _label(first, last, mask, corners, labels, parent, parts):
    """Fill labels (D, H, W) and parts[0], their number; one job, because a label depends on all before it."""
    if first == last:  # a thread for which there is no job
        return
    D, H, W = mask.shape
    count = 0
    for d in range(D):
        for i in range(H):
            for j in range(W):
                if not mask[d, i, j]:
                    continue
                root = 0
                for k in range(13):  # the neighbours before (d, i, j) are those of 0..12 in base 3
                    dd, di, dj = k // 9 - 1, k // 3 % 3 - 1, k % 3 - 1
                    if not corners and abs(dd) + abs(di) + abs(dj) != 1:
                        continue
                    e, p, q = d + dd, i + di, j + dj
                    if e < 0 or p < 0 or p >= H or q < 0 or q >= W or not mask[e, p, q]:
                        continue
                    other = _find(parent, labels[e, p, q])
                    if root == 0:
                        root = other
                    elif other != root:
                        low, high = min(root, other), max(root, other)
                        parent[high] = low
                        root = low
                if root == 0:
                    count += 1
                    parent[count] = root = count
                labels[d, i, j] = root
    final = np.zeros(count + 1, np.int32)
    for a in range(1, count + 1):  # a root comes before all that hang on it
        if parent[a] == a:
            parts[0] += 1
            final[a] = parts[0]
        else:
            final[a] = final[_find(parent, a)]
    for d in range(D):
        for i in range(H):
            for j in range(W):
                labels[d, i, j] = final[labels[d, i, j]]
