"""Observers see every op once, forward and backward; the profile's rows add up; costs are those counted by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tinyunet import Op, Tensor, UNet, use_kernels
from tinyunet import functional as F
from tinyunet.backend import load_cupy
from tinyunet.glass import cost_of, profile
from tinyunet.glass.cost import name_of
from tinyunet.glass.profile import rung_of
from tinyunet.observer import Observer, observing


@pytest.fixture(autouse=True)
def reference_kernels():
    with use_kernels("reference"):
        yield


class Ledger(Observer):
    """Notes what ran, in order."""

    def __init__(self):
        self.ran = []

    def forward(self, op, tensors, options):
        out = super().forward(op, tensors, options)
        self.ran.append(("forward", op))
        return out

    def backward(self, op, gy):
        self.ran.append(("backward", op))
        return super().backward(op, gy)


def step(model, x):
    loss = F.cross_entropy(model(x), np.zeros((2, 8, 8), int))
    loss.backward()
    return [p.grad.copy() for p in model.parameters()]


def test_an_observer_sees_every_op_once_in_each_direction_and_changes_nothing():
    model, x = UNet(1, 2, 2, 1), np.random.default_rng(0).standard_normal((2, 1, 8, 8), dtype=np.float32)
    model.eval()
    expected = step(model, x)
    model.zero_grad()
    inner, outer = Ledger(), Ledger()
    with observing(outer), observing(inner):
        found = step(model, x)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert inner.ran == outer.ran
    forward = [op for direction, op in inner.ran if direction == "forward"]
    backward = [op for direction, op in inner.ran if direction == "backward"]
    # two convolutions with norm and ReLU in each of three blocks, pool, up, concat, head, loss
    assert len(forward) == len(set(forward)) == 3 * 6 + 5
    assert backward == forward[::-1]
    step(model, x)
    assert len(inner.ran) == 2 * len(forward)  # not after the block


def test_the_rows_add_up():
    model, x = UNet(1, 2, 2, 1), np.zeros((2, 1, 8, 8), np.float32)
    with profile() as p:
        step(model, x)
    assert sum(row.calls for row in p.rows) == 2 * 23
    assert [row.ms for row in p.rows] == sorted((row.ms for row in p.rows), reverse=True)
    assert 0 < sum(row.ms for row in p.rows) <= p.total_ms
    first = next(r for r in p.rows if (r.op, r.layer, r.direction) == ("conv2d", "encoder1.0", "forward"))
    assert (first.rung, first.shape, first.calls) == ("reference", (2, 2, 8, 8), 1)
    assert (first.flops, first.nbytes) == (2 * 2 * 2 * 64 * 9, 4 * 2 * 2 * 64)
    back = next(r for r in p.rows if (r.op, r.layer, r.direction) == ("conv2d", "encoder1.0", "backward"))
    assert (back.flops, back.nbytes) == (first.flops, 4 * 2 * 9)  # the image needs no gradient: gw only
    pools = [r for r in p.rows if r.op == "max_pool2d"]
    assert {(r.layer, r.direction) for r in pools} == {("pool", "forward"), ("pool", "backward")}


def test_on_a_gpu_each_operation_is_waited_for(gpu, monkeypatch):
    load_cupy()  # waits once, for its trial
    waits, wait = [], gpu.cuda.Device.synchronize
    monkeypatch.setattr(gpu.cuda.Device, "synchronize", lambda self: (waits.append(1), wait(self)))
    a = Tensor(np.ones((3, 4)), requires_grad=True)
    with use_kernels("auto"), profile() as p:
        b = a.to("cuda")
        (b * b).sum().backward()
    assert {row.rung for row in p.rows} == {"cupy"}
    assert len(waits) == 2 * 6 - 1  # before and after each op; the first starts in main memory


def test_equal_calls_share_a_row_and_the_table_shows_the_longest(capsys):
    a = Tensor(np.ones((2, 3)), requires_grad=True)
    with profile(longest=2) as p:
        y = (a * a) + (a * a)
        y.sum().backward()
    said = capsys.readouterr().out
    assert said == f"{p}\n"
    calls = {(row.op, row.direction): row.calls for row in p.rows}
    assert calls == {
        (op, d): 2 if op == "multiply" else 1 for op in ("multiply", "add", "sum") for d in ("forward", "backward")
    }
    lines = said.splitlines()
    assert len(lines) == 1 + 2 + 2 and lines[3].startswith("... and 4 rows more")
    assert lines[-1].startswith("8 calls, ") and "outside of operations" in lines[-1]


def test_nothing_is_printed_if_the_block_fails(capsys):
    with pytest.raises(ZeroDivisionError), profile():
        1 / 0  # noqa: B018
    assert capsys.readouterr().out == ""


class Outer(Op):
    """An op that runs another inside, as a recomputed block does."""

    def forward(self, a):
        return F.exp(a).data

    def backward(self, gy):
        return (gy,)


def test_ops_inside_an_op_count_once(capsys):
    with profile() as p:
        Outer.apply(np.ones(200_000))
    outer, inner = (next(row for row in p.rows if row.op == op) for op in ("outer", "exp"))
    assert outer.ms < inner.ms
    assert outer.flops is None and outer.gflops is None and inner.flops == 200_000


@pytest.mark.parametrize(
    "rung, kernel_size, expected",
    [
        ("auto", 3, "cpu fast"),
        ("auto", 5, "cpu plain"),
        ("plain", 3, "cpu plain"),
        ("reference", 3, "reference"),
    ],
)
def test_the_rung_of_a_convolution(rung, kernel_size, expected):
    x, w = np.zeros((1, 2, 8, 8), np.float32), np.zeros((2, 2, kernel_size, kernel_size), np.float32)
    with use_kernels("reference"):
        ops = [
            (F.conv2d, {"stride": 1}),
            (F.conv_transpose2d, {"stride": 1}),
            (F.upsample_conv2d, {"scale": 2}),
        ]
        made = [f(x, Tensor(w, requires_grad=True), **options).creator for f, options in ops]
    with use_kernels(rung):
        for op in made:
            folder = op.kernels.__name__.rpartition(".")[0]
            op.kernels = __import__(f"{folder}.{'reference' if rung == 'reference' else 'cpu'}", fromlist=["*"])
            assert rung_of(op, x) == expected


def test_an_op_without_kernels_runs_on_numpy():
    assert rung_of(Tensor(np.ones(2), requires_grad=True).sum().creator, np.ones(2)) == "numpy"


# Costs counted by hand: (op, shapes, options, FLOPs forward, FLOPs backward, numbers forward, numbers backward)

X, Y = (2, 3, 4, 6), (2, 5, 4, 6)
COSTS = [
    (
        "conv2d",
        (X, (5, 3, 3, 3), (5,)),
        {"padding": 1},
        2 * 240 * 27,
        4 * 240 * 27,
        144 + 135 + 5 + 240,
        240 + 2 * 279 + 5,
    ),
    ("conv_transpose2d", (X, (3, 5, 2, 2), None), {"stride": 2}, 2 * 144 * 20, 4 * 144 * 20, 144 + 60 + 960, 960 + 408),
    ("upsample_conv2d", (X, (5, 3, 3, 3), None), {"padding": "same"}, 2 * 960 * 27, 4 * 960 * 27, 279 + 960, 960 + 558),
    ("max_pool2d", (X,), {"kernel_size": 2}, 3 * 36, 36, 180, 36 + 144 + 18),  # 36 positions of 2 bytes
    ("avg_pool2d", (X,), {"kernel_size": 2}, 4 * 36, 4 * 36, 180, 180),
    ("upsample_nearest2d", (X,), {"scale": 2}, 0, 576, 720, 720),
    ("relu", (X,), {}, 144, 144, 288, 432),
    ("batch_norm2d", (X, (3,), (3,)), {}, 6 * 144, 9 * 144, 294, 144 + 144 + 3 + 6 + 150),
    ("batch_norm2d", (X, (3,), (3,)), {"training": False}, 3 * 144, 5 * 144, 294, 144 + 144 + 3 + 6 + 150),
    ("add", (X, (3, 1, 1)), {}, 144, 144, 144 + 3 + 144, 144 + 147),  # gb is a sum
    ("multiply", (X, X), {}, 144, 288, 432, 144 + 288 + 288),
    ("cross_entropy", (X,), {}, 4 * 144, 4 * 144, 144 + 1 + 2 * 48, 1 + 144 + 48 + 144 + 2 * 48),
    ("concat", (X, Y), {}, 0, 0, 2 * 384, 0),
    ("crop", (X,), {"margins": (1, 0, 2, 1)}, 0, 0, 0, 144 + 54),
    ("sum", (X,), {"axis": (0, -1)}, 144, 0, 144 + 12, 0),
    ("reshape", (X,), {}, 0, 0, 0, 0),
]


@pytest.mark.parametrize("case", COSTS, ids=lambda case: case[0])
def test_costs_are_those_counted_by_hand(case):
    op, shapes, options, *expected = case
    forward, backward = (cost_of(op, shapes, options, direction=d) for d in ("forward", "backward"))
    assert (forward.flops, backward.flops) == tuple(expected[:2])
    assert (forward.bytes, backward.bytes) == tuple(4 * n for n in expected[2:])


def test_a_gradient_that_is_not_needed_costs_nothing():
    shapes, needs = ((1, 2, 6, 6), (3, 2, 3, 3)), (False, True)
    both = cost_of("conv2d", shapes, direction="backward")
    one = cost_of("conv2d", shapes, direction="backward", needs_grad=needs)
    assert one.flops * 2 == both.flops
    assert both.bytes - one.bytes == 4 * (72 + 54)  # no gx, so w is not read
    assert cost_of("conv2d", shapes, itemsize=8).bytes == 2 * cost_of("conv2d", shapes).bytes


def test_every_function_has_a_cost_under_the_name_of_its_op():
    def ops(cls):
        for sub in cls.__subclasses__():
            yield sub
            yield from ops(sub)

    for op in ops(Op):
        # In sys.modules, since another test adds an op to the library for a while.
        if op.__module__.startswith("tinyunet.ops") and op.__module__ in sys.modules and op.__name__[0] != "_":
            options = {"margins": (1, 1, 1, 1)}
            shapes = [(2, 3, 8, 8), (3, 3, 3, 3)] if "conv" in name_of(op) else [(2, 3, 8, 8)] * 2
            assert cost_of(name_of(op), shapes, options) is not None, op
    assert cost_of("my_own", [(1,)]) is None
