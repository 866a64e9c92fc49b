"""A trace holds what ran, values and gradients where they are small, and norms where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import GraphError, Op, Tensor, UNet, no_grad, use_kernels
from tinyunet import functional as F
from tinyunet.glass import Trace, trace
from tinyunet.nn import Conv2d, ReLU, Sequential


@pytest.fixture(autouse=True)
def reference_kernels():
    with use_kernels("reference"):
        yield


def leaf(value):
    return Tensor(np.array(value), requires_grad=True)


def test_values_and_gradients_of_a_small_formula():
    a, b = leaf(2.0), leaf(3.0)
    with trace() as tape:
        y = a * b + b
        y.backward()
    assert [node.op for node in tape.nodes] == ["", "", "multiply", "add"]
    assert [node.inputs for node in tape.nodes] == [[], [], [0, 1], [2, 1]]
    assert [float(node.value) for node in tape.nodes] == [2, 3, 6, 9]
    assert [float(tape.gradient_of(node)) for node in tape.nodes] == [3, 3, 1, 1]
    assert [sum(node.saved.values()) for node in tape.nodes] == [0, 0, 16, 0]
    assert (tape.number_of(a), tape.number_of(y), tape.number_of(leaf(1.0))) == (0, 3, None)


def test_large_arrays_are_told_by_their_norm():
    x = Tensor(np.full((3, 4), 2.0), requires_grad=True)
    with trace() as tape:
        (x * x).sum().backward()
    product = tape.nodes[tape.nodes[-1].inputs[0]]
    assert product.value is None and product.shape == (3, 4)
    assert tape.gradient_of(product) == pytest.approx(np.sqrt(12))
    assert tape.gradient_of(tape.nodes[0]) == pytest.approx(np.sqrt(12) * 4)


def test_layers_and_parameters_of_a_network():
    rng = np.random.default_rng(0)
    model = Sequential(Conv2d(1, 2, 3, rng=rng), Sequential(ReLU(), Conv2d(2, 2, 1, rng=rng)))
    with trace() as tape:
        F.exp(model(np.zeros((1, 1, 4, 4), np.float32)))
    ran = [(node.op, node.layer) for node in tape.nodes if node.op]
    assert ran == [("conv2d", ("0",)), ("relu", ("1", "0")), ("conv2d", ("1", "1")), ("exp", ())]
    names = [[tape.parameter_names[id(p)] for p in node.parameters] for node in tape.nodes if node.op == "conv2d"]
    assert names == [["0.weight", "0.bias"], ["1.1.weight", "1.1.bias"]]


def test_what_runs_directly_in_the_network_is_in_no_module():
    with trace() as tape, no_grad():
        UNet(1, 2, 2, 1)(np.zeros((2, 1, 8, 8), np.float32))
    assert {node.op: node.layer for node in tape.nodes}["concat"] == ()
    linked = {i for node in tape.nodes for i in node.inputs}
    assert linked == set(range(len(tape.nodes) - 1))  # links are kept where no gradient is wanted, too


def test_behind_a_tensor_are_the_ops_that_gradients_reach():
    a, constant = leaf(2.0), Tensor(np.array(5.0))
    y = (a * constant).sum()
    tape = Trace.behind(y)
    assert [(node.op, node.shape) for node in tape.nodes] == [("", ()), ("multiply", ()), ("sum", ())]
    assert tape.number_of(y) == 2
    y.backward()
    with pytest.raises(GraphError, match=r"backward\(\) has passed this graph .*trace\(\)"):
        Trace.behind(y)
    with pytest.raises(GraphError, match="nothing behind it requires a gradient"):
        Trace.behind(constant)


class Twice(Op):
    """Runs an op inside."""

    def forward(self, a):
        return F.exp(a).data

    def backward(self, gy):
        F.exp(gy)
        return (gy,)


def test_an_op_that_runs_ops_is_one():
    with trace() as tape:
        Twice.apply(leaf(1.0)).backward()
    assert [node.op for node in tape.nodes] == ["", "twice"]


def test_what_was_made_before_the_trace_is_a_leaf_with_a_gradient():
    before = leaf(2.0) * 3
    with trace() as tape:
        (before * before).backward()
    assert [node.op for node in tape.nodes] == ["", "multiply"]
    assert float(tape.gradient_of(tape.nodes[0])) == 12


def test_on_a_gpu(gpu):
    x = Tensor(np.full((3, 4), 2.0), requires_grad=True)
    with use_kernels("auto"), trace() as tape:
        y = x.to("cuda")
        (y * y).sum().backward()
    assert [node.op for node in tape.nodes] == ["", "to_device", "multiply", "sum"]
    assert float(tape.nodes[-1].value) == 48
    assert [tape.gradient_of(node) for node in tape.nodes] == pytest.approx([4 * 12**0.5] * 2 + [12**0.5, 1])
