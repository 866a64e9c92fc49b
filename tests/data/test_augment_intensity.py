from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyunet.data.augment import Augment

STILL = Augment(flip=False)
STRENGTHS = dict(bias=0.3, gamma=(0.5, 2), contrast=(0.5, 2), brightness=0.4, blur=2.0, noise=0.3)


def texture(channels: int = 2, side: int = 32) -> np.ndarray:
    """Channels with other means and deviations."""
    rng = np.random.default_rng(5)
    return rng.gamma(2, 1, (channels, side, side)) * np.arange(1, channels + 1)[:, None, None] + 3


def draws(image: np.ndarray, count: int = 300, **settings) -> np.ndarray:
    """The image changed `count` times, (count, C, H, W)."""
    mask, augment = np.zeros(image.shape[1:], int), replace(STILL, **settings)
    return np.stack([augment(image, mask, np.random.default_rng(k))[0] for k in range(count)])


def test_gamma():
    image = np.array([[[10.0, 20.0, 30.0]], [[5.0, 5.0, 5.0]]])
    assert np.allclose(draws(image, 1, gamma=(2, 2))[0], [[[10, 15, 30]], [[5, 5, 5]]])
    exponents = np.log2(1 / ((draws(image, gamma=(0.5, 2))[:, 0, 0, 1] - 10) / 20))
    assert 0.5 <= exponents.min() < 0.52 and 1.95 < exponents.max() <= 2
    assert abs(np.log(exponents).mean()) < 0.08  # to brighten is as likely as to darken


def test_contrast_stretches_about_the_mean():
    image = texture()
    changed = draws(image, contrast=(0.5, 2))
    assert np.allclose(changed.mean(axis=(2, 3)), image.mean(axis=(1, 2)))
    factors = changed.std(axis=(2, 3)) / image.std(axis=(1, 2))
    assert np.allclose(factors[:, 0], factors[:, 1])
    assert 0.5 <= factors.min() < 0.52 and 1.95 < factors.max() <= 2.0001
    assert abs(np.log(factors[:, 0]).mean()) < 0.08


def test_brightness_adds_one_amount():
    image = texture()
    added = (draws(image, brightness=0.4) - image) / image.std(axis=(1, 2), keepdims=True)
    assert np.ptp(added, axis=(1, 2, 3)).max() < 1e-9
    amounts = added[:, 0, 0, 0]
    assert -0.4 <= amounts.min() < -0.38 and 0.38 < amounts.max() <= 0.4 and abs(amounts.mean()) < 0.04


def test_changes_are_drawn_independently():
    image = texture(1, 8)
    per_channel = draws(image, 400, contrast=(0.5, 2), brightness=1.0, per_channel=True)
    alike = draws(image, 400, contrast=(0.5, 2), brightness=1.0)
    for changed in (per_channel, alike):
        added, factors = changed.mean(axis=(1, 2, 3)), changed.std(axis=(1, 2, 3))
        assert abs(np.corrcoef(added, np.log(factors))[0, 1]) < 0.15


def test_noise():
    image = texture(side=48)
    noise = (draws(image, noise=0.3) - image) / image.std(axis=(1, 2), keepdims=True)
    strengths = noise.std(axis=(2, 3))
    assert strengths.min() < 0.01 and 0.28 < strengths.max() < 0.32
    assert abs(strengths.mean() - 0.15) < 0.02 and abs(noise.mean()) < 1e-3
    rows = noise[:, 0, :, :-1], noise[:, 0, :, 1:], noise[:, 1, :, :-1]
    scale = (rows[0] ** 2).mean()
    assert abs((rows[0] * rows[1]).mean()) < 0.02 * scale > abs((rows[0] * rows[2]).mean())


def test_blur_keeps_the_mean_and_widens_a_point():
    point = np.zeros((1, 41, 41))
    point[0, 20, 20] = 1
    blurred = draws(point, 200, blur=3)
    assert np.allclose(blurred.sum(axis=(2, 3)), 1, atol=5e-4)
    distance = np.arange(41) - 20
    sigmas = np.sqrt((blurred.sum(axis=2)[:, 0] * distance**2).sum(axis=1).clip(0))
    assert sigmas.min() < 0.15 and 2.9 < sigmas.max() < 3.01 and abs(sigmas.mean() - 1.5) < 0.2


def test_bias_field_is_a_smooth_gain_above_the_lowest_value():
    image = np.full((1, 33, 33), 5.0)
    image[0, 0, 0] = lowest = 3
    changed = draws(image, bias=0.2)[:, 0]
    gain = np.log((changed[:, 1:, 1:] - lowest) / 2)
    assert abs(gain.std() - 0.2) < 0.02 and abs(gain.mean()) < 0.03
    assert abs(np.diff(gain, axis=1)).max() < 0.1 and abs(np.diff(gain, n=2, axis=2)).max() < 0.02
    assert np.ptp(gain, axis=(1, 2)).min() > 0.02  # never one gain for all pixels
    assert (changed[:, 0, 0] == lowest).all()


@pytest.mark.parametrize("name", STRENGTHS)
@settings(deadline=None)
@given(factor=st.floats(0.01, 300), offset=st.floats(-100, 100), seed=st.integers(0, 2**32))
def test_a_setting_means_the_same_after_every_normalisation(name, factor, offset, seed):
    image, mask = texture(side=12), np.zeros((12, 12), int)
    augment = replace(STILL, **{name: STRENGTHS[name]})
    changed = augment(image, mask, np.random.default_rng(seed))[0]
    rescaled = augment(factor * image + offset, mask, np.random.default_rng(seed))[0]
    assert np.allclose((rescaled - offset) / factor, changed, atol=1e-6 * (1 + abs(offset) / factor))


@pytest.mark.parametrize("name", STRENGTHS)
def test_a_constant_channel_stays(name):
    image = np.full((2, 8, 8), 3, np.float32)
    image[1] = texture(1, 8)
    constant = draws(image, 20, **{name: STRENGTHS[name]})
    assert np.allclose(constant[:, 0], 3, rtol=1e-6) and not np.allclose(constant[:, 1], image[1])


@pytest.mark.parametrize("name", [name for name in STRENGTHS if name != "noise"])
def test_per_channel(name):
    image = np.repeat(texture(1, 16), 3, axis=0)
    alike = draws(image, 3, **{name: STRENGTHS[name]})
    assert (alike == alike[:, :1]).all()
    each = draws(image.astype(np.float32), 3, per_channel=True, **{name: STRENGTHS[name]})
    assert each.dtype == np.float32 and not np.isclose(each[:, 0], each[:, 1]).all(axis=(1, 2)).any()


def test_dropped_channels():
    image = texture(3, 4)
    mask, augment = np.zeros((4, 4), int), replace(STILL, drop_channel=0.4, noise=0.1)
    changed = [augment(image, mask, np.random.default_rng(k), missing=-1.0)[0] for k in range(600)]
    dropped = np.array([(part == -1).all(axis=(1, 2)) for part in changed])
    assert not dropped.all(axis=1).any()
    assert np.allclose(dropped.mean(axis=0), 0.4 - 0.4**3 / 3, atol=0.06)
    assert not any((part[~gone] == -1).any() for part, gone in zip(changed, dropped, strict=True))
    one = draws(texture(1, 4), 50, drop_channel=0.9)
    assert (one == texture(1, 4)).all()


def test_interpolation_below_the_minimum_by_rounding_is_no_nan():
    image = np.full((1, 16, 16), 0.1, np.float32)
    image[0, 0, 0] = 1
    augment = Augment(rotate=180, scale=(0.5, 2), gamma=(0.5, 0.6))
    for k in range(50):
        assert np.isfinite(augment(image, np.zeros((16, 16), int), np.random.default_rng(k))[0]).all()
