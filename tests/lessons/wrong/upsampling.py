"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np


def article(**slip):
    """Build formula 4.3 in loops with one slip."""

    def upsample_conv(x, w, s):
        (H, W), (KH, KW) = x.shape, w.shape
        y = np.zeros((s * H, s * W) if slip.get("full size") else (s * H - KH + 1, s * W - KW + 1))
        for i, j in np.ndindex(s * H - KH + 1, s * W - KW + 1):
            for u, v in np.ndindex(KH, KH if slip.get("square") else KW):
                p, q = (i // s, j // s) if slip.get("no offset") else ((i + u) // s, (j + v) // s)
                product = x[p, q] * (w[KH - 1 - u, KW - 1 - v] if slip.get("flip") else w[u, v])
                y[i, j] += product
        return y

    return upsample_conv


def stamps(**slip):
    def conv_transpose(x, w, s):
        (H, W), (KH, KW) = x.shape, w.shape
        kernel = w[::-1, ::-1] if slip.get("flip") else w
        y = np.zeros((H * s + KH, W * s + KW) if slip.get("too large") else ((H - 1) * s + KH, (W - 1) * s + KW))
        for i, j in np.ndindex(H, W):
            p, q = (i, j) if slip.get("no stride") else (i * s, j * s)
            where = slice(p, p + KH), slice(q, q + KW)
            y[where] = (0 if slip.get("assign") else y[where]) + x[i, j] * kernel
        return y

    return conv_transpose


def gradient(**slip):
    def upsample_input_gradient(gy, w, s, shape):
        gx = np.zeros((s * shape[0], s * shape[1]) if slip.get("large") else shape)
        factor = 1 if slip.get("large") else s
        for i, j in np.ndindex(*gy.shape):
            for u, v in np.ndindex(*w.shape):
                weight = w[-1 - u, -1 - v] if slip.get("flip") else w[u, v]
                share = weight if slip.get("no gy") else gy[i, j] * weight
                p, q = (i + u) // factor, (j + v) // factor
                gx[p, q] = share if slip.get("assign") else gx[p, q] + share
        return gx

    return upsample_input_gradient


def kernel(flip=lambda w: w[::-1, ::-1], places=lambda s: list(np.ndindex(s, s)), add=True):
    def effective_kernel(w, s):
        k = len(w)
        W = np.zeros((s + k - 1, s + k - 1))
        for a, b in places(s):
            W[a : a + k, b : b + k] = (W[a : a + k, b : b + k] if add else 0) + flip(w)
        return W

    return effective_kernel


WRONG = {
    "upsample_conv": {
        "does not stamp": stamps(),
        "give s*H - KH + 1 rows": article(**{"full size": True}),
        "is flipped": article(flip=True),
        "before the division": article(**{"no offset": True}),
        "all rows and columns of the kernel": article(square=True),
        "end with `return`": lambda x, w, s: None,
    },
    "same_padding": {
        "2 rows in all": lambda k: (k // 2, k // 2 + 1),
        "(1, 2)": lambda k: (k // 2, (k - 1) // 2),
        "one before and one behind": lambda k: (0, k - 1),
        "k - 1 = 3": lambda k: (k // 2, k // 2),
    },
    "conv_transpose": {
        "that is the article's formula": article(),
        "the size is": stamps(**{"too large": True}),
        "is flipped": stamps(flip=True),
        "wipes out": stamps(assign=True),
        "pixel x[i,j] adds": stamps(**{"no stride": True}),
    },
    "coverage": {
        "one count for each": lambda k, s: k / s,
        "add up to 3": lambda k, s: [-(-k // s)] * s,
        "[2, 1]": lambda k, s: [k // s] * (s - 1) + [k - k // s * (s - 1)],
        "leaves gaps": lambda k, s: [max(1, len(range(r, k, s))) for r in range(s)],
    },
    "transposed_padding": {
        "solve (3)": lambda k, s: ((k - 1) // 2, 0),
        "neither can be negative": lambda k, s: ((k - s) // 2, (k - s) // 2 * 2 - (k - s)),
        "smaller than s": lambda k, s: (k - 1, 2 * (k - 1) - (k - s)),
        "whole numbers": lambda k, s: ((k - s) / 2, 0),
    },
    "upsample_input_gradient": {
        "one number for each pixel": gradient(large=True),
        "gradient gy is missing": gradient(**{"no gy": True}),
        "is flipped": gradient(flip=True),
        "they add": gradient(assign=True),
    },
    "effective_kernel": {
        "must be flipped": kernel(flip=lambda w: w),
        "s + k - 1 rows": lambda w, s: np.kron(w, np.ones((s, s))),
        "all s * s = 4 places": kernel(places=lambda s: [(a, a) for a in range(s)]),
        "overlap and add": kernel(add=False),
    },
}
