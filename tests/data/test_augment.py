from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyunet.data.augment import Augment
from tinyunet.data.sample import IGNORE, DataError

EVERYTHING = Augment(flip=True, rot90=True, rotate=45, scale=(0.6, 1.7), gamma=(0.5, 2))
EXACT = Augment(flip=True, rot90=True)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.array_equal(a, b)


@given(
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    labels=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
)
def test_label_set_never_grows(height, width, labels, seed):
    rng = np.random.default_rng(seed)
    mask = rng.choice(np.array(labels), (height, width))
    image = rng.random((2, height, width), dtype=np.float32)
    moved_image, moved = EVERYTHING(image, mask, rng)
    assert set(np.unique(moved)) <= {*labels, IGNORE}
    assert moved.dtype == mask.dtype and moved.shape == mask.shape
    assert moved_image.dtype == np.float32 and moved_image.shape == image.shape
    assert moved_image.min() >= image.min() - 1e-5 and moved_image.max() <= image.max() + 1e-5


@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 2**32))
def test_exact_moves_carry_every_pixel_with_its_label(height, width, seed):
    mask = np.arange(height * width).reshape(height, width)
    image = np.stack([mask, -mask]).astype(np.float32)
    moved_image, moved = EXACT(image, mask, np.random.default_rng(seed))
    assert same(moved_image, np.stack([moved, -moved]).astype(np.float32))
    assert same(np.sort(moved, axis=None), mask.ravel())


@given(seed=st.integers(0, 2**32), size=st.tuples(st.integers(24, 60), st.integers(24, 60)))
def test_image_and_mask_move_together(seed, size):
    """An image that shows its own mask still does after every move, apart from the blurred rim of the object."""
    mask = np.zeros(size, np.int64)
    mask[3 : size[0] // 2, 5 : size[1] // 2 + 4] = 1
    augment = Augment(flip=True, rot90=True, rotate=180, scale=(0.5, 2))
    image, moved = augment(mask[None].astype(np.float32), mask, np.random.default_rng(seed))
    seen = moved != IGNORE
    assert seen.any()
    assert (abs(image[0][seen] - moved[seen]) <= 0.75 + 1e-5).all()  # 3/4: half a pixel off in both directions
    assert ((image[0] > 0.76) <= ((moved == 1) | ~seen)).all()
    assert ((image[0] < 0.24) <= ((moved == 0) | ~seen)).all()


def test_every_flip_and_turn_happens_equally_often():
    mask = np.array([[0, 1], [2, 3]])
    image = mask[None].astype(np.float32)
    rng = np.random.default_rng(0)
    seen = [tuple(EXACT(image, mask, rng)[1].ravel()) for _ in range(1600)]
    counts = [seen.count(pattern) for pattern in set(seen)]
    assert len(counts) == 8 and min(counts) > 140  # the eight symmetries of the square, 200 each expected


def test_quarter_turns_keep_the_shape_of_a_rectangle():
    mask = np.arange(6).reshape(2, 3)
    rng = np.random.default_rng(0)
    turns = {tuple(Augment(flip=False, rot90=True)(mask[None] * 1.0, mask, rng)[1].ravel()) for _ in range(50)}
    assert turns == {(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0)}


class Fixed:
    """Stands in for a generator: returns the given draws."""

    def __init__(self, *draws: float) -> None:
        self.draws = np.array(draws)

    def random(self, count: int) -> np.ndarray:
        assert count == len(self.draws)
        return self.draws


def test_rotation_by_ninety_degrees_equals_rot90():
    mask = np.arange(25).reshape(5, 5)
    image = mask[None].astype(np.float64)
    augment = Augment(flip=False, rotate=90)
    for draw, turns in ((1.0, 1), (0.0, -1)):
        moved_image, moved = augment(image, mask, Fixed(0, 0, 0, draw, 0, 0))
        assert same(moved, np.rot90(mask, turns))
        assert np.allclose(moved_image[0], np.rot90(mask, turns))


def test_zoom_by_two_and_by_a_half():
    mask = np.zeros((9, 9), np.int64)
    mask[3:6, 3:6] = 1
    image = mask[None].astype(np.float64)
    large_image, large = Augment(flip=False, scale=(2, 2))(image, mask, np.random.default_rng(0))
    assert (large == 1).sum() in (25, 36, 49) and IGNORE not in large
    small_image, small = Augment(flip=False, scale=(0.5, 0.5))(image, mask, np.random.default_rng(0))
    assert (small == 1).sum() == 1 and (small == IGNORE).sum() == 81 - 25
    assert small_image.max() == 1 and (small_image[0][small == 1] == 1).all()
    assert large_image[0, 4, 4] == 1


def test_outside_is_the_mirror_image():
    image = np.arange(5.0)[None, None] * np.ones((1, 5, 1))
    moved, mask = Augment(flip=False, scale=(0.5, 0.5))(image, np.zeros((5, 5), np.int64), Fixed(0, 0, 0, 0, 0, 0))
    assert moved[0, 2].tolist() == [2, 0, 2, 4, 2]
    assert mask[2].tolist() == [IGNORE, 0, 0, 0, IGNORE]


def test_one_pixel_outside_is_ignored_and_half_a_pixel_is_not():
    image, mask = np.zeros((1, 5, 5)), np.zeros((5, 5), np.int64)
    for scale, ends in ((2 / 3, IGNORE), (0.85, 0)):  # the first pixel looks at -1, at -0.35
        moved = Augment(flip=False, scale=(scale, scale))(image, mask, Fixed(0, 0, 0, 0, 0, 0))[1]
        assert moved[2].tolist() == [ends, 0, 0, 0, ends] == moved[:, 2].tolist()


def test_gamma():
    image = np.array([[[10.0, 20.0, 30.0]], [[5.0, 5.0, 5.0]]])
    mask = np.zeros((1, 3), np.int64)
    moved, _ = Augment(flip=False, gamma=(2, 2))(image, mask, np.random.default_rng(0))
    assert np.allclose(moved, [[[10, 15, 30]], [[5, 5, 5]]])


def test_one_draw_whatever_is_switched_on():
    mask = np.arange(64).reshape(8, 8)
    image = mask[None].astype(np.float32)
    for seed in range(20):
        rng, other = np.random.default_rng(seed), np.random.default_rng(seed)
        plain = Augment()(image, mask, rng)[1]
        bright = Augment(gamma=(0.5, 2))(image, mask, other)[1]
        assert same(plain, bright) and rng.random() == other.random()


def test_inputs_are_left_as_they_are():
    rng = np.random.default_rng(0)
    image, mask = rng.random((1, 16, 16), dtype=np.float32), rng.integers(0, 3, (16, 16))
    image.flags.writeable = mask.flags.writeable = False
    for _ in range(10):
        EVERYTHING(image, mask, rng)


@pytest.mark.parametrize(
    "arguments, word",
    [
        (dict(rotate=-5), "rotate is -5"),
        (dict(scale=(0, 1)), r"scale is \(0, 1\)"),
        (dict(scale=(2, 1)), "smallest <= largest"),
        (dict(gamma=(1, float("inf"))), "gamma"),
    ],
)
def test_bad_arguments(arguments, word):
    with pytest.raises(DataError, match=word):
        Augment(**arguments)


def test_bad_arrays():
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=r"got \(1, 4, 4\) and \(4, 5\)"):
        Augment()(np.zeros((1, 4, 4)), np.zeros((4, 5), int), rng)
    with pytest.raises(DataError, match="uint8"):  # could not hold IGNORE
        Augment()(np.zeros((1, 4, 4)), np.zeros((4, 4), np.uint8), rng)
