"""Starting weights: their distribution, and that nothing but the generator decides them."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet.nn import Conv2d, ConvTranspose2d, UNet, UpsampleConv2d
from tinyunet.nn.init import he, torch_default


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Layer, its He fan-in (products summed into one output value), PyTorch's fan-in (weight.shape[1] KH KW)
LAYERS = {
    "conv": (lambda **o: Conv2d(40, 60, (3, 5), **o), 40 * 15, 40 * 15),
    "transposed": (lambda **o: ConvTranspose2d(40, 60, 4, stride=2, **o), 40 * 4, 60 * 16),
    "article": (lambda **o: UpsampleConv2d(40, 60, 3, **o), 40 * 9, 40 * 9),
}
every_layer = pytest.mark.parametrize(("build", "fan_in", "torch_fan_in"), LAYERS.values(), ids=LAYERS)


def test_he_has_the_variance_that_survives_a_relu():
    w = he(rng(), (200, 300), 50.0)
    assert w.dtype == np.float32
    # 60 000 values: the mean errs by std / 245, the standard deviation by 0.3 %
    assert abs(w.mean()) < 4 * 0.2 / 245
    assert w.std() == pytest.approx(np.sqrt(2 / 50), rel=0.012)


def test_torch_default_fills_its_bounds_evenly():
    w = torch_default(rng(), (200, 300), 25.0)
    assert w.dtype == np.float32
    assert -0.2 <= w.min() < -0.1999 and 0.1999 < w.max() <= 0.2
    assert w.std() == pytest.approx(0.2 / np.sqrt(3), rel=0.01)


@every_layer
def test_he_layers_use_their_fan_in_and_no_bias(build, fan_in, torch_fan_in):
    layer = build(rng=rng())
    assert layer.weight.data.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.02)
    assert not layer.bias.data.any()


@every_layer
def test_torch_layers_use_its_bounds_for_weight_and_bias(build, fan_in, torch_fan_in):
    layer, bound = build(init="torch", rng=rng()), 1 / np.sqrt(torch_fan_in)
    assert 0.999 * bound < np.abs(layer.weight.data).max() <= bound * (1 + 1e-6)
    assert 0.8 * bound < np.abs(layer.bias.data).max() <= bound * (1 + 1e-6)


def test_he_keeps_the_scale_through_many_relus():
    """The claim behind sqrt(2 / fan_in): the mean square of a deep ReLU network neither grows nor vanishes."""
    x, source = rng(1).normal(size=(500, 400)), rng(2)
    start = (x**2).mean()
    for _ in range(10):
        x = np.maximum(x, 0) @ he(source, (400, 400), 400)
    assert 0.5 < (x**2).mean() / start < 2


def test_unknown_init_names_the_choices():
    with pytest.raises(ValueError, match="init must be 'he' or 'torch', got 'xavier'"):
        Conv2d(1, 1, 3, init="xavier", rng=rng())


@pytest.mark.parametrize("init", ["he", "torch"])
@pytest.mark.parametrize("up", ["transposed", "article", "nearest", "bilinear"])
def test_the_seed_decides_every_weight(init, up):
    def weights(seed):
        np.random.seed(seed if isinstance(seed, int) else 0)  # the global state must not matter
        return [p.data.tobytes() for p in UNet(1, 2, 4, 2, init=init, up=up, norm=None, seed=seed).parameters()]

    assert weights(5) == weights(5) == weights(rng(5))
    kernels = slice(None, None, 2)  # He's biases are all zero
    assert not set(weights(5)[kernels]) & set(weights(6)[kernels])


def test_layers_of_one_shape_start_differently():
    shared = rng()
    assert (Conv2d(2, 2, 3, rng=shared).weight.data != Conv2d(2, 2, 3, rng=shared).weight.data).all()
