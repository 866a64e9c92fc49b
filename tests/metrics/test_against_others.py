"""Scores beside those of scikit-learn and SimpleITK, where they measure the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinyunet.metrics import confusion, dice, iou, precision, recall

labels = arrays(np.int64, (5, 7), elements=st.integers(0, 3))


@settings(max_examples=30, deadline=None)
@given(prediction=labels, target=labels, policy=st.sampled_from([("skip", np.nan), ("one", 1.0), ("zero", 0.0)]))
def test_against_scikit_learn(prediction, target, policy):
    sklearn = pytest.importorskip("sklearn.metrics")
    empty, value = policy
    counts = confusion(prediction, target, 4)
    p, t, classes = prediction.ravel(), target.ravel(), range(4)
    assert np.array_equal(counts, sklearn.confusion_matrix(t, p, labels=classes))
    theirs = {dice: sklearn.f1_score, iou: sklearn.jaccard_score}
    theirs |= {precision: sklearn.precision_score, recall: sklearn.recall_score}
    for ours, other in theirs.items():
        if other is sklearn.jaccard_score and empty == "skip":
            continue  # it knows 0 and 1 alone for 0/0
        expected = other(t, p, labels=classes, average=None, zero_division=value)
        np.testing.assert_allclose(ours(counts, empty), expected, rtol=1e-12, equal_nan=True)


@settings(max_examples=30, deadline=None)
@given(prediction=labels, target=labels)
def test_against_simpleitk(prediction, target):
    sitk = pytest.importorskip("SimpleITK")
    counts = confusion(prediction, target, 4)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(sitk.GetImageFromArray(labels.astype(np.uint8)) for labels in (prediction, target)))
    for k in range(1, 4):
        if (target == k).any():  # SitK has no score of a label that the target lacks
            assert overlap.GetDiceCoefficient(k) == pytest.approx(dice(counts)[k])
            assert overlap.GetJaccardCoefficient(k) == pytest.approx(iou(counts)[k])
            if (prediction == k).any():
                assert overlap.GetFalseNegativeError(k) == pytest.approx(1 - recall(counts)[k])
