"""The array that takes notes: who wrote where, and which of it is a race."""

import numpy as np
from numba import prange

from tinyunet.teaching.watched import SERIAL, watch


def by_rows(x, y):
    for i in prange(2):
        for j in prange(3):  # numba runs the outer one in parallel only
            y[i, j] += x[i, j]


def whole_rows(x, y):
    for i in prange(2):
        y[i] += x[i]


def parts(x, y):
    for i in prange(2):
        row = y[i]
        for j in range(3):
            row[j] = x[i, j]


def by_columns_into_one_row(x, y):
    y[1] = 0
    for i in prange(2):
        for j in range(3):
            y[0, j] += x[i, j]


def test_writes_are_noted_in_every_way_of_writing():
    x = np.arange(6.0).reshape(2, 3)
    for kernel in (by_rows, whole_rows, parts):
        y = np.zeros((2, 3))
        writes = watch(kernel, x, y)
        assert list(writes) == [(i, 3 * i + j) for i in range(2) for j in range(3)]
        assert np.array_equal(y, x) and not writes.raced() and (writes.writers(y.shape) == 1).all()


def test_a_race_is_seen_and_what_is_written_outside_of_the_loop_is_not_one():
    y = np.zeros((2, 3))
    writes = watch(by_columns_into_one_row, np.ones((2, 3)), y)
    assert writes.raced() == [0, 1, 2]
    assert writes[:3] == [(SERIAL, 3), (SERIAL, 4), (SERIAL, 5)]
    assert np.array_equal(writes.writers(y.shape), [[2, 2, 2], [1, 1, 1]])
