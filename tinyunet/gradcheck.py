"""Two ways to find a wrong derivative, for the library's own ops and for yours.

`check_gradients` compares backward with finite differences; `check_adjoint` uses, for linear ops, an identity
that holds exactly and needs no step size. Both draw the upstream gradient at random: with the all-ones gradient
of `y.sum()` many typical bugs (a flipped kernel, swapped axes) cancel out and pass.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .autograd import Tensor
from .settings import no_grad


class GradientError(AssertionError):
    """A derivative does not agree with its function."""


def check_gradients(
    function: Callable[..., Tensor],
    *inputs: np.ndarray,
    eps: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    seed: int = 0,
) -> float:
    """Compare the gradient of every input with central finite differences, in float64.

    With a random upstream gradient r the scalar s(x) = sum(r * f(x)) has

        ds/dx[k]  =  (s(x + eps e_k) - s(x - eps e_k)) / (2 eps)  +  O(eps^2)

    which backward must give for every element k of every input.

    Parameters
    ----------
    function : callable
        Takes one Tensor per input, returns one Tensor.
    inputs : float64 arrays
        Where to check. Stay away from kinks (ReLU at 0, ties in max pooling): the difference quotient is
        meaningless there.
    eps : float
        Step of the difference quotient.
    rtol, atol : float
        Allowed difference: atol + rtol * largest absolute gradient of that input.
    seed : int
        Seed of the upstream gradient.

    Returns
    -------
    float
        Largest difference found, relative to the largest gradient of its input.

    Raises
    ------
    GradientError
        Naming the input and element where backward and the difference quotient disagree most.
    TypeError
        If an input is not float64: in float32 rounding hides what is to be found.
    """
    for i, x in enumerate(inputs):
        if x.dtype != np.float64:
            raise TypeError(f"check_gradients needs float64 inputs, input {i} is {x.dtype}; use .astype(numpy.float64)")
    tensors = [Tensor(x.copy(), requires_grad=True) for x in inputs]
    y = function(*tensors)
    upstream = np.random.default_rng(seed).standard_normal(y.shape)
    y.backward(upstream)

    def scalar() -> float:
        with no_grad():
            return float((upstream * function(*tensors).data).sum())

    worst = 0.0
    for i, tensor in enumerate(tensors):
        numeric = np.empty_like(tensor.data)
        for k in np.ndindex(tensor.shape):
            value = tensor.data[k]
            tensor.data[k] = value + eps
            above = scalar()
            tensor.data[k] = value - eps
            below = scalar()
            tensor.data[k] = value
            numeric[k] = (above - below) / (2 * eps)
        analytic = np.zeros_like(numeric) if tensor.grad is None else tensor.grad
        difference, scale = np.abs(analytic - numeric), np.abs(numeric).max(initial=0.0)
        if not difference.max(initial=0.0) <= atol + rtol * scale:
            k = np.unravel_index(np.argmax(np.nan_to_num(difference, nan=np.inf)), difference.shape)
            raise GradientError(
                f"gradient of input {i} is wrong at {tuple(map(int, k))}: backward gives {analytic[k]:.9g}, "
                f"finite differences give {numeric[k]:.9g} (largest gradient {scale:.3g})"
            )
        worst = max(worst, float(difference.max(initial=0.0)) / (float(scale) or 1.0))
    return worst


def check_adjoint(function: Callable[[Tensor], Tensor], x: np.ndarray, *, rtol: float = 1e-10, seed: int = 0) -> float:
    """Check a linear function A against its own backward A', by the identity that defines the adjoint.

        <A x, y>  =  <x, A' y>      for every x and y

    Parameters
    ----------
    function : callable
        A *linear* function of one Tensor (a convolution without bias, average pooling, padding).
    x : array
        Where to check; float64 unless `rtol` is widened.
    rtol : float
        Allowed relative difference of the two sides.
    seed : int
        Seed of the random y.

    Returns
    -------
    float
        The relative difference.

    Raises
    ------
    GradientError
        If the sides differ, or if `function` does not map 0 to 0 and so cannot be linear.
    """
    with no_grad():
        if np.any(function(Tensor(np.zeros_like(x))).data):
            raise GradientError("check_adjoint needs a linear function, but f(0) is not 0; leave out the bias")
    tensor = Tensor(x, requires_grad=True)
    ax = function(tensor)
    y = np.random.default_rng(seed).standard_normal(ax.shape).astype(x.dtype)
    ax.backward(y)
    left, right = float((ax.data * y).sum()), float((x * tensor.grad).sum())
    # The sums cancel by chance now and then, so the scale is that of their terms.
    scale = float(np.abs(ax.data * y).sum()) or 1.0
    if not abs(left - right) <= rtol * scale:
        raise GradientError(f"backward is not the adjoint of forward: <Ax,y> = {left:.12g}, <x,A'y> = {right:.12g}")
    return abs(left - right) / scale
