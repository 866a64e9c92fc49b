"""The engine: the order of the walk, what is kept and freed, and what its errors say."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

from tinyunet import GraphError, Op, Tensor, no_grad, use_kernels
from tinyunet import functional as F
from tinyunet.settings import grad_enabled


def leaf(*values, dtype=np.float64):
    return Tensor(np.array(values, dtype), requires_grad=True)


# The walk


def test_gradients_of_broadcast_operands_have_their_shape():
    a, b, c = leaf([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), leaf(10.0, 20.0, 30.0), Tensor(np.array(2.0), requires_grad=True)
    ((a + b) * c).sum().backward()
    assert a.grad.tolist() == [[2, 2, 2], [2, 2, 2]]
    assert b.grad.tolist() == [4, 4, 4]
    assert c.grad.shape == () and c.grad == 141


def test_a_value_used_twice_gets_both_gradients():
    a = leaf(3.0)
    b = a + a
    c = b + b
    c.backward(np.array([1.0]))
    assert a.grad.tolist() == [4]


def test_each_op_runs_once_however_many_paths_lead_to_it():
    """40 doublings are 2^40 paths; and the first op must wait for the gradients of all of them."""
    a = leaf(1.0)
    b = a * 1.0
    for _ in range(40):
        b = b + b
    b.sum().backward()
    assert a.grad.tolist() == [2.0**40]


def test_paths_of_different_length_meet():
    a = leaf(2.0)
    b = a * a
    (b * b * a + b).sum().backward()  # a^5 + a^2
    assert a.grad.tolist() == [5 * 16 + 2 * 2]


def test_gradients_of_several_backward_passes_add_up():
    a = leaf(2.0)
    (a * 3).sum().backward()
    (a * 4).sum().backward()
    assert a.grad.tolist() == [7]
    a.grad = None
    (a * 5).sum().backward()
    assert a.grad.tolist() == [5]


def test_backward_of_a_leaf_is_the_upstream_gradient():
    a = leaf(2.0, 3.0)
    a.backward(np.array([5.0, 7.0]))
    assert a.grad.tolist() == [5, 7]


def test_a_loss_that_is_infinite_still_starts_from_one():
    a = leaf(np.inf)
    (a + 0.0).sum().backward()
    assert a.grad.tolist() == [1]


def test_only_leaves_keep_gradients_unless_asked():
    a = leaf(2.0)
    b = a * 3
    c = (b * b).retain_grad()
    (c * 5).sum().backward()
    assert b.grad is None
    assert c.grad.tolist() == [5]
    assert a.grad.tolist() == [5 * 2 * 6 * 3]
    assert a.retain_grad() is a


def test_no_gradient_for_what_does_not_ask():
    a, b = leaf(2.0), Tensor(np.array([3.0]))
    (a * b).sum().backward()
    assert b.grad is None
    assert (b * b).creator is None and not (b * b).requires_grad


def test_detach_stops_the_gradient():
    a = leaf(2.0)
    (a * (a * a).detach()).sum().backward()
    assert a.grad.tolist() == [4]


def test_ten_thousand_ops_in_a_row():
    a = leaf(1.0)
    y = a
    for _ in range(10_000):
        y = y + 0.5
    assert y.item() == 5001
    y.backward(np.array([1.0]))
    assert a.grad.tolist() == [1]


def test_an_unused_chain_of_thirty_thousand_ops_is_freed_without_recursion():
    y = leaf(1.0)
    y = y * 1.0
    first = weakref.ref(y.creator)
    for _ in range(30_000):
        y = y * 1.0
    assert first() is not None
    del y
    assert first() is None


# Memory


def test_saved_bytes_counts_what_backward_needs():
    x, w = Tensor(np.ones((1, 2, 4, 4)), requires_grad=True), Tensor(np.ones((3, 2, 3, 3)), requires_grad=True)
    with use_kernels("reference"):
        assert F.conv2d(x, w).creator.saved_bytes == x.data.nbytes + w.data.nbytes
        assert F.conv2d(x.detach(), w).creator.saved_bytes == x.data.nbytes  # gw needs x; nobody needs w
        assert F.conv2d(x, w.detach()).creator.saved_bytes == w.data.nbytes
        assert (x + 1).creator.saved_bytes == 0
        assert F.max_pool2d(x, 2).creator.saved_bytes == 2 * 2 * 2 * 2  # two bytes for each of 2 x 2 x 2 results


def test_backward_frees_what_was_saved_as_it_passes():
    freed_before = []

    class Watch(Op):
        """Passes values and gradients on, and notes in backward whether the array after it is gone already."""

        def forward(self, a):
            return a.copy()

        def backward(self, gy):
            freed_before.append(saved() is None)
            return (gy,)

    a = leaf(1.0, 2.0)
    y = F.exp(Watch.apply(a))
    op, saved = y.creator, weakref.ref(y.data)  # exp saves its result
    z = y.sum()
    del y
    assert op.saved_bytes == 16 and saved() is not None
    z.backward()
    assert freed_before == [True]
    assert op.saved is None and op.saved_bytes == 0 and op.parents == []


def test_the_graph_does_not_keep_arrays_that_no_gradient_needs():
    a = leaf(1.0, 2.0)
    b = a + 1
    array = weakref.ref(b.data)
    c = b + 1
    del b
    assert array() is None
    c.sum().backward()
    assert a.grad.tolist() == [1, 1]


def test_no_cycles_so_memory_goes_at_once():
    gc.collect()
    gc.disable()
    try:
        a = leaf(1.0, 2.0)
        loss = (F.exp(a) * a).sum()
        op = weakref.ref(loss.creator)
        loss.backward()
        del loss
        assert op() is None
    finally:
        gc.enable()


def test_no_grad_saves_nothing():
    a = leaf(2.0)
    with no_grad():
        y = a * a
        assert not grad_enabled()
    assert grad_enabled()
    assert y.creator is None and not y.requires_grad
    assert (a * a).requires_grad


def test_no_grad_ends_when_an_error_leaves_it():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert grad_enabled()


def test_no_grad_holds_for_its_own_thread_only():
    entered, checked, seen = threading.Event(), threading.Event(), []

    def other_thread():
        with no_grad():
            entered.set()
            checked.wait(10)
            seen.append(grad_enabled())

    thread = threading.Thread(target=other_thread)
    thread.start()
    assert entered.wait(10)
    seen.append(grad_enabled())
    checked.set()
    thread.join()
    assert seen == [True, False]


# Numbers and dtypes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("number", [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2)], ids=repr)
def test_numbers_take_the_dtype_of_the_tensor(dtype, number):
    a = leaf([1.0, 2.0], dtype=dtype)
    for y in (
        a + number,
        number + a,
        a - number,
        number - a,
        a * number,
        number * a,
        a / number,
        number / a,
        a**number,
    ):
        assert y.dtype == dtype and isinstance(y, Tensor)
        a.grad = None
        y.sum().backward()
        assert a.grad.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_number_keeps_its_dtype(dtype):
    a = Tensor(dtype(3), requires_grad=True)
    y = ((a * a + 1) / 2 - a).mean() ** 2
    y.backward()
    assert y.dtype == dtype and y.shape == ()
    assert isinstance(a.grad, np.ndarray) and a.grad.dtype == dtype
    assert a.grad == 2 * 2 * 2  # ((a^2 + 1) / 2 - a)^2 = ((a - 1)^2 / 2)^2


def test_array_times_tensor_is_a_tensor():
    a, array = leaf(1.0, 2.0), np.array([3.0, 4.0])
    for y in (array * a, array + a, array - a, array / a, np.float64(2) * a):
        assert isinstance(y, Tensor)
    (array * a).sum().backward()
    assert a.grad.tolist() == [3, 4]


def test_lists_are_read_as_float32():
    assert Tensor([[1, 2], [3, 4]]).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, np.float16, np.complex128])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match=r"holds float32 or float64, got .*astype"):
        Tensor(np.zeros(3, dtype))


def test_mixed_dtypes_are_refused():
    with pytest.raises(TypeError, match=r"Multiply needs all its inputs with the same dtype, got float32, float64"):
        leaf(1.0, dtype=np.float32) * leaf(1.0)


def test_repr_and_conversions():
    a = leaf([1.5, 2.0])
    assert repr(a) == "Tensor([[1.5 2. ]], float64)"
    assert repr(a + 1) == "Tensor([[2.5 3. ]], float64, made by Add)"
    assert (a.shape, a.ndim, a.size, a.device, len(a)) == ((1, 2), 2, 2, "cpu", 1)
    assert a.numpy() is a.data
    assert Tensor([2.5]).item() == 2.5


# Errors


def test_second_backward_through_the_same_graph():
    a = leaf(2.0)
    y = (a * a).sum()
    y.backward()
    with pytest.raises(GraphError, match=r"backward\(\) has already passed Sum .* compute the loss again"):
        y.backward()
    assert a.grad.tolist() == [4]


def test_backward_through_a_used_part_of_a_graph_changes_nothing():
    a = leaf(2.0)
    shared = a * a
    first, second = shared.sum(), (shared * 3).sum()
    first.backward()
    with pytest.raises(GraphError, match="already passed Multiply"):
        second.backward()
    assert a.grad.tolist() == [4]


def test_backward_needs_one_number_or_a_gradient():
    a = leaf(2.0, 3.0)
    with pytest.raises(GraphError, match=r"starts from one number, got shape \(2,\); take \.sum\(\) or \.mean\(\)"):
        (a * a).backward()


@pytest.mark.parametrize("gradient", [np.ones(3), np.ones((2, 1)), np.ones(2, np.float32)])
def test_upstream_gradient_of_another_shape_or_dtype(gradient):
    with pytest.raises(GraphError, match=r"upstream gradient must be \(2,\) float64, got"):
        (leaf(2.0, 3.0) * 2).backward(gradient)


def test_backward_where_nothing_requires_a_gradient():
    with pytest.raises(GraphError, match="nothing behind this tensor requires a gradient"):
        (Tensor([1.0]) * 2).backward()
    a = leaf(1.0)
    with no_grad():
        y = a * 2
    with pytest.raises(GraphError, match=r"no_grad\(\)"):
        y.backward()


@pytest.mark.parametrize(
    ("gradient", "got"),
    [
        (lambda gy: gy[:1], r"\(1,\) float64"),
        (lambda gy: gy.astype(np.float32), r"\(2,\) float32"),
        (lambda gy: None, "None"),
    ],
)
def test_engine_names_an_op_that_returns_a_wrong_gradient(gradient, got):
    class Careless(Op):
        """y = 2 a, with a backward that is not right."""

        def forward(self, a):
            return 2 * a

        def backward(self, gy):
            return (gradient(gy),)

    with pytest.raises(GraphError, match=rf"backward of Careless .* for input 0 a gradient \(2,\) float64, got {got}"):
        Careless.apply(leaf(1.0, 2.0)).sum().backward()


def test_an_op_without_formulas_says_so():
    with pytest.raises(NotImplementedError):
        Op.apply(leaf(1.0))
