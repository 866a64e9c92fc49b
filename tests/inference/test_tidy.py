"""Keeping the largest object of every class, or the large ones."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet.inference import tidy

LABELS = np.array(
    [
        [1, 0, 0, 2, 2],
        [0, 1, 0, 2, 2],
        [0, 0, 0, 0, 0],
        [1, 1, 0, 0, 2],
        [1, 1, 3, 0, 0],
    ]
)


LARGEST = np.array(
    [
        [0, 0, 0, 2, 2],
        [0, 0, 0, 2, 2],
        [0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 3, 0, 0],
    ]
)
ABOVE_1 = np.where(LABELS == 3, 0, LABELS)
ABOVE_1[3, 4] = 0  # the lonely 2; the two pixels of class 1 that share a corner stay


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, LABELS),
        ({"smallest": 1}, LABELS),
        ({"largest": True}, LARGEST),
        ({"smallest": 2}, ABOVE_1),
        ({"smallest": 5}, np.zeros((5, 5), int)),
        ({"largest": True, "smallest": 5}, np.zeros((5, 5), int)),
    ],
)
def test_objects_are_kept(options, expected):
    before = LABELS.copy()
    assert np.array_equal(tidy(LABELS, **options), expected)
    assert np.array_equal(LABELS, before)


def test_of_two_equal_objects_the_first_is_kept():
    assert tidy(np.array([[1, 0, 1, 0, 1]]), largest=True).tolist() == [[1, 0, 0, 0, 0]]


def test_objects_go_through_the_slices_of_a_volume():
    volume = np.zeros((3, 4, 4), int)
    volume[:, 0, 0] = 1  # one pixel per slice, three in all
    volume[1, 2, 2:4] = 1  # two in one slice
    assert tidy(volume, largest=True).sum() == 3 and tidy(volume, largest=True)[:, 0, 0].tolist() == [1, 1, 1]
    assert tidy(volume, smallest=3).sum() == 3
    assert np.stack([tidy(s, largest=True) for s in volume]).sum() == 1 + 2 + 1  # slice by slice is not the same


def test_a_negative_size_is_refused():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        tidy(LABELS, smallest=-1)
