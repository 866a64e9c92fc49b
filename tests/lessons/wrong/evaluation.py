"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np


def pooled_and_mean(empty=np.nan, mean=np.nanmean, pooled=True, swap=False):
    def both(counts):
        def dice(tp, fp, fn):
            return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else empty

        each = mean([dice(*row) for row in counts])
        first = dice(*counts.sum(axis=0)) if pooled else each
        return (each, first) if swap else (first, each)

    return both


def bootstrap(size=None, replace=True, of=np.mean, ends=(0.025, 0.975), shift=0):
    def interval(values, resamples, rng):
        draws = [of(rng.choice(values, size or len(values), replace=replace)) for _ in range(resamples)]
        return np.quantile(np.ravel(draws), ends) + shift

    return interval


def hd95(reduce=lambda a, b: max(np.percentile(a, 95), np.percentile(b, 95)), spaced=True):
    def measured(A, B, spacing):
        d = np.linalg.norm((A[:, None] - B[None]) * np.asarray(spacing if spaced else (1, 1)), axis=2)
        return reduce(d.min(axis=1), d.min(axis=0))

    return measured


def tp(p, t):
    return (p * t).sum()


WRONG = {
    "count": {
        "FP and FN are exchanged": lambda p, t: (tp(p, t), ((1 - p) * t).sum(), (p * (1 - t)).sum()),
        "three numbers": lambda p, t: (tp(p, t), (p * (1 - t)).sum(), ((1 - p) * t).sum(), ((1 - p) * (1 - t)).sum()),
        "8 bits": lambda p, t: (tp(p, t), (p - t > 0).sum(), (t - p > 0).sum()),
        "only p, only t": lambda p, t: (p.sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()),
        "boolean subtract": lambda p, t: (tp(p, t), (p - t == 1).sum(), (t - p == 1).sum()),
    },
    "dice": {
        "that is the IoU": lambda tp, fp, fn, empty: tp / (tp + fp + fn),
        "missing below": lambda tp, fp, fn, empty: 2 * tp / (tp + fp + fn),
        "before you divide": lambda tp, fp, fn, empty: 2 * tp / (2 * tp + fp + fn),
        "an object that was missed": lambda tp, fp, fn, empty: 2 * tp / (2 * tp + fp + fn) if tp else np.nan,
        "nan is wanted": lambda tp, fp, fn, empty: 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0,
        "1.0 is wanted": lambda tp, fp, fn, empty: 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else np.nan,
    },
    "iou_from_dice": {
        "that is (3) itself": lambda D: 2 * D / (1 + D),
        "never above": lambda D: (1 + D) / 2,
        "D = 2/3 belongs": lambda D: D / 2,
    },
    "pooled_and_mean": {
        "exchanged": pooled_and_mean(swap=True),
        "both are alike": pooled_and_mean(pooled=False),
        "np.nanmean": pooled_and_mean(mean=np.mean),
        "counted as 0": pooled_and_mean(empty=0.0),
        "counted as 1": pooled_and_mean(empty=1.0),
        "two numbers": lambda counts: counts.sum(),
    },
    "bootstrap": {
        "with replacement": bootstrap(replace=False),
        "far too wide": bootstrap(of=lambda draw: draw),
        "not 5 %": bootstrap(ends=(0.05, 0.95)),
        "too wide: each draw": bootstrap(size=15),
        "too narrow: each draw": bootstrap(size=100),
        "takes percent": bootstrap(ends=(0.00025, 0.00975)),
        "two numbers": lambda values, resamples, rng: values.std(),
    },
    "hd95": {
        "ignores it": hd95(lambda a, b: max(a.max(), b.max())),
        "only one direction": hd95(lambda a, b: np.percentile(a, 95)),
        "both directions together": hd95(lambda a, b: np.percentile(np.r_[a, b], 95)),
        "spacing is not used": hd95(spaced=False),
        "the larger of the two percentiles": hd95(lambda a, b: (np.percentile(a, 95) + np.percentile(b, 95)) / 2),
    },
    "right_metric": {
        "three names": "recall",
        "is none of": ("f1", "hd95", "recall"),
        "three times the say": ("dice", "hd95", "recall"),
        "how many lesions": ("hd95", "hd95", "recall"),
        "no millimetres": ("object_f1", "dice", "recall"),
        "however ragged": ("object_f1", "object_f1", "recall"),
        "see to those": ("object_f1", "hd95", "dice"),
        "no distance is one": ("object_f1", "hd95", "hd95"),
    },
}
