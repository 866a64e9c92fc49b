"""Checks: counts, Dice and IoU, pooled and mean, the bootstrap, HD95, and which score answers which question."""

from __future__ import annotations

import numpy as np

from ...metrics import bootstrap_interval, bootstrap_means
from ..exercise import NotSolved, as_array, exercise, require, require_close

_random = np.random.default_rng(0)
METRICS = ("dice", "precision", "recall", "hd95", "object_f1")


@exercise
def count(fn):
    """The three counts."""
    prediction = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], np.uint8)
    truth = np.array([[0, 1, 1, 1], [0, 0, 1, 1]], np.uint8)
    found = as_array(fn(prediction.astype(np.int64), truth.astype(np.int64)))
    require(found.shape == (3,), f"three numbers are wanted, (TP, FP, FN), got shape {found.shape}")
    uneven = np.array([[1, 1, 1, 1]]), np.array([[1, 0, 0, 0]])
    require(tuple(as_array(fn(*uneven))) != (1, 0, 3), "FP and FN are exchanged: FP is predicted and not true")
    hint = "TP, FP, FN of 1111 against 1000 are 1, 3, 0: count pixels where both, only p, only t are 1"
    require_close(fn(*uneven), [1, 3, 0], hint)
    hint = (
        "right for signed integers, but not for 8 bits without sign, where 0 - 1 = 255: compare with ==, or use & and ~"
    )
    require_close(fn(prediction, truth), [2, 3, 3], hint)
    require_close(fn(prediction == 1, truth == 1), [2, 3, 3], "masks may be bool as well: no minus signs between them")


@exercise
def dice(fn):
    """Dice with a policy for empty masks."""
    found = fn(4, 3, 2, "skip")
    require(not np.isclose(found, 4 / 9), "that is the IoU: Dice has 2 TP above and below")
    require(not np.isclose(found, 8 / 9), "the 2 TP is missing below the line: 2 TP / (2 TP + FP + FN)")
    require_close(found, 8 / 13, "TP 4, FP 3, FN 2: 8 / 13")
    require(fn(0, 0, 5, "skip") == 0, "an object that was missed is no 0/0: TP 0, FN 5 gives 0")
    require(fn(0, 5, 0, "one") == 0, "a made-up object is no 0/0, whatever the policy: TP 0, FP 5 gives 0")
    hint = "nothing there and nothing predicted: {} is wanted for empty={!r}, got {}"
    for empty, value in (("skip", np.nan), ("one", 1.0), ("zero", 0.0)):
        try:
            found = fn(0, 0, 0, empty)
        except ZeroDivisionError:
            raise NotSolved("0/0: look whether all three counts are 0 before you divide") from None
        same = found is not None and (np.isnan(found) if empty == "skip" else found == value)
        require(same, hint.format(value, empty, found))


@exercise
def iou_from_dice(fn):
    """IoU from Dice."""
    found = fn(2 / 3)
    require(not np.isclose(found, 0.8), "that is (3) itself, Dice from IoU; solve D (1 + J) = 2 J for J")
    require(found <= 2 / 3, "IoU is never above Dice")
    require_close(found, 0.5, "D = 2/3 belongs to J = 1/2: solve D (1 + J) = 2 J for J")
    for J in (0.0, 0.3, 1.0):
        require_close(fn(2 * J / (1 + J)), J, f"J = {J} gives D = {2 * J / (1 + J):.3f}, and must come back")


@exercise
def pooled_and_mean(fn):
    """Pooled and mean Dice."""
    answer = fn(np.array([[2450, 0, 0], [0, 0, 100]]))
    require(np.size(as_array(answer)) == 2, "two numbers are wanted: (pooled, mean)")
    pooled, mean = answer
    require(not (np.isclose(pooled, 0.5) and np.isclose(mean, 0.98)), "exchanged: the pooled one comes first")
    require(not np.isclose(pooled, mean), "both are alike: pooled adds up the counts first and uses (2) once")
    require_close(pooled, 0.98, "pooled: TP 2450, FP 0, FN 100 together, so 4900 / 5000")
    require_close(mean, 0.5, "mean: one image has 1 and the other 0")
    pooled, mean = fn(np.array([[30, 5, 5], [0, 0, 0], [1, 3, 1]]))
    require(not np.isnan(mean), "an image without a score makes the mean nan; np.nanmean leaves it out")
    expected = (60 / 70 + 2 / 6) / 2
    require(not np.isclose(mean, expected * 2 / 3), "the empty image counted as 0; it has no score and takes no part")
    require(not np.isclose(mean, (2 * expected + 1) / 3), "the empty image counted as 1; it has no score, take no part")
    require_close(mean, expected, "the mean of 60/70 and 2/6; the empty image takes no part")
    require_close(pooled, 62 / 76, "pooled: TP 31, FP 8, FN 6")


@exercise
def bootstrap(fn):
    """The bootstrap interval."""
    values = _random.beta(6, 2, 30)
    low, high = bootstrap_interval(bootstrap_means(values[:, None], resamples=5000)[:, 0])
    found = as_array(fn(values, 2000, np.random.default_rng(0)))
    require(found.shape == (2,), f"two numbers are wanted, (low, high), got shape {found.shape}")
    width, right = found[1] - found[0], high - low
    hint = "the mean itself is outside of your ends: np.quantile takes shares of 1, np.percentile takes percent"
    require(found[0] - 1e-9 <= values.mean() <= found[1] + 1e-9, hint)
    require(width > 0.01 * right, "all draws have the same mean: draw with replacement, as rng.choice does by default")
    require(width < 3 * right, "far too wide: of each draw take the mean, and the quantiles of those means")
    require(not 0.75 * right < width < 0.9 * right, "too narrow: 95 % in the middle leaves 2.5 % on each side, not 5 %")
    hint = "too {}: each draw must have as many values as there are, and 2.5 % of the means lie outside on each side"
    require(width < 1.15 * right, hint.format("wide"))
    require(width > 0.88 * right, hint.format("narrow"))
    require_close(found, [low, high], "the width is right but not the place: take quantiles of means of draws", 0.01)


def _hd95(A, B, spacing=(1, 1), percentile=95) -> float:
    d = np.linalg.norm((A[:, None] - B[None]) * np.asarray(spacing), axis=2)
    return max(np.percentile(d.min(1), percentile), np.percentile(d.min(0), percentile))


@exercise
def hd95(fn):
    """HD95 in millimetres."""
    line = np.stack([np.arange(40), np.zeros(40, int)], axis=1)
    beside = line + [0, 3]
    require_close(fn(line, beside, (1, 1)), 3.0, "two lines 3 pixels apart: every distance is 3")
    spike = np.concatenate([line, [[20, 30]]])
    require(not np.isclose(fn(spike, line, (1, 1)), 30), "one of 41 points is far away: the 95th percentile ignores it")
    require_close(
        fn(spike, line, (1, 1)), 0.0, "41 points, of which 40 lie on the other line: the 95th percentile is 0"
    )
    longer = np.concatenate([line, line + [40, 0]])
    for A, B in ((line, longer), (longer, line)):
        found = fn(A, B, (1, 1))
        require(
            found != 0, "only one direction was measured: points of the other set may be far away (what was made up)"
        )
        both = np.percentile(np.r_[np.zeros(40), np.r_[np.zeros(40), np.arange(1, 41)]], 95)
        require(not np.isclose(found, both), "the percentile of both directions together; (4) takes the larger of two")
        require_close(found, _hd95(A, B), "one line is twice as long; take the larger of the two percentiles")
    require(
        not np.isclose(fn(line, beside, (3, 0.5)), 3), "the spacing is not used: 3 columns of 0.5 mm are 1.5 mm apart"
    )
    require_close(
        fn(line, beside, (3, 0.5)), 1.5, "3 columns of 0.5 mm: 1.5 mm. spacing[0] is for rows, [1] for columns"
    )


@exercise
def right_metric(chosen):
    """Which score for which question."""
    require(
        isinstance(chosen, (tuple, list)) and len(chosen) == 3, "three names are wanted: chosen = '...', '...', '...'"
    )
    for name in chosen:
        require(name in METRICS, f"{name!r} is none of {', '.join(METRICS)}")
    lesions, edge, screening = chosen
    require(
        lesions not in ("dice", "precision", "recall"),
        f"question 1: {lesions} counts pixels, so a lesion of 21 pixels has three times the say of one with 7",
    )
    require(lesions == "object_f1", "question 1: it asks how many lesions, not how far away something is")
    require(edge != "object_f1", "question 2: an object counts as found at an IoU of 1/2, however ragged its edge")
    require(edge == "hd95", f"question 2: {edge} has no millimetres in it; the table has one column that does")
    require(
        screening not in ("precision", "dice", "object_f1"),
        f"question 3: {screening} falls when healthy pixels are painted; the doctor will see to those",
    )
    require(screening == "recall", "question 3: it asks for a share of what is there, and no distance is one")
