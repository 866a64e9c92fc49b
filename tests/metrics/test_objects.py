from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinyunet.data.sample import DataError
from tinyunet.metrics import count_objects, object_f1

shape = st.tuples(st.integers(2, 8), st.integers(2, 8))
cases = shape.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(np.int64, shape, elements=st.integers(0, 4))))


def pairs_by_trying_all(predicted, true, threshold):
    """Predicted and true are lists of masks."""
    pairs = 0
    for p in predicted:
        for t in true:
            pairs += (p & t).sum() > threshold * (p | t).sum()
    return pairs


@settings(deadline=None)  # the first call compiles
@given(case=cases, threshold=st.sampled_from([0.5, 0.7]))
def test_against_trying_all_pairs(case, threshold):
    from tinyunet.morphology import connected_components

    prediction, instances = case
    labels, P = connected_components(prediction)
    predicted = [labels == k for k in range(1, P + 1)]
    true = [instances == k for k in np.unique(instances) if k]
    counts = count_objects(prediction, instances, threshold, instances=True)
    tp = pairs_by_trying_all(predicted, true, threshold)
    assert counts == (tp, len(predicted) - tp, len(true) - tp)


@settings(deadline=None)  # the first call compiles
@given(case=cases)
def test_perfect_prediction(case):
    counts = count_objects(case[0], case[0])
    assert counts.fp == counts.fn == 0
    assert object_f1(counts, "one") == 1


def test_touching_objects_need_the_instance_map():
    """Two nuclei side by side, predicted as one: right in every pixel, and neither found."""
    instances = np.zeros((6, 12), int)
    instances[1:5, 1:6], instances[1:5, 6:11] = 7, 3
    merged = instances > 0
    assert count_objects(merged, merged) == (1, 0, 0)
    assert count_objects(merged, instances, instances=True) == (0, 1, 2)
    apart = merged.copy()
    apart[:, 5] = False
    assert count_objects(apart, instances, instances=True) == (2, 0, 0)


def test_overlap_of_exactly_the_threshold_is_no_pair():
    target, half = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    target[0], half[0, :2] = True, True
    assert count_objects(half, target) == (0, 1, 1)


@pytest.mark.parametrize("empty, value", [("skip", np.nan), ("one", 1), ("zero", 0)])
def test_nothing_to_find_and_nothing_found(empty, value):
    nothing = np.zeros((3, 3), bool)
    np.testing.assert_equal(float(object_f1(count_objects(nothing, nothing), empty)), value)
    full = np.ones((3, 3), bool)
    assert count_objects(full, np.ones((3, 3), int), instances=True) == (1, 0, 0)  # an instance map without background


def test_bad_arguments():
    with pytest.raises(DataError, match="differ in shape"):
        count_objects(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(DataError, match="threshold is 0.4; expected at least 0.5"):
        count_objects(np.ones((2, 2)), np.ones((2, 2)), 0.4)
