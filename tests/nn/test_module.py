"""`Module`: attributes as parameters, buffers and children; names and order; modes; loading."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import Tensor, use_kernels
from tinyunet.nn import BatchNorm2d, Conv2d, Dropout, Module, Parameter, ReLU, Sequential
from tinyunet.ops.shapes import ShapeError


class Small(Module):
    """A parameter of its own, a block, then a convolution: every kind of attribute, in an order to be kept."""

    def __init__(self, seed: int = 0):
        rng = np.random.default_rng(seed)
        self.scale = Parameter(np.array([2.0], np.float32))
        self.block = Sequential(Conv2d(1, 2, 3, padding=1, bias=False, rng=rng), BatchNorm2d(2), ReLU())
        self.drop = Dropout(0.5, rng=rng)
        self.absent = None
        self.note = "neither a parameter nor a buffer"
        self.last = Conv2d(2, 1, 1, rng=rng)
        self.first_image = np.zeros((2, 2))

    def forward(self, x):
        return self.last(self.drop(self.block(x))) * self.scale


STATE = {  # names and order are PyTorch's: what a module holds itself, then its children
    "scale": (1,),
    "first_image": (2, 2),
    "block.0.weight": (2, 1, 3, 3),
    "block.1.weight": (2,),
    "block.1.bias": (2,),
    "block.1.running_mean": (2,),
    "block.1.running_var": (2,),
    "block.1.num_batches_tracked": (),
    "last.weight": (1, 2, 1, 1),
    "last.bias": (1,),
}
BUFFERS = [
    "first_image",
    "block.1.running_mean",
    "block.1.running_var",
    "block.1.num_batches_tracked",
]


def copies(module: Module) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in module.state_dict().items()}


def assert_same_state(found: dict, expected: dict):
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def image() -> Tensor:
    return Tensor(np.random.RandomState(0).rand(2, 1, 4, 4).astype(np.float32))


# Names and order


def test_state_dict_lists_everything_in_the_order_of_assignment():
    assert [(name, array.shape) for name, array in Small().state_dict().items()] == list(STATE.items())


def test_parameters_and_buffers_share_the_state_dict_between_them():
    net = Small()
    assert [name for name, _ in net.named_buffers()] == BUFFERS
    assert [name for name, _ in net.named_parameters()] == [name for name in STATE if name not in BUFFERS]
    assert [id(p) for p in net.parameters()] == [id(p) for _, p in net.named_parameters()]
    assert net.parameter_count() == 1 + 18 + 2 + 2 + 2 + 1


def test_modules_are_named_by_their_path():
    assert [name for name, _ in Small().named_modules()] == [
        "", "block", "block.0", "block.1", "block.2", "drop", "last",
    ]  # fmt: skip


def test_sequential_keeps_more_than_ten_layers_in_order():
    layers = [ReLU() for _ in range(12)]
    assert [id(child) for _, child in Sequential(*layers).named_children()] == [id(layer) for layer in layers]


def test_the_state_is_not_a_copy():
    net = Small()
    net.state_dict()["last.bias"][...] = 7
    assert net.last.bias.data.tolist() == [7]


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError):
        Module()(image())


# Loading


def test_loading_copies_every_value_into_the_same_arrays():
    source, net = Small(seed=1), Small(seed=2)
    with use_kernels("reference"):
        source(image())  # moves the running mean, the running variance and the count
    held = net.state_dict()
    net.load_state_dict(source.state_dict())
    assert_same_state(net.state_dict(), source.state_dict())
    assert all(net.state_dict()[name] is array for name, array in held.items())
    source.last.bias.data[...] = 9
    assert net.last.bias.data[0] != 9


def test_loading_converts_to_the_dtype_of_the_network():
    net = Small().astype(np.float64)
    net.load_state_dict(Small(seed=3).state_dict())
    assert net.last.weight.dtype == np.float64
    np.testing.assert_array_equal(net.last.weight.data, Small(seed=3).last.weight.data)


WRONG = {
    "missing": (lambda state: state.pop("last.weight"), KeyError, r"missing \['last.weight'\]"),
    "unknown": (lambda state: state.update(extra=np.zeros(1)), KeyError, r"unknown \['extra'\]"),
    "renamed": (lambda state: state.update(scales=state.pop("scale")), KeyError, "missing.*scale.*unknown.*scales"),
    "shape": (
        lambda state: state.update({"last.weight": np.zeros((1, 3, 1, 1))}),
        ShapeError,
        r"last.weight has shape \(1, 2, 1, 1\) here, but \(1, 3, 1, 1\)",
    ),
    # would broadcast into place without an error
    "broadcast": (lambda state: state.update({"last.bias": np.zeros(())}), ShapeError, "last.bias"),
}


@pytest.mark.parametrize(("spoil", "error", "text"), WRONG.values(), ids=WRONG)
def test_weights_that_do_not_fit_change_nothing(spoil, error, text):
    net = Small(seed=1)
    before, state = copies(net), copies(Small(seed=2))
    spoil(state)
    with pytest.raises(error, match=text):
        net.load_state_dict(state)
    assert_same_state(net.state_dict(), before)


# Modes


def modes(net: Module) -> list[bool]:
    return [module.training for _, module in net.named_modules()]


def test_train_and_eval_reach_every_module_and_return_it():
    net = Small()
    assert modes(net) == [True] * 7
    assert net.eval() is net and modes(net) == [False] * 7
    assert net.train() is net and modes(net) == [True] * 7
    net.block.eval()
    assert modes(net) == [True, False, False, False, False, True, True]


@pytest.mark.parametrize("fails", [False, True])
def test_evaluating_restores_the_mode_of_each_module(fails):
    net = Small()
    net.block.eval()  # frozen statistics, as in fine-tuning
    before = modes(net)
    try:
        with net.evaluating() as same:
            assert same is net and modes(net) == [False] * 7
            if fails:
                raise InterruptedError
    except InterruptedError:
        pass
    assert modes(net) == before


# Buffers


def test_batch_norm_counts_and_averages_in_training_only():
    norm = BatchNorm2d(1, momentum=0.25)
    x = Tensor(np.array([1.0, 3.0], np.float32).reshape(2, 1, 1, 1))
    with use_kernels("reference"):
        norm(x)
        norm(x)
        norm.eval()(x)
    assert norm.num_batches_tracked == 2 and norm.num_batches_tracked.dtype == np.int64
    # mean 2 and variance 2 / (2 - 1) of the batch, approached twice by a quarter from 0 and from 1
    assert norm.running_mean.tolist() == [2 * (1 - 0.75**2)]
    assert norm.running_var.tolist() == [2 - 0.75**2]


def test_astype_converts_parameters_and_floating_buffers_in_place():
    net = Small()
    parameters = net.parameters()
    with use_kernels("reference"):
        net(image()).sum().backward()
    assert net.astype(np.float64) is net
    assert all(p is q for p, q in zip(parameters, net.parameters(), strict=True))  # an optimizer holds them
    assert all(p.grad is None for p in parameters)
    kinds = {name: array.dtype for name, array in net.state_dict().items()}
    assert kinds.pop("block.1.num_batches_tracked") == np.int64
    assert set(kinds.values()) == {np.dtype(np.float64)}
    with use_kernels("reference"):
        assert net(Tensor(image().data.astype(np.float64))).dtype == np.float64


def test_zero_grad_forgets_every_gradient():
    net = Small()
    with use_kernels("reference"):
        net(image()).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
