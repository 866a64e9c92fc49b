"""Checks: the parts of a gradient tape. They bring nodes of their own, so that each part is judged alone."""

from __future__ import annotations

import numpy as np

from ..exercise import as_array, exercise, require, require_close


class _Node:
    """What a learner's function may know of a tensor; it counts how often its gradients are asked for."""

    def __init__(self, data, parents=(), gradients=None):
        self.data, self.parents, self.grad = np.asarray(data, float), tuple(parents), np.zeros(np.shape(data))
        self.calls, self.gradients = 0, gradients and self._counted(gradients)

    def _counted(self, gradients):
        def counted(gy):
            self.calls += 1
            require(
                self.calls < 50, "one tensor hands its gradient on again and again: pass each tensor once, in `order`"
            )
            return gradients(gy)

        return counted


def _double(a: _Node) -> _Node:
    return _Node(2 * a.data, (a, a), lambda gy: (gy, gy))


def _scaled(factor, a: _Node) -> _Node:
    return _Node(factor * a.data, (a,), lambda gy: (factor * gy,))


def _sum(a: _Node, b: _Node) -> _Node:
    return _Node(a.data + b.data, (a, b), lambda gy: (gy, gy))


def _detour() -> list[_Node]:
    """Return z, a = 2z, b = 3a, c = b + a, and a + b: a is an input of c, and yet must wait for b."""
    z = _Node(2.0)
    a = _scaled(2, z)
    b = _scaled(3, a)
    return [z, a, b, _sum(b, a), _sum(a, b)]


@exercise
def unbroadcast(fn):
    """Sums over what broadcasting repeated."""
    g = np.arange(24.0).reshape(2, 3, 4)
    found = as_array(fn(g.copy(), (4,)))
    if found.shape == (4,) and np.allclose(found, g.mean((0, 1))):
        require(False, "the gradients of all uses add up: take the sum, not the mean")
    require(found.shape != g.shape, "an operand of shape (4,) had axes put in front: sum until as many axes are left")
    require_close(found, g.sum((0, 1)), "an operand of shape (4,) was used for every index of the two axes in front")
    found = as_array(fn(g.copy(), (2, 1, 4)))
    require(found.shape != g.shape, "an axis of size 1 was repeated: sum over it")
    require(found.ndim == 3, "an axis of size 1 must stay, with size 1: use keepdims=True")
    require_close(found, g.sum(1, keepdims=True), "an operand of shape (2, 1, 4) was repeated along axis 1")
    require_close(
        fn(g.copy(), (3, 1)), g.sum(0).sum(1, keepdims=True), "both can happen at once: shape (3, 1) in (2, 3, 4)"
    )
    require_close(fn(g.copy(), g.shape), g, "nothing was repeated, so the gradient stays as it is")
    require_close(fn(g.copy(), ()), 276.0, "a single number was used everywhere: the sum of all")


def _shares(y, gy, count: int) -> tuple:
    require(y is not None, "your function returned None; does it end with `return Tensor(...)`?")
    require(len(y.parents) == count, f"the result should have {count} parents, got {len(y.parents)}")
    shares = y.gradients(gy)
    hint = f"`gradients` returns a tuple with {count} share(s), one for each parent; mind the comma in (share,)"
    require(isinstance(shares, tuple) and len(shares) == count, hint)
    return tuple(map(as_array, shares))


@exercise
def multiply(fn):
    """Multiplication on the tape."""
    a, b, gy = _Node([2.0, 3.0]), _Node([5.0, 7.0]), np.array([10.0, 1.0])
    y = fn(a, b)
    in_a, in_b = _shares(y, gy, 2)
    require_close(y.data, [10, 21], "the value is a.data * b.data")
    if np.allclose(in_a, gy * a.data) and np.allclose(in_b, gy * b.data):
        require(False, "the factors are swapped: y grows by b for each unit of a")
    if np.allclose(in_a, b.data):
        require(False, "the upstream gradient gy is missing: a's share is gy times b")
    require_close(in_a, gy * b.data, "a's share is gy * b.data")
    require_close(in_b, gy * a.data, "b's share is gy * a.data")
    in_a, in_b = _shares(fn(_Node([[1.0, 2], [3, 4]]), _Node([5.0, 7.0])), np.ones((2, 2)), 2)
    require_close(in_b, [4, 6], "b was broadcast to two rows: unbroadcast each share to the shape of its parent")
    require_close(in_a, [[5, 7], [5, 7]], "a's share has the shape of a")


@exercise
def relu(fn):
    """The rectifier on the tape."""
    a, gy = _Node([-2.0, 0.0, 3.0]), np.array([10.0, 20.0, 30.0])
    y = fn(a)
    (share,) = _shares(y, gy, 1)
    require_close(y.data, [0, 0, 3], "the value is max(a, 0), element by element")
    if np.allclose(share, [0, 0, 1]):
        require(False, "the upstream gradient gy is missing")
    if np.allclose(share, gy * a.data.clip(0)):
        require(False, "gy is multiplied by the derivative, which is 1 or 0, and not by the value")
    require_close(share, [0, 0, 30], "gy passes where a > 0, and nothing passes elsewhere, nor at 0")


@exercise
def order(fn):
    """The order of the walk."""
    z, a, b, c, other = _detour()
    for last in (c, other):
        found = fn(last)
        require(found is not None, "your function returned None; does it end with `return`?")
        found = list(found)
        require(len({id(y) for y in found}) == len(found), "a tensor is there twice: skip what was visited before")
        require(len(found) == 4, f"a = 2z, b = 3a and c = b + a are four tensors with z, got {len(found)}")
        if found[0] is not last and found[-1] is last:
            require(False, "this is the order of computing; the walk goes the other way: reverse it")
        hint = "b was made from a, and yet a stands before it: write a tensor down after its parents, then reverse"
        require(all(y is right for y, right in zip(found, (last, b, a, z), strict=True)), hint)
    y = _Node(1.0)
    for _ in range(30):
        y = _double(y)
    require(len(fn(y)) == 31, "thirty doublings are 31 tensors")


@exercise
def backward(fn):
    """The walk backward."""
    x = _Node([[1.0, 2.0]])
    y = _scaled(5, _scaled(2, x))
    fn(y)
    require_close(y.grad, [[1, 1]], "the gradient of `last` in itself is 1, in its shape: set it before the walk")
    require_close(x.grad, [[10, 10]], "through two steps the factors multiply: hand on gradients(y.grad), not of 1")
    a = _Node(1.0)
    b = _double(a)
    c = _double(b)
    fn(c)
    require(
        float(a.grad) != 6, "b's gradient was handed on before all of it had arrived: pass each tensor once, in `order`"
    )
    require(float(a.grad) != 1, "a was used twice, and its shares add: parent.grad + share")
    require_close(a.grad, 4.0, "c = b + b and b = a + a: the gradient of c in a is 4")
    fn(c)
    require(float(a.grad) == 4, "called again, it should give the same: set every `grad` to zeros first")
    require(b.calls == c.calls == 2, "`gradients` of a tensor is to be called once in each walk")
    z, _, _, *lasts = _detour()
    for last in lasts:
        fn(last)
        require_close(
            z.grad, 8.0, "c = a + 3a and a = 2z: a gets 1 straight from c, 3 by way of b, and must wait for both"
        )


@exercise
def central_differences(fn):
    """Central differences."""
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    given = x.copy()
    cubes = as_array(fn(lambda a: (a**3).sum(), given, 0.1))
    require(np.array_equal(given, x), "x must be as it was: change a copy, or put the number back")
    require(cubes.shape == x.shape, f"one number for each element of x: shape {x.shape}, got {cubes.shape}")
    if np.allclose(cubes, 3 * x**2 + 0.3 * x + 0.01) or np.allclose(cubes, 3 * x**2 - 0.3 * x + 0.01):
        require(False, "that is a step to one side only; (2) takes f(x + h) - f(x - h)")
    if np.allclose(cubes, 2 * (3 * x**2 + 0.01)):
        require(False, "between x + h and x - h lie two steps: divide by 2h")
    require_close(cubes, 3 * x**2 + 0.01, "move one element at a time, and leave the others where they are")
