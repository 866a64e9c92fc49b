from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinyunet.morphology import connected_components, distance_transform

shapes = st.one_of(
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
)
masks = shapes.flatmap(lambda shape: arrays(bool, shape))
steps = st.floats(0.1, 10)


def distances_by_definition(mask, spacing):
    points = np.argwhere(np.ones_like(mask)) * spacing
    reached = np.argwhere(mask) * spacing
    if len(reached) == 0:
        return np.full(mask.shape, np.inf)
    return np.linalg.norm(points[:, None] - reached[None], axis=-1).min(axis=1).reshape(mask.shape)


def parts_by_flooding(mask, corners):
    """Labels by walking through every part from its first pixel."""
    labels, count = np.zeros(mask.shape, int), 0
    for start in map(tuple, np.argwhere(mask)):
        if labels[start]:
            continue
        count += 1
        labels[start], front = count, [start]
        while front:
            here = front.pop()
            for step in np.ndindex(*(3,) * mask.ndim):
                step = np.array(step) - 1
                near = tuple(here + step)
                inside = all(0 <= a < size for a, size in zip(near, mask.shape, strict=True))
                if (corners or abs(step).sum() == 1) and inside and mask[near] and not labels[near]:
                    labels[near] = count
                    front.append(near)
    return labels, count


@settings(deadline=None)  # the first call compiles
@given(mask=masks, steps=st.tuples(steps, steps, steps))
def test_distance_is_the_smallest_of_all(mask, steps):
    spacing = steps[: mask.ndim]
    np.testing.assert_allclose(distance_transform(mask, spacing), distances_by_definition(mask, spacing), rtol=1e-12)


@settings(deadline=None)  # the first call compiles
@given(mask=masks)
def test_squares_of_distances_in_pixels_are_whole_numbers(mask):
    squares = distance_transform(mask) ** 2
    np.testing.assert_allclose(squares, np.rint(squares), rtol=1e-14)


@settings(deadline=None)  # the first call compiles
@given(mask=masks, corners=st.booleans())
def test_parts_are_those_of_flooding(mask, corners):
    labels, count = connected_components(mask, corners=corners)
    expected, number = parts_by_flooding(mask, corners)
    assert labels.shape == mask.shape and count == number and np.array_equal(labels, expected)


@pytest.mark.parametrize("corners, count", [(False, 9), (True, 1)])
def test_chessboard_has_the_most_parts(corners, count):
    board = np.add.outer(np.arange(3), np.arange(6)) % 2
    assert connected_components(board, corners=corners)[1] == count


def test_a_spiral_is_one_part():
    """Its arms get labels of their own, which meet only later."""
    spiral = np.array(
        [list(row) for row in ("1111111", "0000001", "1111101", "1000101", "1011101", "1000001", "1111111")]
    )
    assert connected_components(spiral == "1")[1] == 1


@settings(max_examples=25, deadline=None)
@given(mask=masks, steps=st.tuples(steps, steps, steps), corners=st.booleans())
def test_against_scipy(mask, steps, corners):
    ndimage = pytest.importorskip("scipy.ndimage")
    if mask.any():
        spacing = steps[: mask.ndim]
        expected = ndimage.distance_transform_edt(~mask, spacing)
        np.testing.assert_allclose(distance_transform(mask, spacing), expected, rtol=1e-12)
    structure = ndimage.generate_binary_structure(mask.ndim, mask.ndim if corners else 1)
    expected, count = ndimage.label(mask, structure)
    labels, number = connected_components(mask, corners=corners)
    assert number == count and np.array_equal(labels, expected)


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, float("nan"))])
def test_bad_spacing(spacing):
    with pytest.raises(ValueError, match="expected 2 positive numbers"):
        distance_transform(np.ones((2, 2), bool), spacing)


def test_bad_shape():
    with pytest.raises(ValueError, match=r"\(H, W\) or \(D, H, W\), got shape \(4,\)"):
        connected_components(np.ones(4, bool))
