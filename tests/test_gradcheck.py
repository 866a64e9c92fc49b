"""A check that cannot fail checks nothing: the checkers on operations that are wrong on purpose."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import GradientError, Op, check_adjoint, check_gradients
from tinyunet import functional as F

X, Y = np.random.default_rng(0).standard_normal((2, 3, 4))


class Square(Op):
    """y = x^2, times a choice of wrong derivatives."""

    def forward(self, x, *, derivative):
        self.derivative = derivative
        self.save(x)
        return x * x

    def backward(self, gy):
        return (self.derivative(self.saved[0], gy),)


class Double(Op):
    """y = 2 x, a linear function, with a choice of adjoints."""

    def forward(self, x, *, adjoint):
        self.adjoint = adjoint
        return 2 * x

    def backward(self, gy):
        return (self.adjoint(gy),)


def square(derivative):
    return lambda x: Square.apply(x, derivative=derivative)


def double(adjoint):
    return lambda x: Double.apply(x, adjoint=adjoint)


def one_wrong_element(x, gy):
    gx = 2 * x * gy
    gx[1, 2] *= 1.001
    return gx


def with_nan(x, gy):
    gx = 2 * x * gy
    gx[1, 2] = np.nan
    return gx


def test_right_derivatives_pass():
    assert check_gradients(square(lambda x, gy: 2 * x * gy), X) < 1e-7
    assert check_adjoint(double(lambda gy: 2 * gy), X) < 1e-14


@pytest.mark.parametrize(
    "derivative",
    [
        lambda x, gy: x * gy,
        lambda x, gy: -2 * x * gy,
        lambda x, gy: 2 * x * gy[::-1],
        lambda x, gy: 2 * x,
        lambda x, gy: 0 * gy,
        lambda x, gy: 2 * x * gy.mean(),
    ],
)
def test_wrong_derivatives_fail(derivative):
    with pytest.raises(GradientError):
        check_gradients(square(derivative), X)


@pytest.mark.parametrize("derivative", [one_wrong_element, with_nan])
def test_the_error_names_input_and_element(derivative):
    with pytest.raises(GradientError, match=r"gradient of input 1 is wrong at \(1, 2\): backward gives .* finite diff"):
        check_gradients(lambda x, y: x + Square.apply(y, derivative=derivative), X, Y)


def test_a_forgotten_input_fails():
    with pytest.raises(GradientError, match="gradient of input 1 is wrong at .*: backward gives 0, "):
        check_gradients(lambda x, y: x * y.detach(), X, Y)


def test_every_input_is_checked():
    assert check_gradients(lambda x, y: x * y + y, X, Y) < 1e-7


def test_inputs_of_the_caller_are_copied():
    before = X.tobytes()
    check_gradients(lambda x: x * x, X)
    assert X.tobytes() == before


def test_float32_is_refused():
    with pytest.raises(TypeError, match=r"needs float64 inputs, input 1 is float32; use \.astype"):
        check_gradients(lambda x, y: x * y, X, Y.astype(np.float32))


@pytest.mark.parametrize(
    "adjoint", [lambda gy: gy, lambda gy: -2 * gy, lambda gy: 2 * gy[::-1], lambda gy: 2.0001 * gy]
)
def test_wrong_adjoints_fail(adjoint):
    with pytest.raises(GradientError, match="backward is not the adjoint of forward"):
        check_adjoint(double(adjoint), X)


def test_an_affine_function_is_refused():
    with pytest.raises(GradientError, match=r"needs a linear function, but f\(0\) is not 0; leave out the bias"):
        check_adjoint(lambda x: x + 1, X)


def test_a_function_that_is_not_linear_fails():
    with pytest.raises(GradientError, match="not the adjoint"):
        check_adjoint(lambda x: F.exp(x) - 1, X)


def test_adjoint_in_float32_with_a_wider_tolerance():
    check_adjoint(lambda x: F.pad(x, (1, 2, 0, 3)), np.float32(X[None, None]), rtol=1e-5)
