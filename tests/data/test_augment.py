from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyunet.data.augment import PRESETS, Augment, preset
from tinyunet.data.augment.geometry import elastic, positions
from tinyunet.data.sample import IGNORE, DataError

MOVES = dict(rot90=True, rotate=45.0, scale=(0.6, 1.7), shift=0.2, elastic=0.03)
PAINT = dict(bias=0.3, gamma=(0.5, 2), contrast=(0.5, 2), brightness=0.4, blur=2.0, noise=0.3, drop_channel=0.3)
EVERYTHING = Augment(**MOVES, **PAINT)
EXACT = Augment(flip=True, rot90=True)
NAMES = ("flip", *MOVES, *(name for name in PAINT if name != "drop_channel"))


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.array_equal(a, b)


@settings(deadline=None)
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
    assert moved_image.dtype == np.float32 and moved_image.shape == image.shape and np.isfinite(moved_image).all()
    only_moved, _ = Augment(**MOVES)(image, mask, rng)
    assert only_moved.min() >= image.min() - 1e-5 and only_moved.max() <= image.max() + 1e-5


@settings(deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 2**32))
def test_exact_moves_carry_every_pixel_with_its_label(height, width, seed):
    mask = np.arange(height * width).reshape(height, width)
    image = np.stack([mask, -mask]).astype(np.float32)
    moved_image, moved = EXACT(image, mask, np.random.default_rng(seed))
    assert same(moved_image, np.stack([moved, -moved]).astype(np.float32))
    assert same(np.sort(moved, axis=None), mask.ravel())


geometries = st.builds(
    Augment,
    flip=st.sampled_from([True, False, "horizontal", "vertical"]),
    rot90=st.booleans(),
    rotate=st.floats(0, 180),
    scale=st.tuples(st.floats(0.4, 1), st.floats(1, 2.5)),
    shift=st.floats(0, 0.5),
    elastic=st.floats(0, 0.2),
    elastic_cells=st.integers(1, 6),
    probability=st.dictionaries(st.sampled_from(["flip", "rotate", "scale", "shift", "elastic"]), st.floats(0, 1)),
)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


def places(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An image whose two channels are row and column, and a mask that numbers the pixels.

    Interpolating a ramp is exact, so the moved image tells precisely where every pixel looked.
    """
    return np.mgrid[: size[0], : size[1]].astype(np.float64), np.arange(size[0] * size[1]).reshape(size)


@settings(deadline=None)
@given(augment=geometries, size=sizes, seed=st.integers(0, 2**32))
def test_image_mask_and_maps_move_together(augment, size, seed):
    image, mask = places(size)
    (p, q), moved, weights, instances = augment(image, mask, np.random.default_rng(seed), image[0], mask + 7)
    unsure = (abs(p % 1 - 0.5) < 1e-6) | (abs(q % 1 - 0.5) < 1e-6)  # as near to the next one
    nearest = np.floor(p + 0.5) * size[1] + np.floor(q + 0.5)
    assert ((moved == nearest) | (moved == IGNORE) | unsure).all()
    assert same(weights, p)
    assert same(instances, np.where(moved == IGNORE, IGNORE, moved + 7))


@settings(deadline=None)
@given(augment=geometries, size=sizes, seed=st.integers(0, 2**32), data=st.data())
def test_a_window_is_what_a_cut_would_be(augment, size, seed, data):
    def part(length):
        first = data.draw(st.integers(0, length - 1))
        return slice(first, data.draw(st.integers(first + 1, length)))

    window = part(size[0]), part(size[1])
    image, mask = places(size)
    painted = replace(augment, bias=0.3, gamma=(0.5, 2), contrast=(0.5, 2), brightness=0.4)
    whole = painted(image, mask, np.random.default_rng(seed), mask * 1.0)
    cut = painted(image, mask, np.random.default_rng(seed), mask * 1.0, window=window)
    for one, other in zip(whole, cut, strict=True):
        assert same(one[..., window[0], window[1]], other)


@settings(deadline=None)
@given(size=sizes, seed=st.integers(0, 2**32))
def test_nothing_switched_on_changes_no_bit(size, seed):
    rng = np.random.default_rng(seed)
    image, mask = rng.normal(size=(2, *size)).astype(np.float32), rng.integers(-1, 5, size)
    never = replace(EVERYTHING, drop_channel=0, probability=dict.fromkeys(NAMES, 0))
    for augment in (Augment(flip=False), never, Augment(flip=False, rotate=0.0, scale=(1.0, 1.0), shift=0.0, noise=0)):
        moved_image, moved = augment(image, mask, rng)
        assert moved_image.tobytes() == image.tobytes() and same(moved, mask)
        assert moved_image.dtype == image.dtype and moved.dtype == mask.dtype


@pytest.mark.parametrize("name, strength", [*MOVES.items(), *PAINT.items()])
def test_probability_is_how_often_a_change_happens(name, strength):
    rng = np.random.default_rng(0)
    image, mask = rng.random((3, 12, 12)), np.zeros((12, 12), int)
    often = {} if name == "drop_channel" else {name: 0.3}
    augment = Augment(flip=False, **{name: strength}, probability=often)
    changed = sum(not same(augment(image, mask, np.random.default_rng(k))[0], image) for k in range(500))
    expected = {"rot90": 0.3 * 0.75, "drop_channel": 1 - 0.7**3}.get(name, 0.3)  # a turn by 0 changes nothing
    assert abs(changed / 500 - expected) < 0.065  # three standard deviations


def test_flips_by_name_and_their_probability():
    image, mask = places((3, 4))
    for flip, axes in (("horizontal", -1), ("vertical", -2), (True, (-2, -1))):
        always = Augment(flip=flip, probability={"flip": 1})
        once = always(image, mask, np.random.default_rng(0))
        assert same(once[1], np.flip(mask, axes)) and same(once[0], np.flip(image, axes))
        twice = always(*once, np.random.default_rng(1))
        assert same(twice[0], image) and same(twice[1], mask)
    seen = [Augment(probability={"flip": 0.2})(image, mask, np.random.default_rng(k))[1][0, 0] for k in range(1000)]
    shares = [seen.count(corner) / 1000 for corner in (0, 3, 8, 11)]
    assert np.allclose(shares, [0.64, 0.16, 0.16, 0.04], atol=0.05)


def test_left_and_right_change_places_when_mirrored_once():
    mask = np.array([[0, 1, 2, 3, IGNORE]])
    image, exchanged = mask[None] * 1.0, np.array([[0, 2, 1, 3, IGNORE]])
    always = dict(swap=((1, 2),), probability={"flip": 1})
    for flip, expected in (
        ("horizontal", exchanged[:, ::-1]),
        ("vertical", exchanged),  # upside down: a mirror image as well
        (True, mask[:, ::-1]),  # turned by 180 degrees: the left kidney is still the left one
        (False, mask),
    ):
        moved_image, moved, instances = Augment(flip=flip, **always)(image, mask, np.random.default_rng(0), mask)
        assert same(moved, expected)
        assert same(moved_image[0], instances * 1.0)  # only the mask is renamed
    turned = Augment(flip=False, rotate=180, swap=((1, 2),))(image, mask, np.random.default_rng(0))[1]
    assert set(np.unique(turned)) <= {IGNORE, 0, 1, 2, 3}


def test_shift_moves_by_whole_pixels_and_fractions():
    image, mask = places((10, 20))
    rng = np.random.default_rng(3)
    (p, q), moved = Augment(flip=False, shift=0.3)(image, mask, rng)
    inner = (moved != IGNORE) & (p > 0.5) & (p < 8.5) & (q > 0.5) & (q < 18.5)  # at the rim it sees a mirror image
    down, right = (image[0] - p)[inner], (image[1] - q)[inner]
    assert inner.any() and np.ptp(down) < 1e-9 and np.ptp(right) < 1e-9 and abs(down[0]) <= 3 and abs(right[0]) <= 6
    far = [Augment(flip=False, shift=0.3)(image, mask, np.random.default_rng(k))[0][:, 5, 10] for k in range(300)]
    assert np.allclose(np.mean(far, axis=0), [5, 10], atol=0.5)
    assert np.allclose(np.max(far, axis=0) - [5, 10], [3, 6], atol=0.3)
    assert np.allclose(np.min(far, axis=0) - [5, 10], [-3, -6], atol=0.3)


@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_elastic_has_its_standard_deviation_and_never_folds(size):
    everything = slice(None), slice(None)
    gentle = np.stack([elastic(np.random.default_rng(k), 0.02, 3, size, everything) for k in range(150)])
    assert gentle.shape == (150, 2, *size)
    assert abs(gentle.mean()) < 0.05 and abs(gentle.std() / (0.02 * min(size)) - 1) < 0.05
    for k in range(20):
        wild = elastic(np.random.default_rng(k), 1.0, 4, size, everything)
        assert wild.std() > 0.03 * min(size)
        p, q = positions(size, everything, displacement=wild)
        area = np.gradient(p, axis=0) * np.gradient(q, axis=1) - np.gradient(p, axis=1) * np.gradient(q, axis=0)
        assert area.min() > 0


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


def test_switching_one_change_on_leaves_the_others_as_they_were():
    image, mask = places((16, 16))
    for seed in range(20):
        rng, other = np.random.default_rng(seed), np.random.default_rng(seed)
        plain = Augment(**MOVES)(image, mask, rng)
        painted = EVERYTHING(image, mask, other)
        assert same(plain[1], painted[1]) and rng.random() == other.random()
        noise = dict(noise=0.3, probability={"noise": 0.5})
        alone = Augment(flip=False, **noise)(image, mask, np.random.default_rng(seed))[0] - image
        turned = Augment(flip=False, rot90=True, brightness=1, **noise)
        without = replace(turned, noise=0)
        both, one = (a(image, mask, np.random.default_rng(seed))[0] for a in (turned, without))
        assert np.allclose(both - one, alone)


def test_inputs_are_left_as_they_are():
    rng = np.random.default_rng(0)
    image, mask = rng.random((1, 16, 16), dtype=np.float32), rng.integers(0, 3, (16, 16))
    image.flags.writeable = mask.flags.writeable = False
    for _ in range(10):
        EVERYTHING(image, mask, rng)


@pytest.mark.parametrize("name", PRESETS)
def test_presets(name):
    image, mask = np.random.default_rng(0).random((2, 20, 30), dtype=np.float32), np.ones((20, 30), int)
    augment = preset(name)
    assert augment == PRESETS[name] and (augment is None) == (name == "none")
    if augment:
        moved_image, moved = augment(image, mask, np.random.default_rng(0))
        assert moved_image.shape == image.shape and moved.shape == mask.shape
        assert preset(name, noise=0.7) == replace(augment, noise=0.7)


@pytest.mark.parametrize(
    "arguments, word",
    [
        (dict(rotate=-5), "rotate is -5"),
        (dict(rotate=float("nan")), "rotate is nan"),
        (dict(scale=(0, 1)), r"scale is \(0, 1\)"),
        (dict(scale=(2, 1)), "smallest <= largest"),
        (dict(gamma=(1, float("inf"))), "gamma"),
        (dict(contrast=(0.0, 1)), "contrast"),
        (dict(shift=0.6), "shift is 0.6; expected at least 0 and at most 0.5"),
        (dict(elastic=-0.1), "elastic is -0.1"),
        (dict(elastic_cells=0), "elastic_cells is 0"),
        (dict(blur=float("inf")), "blur is inf"),
        (dict(noise=-1), "noise is -1"),
        (dict(drop_channel=1.5), "probability of drop_channel is 1.5"),
        (dict(flip="left"), "flip is 'left'"),
        (dict(swap=((1, 2), (2, 3))), "each class once"),
        (dict(swap=((1, 2, 3),)), "pairs of classes"),
        (dict(swap=((-1, 2),)), "pairs of classes"),
        (dict(probability={"nosie": 0.5}), r"\['nosie'\].*noise"),
        (dict(probability={"noise": 1.1}), "probability of noise is 1.1"),
    ],
)
def test_bad_arguments(arguments, word):
    with pytest.raises(DataError, match=word):
        Augment(**arguments)


def test_bad_presets():
    with pytest.raises(DataError, match="unknown augmentation 'heavy'; expected one of none, light"):
        preset("heavy")
    with pytest.raises(DataError, match="unknown settings of augmentation: nosie"):
        preset("light", nosie=1)


def test_bad_arrays():
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=r"got \(1, 4, 4\) and \(4, 5\)"):
        Augment()(np.zeros((1, 4, 4)), np.zeros((4, 5), int), rng)
    with pytest.raises(DataError, match="uint8"):  # could not hold IGNORE
        Augment()(np.zeros((1, 4, 4)), np.zeros((4, 4), np.uint8), rng)
    with pytest.raises(DataError, match=r"expected maps \(4, 4\).*\(4, 5\)"):
        Augment()(np.zeros((1, 4, 4)), np.zeros((4, 4), int), rng, np.zeros((4, 5)))
