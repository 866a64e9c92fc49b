"""The optimizers step as PyTorch's do, continue from a saved state bit for bit, and refuse wrong options."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from tinyunet import optim
from tinyunet.backend import to_device
from tinyunet.nn import Parameter

from .freeze_torch import CASES, FILE, LEARNING_RATES, MAX_NORMS, all_by_torch, flat, gradients, start

every_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture(params=["cpu", "cuda"])
def device(request) -> str:
    """Run the test on the CPU, and on a GPU or its stand-in."""
    if request.param == "cuda":
        request.getfixturevalue("gpu")
    return request.param


@functools.cache
def frozen() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return dict(file)


def parameters(dtype=np.float64, device="cpu") -> list[Parameter]:
    return [Parameter(to_device(w.astype(dtype), device)) for w in start()]


def set_gradients(held: list[Parameter], gradients: list[np.ndarray]) -> None:
    for parameter, gradient in zip(held, gradients, strict=True):
        parameter.grad = to_device(gradient.astype(parameter.dtype), parameter.device)


def build(name: str, held: list[Parameter]) -> optim.Optimizer:
    kind, options = CASES[name]
    return getattr(optim, kind)(held, 1.0, **options)


def walk(optimizer: optim.Optimizer, first: int = 0, last: int | None = None) -> list[np.ndarray]:
    """Do the steps from first to last and return all weights after each."""
    path = []
    for lr, step in list(zip(LEARNING_RATES, gradients(), strict=True))[first:last]:
        optimizer.lr = lr
        set_gradients(optimizer.parameters, step)
        optimizer.step()
        path.append(flat(p.numpy() for p in optimizer.parameters))
    return path


# Against PyTorch


@every_case
def test_steps_equal_the_frozen_torch_steps(name, device):
    path = walk(build(name, parameters(device=device)))
    np.testing.assert_allclose(path, frozen()[name], rtol=1e-11, atol=1e-13)


@every_case
def test_float32_stays_float32_and_close(name, device):
    held = parameters(np.float32, device)
    path = walk(build(name, held))
    assert all(p.dtype == np.float32 for p in held)
    np.testing.assert_allclose(path, frozen()[name], rtol=0, atol=1e-5 * np.abs(frozen()[name]).max())


@pytest.mark.parametrize("max_norm", MAX_NORMS)
def test_clipping_equals_torch(max_norm, device):
    held = parameters(device=device)
    set_gradients(held, gradients()[0])
    norm = float(optim.clip_gradients(held, max_norm))
    clipped = flat(to_device(p.grad, "cpu") for p in held)
    np.testing.assert_allclose([norm, *clipped], frozen()[f"clip {max_norm}"], rtol=1e-13)


def test_the_frozen_numbers_are_those_of_live_torch():
    torch = pytest.importorskip("torch")
    live = all_by_torch(torch)
    assert list(frozen()) == list(live), "run `python -m tests.optim.freeze_torch`"
    for name, numbers in live.items():
        np.testing.assert_allclose(frozen()[name], numbers, rtol=1e-12, atol=1e-14, err_msg=name)


# By hand


def test_sgd_by_hand():
    w = Parameter(np.array([1.0]))
    optimizer = optim.SGD([w], 0.5, momentum=0.5, weight_decay=0.25)
    for gradient, expected in [(1.0, 1 - 0.5 * 1.25), (2.0, 0.375 - 0.5 * (0.5 * 1.25 + 2 + 0.25 * 0.375))]:
        w.grad = np.array([gradient])
        optimizer.step()
        assert w.data.tolist() == [expected]


@pytest.mark.parametrize("gradient", [1e-4, -3.0, 1e4])
def test_the_first_step_of_adam_is_the_learning_rate_whatever_the_gradient(gradient):
    w = Parameter(np.array([0.0]))
    w.grad = np.array([gradient])
    optim.Adam([w], 0.25).step()
    assert w.data[0] == pytest.approx(-0.25 * np.sign(gradient), rel=2e-4)


# State


@every_case
def test_nothing_changes_when_it_must_not(name, device):
    held = parameters(device=device)
    optimizer = build(name, held)
    (before,), state = walk(optimizer, last=1), {key: kept.copy() for key, kept in optimizer.state_dict().items()}
    for when in (False, True):
        set_gradients(held, [np.full_like(g, np.nan) for g in gradients()[1]])
        optimizer.step(to_device(np.array(when), device))
        after = {"weights": flat(p.numpy() for p in held)} | optimizer.state_dict()
        for key, kept in (state | {"weights": before, "steps": optimizer.steps}).items():
            np.testing.assert_array_equal(after[key], kept if not when or key == "steps" else np.nan, err_msg=key)
    assert optimizer.steps == 3


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_restored_optimizer_continues_bit_for_bit(name, dtype, device):
    whole = walk(build(name, parameters(dtype, device)))
    first = build(name, parameters(dtype, device))
    walk(first, last=3)
    saved = {key: array.copy() for key, array in first.state_dict().items()}
    second = build(name, [Parameter(p.data.copy()) for p in first.parameters])
    second.load_state_dict(saved)
    rest = walk(second, first=3)
    assert [a.tobytes() for a in rest] == [a.tobytes() for a in whole[3:]]


def test_a_restored_state_is_a_copy():
    optimizer = build("adam", parameters())
    walk(optimizer, last=1)
    saved = optimizer.state_dict()
    second = build("adam", parameters())
    second.load_state_dict(saved)
    before = second.state[0]["mean"].copy()
    saved["0.mean"][...] = 7
    np.testing.assert_array_equal(second.state[0]["mean"], before)


def test_the_state_is_named_after_the_parameters():
    optimizer = build("sgd momentum", parameters())
    assert list(optimizer.state_dict()) == ["steps"]
    walk(optimizer, last=2)
    state = optimizer.state_dict()
    assert list(state) == ["steps", "0.velocity", "1.velocity", "2.velocity"]
    assert state["steps"] == 2 and state["2.velocity"].shape == (2, 1, 2, 2)


@pytest.mark.parametrize("others", [[(3, 4), (5,)], [(3, 4), (6,), (2, 1, 2, 2)]], ids=["fewer", "another shape"])
def test_the_state_of_another_network_is_refused(others):
    optimizer = build("adam", parameters())
    walk(optimizer, last=2)
    second = build("adam", [Parameter(np.zeros(shape)) for shape in others])
    with pytest.raises(ValueError, match="belongs to another network"):
        second.load_state_dict(optimizer.state_dict())
    assert second.steps == 0 and second.state == [{} for _ in others]


# The walk over the parameters


@every_case
def test_a_parameter_without_gradient_stays(name):
    a, b = Parameter(np.ones(2)), Parameter(np.ones(2))
    optimizer = build(name, [a, b])
    a.grad = np.ones(2)
    optimizer.step()
    assert (a.data != 1).all() and (b.data == 1).all()


def test_weights_change_in_place_and_gradients_do_not():
    """Whoever holds the array (a state_dict, an average of weights) sees the step; gradients may be shared."""
    for name in CASES:
        w, gradient = Parameter(np.ones(3)), np.full(3, 0.5)
        array, w.grad = w.data, gradient
        build(name, [w]).step()
        assert w.data is array and (array != 1).all()
        assert gradient.tolist() == [0.5] * 3, name


def test_zero_grad_forgets():
    held = parameters()
    optimizer = build("sgd", held)
    walk(optimizer, last=1)
    optimizer.zero_grad()
    assert all(p.grad is None for p in held)


def test_a_generator_of_parameters_will_do():
    optimizer = optim.SGD((p for p in parameters()), 0.1)
    assert len(optimizer.parameters) == 3


def test_clipping_leaves_short_gradients_and_the_arrays_of_others_alone():
    p, q, absent = (Parameter(np.zeros(2)) for _ in range(3))
    shared = np.array([3.0, 4.0])
    p.grad = q.grad = shared
    assert optim.clip_gradients([p, q, absent], 100.0) == pytest.approx(np.sqrt(50))
    assert p.grad.tolist() == [3, 4]
    optim.clip_gradients([p, q, absent], 1.0)
    assert shared.tolist() == [3, 4] and absent.grad is None
    assert np.hypot(*p.grad) == pytest.approx(np.sqrt(0.5))


def test_clipping_survives_gradients_whose_squares_overflow_float32(device):
    p = Parameter(to_device(np.zeros(2, np.float32), device))
    set_gradients([p], [np.array([3e30, 4e30])])
    assert float(optim.clip_gradients([p], 1.0)) == pytest.approx(5e30)
    assert p.grad.dtype == np.float32
    np.testing.assert_allclose(to_device(p.grad, "cpu"), [0.6, 0.8], rtol=1e-5)


@pytest.mark.parametrize("size", [1, 255, 4096, 4097, 10000])
def test_clipping_sees_every_element(size, device):
    p = Parameter(to_device(np.zeros(size), device))
    set_gradients([p], [np.arange(size) - 3.5])
    norm = float(optim.clip_gradients([p], 1.0))
    assert norm == pytest.approx(np.linalg.norm(np.arange(size) - 3.5), rel=1e-12)
    assert np.linalg.norm(to_device(p.grad, "cpu")) == pytest.approx(1, rel=1e-5)


def test_a_gradient_of_nan_is_not_clipped(device):
    p = Parameter(to_device(np.zeros(2), device))
    set_gradients([p], [np.array([np.nan, 5.0])])
    assert np.isnan(float(optim.clip_gradients([p], 1.0)))
    assert to_device(p.grad, "cpu")[1] == 5


def test_clipping_nothing():
    assert optim.clip_gradients([Parameter(np.zeros(2))], 1.0) == 0


# Errors

WRONG = {
    "no parameters": ("SGD", {"parameters": []}, "no parameters"),
    "lr 0": ("SGD", {"lr": 0.0}, "learning rate must be positive, got 0.0"),
    "lr negative": ("Adam", {"lr": -1.0}, "learning rate must be positive, got -1.0"),
    "lr nan": ("AdamW", {"lr": float("nan")}, "learning rate must be positive, got nan"),
    "momentum 1": ("SGD", {"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
    "momentum negative": ("SGD", {"momentum": -0.1}, r"momentum must be in \[0, 1\)"),
    "sgd decay": ("SGD", {"weight_decay": -0.1}, "weight_decay not negative"),
    "nesterov": ("SGD", {"nesterov": True}, "nesterov needs momentum above 0"),
    "beta1": ("Adam", {"betas": (1.0, 0.9)}, r"betas must be in \[0, 1\)"),
    "beta2": ("AdamW", {"betas": (0.9, -0.1)}, r"betas must be in \[0, 1\)"),
    "eps": ("Adam", {"eps": 0.0}, "eps above 0"),
    "adam decay": ("Adam", {"weight_decay": -1e-9}, "weight_decay at least 0"),
    "adamw decay": ("AdamW", {"weight_decay": -1.0}, "weight_decay at least 0"),
}


@pytest.mark.parametrize(("kind", "options", "text"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_refused(kind, options, text):
    with pytest.raises(ValueError, match=text):
        getattr(optim, kind)(**{"parameters": parameters(), "lr": 0.1} | options)
