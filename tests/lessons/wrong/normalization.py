"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np


def unit(x):
    return (x - x.min()) / (x.max() - x.min())


def in_place(x, a, b):
    x -= x.min()
    x /= x.max() or 1
    x *= b - a
    x += a
    return x


def guarded(x, a, b, constant):
    return constant if x.min() == x.max() else a + (b - a) * unit(x)


WRONG = {
    "class_shares": {
        "numbers of pixels": lambda mask, classes: np.bincount(mask.ravel(), minlength=classes),
        "also for one that is absent": lambda mask, classes: [(mask == k).mean() for k in np.unique(mask)],
        "percentages": lambda mask, classes: [100 * (mask == k).mean() for k in range(classes)],
        "end with `return`": lambda mask, classes: None,
    },
    "minmax": {
        "subtract it before": lambda x, a, b: a + (b - a) * x / x.max(),
        "not by the largest": lambda x, a, b: a + (b - a) * (x - x.min()) / x.max(),
        "a and b are not used": lambda x, a, b: unit(x),
        "stretch is missing": lambda x, a, b: a + unit(x),
        "divides by zero": lambda x, a, b: a + (b - a) * unit(x),
        "a is -1 here": lambda x, a, b: guarded(x, a, b, np.zeros(x.shape)),
        "in its own shape": lambda x, a, b: guarded(x, a, b, a),
        "make a new array": in_place,
        "8-bit": lambda x, a, b: a + (b - a) * (x - x.min()) / np.ptp(x),
    },
    "undo_minmax": {
        "add `lowest`": lambda y, a, b, lowest, highest: (y - a) / (b - a) * (highest - lowest),
        "bring y back to [0, 1]": lambda y, a, b, lowest, highest: lowest + y * (highest - lowest),
        "lowest + y (highest - lowest)": lambda y, a, b, lowest, highest: lowest + y * highest,
    },
    "zscore": {
        "divide by it": lambda x: x - x.mean(),
        "variance": lambda x: (x - x.mean()) / x.var(),
        "not by P - 1": lambda x: (x - x.mean()) / x.std(ddof=1),
        "divides by zero": lambda x: (x - x.mean()) / x.std(),
        "all pixels": lambda x: (x - x.mean(0)) / x.std(0),
    },
    "prepare": {
        "two arrays": lambda image, mask: unit(image),
        "the mask was scaled": lambda image, mask: (unit(image).astype(np.float32), unit(mask)),
        "float32": lambda image, mask: (unit(image), mask.astype(np.int64)),
        "by your minmax": lambda image, mask: (image.astype(np.float32), mask.astype(np.int64)),
        "do not measure": lambda image, mask: (unit(image).astype(np.float32), mask.astype(np.float32)),
    },
}
