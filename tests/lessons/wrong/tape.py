"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np


class Tensor:
    def __init__(self, data, parents=(), gradients=None):
        self.data, self.parents, self.gradients = np.asarray(data, float), parents, gradients
        self.grad = np.zeros_like(self.data)


def unbroadcast(gradient, shape, keepdims=True, reduce=np.sum):
    while gradient.ndim > len(shape):
        gradient = reduce(gradient, axis=0)
    for axis in reversed(range(len(shape))):
        if shape[axis] == 1:
            gradient = reduce(gradient, axis=axis, keepdims=keepdims)
    return gradient


def product(in_a, in_b):
    return lambda a, b: Tensor(a.data * b.data, (a, b), lambda gy: (in_a(gy, a.data, b.data), in_b(gy, a.data, b.data)))


def rectifier(gradients):
    return lambda a: Tensor(np.maximum(a.data, 0), (a,), lambda gy: gradients(gy, a.data))


def depth_first(last):
    """Write each tensor down before its parents are visited: not an order."""
    written = []

    def visit(y):
        if y not in written:
            written.append(y)
            for parent in y.parents:
                visit(parent)

    visit(last)
    return written


def order(last, skip=True):
    written = []

    def visit(y):
        if not (skip and y in written):
            for parent in y.parents:
                visit(parent)
            written.append(y)

    visit(last)
    return written[::-1]


def walk(last, **slip):
    tensors = order(last)
    if not slip.get("not cleared"):
        for y in tensors:
            y.grad = np.zeros_like(y.data)
    if not slip.get("no start"):
        last.grad = np.ones_like(last.data)
    for y in depth_first(last) if slip.get("depth first") else tensors:
        if y.parents:
            gy = np.ones_like(y.data) if slip.get("no upstream") else y.grad
            for parent, share in zip(y.parents, y.gradients(gy), strict=True):
                parent.grad = share if slip.get("assign") else parent.grad + share


def recursive(y, gy=1.0):
    y.grad = y.grad + gy
    if y.parents:
        for parent, share in zip(y.parents, y.gradients(y.grad), strict=True):
            recursive(parent, share)


def backward(**slip):
    return lambda last: walk(last, **slip)


def differences(**slip):
    def central_differences(f, x, h):
        gradient = np.zeros_like(x)
        for i in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[... if slip.get("all at once") else i] = h
            if slip.get("one side"):
                gradient[i] = (f(x + step) - f(x)) / h
            else:
                gradient[i] = (f(x + step) - f(x - step)) / (h if slip.get("by h") else 2 * h)
            if slip.get("left moved"):
                x[i] += h
        return gradient

    return central_differences


WRONG = {
    "unbroadcast": {
        "not the mean": lambda g, shape: unbroadcast(g, shape, reduce=np.mean),
        "axes put in front": lambda g, shape: g,
        "sum over it": lambda g, shape: g.sum(axis=tuple(range(g.ndim - len(shape)))),
        "keepdims=True": lambda g, shape: unbroadcast(g, shape, keepdims=False),
    },
    "multiply": {
        "swapped": product(lambda gy, a, b: gy * a, lambda gy, a, b: gy * b),
        "gy is missing": product(lambda gy, a, b: b, lambda gy, a, b: a),
        "unbroadcast each share": product(lambda gy, a, b: gy * b, lambda gy, a, b: gy * a),
        "end with `return Tensor": lambda a, b: None,
    },
    "relu": {
        "gy is missing": rectifier(lambda gy, a: ((a > 0) * 1.0,)),
        "mind the comma": rectifier(lambda gy, a: gy * (a > 0)),
        "and not by the value": rectifier(lambda gy, a: (gy * np.maximum(a, 0),)),
        "nor at 0": rectifier(lambda gy, a: (gy * (a >= 0),)),
    },
    "order": {
        "stands before it": depth_first,
        "there twice": lambda last: order(last, skip=False),
        "reverse it": lambda last: order(last)[::-1],
        "four tensors": lambda last: [last, *last.parents],
    },
    "backward": {
        "before all of it had arrived": lambda last: recursive(last),
        "shares add": backward(assign=True),
        "set it before the walk": backward(**{"no start": True}),
        "by way of b": backward(**{"depth first": True}),
        "zeros first": backward(**{"not cleared": True}),
        "factors multiply": backward(**{"no upstream": True}),
    },
    "central_differences": {
        "one side": differences(**{"one side": True}),
        "divide by 2h": differences(**{"by h": True}),
        "one element at a time": differences(**{"all at once": True}),
        "as it was": differences(**{"left moved": True}),
    },
}
