"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np


def softmax(z, axis=0):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def right_gradient(z, t):
    gradient = softmax(z)
    gradient[t, np.arange(len(t))] -= 1
    return gradient / len(t)


def picked(z, t):
    return np.log(softmax(z))[t, np.arange(len(t))]


def soft_dice(p, y, two=2, above=1.0, below=1.0, eps_twice=False):
    I = (p * y).sum()
    N = 2 * (I + above) if eps_twice else two * I + above
    return 1 - N / (p.sum() + y.sum() + below)


def quotient(p, y):
    N, D = 2 * (p * y).sum() + 1, p.sum() + y.sum() + 1
    return (2 * y * D - N) / D**2


def no_eps(p, y):
    with np.errstate(all="ignore"):
        return 1 - 2 * (p * y).sum() / np.float64(p.sum() + y.sum())


WRONG = {
    "log_softmax": {
        "the logarithm is wanted": softmax,
        "over the pixels": lambda z: np.log(softmax(z, axis=1)),
        "overflow": lambda z: z - np.log(np.exp(z).sum(axis=0)),
        "over the classes of each pixel": lambda z: z - z.max(axis=0),
        "end with `return`": lambda z: None,
    },
    "cross_entropy": {
        "one number": lambda z, t: -picked(z, t),
        "the sign": lambda z, t: picked(z, t).mean(),
        "that is the sum": lambda z, t: -picked(z, t).sum(),
        "true class of each pixel": lambda z, t: -np.log(softmax(z)).mean(),
    },
    "cross_entropy_gradient": {
        "probability minus truth": lambda z, t: -right_gradient(z, t),
        "divided by M": lambda z, t: right_gradient(z, t) * len(t),
        "minus 1 for the true class": lambda z, t: softmax(z) / len(t),
    },
    "dice_loss": {
        "1 minus it": lambda p, y, eps=1.0: 1 - soft_dice(p, y),
        "factor of 2": lambda p, y, eps=1.0: soft_dice(p, y, two=1),
        "0/0": no_eps,
        "Dice of 2": lambda p, y, eps=1.0: soft_dice(p, y, eps_twice=True),
        "as well as in D": lambda p, y, eps=1.0: soft_dice(p, y, above=0),
    },
    "dice_gradient": {
        "the sign": lambda p, y, eps=1.0: quotient(p, y),
        "second term": lambda p, y, eps=1.0: -2 * y / (p.sum() + y.sum() + 1),
        "one number for each pixel": lambda p, y, eps=1.0: quotient(p, y).sum(),
    },
    "balanced_weights": {
        "absent ones too": lambda mask, C: mask.size / (2 * np.unique(mask, return_counts=True)[1]),
        "without dividing by 0": lambda mask, C: mask.size / (C * np.bincount(mask.ravel(), minlength=C)),
        "factor C": lambda mask, C: np.array([8 / 6, 0, 4]),
        "number of all pixels": lambda mask, C: np.bincount(mask.ravel(), minlength=C) / mask.size,
    },
}
