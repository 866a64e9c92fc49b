"""Facts about the operations that do not depend on another library: the article's formulas taken literally, identities
between operations, and what must hold at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinyunet import Tensor
from tinyunet import functional as F

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((6, 7)), RNG.standard_normal((3, 3))


def plane(x):
    """One grey image (N = C = 1), or one kernel (O = C = 1)."""
    return Tensor(np.asarray(x, float)[None, None])


def inner(a, b):
    return float((a * b).sum())


def test_convolution_is_formula_4_1(rung):
    k = 3
    y = np.zeros((4, 5))
    for i, j in np.ndindex(y.shape):
        for u in range(k):
            for v in range(k):
                y[i, j] += X[i + u, j + v] * W[u, v]
    np.testing.assert_allclose(F.conv2d(plane(X), plane(W)).data[0, 0], y, rtol=1e-13)


@pytest.mark.parametrize(("pool", "of_window"), [(F.max_pool2d, max), (F.avg_pool2d, lambda window: sum(window) / 4)])
def test_pooling_is_formula_4_2(rung, pool, of_window):
    k = 2
    y = np.zeros((3, 3))  # floor(6 / 2) rows, floor(7 / 2) columns: the last column is dropped
    for i, j in np.ndindex(y.shape):
        y[i, j] = of_window([X[i * k + m, j * k + n] for m in range(k) for n in range(k)])
    np.testing.assert_allclose(pool(plane(X), k).data[0, 0], y, rtol=1e-14)


@pytest.mark.parametrize("s", [1, 2, 3])
def test_deconvolution_is_formula_4_3(rung, s):
    k, (H, W_) = 3, X.shape
    y = np.zeros((s * H - k + 1, s * W_ - k + 1))
    for i, j in np.ndindex(y.shape):
        for u in range(k):
            for v in range(k):
                y[i, j] += X[math.floor((i + u) / s), math.floor((j + v) / s)] * W[u, v]
    np.testing.assert_allclose(F.upsample_conv2d(plane(X), plane(W), scale=s).data[0, 0], y, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(("scale", "kernel"), [((2, 2), (3, 3)), ((2, 3), (3, 2)), ((3, 1), (1, 4)), ((1, 1), (2, 3))])
def test_deconvolution_is_a_transposed_convolution(rung, scale, kernel):
    x, w, b = (RNG.standard_normal(shape) for shape in ((2, 3, 4, 5), (4, 3, *kernel), (4,)))
    padding = kernel[0] - 1, kernel[1] - 1
    transposed = F.conv_transpose2d(x, F.to_conv_transpose(w, scale=scale), b, stride=scale, padding=padding)
    np.testing.assert_allclose(F.upsample_conv2d(x, w, b, scale=scale).data, transposed.data, rtol=0, atol=1e-12)


def test_deconvolution_is_up_sampling_then_convolution(rung):
    x, w = RNG.standard_normal((2, 3, 4, 5)), RNG.standard_normal((4, 3, 3, 2))
    both = F.conv2d(F.upsample_nearest2d(x, scale=(2, 3)), w)
    np.testing.assert_allclose(F.upsample_conv2d(x, w, scale=(2, 3)).data, both.data, rtol=0, atol=1e-13)


def test_deconvolution_of_scale_1_is_convolution(rung):
    x, w = RNG.standard_normal((2, 3, 4, 5)), RNG.standard_normal((4, 3, 3, 2))
    np.testing.assert_allclose(F.upsample_conv2d(x, w, scale=1).data, F.conv2d(x, w).data, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (0, 0)), ((2, 3), (1, 0)), ((3, 1), (2, 1))])
def test_transposed_convolution_is_the_adjoint(rung, stride, padding):
    """<conv(x), y> = <x, conv_transpose(y)>, with the same weight array in both."""
    x, w = RNG.standard_normal((2, 3, 7, 8)), RNG.standard_normal((4, 3, 3, 2))
    ax = F.conv2d(x, w, stride=stride, padding=padding).data
    y = RNG.standard_normal(ax.shape)
    rest = [(n + 2 * p - k) % s for n, p, k, s in zip((7, 8), padding, (3, 2), stride, strict=True)]
    back = F.conv_transpose2d(y, w, stride=stride, padding=padding, output_padding=tuple(rest)).data
    assert inner(ax, y) == pytest.approx(inner(x, back), abs=1e-11)


def test_checkerboard(rung):
    """On a constant image the transposed convolution stamps 1, 2 or 4 times, the article's operation is constant."""
    image, ones = plane(np.ones((6, 6))), plane(np.ones((3, 3)))
    stamped = F.conv_transpose2d(image, ones, stride=2).data[0, 0]
    assert set(stamped[2:-2, 2:-2].ravel()) == {1, 2, 4}
    assert set(F.upsample_conv2d(image, ones, scale=2).data.ravel()) == {9}


def test_softmax_does_not_see_a_shift(rung):
    x = RNG.standard_normal((2, 5, 3))
    shifted = x + np.array([[[100.0]], [[-300.0]]])
    np.testing.assert_allclose(F.softmax(shifted).data, F.softmax(x).data, rtol=1e-12)
    np.testing.assert_allclose(F.log_softmax(shifted).data, F.log_softmax(x).data, rtol=1e-12)
    np.testing.assert_allclose(F.softmax(x).data.sum(axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_scores_do_not_overflow(rung, dtype):
    z = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [0.0, 0.0, 0.0]], dtype)  # 3 classes, 3 pixels
    images, target = z[None, :, :, None], np.array([0, 0, 2])[None, :, None]
    # Right by a margin of 10^4, wrong by 2 10^4, undecided between three.
    exact = (0 + 2e4 + math.log(3)) / 3
    scores = Tensor(images, requires_grad=True)
    entropy = F.cross_entropy(scores, target)
    entropy.backward()
    assert entropy.item() == pytest.approx(exact, rel=1e-6)
    third = 1 / 3
    expected = np.array([[0, -1, third], [0, 1, third], [0, 0, third - 1]]) / 3
    np.testing.assert_allclose(scores.grad[0, :, :, 0], expected, rtol=1e-6, atol=0)
    binary = F.binary_cross_entropy(images[:, :1], np.array([1, 1, 1])[None, :, None])
    assert binary.item() == pytest.approx((0 + 1e4 + math.log(2)) / 3, rel=1e-6)
    assert F.sigmoid(np.array([-1e4, 1e4], dtype)).data.tolist() == [0, 1]


@pytest.mark.parametrize("loss", [F.cross_entropy, F.binary_cross_entropy, F.dice_loss, F.cross_entropy_dice])
def test_ignored_pixels_have_no_gradient_and_no_influence(rung, loss):
    C = 1 if loss is F.binary_cross_entropy else 3
    z, target = RNG.standard_normal((2, C, 4, 5)), np.arange(40).reshape(2, 4, 5) % 2
    ignored = np.arange(40).reshape(2, 4, 5) % 3 == 0
    target[ignored] = 7
    scores = Tensor(z, requires_grad=True)
    value = loss(scores, target, ignore_index=7)
    value.backward()
    where = np.broadcast_to(ignored[:, None], z.shape)
    assert not scores.grad[where].any()
    assert np.abs(scores.grad[~where]).max() > 1e-4
    assert loss(np.where(where, 50.0, z), target, ignore_index=7).item() == value.item()


@pytest.mark.parametrize("loss", [F.cross_entropy, F.dice_loss, F.cross_entropy_dice])
def test_nothing_but_ignored_pixels_costs_nothing(rung, loss):
    scores = Tensor(RNG.standard_normal((2, 3, 4, 5)), requires_grad=True)
    value = loss(scores, np.full((2, 4, 5), -1))
    value.backward()
    assert value.item() == 0
    assert not scores.grad.any()


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("empty", ["skip", "one"])
@pytest.mark.parametrize("score", [-1e3, -3.0, 0.0, 3.0, 1e3])
def test_dice_of_empty_masks_stays_in_bounds(rung, squared, per_image, empty, score):
    z, nothing = np.full((2, 1, 4, 5), score), np.zeros((2, 4, 5), int)
    value = F.dice_loss(z, nothing, squared=squared, per_image=per_image, empty=empty).item()
    assert 0 <= value <= 1
    if empty == "skip" or score == -1e3:
        assert value == 0  # left out; or nothing there and nothing predicted


def test_max_pool_gradient_goes_to_the_first_maximum(rung):
    x = Tensor(np.array([[5.0, 5.0, 1.0, 4.0], [5.0, 5.0, 4.0, 4.0]])[None, None], requires_grad=True)
    F.max_pool2d(x, 2).backward(np.array([[2.0, 3.0]])[None, None])
    assert x.grad[0, 0].tolist() == [[2, 0, 0, 3], [0, 0, 0, 0]]


def test_max_pool_lets_nan_through_and_never_chooses_padding(rung):
    x = np.full((1, 1, 3, 3), -np.inf)
    x[0, 0, 2, 2] = np.nan
    image = Tensor(x, requires_grad=True)
    y = F.max_pool2d(image, 2, padding=1)
    assert np.isnan(y.data[0, 0]).tolist() == [[False, False], [False, True]]
    y.backward(np.ones((1, 1, 2, 2)))
    assert image.grad.sum() == 4  # each window chose a pixel inside the image


def test_relu_lets_nan_through(rung):
    assert np.isnan(F.relu(np.array([np.nan])).data).all()


def test_batch_norm_of_a_constant_channel_is_its_bias(rung):
    x = np.full((2, 1, 3, 3), 7.5)
    state = {"running_mean": np.zeros(1), "running_var": np.ones(1)}
    y = F.batch_norm2d(x, np.array([2.0]), np.array([0.25]), training=True, momentum=0.5, **state)
    assert np.allclose(y.data, 0.25, atol=1e-12)
    assert state["running_mean"] == pytest.approx(3.75)
    assert state["running_var"] == pytest.approx(0.5)


@pytest.mark.parametrize(("dtype", "far", "tolerance"), [(np.float32, 1e3, 1e-3), (np.float64, 1e6, 1e-8)])
def test_batch_norm_keeps_its_digits_far_from_zero(rung, dtype, far, tolerance):
    """The square of the mean would swallow the variance."""
    x = (far + RNG.standard_normal((2, 1, 16, 16))).astype(dtype)
    state = {"running_mean": np.zeros(1, dtype), "running_var": np.ones(1, dtype)}
    y = F.batch_norm2d(x, np.ones(1, dtype), np.zeros(1, dtype), training=True, **state).data
    deviation = x.astype(np.longdouble) - x.astype(np.longdouble).mean()
    exact = deviation / np.sqrt((deviation**2).mean() + 1e-5)
    assert np.abs(y - exact).max() < tolerance


def test_crop_undoes_pad():
    x = RNG.standard_normal((2, 3, 4, 5))
    assert np.array_equal(F.crop(F.pad(x, (1, 2, 3, 4), mode="edge"), (1, 2, 3, 4)).data, x)


def test_dropout_keeps_the_expectation():
    x = np.ones((100, 100), np.float32)
    y = F.dropout(x, 0.25, generator=np.random.default_rng(0)).data
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert y.mean() == pytest.approx(1, abs=0.03)
    assert np.array_equal(y, F.dropout(x, 0.25, generator=np.random.default_rng(0)).data)
    assert np.array_equal(F.dropout(x, 0, generator=np.random.default_rng(0)).data, x)
