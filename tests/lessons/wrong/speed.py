"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np
from numba import njit, prange


def counted(flops, numbers):
    return lambda N, C, O, H, W, K: (flops(N, C, O, H, W, K), numbers(N, C, O, H, W, K))


def operations(N, C, O, H, W, K):
    return 2 * N * O * H * W * C * K * K


def moved(N, C, O, H, W, K):
    return 4 * (N * C * H * W + O * C * K * K + N * O * H * W)


def im2col(x, K):
    C, H, W = x.shape
    OH, OW = H - K + 1, W - K + 1
    return np.stack([x[c, u : u + OH, v : v + OW].ravel() for c in range(C) for u in range(K) for v in range(K)])


def pixel_by_pixel(x, w, y):
    for o, i, j in np.ndindex(*y.shape):
        for c, u, v in np.ndindex(*w.shape[1:]):
            y[o, i, j] += w[o, c, u, v] * x[c, i + u, j + v]


def along_columns(x, w, y):
    O, OH, OW = y.shape
    for o, c, u, v, j, i in np.ndindex(*w.shape, OW, OH):
        y[o, i, j] += w[o, c, u, v] * x[c, i + u, j + v]


def rows(x, w, y):
    O, OH, OW = y.shape
    for o, c, u, v, i, j in np.ndindex(*w.shape, OH, OW):
        y[o, i, j] += w[o, c, u, v] * x[c, i + u, j + v]


def assigned(x, w, y):
    O, OH, OW = y.shape
    for o, c, u, v, i, j in np.ndindex(*w.shape, OH, OW):
        y[o, i, j] = w[o, c, u, v] * x[c, i + u, j + v]


def returned(x, w, y):
    total = np.zeros(y.shape)
    rows(x, w, total)
    return total


def over_channels(x, w, y):
    for c in prange(w.shape[1]):
        for o, u, v, i, j in np.ndindex(w.shape[0], *w.shape[2:], *y.shape[1:]):
            y[o, i, j] += w[o, c, u, v] * x[c, i + u, j + v]


def over_outputs(x, w, y):
    for o in prange(w.shape[0]):
        for c, u, v, i, j in np.ndindex(*w.shape[1:], *y.shape[1:]):
            y[o, i, j] += w[o, c, u, v] * x[c, i + u, j + v]


def flipped(x, w, y):
    for o in prange(w.shape[0]):
        for c, u, v, i, j in np.ndindex(*w.shape[1:], *y.shape[1:]):
            y[o, i, j] += w[o, c, w.shape[2] - 1 - u, w.shape[3] - 1 - v] * x[c, i + u, j + v]


def direct(x, w):
    return [x[j] * w[0] + x[j + 1] * w[1] + x[j + 2] * w[2] for j in range(len(x) - 2)]


def winograd(x, w, half=2, sign=1):
    plus, minus = (w[0] + w[1] + w[2]) / half, (w[0] - w[1] + w[2]) / half
    y = []
    for j in range(0, len(x) - 2, 2):
        m1, m2 = (x[j + 1] + x[j + 2]) * plus, (x[j + 2] - x[j + 1]) * minus
        y += [(x[j] - x[j + 2]) * w[0] + m1 + m2, m1 - m2 - (x[j + 1] - x[j + 3]) * w[2] * sign]
    return y


WRONG = {
    "count": {
        "two operations": counted(lambda *s: operations(*s) // 2, moved),
        "K * K places": counted(lambda N, C, O, H, W, K: 2 * N * O * H * W * C * K, moved),
        "N images": counted(lambda *s: operations(1, *s[1:]), moved),
        "4 bytes": counted(operations, lambda *s: moved(*s) // 4),
        "what is written counts": counted(operations, lambda N, C, O, H, W, K: 4 * (N * C * H * W + O * C * K * K)),
    },
    "im2col": {
        "swapped": lambda x, K: im2col(x, K).T,
        "got (3, 15)": lambda x, K: im2col(x, K)[::9],
        "rows go by c first": lambda x, K: im2col(x, K).reshape(3, 9, -1).swapaxes(0, 1).reshape(27, -1),
        "laid out in one line": lambda x, K: im2col(x[:, ::-1], K),
    },
    "row_by_row": {
        "again and again": njit(pixel_by_pixel),
        "lie along j": njit(along_columns),
        "put @njit": rows,
        "is not that of the formula": njit(assigned),
        "not to `return`": njit(returned),
    },
    "winograd": {
        "24 multiplications": direct,
        "y1 is not": lambda x, w: winograd(x, w, sign=-1),
        "halves are missing": lambda x, w: winograd(x, w, half=1),
        "8 outputs": lambda x, w: winograd(x, w)[::2],
    },
    "repaired": {
        "a race": njit(parallel=True)(over_channels),
        "no loop is parallel": njit(parallel=True)(rows),
        "works like range": njit(over_outputs),
        "flipped": njit(parallel=True)(flipped),
    },
    "indices": {
        "remainder of k by OW": lambda k, O, OH, OW: (k // OH // OW // O, k // OH // OW % O, k // OH % OW, k % OH),
        "use // and %": lambda k, O, OH, OW: (k / OW / OH / O, k / OW / OH % O, k / OW % OH, k % OW),
        "per image": lambda k, O, OH, OW: (0, k // OW // OH, k // OW % OH, k % OW),
        "column 2 of row 1": lambda k, O, OH, OW: (k // O // OH // OW, k // OH // OW % O, k // OW % OH, k // OW),
    },
}
