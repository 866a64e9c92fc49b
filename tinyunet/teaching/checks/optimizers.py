"""Checks: the update rules, where weights start, schedules, and a training loop."""

from __future__ import annotations

import numpy as np

from ... import functional as F
from ...autograd import Tensor
from ...nn import Conv2d
from ...optim import SGD, Cosine
from ...optim.reference import adam
from ..exercise import as_array, exercise, require, require_close

_random = np.random.default_rng(0)
W, G, V = _random.normal(size=(3, 4)), _random.normal(size=(3, 4)), _random.uniform(0.5, 1.5, (3, 4))
LR, BETA1, BETA2, EPS = 0.2, 0.8, 0.9, 0.3


def _parts(returned, count: int) -> list[np.ndarray]:
    require(returned is not None, "your function returned None; does it end with `return`?")
    require(isinstance(returned, tuple) and len(returned) == count, f"return {count} things, separated by commas")
    return [as_array(part) for part in returned]


@exercise
def momentum_step(fn):
    """A step with momentum."""
    w, v = _parts(fn(W.copy(), G.copy(), V.copy(), LR, 0.9), 2)
    right = 0.9 * V + G
    require(not np.allclose(w, right), "exchanged: return the new w first, then the new v")
    require(not np.allclose(v, 0.9 * V + 0.1 * G), "g is added whole in (2), without a factor 1 - mu")
    require(not np.allclose(v, 0.9 * V + LR * G), "the velocity adds up gradients; lr comes in when w moves")
    require_close(v, right, "v is mu times the old v, plus g")
    require(not np.allclose(w, W + LR * right), "downhill is against the gradient: minus")
    require(not np.allclose(w, W - LR * V), "w moves by the new v, so v must change first")
    require_close(w, W - LR * right, "w moves by lr times the new v")


@exercise
def two_adam_steps(answer):
    """Two Adam steps by hand."""
    first, second = _parts(answer, 2)
    require(first.dtype.kind in "iuf" and second.dtype.kind in "iuf", "two numbers are wanted: w after each step")
    require(abs(first - 1.1) > 1e-3, "the first gradient is positive, so w becomes smaller")
    hint = "step 1: m = 1 and v = 0.4 are too small; divided by 1 - 0.5 and 1 - 0.9 they are 2 and 4"
    require(abs(first - (1 - 0.1 / np.sqrt(0.4))) > 1e-3, hint)
    require(abs(first - 0.95) > 1e-3, "step 1: divide by the root of v-hat, which is 2, and not by v-hat")
    require_close(first, 0.9, "step 1: m-hat is g and the root of v-hat is |g|, so w moves by lr", 1e-4)
    require(abs(second - 1.0) > 1e-3, "step 2: m remembers the first gradient, 0.5 * 1 + 0.5 * (-2), and is not -2")
    hint = "step 2: t is 2 now: divide m by 1 - 0.5^2 and v by 1 - 0.9^2"
    for wrong in (0.9 + 0.1 * 1 / np.sqrt(7.6), 0.9 + 0.05 / np.sqrt(0.76)):
        require(abs(second - wrong) > 1e-3, hint)
    hint = "step 2: m = 0.5 * 1 + 0.5 * (-2) = -0.5 and v = 0.9 * 0.4 + 0.1 * 4 = 0.76; then correct both with t = 2"
    require_close(second, 0.9 + 0.1 / 3, hint, 1e-4)


@exercise
def adam_step(fn):
    """A step of Adam."""
    w, m, v = W.copy(), G / 3, V.copy()
    options = {"lr": LR, "betas": (BETA1, BETA2), "eps": EPS, "weight_decay": 0.0, "decoupled": False}
    adam(w, G, m, v, None, steps=3, **options)
    found_w, found_m, found_v = _parts(fn(W.copy(), G.copy(), G / 3, V.copy(), 3, LR, BETA1, BETA2, EPS), 3)
    m_hat, v_hat = m / (1 - BETA1**3), v / (1 - BETA2**3)
    require(not np.allclose(found_w, m), "the order is another: return w first, then m, then v")
    require(not np.allclose(found_m, m_hat), "return m and v of (3): the next step goes on with the uncorrected ones")
    require(not np.allclose(found_v, BETA2 * V + (1 - BETA2) * G), "v is the mean of the gradient's square")
    require_close(found_m, m, "m is beta1 times the old m, plus 1 - beta1 times g")
    require_close(found_v, v, "v is beta2 times the old v, plus 1 - beta2 times g squared")
    for slip, hint in (
        (m / (np.sqrt(v) + EPS), "the bias correction is missing in w: divide m by 1 - beta1^t and v by 1 - beta2^t"),
        (m_hat / np.sqrt(v_hat + EPS), "eps stands outside of the root"),
        (m_hat / (v_hat + EPS), "divide by the root of v-hat"),
        (-m_hat / (np.sqrt(v_hat) + EPS), "downhill is against m: minus"),
        (m / (1 - BETA1) / (np.sqrt(v / (1 - BETA2)) + EPS), "the betas are raised to the power t"),
    ):
        require(not np.allclose(found_w, W - LR * slip), hint)
    require_close(found_w, w, "w moves by lr times m-hat, divided by (root of v-hat, plus eps)")


@exercise
def he_std(fn):
    """He's standard deviation."""
    found = as_array(fn((8, 5, 3, 2)))
    require(not np.isclose(found, 2 / 30), "that is the variance; the standard deviation is its root")
    require(not np.isclose(found, np.sqrt(2 / 48)), "count what goes into one output: the C input channels, not the O")
    require(not np.isclose(found, np.sqrt(2 / 5)), "each input channel brings KH KW products, not one")
    require(not np.isclose(found, np.sqrt(1 / 30)), "ReLU halves the mean square, and the 2 makes up for it")
    require_close(found, np.sqrt(2 / 30), "the root of 2 over C KH KW; the shape is (O, C, KH, KW)")


@exercise
def batch_norm(fn):
    """Batch normalisation."""
    y = _random.normal(2, 3, (2, 3, 4, 5)) * np.array([1, 2, 0.1])[:, None, None]
    gamma, beta = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 3.0])
    found = as_array(fn(y.copy(), gamma, beta, 0.1))
    require(found.shape == y.shape, f"the output has the shape of y, {y.shape}, got {found.shape}")

    def normal(axes):
        return (y - y.mean(axes, keepdims=True)) / np.sqrt(y.var(axes, keepdims=True) + 0.1)

    def scaled(z):
        return gamma[:, None, None] * z + beta[:, None, None]

    hint = "each channel has its own mean and variance: average over images, rows and columns, axes (0, 2, 3)"
    require(not np.allclose(found, scaled(normal((0, 1, 2, 3)))), hint)
    require(not np.allclose(found, scaled(normal((2, 3)))), "the images of the batch share one mean: axis 0 belongs in")
    require(not np.allclose(found, normal((0, 2, 3))), "gamma[c] and beta[c] are missing")
    plain = (y - y.mean((0, 2, 3), keepdims=True)) / (y.std((0, 2, 3), keepdims=True) + 0.1)
    require(not np.allclose(found, scaled(plain)), "eps is added to the variance, under the root")
    running = {"running_mean": np.zeros(3), "running_var": np.ones(3)}
    right = F.batch_norm2d(Tensor(y), Tensor(gamma), Tensor(beta), training=True, eps=0.1, **running).data
    require_close(found, right, "subtract the mean, divide by the root of variance + eps, then gamma and beta")


@exercise
def cosine(fn):
    """A cosine schedule with warm-up."""
    begin, middle = float(as_array(fn(0, 100, 0))), float(as_array(fn(50, 100, 0)))
    require(np.isclose(begin, 1), f"without warm-up the factor of step 0 is 1, yours is {begin:.4g}")
    require(middle <= 1, f"half-way the factor is {middle:.4g}: the warm-up never makes it larger, take min(1, ...)")
    require(np.isclose(middle, 0.5), f"half-way the factor is one half, yours is {middle:.4g}; cos(pi / 2) is 0")
    first = float(as_array(fn(0, 100, 4)))
    require(first > 0, "a first factor of 0 would waste the step: the warm-up counts from t + 1")
    require(not np.isclose(first, 1), "with warm_up = 4 the factor of step 0 is one fifth")
    for t in range(100):
        hint = f"step {t} of 100 with warm_up = 4: the smaller of 1 and (t+1)/(warm_up+1), times the cosine's factor"
        require_close(fn(t, 100, 4), Cosine(100, warm_up=4)(t), hint, 1e-9)


@exercise
def learn(fn):
    """Learning one batch."""
    images = _random.normal(size=(2, 1, 6, 6)).astype(np.float32)
    masks = (images[:, 0] > 0).astype(int)

    def reference(accumulate: bool) -> list[float]:
        losses, (model, optimizer) = [], fresh()
        for _ in range(4):
            if not accumulate:
                optimizer.zero_grad()
            loss = F.cross_entropy_dice(model(images), masks)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    def fresh():
        model = Conv2d(1, 2, 3, padding=1, rng=np.random.default_rng(5))
        return model, SGD(model.parameters(), lr=0.2)

    right = reference(accumulate=False)
    found = fn(*fresh(), images, masks, 4)
    require(found is not None, "your function returned None; does it end with `return`?")
    require(not any(isinstance(loss, Tensor) for loss in found), "note loss.item(): a Tensor keeps its whole graph")
    require(len(found) == 4, f"one loss for each of the 4 steps, got {len(found)}")
    found = np.array(found, float)
    require(not np.allclose(found, right[0]), "the loss never changes: optimizer.step() must come, after backward()")
    require(not np.allclose(found, reference(True)), "gradients of earlier steps are still there: zero_grad() first")
    require(not np.allclose(found[:3], right[1:]), "note the loss that was computed before the step, not after it")
    require_close(found, right, "zero_grad, F.cross_entropy_dice, backward, step, and the loss noted, in each step")
