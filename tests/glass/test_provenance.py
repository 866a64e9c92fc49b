"""Provenance against the plainest question there is: change one input, and see which results change."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tinyunet import GraphError, Tensor, UNet, no_grad, use_kernels
from tinyunet import functional as F
from tinyunet.glass.provenance.answer import provenance
from tinyunet.nn import Conv2d, MaxPool2d, ReLU, Sequential
from tinyunet.nn.summary import run_layers, seen_rows

from ..ops.cases import CASES

# Not the running arrays of batch normalisation: what an operation remembers beside the graph leaves no trace in it.
TRACEABLE = [name for name in CASES if name != "batch_norm2d-running-arrays"]
LINEAR = [name for name, case in CASES.items() if case.linear]
IMAGE = np.arange(1.0, 31.0).reshape(1, 1, 5, 6)


@pytest.fixture(autouse=True)
def reference_kernels():
    with use_kernels("reference"):
        yield


def integers(*shape, seed=0):
    return np.random.RandomState(seed).randint(-2, 5, shape).astype(float)


def run(function, arrays):
    with no_grad(), np.errstate(all="ignore"):
        return function(*map(Tensor, arrays)).data


def some(count, most, seed=0):
    return np.random.RandomState(seed).permutation(count)[:most]


@pytest.mark.parametrize("name", TRACEABLE)
def test_mask_equals_what_changes_when_one_element_is_changed(name):
    case = CASES[name]
    arrays = [np.array(x.clip(-4, 4)) for x in case.arrays()]  # where no exponential drowns all others
    y = run(case.run, arrays)
    elements = [np.unravel_index(k, y.shape) for k in some(y.size, 6)]
    traced = [provenance(case.run, *arrays, at=at) for at in elements]
    for number, array in enumerate(arrays):
        for k in some(array.size, 24):
            k = np.unravel_index(k, array.shape)
            changed = np.zeros(y.shape, bool)
            for step in (0.7, -0.7, 1e3, -1e3):  # large steps reach over kinks, small ones stay where nothing saturates
                other = array.copy()
                other[k] += step
                changed |= run(case.run, [*arrays[:number], other, *arrays[number + 1 :]]) != y
            for at, p in zip(elements, traced, strict=True):
                part = [p.inputs, *p.weights.values()][number]
                assert part.mask[k] == changed[at], f"input {number} at {k}, result at {at}"


@pytest.mark.parametrize("name", CASES)
def test_gradient_is_the_one_that_backward_gives(name):
    arrays = CASES[name].arrays()
    tensors = [Tensor(a, requires_grad=True) for a in arrays]
    y = CASES[name].run(*tensors)
    at = np.unravel_index(y.size // 2, y.shape)
    one = np.zeros(y.shape)
    one[at] = 1
    y.backward(one)
    p = provenance(CASES[name].run, *arrays, at=at)
    for part, tensor in zip((p.inputs, *p.weights.values()), tensors, strict=True):
        np.testing.assert_array_equal(part.gradient, tensor.grad, err_msg=part.name)


@pytest.mark.parametrize("name", LINEAR)
def test_terms_of_a_linear_operation_sum_to_the_result(name):
    arrays = CASES[name].arrays()
    y = run(CASES[name].run, arrays)
    for k in some(y.size, 4):
        p = provenance(CASES[name].run, *arrays, at=np.unravel_index(k, y.shape))
        assert p.terms is not None and len(p.terms) == p.inputs.mask.sum()
        assert p.value == y.flat[k]
        assert p.constant + sum(t.value * t.factor for t in p.terms) == pytest.approx(p.value, rel=1e-12, abs=1e-12)


def test_terms_are_those_of_the_formula():
    x, w, b = integers(1, 2, 4, 5), integers(3, 2, 3, 2, seed=1), integers(3, seed=2)
    p = provenance(F.conv2d, x, w, b, at=(0, 2, 1, 3), stride=(2, 1), padding=(1, 0))
    expected = [((0, c, 1 + u, 3 + v), x[0, c, 1 + u, 3 + v], w[2, c, u, v]) for c, u, v in np.ndindex(2, 3, 2)]
    assert p.terms == expected
    assert p.constant == b[2]
    assert str(p).startswith("y[0,2,1,3] = ") and "made of 12 of 40 in x, 12 of 36 in w, 1 of 3 in b" in str(p)
    assert eval(str(p).splitlines()[1].strip(" =")) == p.value


def test_no_terms_where_the_result_is_no_sum_of_products():
    assert provenance(F.sigmoid, np.array([2.0]), at=(0,)).terms is None
    assert provenance(F.log, np.array([2.0]), at=(0,)).terms is None  # log(0) is not finite


def test_a_derivative_of_zero_loses_nothing():
    off, losers = -IMAGE, IMAGE.copy()
    p = provenance(F.relu, off, at=(0, 0, 2, 2))
    assert np.argwhere(p.inputs.mask).tolist() == [[0, 0, 2, 2]] and not p.inputs.gradient.any()
    p = provenance(F.max_pool2d, losers, 3, at=(0, 0, 0, 1), stride=2, padding=1)
    assert p.inputs.mask[0, 0, :2, 1:4].all() and p.inputs.mask.sum() == 6 and (p.inputs.gradient != 0).sum() == 1
    p = provenance(F.conv2d, IMAGE, np.zeros((1, 1, 3, 3)), at=(0, 0, 1, 1))
    assert p.inputs.mask[0, 0, 1:4, 1:4].all() and p.inputs.mask.sum() == 9
    saturated = provenance(F.sigmoid, np.array([1000.0, 0.0]), at=(0,))
    assert saturated.inputs.mask.tolist() == [True, False] and not saturated.inputs.gradient.any()


def test_constants_keep_their_zeros():
    def half(x):
        return F.dropout(x, 0.5, generator=np.random.default_rng(0))

    kept = run(half, [IMAGE]) != 0
    assert kept.any() and not kept.all()
    for at in np.ndindex(IMAGE.shape):
        assert provenance(half, IMAGE, at=at).inputs.mask.sum() == kept[at]


@pytest.mark.parametrize("kernels", ["auto", "plain"])
def test_fast_kernels_do_not_blur_the_mask(kernels):
    x, w = (integers(*shape).astype(np.float32) for shape in ((1, 2, 9, 8), (3, 2, 3, 3)))
    with use_kernels(kernels):
        p = provenance(F.conv2d, x, w, at=(0, 1, 4, 0), padding=1)
    expected = np.zeros((9, 8), bool)
    expected[3:6, :2] = True
    assert (p.inputs.mask == expected).all() and (p.weights["w"].mask[1] == [False, True, True]).all()
    assert p.terms is not None and not p.inputs.gradient[~p.inputs.mask].any()


def positive_unet(**options):
    """A small network in which every ReLU is on, so that every change of a pixel shows."""
    model = UNet(1, 2, base_channels=2, depth=1, norm=None, **options).astype(np.float64)
    for parameter in model.parameters():
        parameter.data = np.abs(parameter.data) + 0.01
    return model


@pytest.mark.parametrize("up", ["transposed", "article", "nearest", "bilinear"])
def test_mask_through_a_network_equals_what_changes(up):
    model, H, W = positive_unet(up=up), 20, 24
    image = 0.1 + np.random.RandomState(0).random_sample((1, 1, H, W))
    p = provenance(model, image, at=(0, 1, 3, 13))
    changed = image.repeat(H * W, axis=0)
    changed.reshape(H * W, H * W)[np.diag_indices(H * W)] += 1000
    with no_grad(), model.evaluating():
        changed = model(Tensor(changed)).data[:, 1, 3, 13].reshape(H, W) != p.value
    np.testing.assert_array_equal(p.inputs.mask[0, 0], changed)
    assert 50 < changed.sum() < H * W
    assert p.weights["decoder1.weight"].mask[:, 0, 0, 0].tolist() == [False, True]


def test_a_network_that_recomputes_its_blocks_gives_the_same():
    model, image = positive_unet(), np.random.RandomState(0).random_sample((1, 1, 12, 12))
    kept = provenance(model, image, at=(0, 1, 3, 7))
    model.recompute = True
    again = provenance(model, image, at=(0, 1, 3, 7))
    for a, b in zip((kept.inputs, *kept.weights.values()), (again.inputs, *again.weights.values()), strict=True):
        np.testing.assert_array_equal(a.mask, b.mask, err_msg=a.name)
        np.testing.assert_array_equal(a.gradient, b.gradient, err_msg=a.name)


@pytest.mark.parametrize("i", [40, 41, 47])
def test_receptive_field_through_a_unet_is_the_one_of_the_summary(i):
    model = UNet(1, 2, base_channels=2, depth=2, seed=1)
    p = provenance(model, np.random.default_rng(0).random((1, 1, 96, 96), dtype=np.float32), at=(0, 0, i, 48))
    rows = np.flatnonzero(p.inputs.mask.any(axis=(0, 1, 3)))
    assert (rows[0], rows[-1]) == seen_rows(run_layers(model, (1, 1, 96, 96)), i, i)


def test_layers_in_between_as_source_and_as_target():
    model = Sequential(Conv2d(1, 2, 3, rng=np.random.default_rng(0)), ReLU(), MaxPool2d(2)).astype(np.float64)
    p = provenance(model, integers(1, 1, 8, 8), at=(0, 1, 0, 2))
    assert list(p.layers) == ["0", "1", "2", ""]
    before_pool = np.zeros((1, 2, 6, 6), bool)
    before_pool[0, 1, :2, 4:] = True
    np.testing.assert_array_equal(p.layers["0"].mask, before_pool)
    assert p.inputs.mask[0, 0, :4, 4:].all() and p.inputs.mask.sum() == 16
    p = provenance(model, integers(1, 1, 8, 8), at=(0, 1, 5, 5), layer="0")
    assert p.inputs.mask.sum() == 9 and p.terms is not None
    assert p.weights["0.weight"].mask.sum() == 9 and list(p.layers) == ["0"]


def test_a_layer_that_runs_twice_is_counted():
    names = provenance(UNet(1, 2, base_channels=2, depth=2), np.zeros((1, 1, 8, 8), np.float32), at=(0, 0, 0, 0)).layers
    assert "pool" in names and "pool#2" in names


def test_a_tensor_and_any_tensor_behind_it():
    x, w = Tensor(integers(1, 1, 6, 6), requires_grad=True), Tensor(integers(1, 1, 3, 3))
    h = F.relu(F.conv2d(x, w))
    y = F.max_pool2d(h, 2)
    assert provenance(y, h, at=(0, 0, 1, 0)).inputs.mask[0, 0, 2:, :2].all()
    assert provenance(y, x, at=(0, 0, 1, 0)).inputs.mask.sum() == 16
    y.sum().backward()  # the graph is still whole
    assert x.grad is not None


def test_nothing_of_the_network_changes():
    model = UNet(1, 2, base_channels=2, depth=1, dropout=0.5)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    model.parameters()[0].grad = marker = np.ones_like(model.parameters()[0].data)
    image = np.random.default_rng(0).random((1, 1, 8, 8), dtype=np.float32)
    provenance(model, image, at=(0, 0, 4, 4))
    assert model.training and model.parameters()[0].grad is marker
    assert all(p.grad is None for p in model.parameters()[1:])
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_moved_is_the_provenance_of_the_other_element():
    x, w, b = integers(1, 1, 5, 5), integers(2, 1, 3, 3), integers(2)
    fresh = provenance(F.conv2d, x, w, b, at=(0, 1, 2, 0))
    moved = provenance(F.conv2d, x, w, b, at=(0, 0, 0, 0)).moved((0, 1, 2, 0))
    assert str(moved) == str(fresh) and moved.terms == fresh.terms


def test_errors_say_what_to_change():
    with pytest.raises(ValueError, match=r"shape is \(1, 1, 5, 6\), got \(0, 0, 5, 0\)"):
        provenance(F.relu, IMAGE, at=(0, 0, 5, 0))
    with pytest.raises(ValueError, match="must be an element"):
        provenance(F.relu, IMAGE, at=(0, 0))
    with pytest.raises(GraphError, match="no operation made this tensor"):
        provenance(Tensor(IMAGE), Tensor(IMAGE), at=(0, 0, 0, 0))
    with pytest.raises(GraphError, match="does not come from x"):
        provenance(F.relu(Tensor(IMAGE, requires_grad=True)), Tensor(IMAGE), at=(0, 0, 0, 0))
    with pytest.raises(ValueError, match="no layer 'nine' ran; there are 0"):
        provenance(Sequential(ReLU()), IMAGE, at=(0, 0, 0, 0), layer="nine")


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_figure_shows_the_numbers_and_the_sum():
    p = provenance(F.conv2d, integers(1, 5, 4, 4), integers(1, 5, 1, 1), at=(0, 0, 1, 2))
    found = texts(p.figure())
    assert {"x[0,0]", "w[0,0]", "y[0,0]", "x[0,2] and 2 more"} <= set(found)
    assert len(found) == 3 * (16 + 1) + 3 * (1 + 1) + 16 + 1 + 1  # squares and titles, and the sum
    assert f"y[0,0,1,2] = {p.value:g} = " in " ".join(found[-1].split())
    large = provenance(F.relu, np.random.default_rng(0).random((1, 1, 20, 30)), at=(0, 0, 4, 5)).figure()
    assert len(large.axes[0].images) == 2


def test_receptive_field_figure_measures_both_fields():
    x, w = np.random.default_rng(0).random((1, 1, 20, 24)), np.ones((1, 1, 5, 7))
    p = provenance(F.conv2d, x, w, at=(0, 0, 9, 9), padding=(2, 3))
    labels = [text.get_text() for text in p.receptive_field().legends[0].get_texts()]
    assert labels == ["receptive field, 5 x 7 pixels", "90 % of the derivative, 7 x 7 pixels", "y[0,0,9,9]"]
    w[:] = 0.01
    w[0, 0, 2, 3] = 10
    p = provenance(F.conv2d, x, w, at=(0, 0, 9, 9), padding=(2, 3))
    labels = [text.get_text() for text in p.receptive_field().legends[0].get_texts()]
    assert labels[1] == "90 % of the derivative, 1 x 1 pixels"


def test_animation_walks_over_every_element():
    p = provenance(F.conv2d, integers(1, 1, 4, 5), integers(1, 1, 2, 2), at=(0, 0, 1, 2))
    html = p.animation().html
    frames = json.loads(re.search(r"frames = (\[.*?\]), squares", html).group(1))
    assert html.count("<rect") == 20 + 4 + 12 and len(frames) == 12
    assert html.count('class="y on"') == 1  # the picture that stands still
    for frame, (i, j) in zip(frames, np.ndindex(3, 4), strict=True):
        window = [(i + u) * 5 + j + v for u, v in np.ndindex(2, 2)]
        assert frame["on"] == [*window, 20, 21, 22, 23, 24 + 4 * i + j]
        name, value, products = frame["text"].split(" = ")
        assert name == f"y[0,0,{i},{j}]" and eval(products) == float(value) == p.result[0, 0, i, j]
    bundle = p.animation(most=4)._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG") and bundle["text/html"].count('"text"') == 5


def test_animation_of_a_large_image_says_what_to_do():
    with pytest.raises(ValueError, match=r"40 x 40; use a smaller input, or receptive_field\(\)"):
        provenance(F.relu, np.ones((1, 1, 40, 40)), at=(0, 0, 0, 0)).animation(4)
