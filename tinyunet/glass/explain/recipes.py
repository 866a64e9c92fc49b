"""The recipes of the worked examples: what is computed, and how what is no sum of products is written in numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ... import functional as F
from ...autograd import Tensor
from ..provenance.answer import as_factor

if TYPE_CHECKING:
    from .examples import Example


@dataclass(frozen=True)
class Recipe:
    """What to compute: float arrays by name, the other arguments, which result and which input to write out.

    `write_result` and `write_gradient` write the expressions; None means a sum of products. An option that is callable
    is called for each run (random generators and running arrays change). `channels` is a usual number of them.
    """

    inputs: Mapping[str, np.ndarray]
    at: tuple[int, ...]
    source: tuple[int, ...]
    options: Mapping = field(default_factory=dict)
    write_result: Callable[[Example], str] | None = None
    write_gradient: Callable[[Example], str] | None = None
    channels: int = 32


def _sum(numbers) -> str:
    return " + ".join(as_factor(k) for k in numbers)


def _sum_over_kernel(e: Example) -> str:
    """The element of y as the sum over the kernel, where an input is met several times: derivative times weight."""
    w = e.trace.weights["w"]
    found = zip(w.gradient[w.mask], w.values[w.mask], strict=True)
    return " + ".join(f"{as_factor(x)}*{as_factor(weight)}" for x, weight in found)


def _unary(result: str, gradient: str) -> dict:
    """Write a function of one number; {x}, {y} and {gy} stand for the numbers, {bare} for x without brackets."""

    def write(template: str, e: Example, k: tuple[int, ...]) -> str:
        numbers = {"x": as_factor(e.x[k]), "y": as_factor(e.y[k]), "gy": as_factor(e.gy[k])}
        return template.format(bare=f"{e.x[k]:.6g}", **numbers)

    return {
        "write_result": lambda e: write(result, e, e.at),
        "write_gradient": lambda e: write(gradient, e, e.source),
    }


def _binary(result: str, gradient: str | None = None) -> dict:
    """Write an operator; {a}, {b} and {gy} stand for the numbers."""

    def write(template: str, e: Example, k: tuple[int, ...]) -> str:
        a, b = e.inputs.values()
        return template.format(a=as_factor(a[k]), b=as_factor(b[k]), gy=as_factor(e.gy[k]))

    return {
        "write_result": lambda e: write(result, e, e.at),
        "write_gradient": gradient and (lambda e: write(gradient, e, e.source)),
    }


# Softmax and the losses. Scores have the shape (1, C, H, W) or (1, C); the classes of a pixel follow index 1.


def _exponentials(scores) -> str:
    return " + ".join(f"exp({k:.6g})" for k in scores)


def _classes(array: np.ndarray, k: tuple[int, ...]) -> np.ndarray:
    return array[(k[0], slice(None), *k[2:])]


def _softmax_gradient(e: Example) -> str:
    y, gy = as_factor(e.y[e.source]), as_factor(e.gy[e.source])
    products = zip(_classes(e.gy, e.source), _classes(e.y, e.source), strict=True)
    return f"{y} * ({gy} - ({' + '.join(f'{as_factor(g)}*{as_factor(p)}' for g, p in products)}))"


def _cross_entropy(e: Example) -> str:
    labels = e.recipe.options["target"]
    pixels = [
        f"(log({_exponentials(e.x[n, :, i, j])}) - {as_factor(e.x[n, label, i, j])})"
        for (n, i, j), label in np.ndenumerate(labels)
    ]
    return f"1/{labels.size} * ({' + '.join(pixels)})"


def _cross_entropy_gradient(e: Example) -> str:
    n, c, i, j = e.source
    labels = e.recipe.options["target"]
    probability = f"exp({e.x[e.source]:.6g}) / ({_exponentials(_classes(e.x, e.source))})"
    return f"{as_factor(e.gy)} * 1/{labels.size} * ({probability} - {int(labels[n, i, j] == c)})"


def _binary_cross_entropy(e: Example) -> str:
    labels = e.recipe.options["target"]
    pixels = [
        f"max({z:.6g}, 0) - {as_factor(z)}*{label} + log(1 + exp(-abs({z:.6g})))"
        for z, label in zip(e.x.ravel(), labels.ravel(), strict=True)
    ]
    return f"1/{labels.size} * ({' + '.join(pixels)})"


def _binary_cross_entropy_gradient(e: Example) -> str:
    n, _, i, j = e.source
    labels = e.recipe.options["target"]
    return f"{as_factor(e.gy)} * 1/{labels.size} * (1 / (1 + exp(-{as_factor(e.x[e.source])})) - {labels[n, i, j]})"


def _dice_parts(e: Example) -> tuple[np.ndarray, np.ndarray, str, str]:
    """Return probabilities, labels, N and D of formula (1)."""
    p, labels = F.sigmoid(e.x).data.ravel(), e.recipe.options["target"].ravel()
    return p, labels, f"(2*({_sum(p[labels == 1])}) + 1)", f"({_sum(p)} + {labels.sum()} + 1)"


def _dice(e: Example) -> str:
    _, _, N, D = _dice_parts(e)
    return f"1 - {N} / {D}"


def _dice_gradient(e: Example) -> str:
    p, labels, N, D = _dice_parts(e)
    m = np.ravel_multi_index(e.source, e.x.shape)
    return f"{as_factor(e.gy)} * -(2*{labels[m]}*{D} - {N}) / {D}**2 * {p[m]:.6g} * (1 - {p[m]:.6g})"


def _both_losses(e: Example) -> tuple[list[float], list[float]]:
    """Return the values and the gradients of the two losses, each from its own operation."""
    values, gradients = [], []
    for loss in (F.binary_cross_entropy, F.dice_loss):
        x = Tensor(e.x, requires_grad=True)
        y = loss(x, e.recipe.options["target"])
        y.backward(e.gy)
        values.append(y.item())
        gradients.append(float(x.grad[e.source]))
    return values, gradients


# Normalisation. The pixels that share mean and variance are those that the result depends on.


def _norm_parts(e: Example) -> tuple[np.ndarray, str]:
    shared = e.trace.inputs.mask
    return shared, f"sqrt({e.x[shared].var():.6g} + 1e-05)"


def _norm(e: Example) -> str:
    shared, deviation = _norm_parts(e)
    weight, bias = (as_factor(e.inputs[key][e.at[1]]) for key in ("weight", "bias"))
    return f"({as_factor(e.x[e.at])} - ({_sum(e.x[shared])})/{shared.sum()}) / {deviation} * {weight} + {bias}"


def _norm_gradient(e: Example) -> str:
    shared, deviation = _norm_parts(e)
    g = e.gy * e.inputs["weight"][:, None, None]
    xhat = (e.x - e.x[shared].mean()) / np.sqrt(e.x[shared].var() + 1e-5)
    here, means = (a[e.source] for a in (g, xhat)), (a[shared].mean() for a in (g, g * xhat))
    (g_here, xhat_here), (g_mean, product_mean) = map(as_factor, here), map(as_factor, means)
    return f"({g_here} - {g_mean} - {xhat_here} * {product_mean}) / {deviation}"


def _images(*rows) -> np.ndarray:
    return np.array(rows, float)[None, None]


IMAGE = _images([2, 0, 1, 3], [1, 4, 0, 2], [3, 1, 2, 0], [0, 2, 5, 1])
SMALL = _images([2, 1], [0, 3])
KERNEL = _images([1, 2, 0], [0, 3, 1], [-1, 0, 2])
SCORES = np.array([[1.0, 2, 0]])
PIXELS = np.array([[1.0, 0], [2, 0], [0, 3]]).T.reshape(1, 2, 1, 3)
MASK = np.array([[[1, 0], [0, 1]]])
LINE = {"x": np.array([2.0, -3, 1])}
OPERANDS = {"a": np.array([2.0, 3, 6]), "b": np.array([5.0, 4, 3])}
NORM = {"write_result": _norm, "write_gradient": _norm_gradient}
PLANE, CORNER = (0, 0, 1, 1), (0, 0, 0, 1)

RECIPES: dict[str, Recipe] = {
    "conv2d": Recipe({"x": IMAGE, "w": KERNEL, "b": np.ones(1)}, (0, 0, 1, 2), CORNER, {"padding": 1}),
    "conv_transpose2d": Recipe({"x": SMALL, "w": KERNEL}, (0, 0, 2, 2), CORNER, {"stride": 2}),
    "upsample_conv2d": Recipe(
        {"x": SMALL, "w": KERNEL}, PLANE, CORNER, {"scale": 2, "padding": "same"}, _sum_over_kernel
    ),
    "upsample_nearest2d": Recipe({"x": SMALL}, (0, 0, 2, 1), CORNER, {"scale": 2}),
    "upsample_bilinear2d": Recipe({"x": SMALL}, PLANE, CORNER, {"scale": 2}),
    "max_pool2d": Recipe(
        {"x": IMAGE},
        PLANE,
        PLANE,
        {"kernel_size": 2, "stride": 1},
        lambda e: f"max({', '.join(f'{k:.6g}' for k in e.x[e.trace.inputs.mask])})",
    ),
    "avg_pool2d": Recipe({"x": IMAGE}, PLANE, PLANE, {"kernel_size": 2, "stride": 1}),
    "relu": Recipe(LINE, (1,), (0,), **_unary("max(0, {bare})", "({gy} if {y} > 0 else 0)")),
    "sigmoid": Recipe(LINE, (0,), (0,), **_unary("1 / (1 + exp(-{x}))", "{gy} * {y} * (1 - {y})")),
    "exp": Recipe(LINE, (1,), (0,), **_unary("exp({bare})", "{gy} * {y}")),
    "log": Recipe({"x": np.array([2.0, 3, 1])}, (0,), (0,), **_unary("log({bare})", "{gy} / {x}")),
    "softmax": Recipe(
        {"x": SCORES},
        (0, 1),
        (0, 0),
        {},
        lambda e: f"exp({e.x[e.at]:.6g}) / ({_exponentials(_classes(e.x, e.at))})",
        _softmax_gradient,
    ),
    "log_softmax": Recipe(
        {"x": SCORES},
        (0, 1),
        (0, 0),
        {},
        lambda e: f"{as_factor(e.x[e.at])} - log({_exponentials(_classes(e.x, e.at))})",
        lambda e: f"{as_factor(e.gy[e.source])} - exp({e.y[e.source]:.6g}) * ({_sum(_classes(e.gy, e.source))})",
    ),
    "cross_entropy": Recipe(
        {"x": PIXELS}, (), (0, 1, 0, 1), {"target": np.array([[[1, 0, 1]]])}, _cross_entropy, _cross_entropy_gradient, 2
    ),
    "binary_cross_entropy": Recipe(
        {"x": SMALL}, (), CORNER, {"target": MASK}, _binary_cross_entropy, _binary_cross_entropy_gradient, 1
    ),
    "dice_loss": Recipe({"x": SMALL}, (), CORNER, {"target": MASK}, _dice, _dice_gradient, 2),
    "cross_entropy_dice": Recipe(
        {"x": SMALL},
        (),
        CORNER,
        {"target": MASK},
        lambda e: "{:.6g} + 1*{:.6g}".format(*_both_losses(e)[0]),
        lambda e: "{} + 1*{}".format(*map(as_factor, _both_losses(e)[1])),
        2,
    ),
    "batch_norm2d": Recipe(
        {"x": SMALL, "weight": np.array([2.0]), "bias": np.array([1.0])},
        PLANE,
        CORNER,
        {"training": True, "running_mean": lambda: np.zeros(1), "running_var": lambda: np.ones(1)},
        **NORM,
    ),
    "group_norm": Recipe(
        {"x": SMALL.reshape(1, 2, 1, 2), "weight": np.array([2.0, 1]), "bias": np.array([1.0, 0])},
        (0, 1, 0, 1),
        CORNER,
        {"groups": 1},
        **NORM,
    ),
    "concat": Recipe({"x1": SMALL, "x2": 10 * SMALL}, (0, 0, 1, 1), CORNER),
    "pad": Recipe({"x": SMALL}, (0, 0, 0, 2), CORNER, {"margins": (1, 0, 0, 1), "mode": "edge"}),
    "crop": Recipe({"x": IMAGE}, (0, 0, 0, 0), PLANE, {"margins": (1, 1, 1, 0)}),
    "dropout": Recipe(LINE, (1,), (1,), {"p": 0.5, "generator": lambda: np.random.default_rng(1)}),
    "add": Recipe(OPERANDS, (0,), (0,), **_binary("{a} + {b}")),
    "subtract": Recipe(OPERANDS, (0,), (0,), **_binary("{a} - {b}")),
    "multiply": Recipe(OPERANDS, (1,), (1,)),
    "divide": Recipe(OPERANDS, (2,), (2,), **_binary("{a} / {b}", "{gy} / {b}")),
    "power": Recipe(LINE, (0,), (0,), {"exponent": 3.0}, **_unary("{x}**3", "{gy} * 3 * {x}**2")),
    "sum": Recipe({"x": np.array([[2.0, 1], [0, 3]])}, (1,), (0, 1), {"axis": 0, "keepdims": False}),
    "reshape": Recipe({"x": np.array([[2.0, 1], [0, 3]])}, (2,), (1, 0), {"shape": (-1,)}),
}
