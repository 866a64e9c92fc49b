from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinyunet.data.sample import DataError
from tinyunet.metrics import (
    SurfaceMeasures,
    average_surface_distance,
    hd95,
    surface_dice,
    surface_distances,
    surface_of,
)

shapes = st.one_of(
    st.tuples(st.integers(2, 8), st.integers(2, 8)),
    st.tuples(st.integers(2, 5), st.integers(2, 5), st.integers(2, 5)),
)
pairs = shapes.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape)))
spacings = st.tuples(*[st.floats(0.2, 5)] * 3)


def measures(prediction, target, spacing=None, tolerance=1.0):
    return SurfaceMeasures.of(surface_distances(prediction, target, spacing), tolerance)


def surface_by_definition(mask):
    """Points with a neighbour outside, one by one."""
    points = []
    for point in map(tuple, np.argwhere(mask)):
        for axis in range(mask.ndim):
            for step in (-1, 1):
                near = list(point)
                near[axis] += step
                inside = 0 <= near[axis] < mask.shape[axis]
                if not inside or not mask[tuple(near)]:
                    points.append(point)
    return np.array(sorted(set(points)), float).reshape(-1, mask.ndim)


@settings(deadline=None)  # the first call compiles
@given(pair=pairs, steps=spacings, tolerance=st.floats(0, 4))
def test_against_all_pairs_of_surface_points(pair, steps, tolerance):
    spacing = np.array(steps[: pair[0].ndim])
    p, t = (surface_by_definition(mask) * spacing for mask in pair)
    found = measures(*pair, spacing, tolerance)
    assert found.pixels == len(p) + len(t)
    if len(p) == 0 or len(t) == 0:
        return
    away = np.linalg.norm(p[:, None] - t[None], axis=-1)
    to_target, to_prediction = away.min(axis=1), away.min(axis=0)
    both = np.concatenate([to_target, to_prediction])
    assert hd95(found) == pytest.approx(max(np.percentile(to_target, 95), np.percentile(to_prediction, 95)))
    assert average_surface_distance(found) == pytest.approx(both.mean())
    if not np.isclose(both, tolerance).any():
        assert surface_dice(found) == pytest.approx((both <= tolerance).mean())


@settings(deadline=None)  # the first call compiles
@given(pair=pairs, steps=spacings)
def test_symmetric_and_in_the_unit_of_the_spacing(pair, steps):
    spacing = np.array(steps[: pair[0].ndim])
    here, there = measures(*pair, spacing, 1.0), measures(*pair[::-1], spacing, 1.0)
    np.testing.assert_allclose(here, there)
    larger = measures(*pair, 2 * spacing, 2.0)
    np.testing.assert_allclose(larger, np.array(here) * [1, 1, 2, 2, 2])


def test_a_square_moved_by_three_pixels():
    target = np.zeros((20, 20), bool)
    target[5:12, 4:11] = True
    moved = np.roll(target, 3, axis=1)
    found = measures(moved, target, tolerance=2.0)
    # 24 surface pixels each; both ends of the rows, 7 pixels each, are 3 away, or less near the other's corners
    assert found.pixels == 48 and hd95(found) == 3 and 0 < average_surface_distance(found) < 3
    assert hd95(measures(target, target)) == 0 and surface_dice(measures(target, target)) == 1
    assert hd95(measures(moved, target, (1.0, 0.5))) == 1.5


def test_anisotropic_volume():
    """Off by one slice of 5 mm is 5 mm; off by one pixel of 0.5 mm is 0.5 mm."""
    flat = np.zeros((8, 20, 20), bool)
    flat[2, 2:18, 2:18] = True
    assert hd95(measures(np.roll(flat, 1, axis=0), flat, (5, 0.5, 0.5))) == 5
    assert hd95(measures(np.roll(flat, 1, axis=1), flat, (5, 0.5, 0.5))) == pytest.approx(0.5)


def test_a_volume_of_one_slice_is_a_picture():
    rng = np.random.default_rng(0)
    prediction, target = rng.random((2, 9, 7)) < 0.7
    for axis in range(3):
        thick = np.expand_dims(prediction, axis), np.expand_dims(target, axis)
        spacing = np.insert([2.0, 3.0], axis, 7.0)
        found = measures(*thick, spacing)
        assert found[:4] == measures(prediction, target, (2.0, 3.0))[:4]


@pytest.mark.parametrize("empty, dice, distance", [("skip", np.nan, np.nan), ("one", 1, 0), ("zero", 0, 10)])
def test_both_empty_follows_the_policy(empty, dice, distance):
    nothing = np.zeros((6, 8), bool)
    found = measures(nothing, nothing)
    np.testing.assert_equal(float(surface_dice(found, empty)), dice)
    np.testing.assert_equal(float(hd95(found, empty)), distance)
    np.testing.assert_equal(float(average_surface_distance(found, empty)), distance)


@pytest.mark.parametrize("swap", [False, True])
def test_one_empty_is_the_worst(swap):
    nothing, something = np.zeros((6, 8), bool), np.eye(6, 8, dtype=bool)
    found = measures(*((something, nothing) if swap else (nothing, something)))
    assert (surface_dice(found), hd95(found), average_surface_distance(found)) == (0, 10, 10)


@settings(max_examples=30, deadline=None)
@given(pair=pairs, steps=spacings)
def test_against_simpleitk(pair, steps):
    sitk = pytest.importorskip("SimpleITK")
    spacing = steps[: pair[0].ndim]
    if not all(mask.any() for mask in pair):
        return
    images, contours = [], []
    for mask in pair:
        image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))  # in ITK the edge of the image is no surface
        image.SetSpacing([float(step) for step in spacing[::-1]])
        images.append(image)
        contours.append(sitk.BinaryContour(image, False, 0, 1))
        assert np.array_equal(sitk.GetArrayFromImage(contours[-1])[(slice(1, -1),) * mask.ndim], surface_of(mask))
    found = []
    for contour, other in (contours, contours[::-1]):
        reached = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(other, False, False, True))
        found.append(np.abs(reached)[sitk.GetArrayFromImage(contour) > 0])
    distances = surface_distances(*pair, spacing)
    for ours, theirs in zip(distances[:2], found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*contours)
    assert hausdorff.GetHausdorffDistance() == pytest.approx(max(map(np.max, distances[:2])), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda: surface_distances(np.ones((2, 2)), np.ones((2, 3))), r"alike, got \(2, 2\) and \(2, 3\)"),
        (lambda: surface_distances(np.ones(4), np.ones(4)), r"\(H, W\) or \(D, H, W\)"),
        (lambda: surface_distances(np.ones((2, 2)), np.ones((2, 2)), (1.0,)), "2 positive numbers"),
        (lambda: surface_distances(np.ones((2, 2)), np.ones((2, 2)), (1.0, 0.0)), "2 positive numbers"),
        (lambda: hd95(np.zeros(5), "nan"), "empty is 'nan'"),
    ],
)
def test_bad_arguments(call, word):
    with pytest.raises(DataError, match=word):
        call()
