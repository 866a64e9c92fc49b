"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np


def windows(x, k):
    for i, j in np.ndindex(x.shape[0] // k, x.shape[1] // k):
        yield i, j, x[i * k : i * k + k, j * k : j * k + k]


def pool(of, **slip):
    """Build a pooling that applies `of` to each window, with one slip."""

    def pooled(x, k):
        H, W = x.shape
        if slip.get("overlap"):
            return np.array([[of(x[i : i + k, j : j + k]) for j in range(W - k + 1)] for i in range(H - k + 1)])
        y = np.zeros((-(-H // k), -(-W // k)) if slip.get("remainder") else (H // k, W // k))
        for i, j in np.ndindex(*y.shape):
            p, q = (i, j) if slip.get("no factor") else (i * k, j * k)
            y[i, j] = of(x[p : p + k, q : q + k])
        return y

    return pooled


def from_zero(x, k):
    y = np.zeros((x.shape[0] // k, x.shape[1] // k))
    for i, j, window in windows(x, k):
        for value in window.ravel():
            y[i, j] = max(y[i, j], value)
    return y


def max_gradient(**slip):
    def gradient(x, gy, k):
        gx = np.zeros(x.shape)
        for i, j, window in windows(x, k):
            if slip.get("all"):
                gx[i * k : i * k + k, j * k : j * k + k] = gy[i, j] * (window == window.max())
                continue
            flat = window.ravel()
            position = k * k - 1 - flat[::-1].argmax() if slip.get("last") else flat.argmax()
            u, v = divmod(position, 2 if slip.get("width 2") else k)
            p, q = (u, v) if slip.get("in the window") else (i * k + u, j * k + v)
            gx[p, q] = x[p, q] if slip.get("value") else 1 if slip.get("one") else gy[i, j]
        return gx[: k * gy.shape[0], : k * gy.shape[1]] if slip.get("cut") else gx

    return gradient


def average_gradient(divide, cut=False):
    def gradient(gy, k, shape):
        gx = np.zeros(shape)
        spread = np.kron(gy, np.ones((k, k))) / divide(k)
        gx[: spread.shape[0], : spread.shape[1]] = spread
        return spread if cut else gx

    return gradient


def to_the_rim(gy, k, shape):
    """Read (3) for every pixel and keep the index inside."""
    p = np.minimum(np.arange(shape[0]) // k, gy.shape[0] - 1)
    q = np.minimum(np.arange(shape[1]) // k, gy.shape[1] - 1)
    return gy[p[:, None], q] / k**2


def field(r=1, grow=lambda r, t, k: r + (k - 1) * t, step=lambda t, s: t * s, step_first=False):
    def receptive_field(layers):
        size, t = r, 1
        for k, s in layers:
            if step_first:
                t = step(t, s)
            size = grow(size, t, k)
            if not step_first:
                t = step(t, s)
        return size

    return receptive_field


def depth(sees, deepest=99, above=False):
    def depth_for(pixels):
        reached = [d for d in range(deepest) if (sees(d) > pixels if above else sees(d) >= pixels)]
        return reached[0] if reached else deepest

    return depth_for


WRONG = {
    "max_pool": {
        "do not overlap": pool(np.max, overlap=True),
        "give H // k rows": pool(np.max, remainder=True),
        "that is the mean": pool(np.mean),
        "from -infinity": from_zero,
        "holds rows i*k": pool(np.max, **{"no factor": True}),
    },
    "average_pool": {
        "that is the sum": pool(np.sum),
        "k*k pixels, not k": lambda x, k: pool(np.sum)(x, k) / k,
        "right for k = 2 only": lambda x, k: pool(np.sum)(x, k) / 4,
        "do not overlap": pool(np.mean, overlap=True),
        "give H // k rows": pool(np.mean, remainder=True),
        "holds rows i*k": pool(np.mean, **{"no factor": True}),
    },
    "max_pool_gradient": {
        "one number for each pixel of x": max_gradient(cut=True),
        "not their own value": max_gradient(value=True),
        "upstream gradient is missing": max_gradient(one=True),
        "counts inside the window": max_gradient(**{"in the window": True}),
        "0 everywhere": lambda x, gy, k: np.zeros(x.shape),
        "only one may get": max_gradient(all=True),
        "first one wins": max_gradient(last=True),
        "not for k = 3": max_gradient(**{"width 2": True}),
    },
    "average_pool_gradient": {
        "has the shape of x": average_gradient(lambda k: k * k, cut=True),
        "gets a share": average_gradient(lambda k: 1),
        "k*k pixels, not k": average_gradient(lambda k: k),
        "in no window": to_the_rim,
        "not for k = 3": average_gradient(lambda k: 4),
    },
    "receptive_field": {
        "sees itself": field(r=0),
        "one 3 x 3 convolution": field(grow=lambda r, t, k: r + k * t),
        "each side: 5": field(grow=lambda r, t, k: r * k),
        "old step t": field(step_first=True),
        "the step is 2": field(step=lambda t, s: 1),
        "steps multiply": field(step=lambda t, s: s),
    },
    "depth_for": {
        "without any pooling": lambda pixels: 1 + depth(lambda d: 9 * 2**d - 4)(pixels),
        "'at least 14' holds": depth(lambda d: 9 * 2**d - 4 - (d > 0)),
        "the next depth": depth(lambda d: 5 + 4 * d * (d > 1)),
        "long enough": depth(lambda d: 9 * 2**d - 4, deepest=5),
        "whole number": lambda pixels: np.log2((pixels + 4) / 9),
    },
}
