"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np


def loops(**slip):
    """Build a convolution in loops with one slip."""

    def conv2d(x, w):
        (H, W), (KH, KW) = x.shape, w.shape
        if slip.get("square"):
            KW = KH
        y = np.zeros(x.shape if slip.get("same size") else (H - KH + 1, W - KW + 1))
        for i, j in np.ndindex(H - KH + 1, W - KW + 1):
            for u, v in np.ndindex(KH, KW):
                product = x[i + u, j + v] * (w[KH - 1 - u, KW - 1 - v] if slip.get("flip") else w[u, v])
                y[i, j] = product if slip.get("assign") else y[i, j] + product
        return None if slip.get("no return") else y

    return conv2d


def channels(**slip):
    def conv2d(x, w, b, stride, padding):
        P, S = (0 if slip.get("no padding") else padding), (1 if slip.get("no stride") else stride)
        xpad = np.pad(x, ((0, 0), (0, 0), (P, P), (P, P)))
        (N, _, H, W), (O, _, KH, KW) = xpad.shape, w.shape
        y = np.zeros((N, O, (H - KH) // S + 1, (W - KW) // S + 1))
        for i, j in np.ndindex(y.shape[2:]):
            window = xpad[:, None, :, i * S : i * S + KH, j * S : j * S + KW]
            products = window[:, :, :1] * w[:, :1] if slip.get("one channel") else window * w
            y[:, :, i, j] = products.sum(axis=(2, 3, 4)) + (0 if slip.get("no bias") else b)
        return y

    return conv2d


def weight_gradient(x, gy, shape):
    return np.array([[x[u : u + 4, v : v + 4].sum() for v in range(shape[1])] for u in range(shape[0])])


def input_gradient(gy, w, shape, add=True):
    gx = np.zeros(shape)
    for i, j in np.ndindex(*gy.shape):
        for u, v in np.ndindex(*w.shape):
            gx[i + u, j + v] = (gx[i + u, j + v] if add else 0) + gy[i, j] * w[u, v]
    return gx


WRONG = {
    "output_size": {
        "there are 8 places": lambda H, K, S, P: (H - K + 2 * P) // S,
        "12 rows": lambda H, K, S, P: (H - K) // S + 1,
        "rows 0, 3, 6": lambda H, K, S, P: H + 2 * P - K + 1,
        "is whole": lambda H, K, S, P: (H + 2 * P - K) / S + 1,
    },
    "conv2d_loops": {
        "stay inside": loops(**{"same size": True}),
        "flipped": loops(flip=True),
        "+=": loops(assign=True),
        "2 rows and 3 columns": loops(square=True),
        "end with `return`": loops(**{"no return": True}),
    },
    "conv2d_channels": {
        "all input channels": channels(**{"one channel": True}),
        "bias b[o]": channels(**{"no bias": True}),
        "moves the window": channels(**{"no stride": True}),
        "all four sides": channels(**{"no padding": True}),
    },
    "conv2d_weight_gradient": {
        "upstream gradient gy is missing": weight_gradient,
        "one number for each number of w": lambda x, gy, shape: weight_gradient(x, gy, shape).sum(),
        "meets x[i+u, j+v]": lambda x, gy, shape: weight_gradient(x, gy, shape)[::-1],
    },
    "conv2d_input_gradient": {
        "shares add": lambda gy, w, shape: input_gradient(gy, w, shape, add=False),
        "must be flipped": lambda gy, w, shape: loops()(np.pad(gy, [(k - 1, k - 1) for k in w.shape]), w),
        "one number for each pixel": lambda gy, w, shape: input_gradient(gy, w, shape)[1:],
    },
}
