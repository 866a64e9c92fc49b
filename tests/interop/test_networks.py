"""Networks from state dicts and back: the same weights give the same scores, and what does not fit is named."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import Tensor, no_grad, use_kernels
from tinyunet.checkpoint import CheckpointError
from tinyunet.data import Normalize
from tinyunet.inference import Segmenter
from tinyunet.interop import borrow, convert, network_of, read_weights, to_milesial
from tinyunet.interop.networks import require_same
from tinyunet.nn import UNet

from ..nn import torch_twin
from . import milesial


@pytest.fixture(autouse=True)
def reference_kernels():
    with use_kernels("reference"):
        yield


def drawn(*sizes, seed=0, **options) -> UNet:
    """Return a network in which every array is drawn, running statistics included."""
    net, rng = UNet(*sizes, **options), np.random.default_rng(seed)
    for array in net.state_dict().values():
        if array.dtype.kind == "f":
            array += rng.uniform(0.1, 0.5, array.shape)
    return net


def scores(net: UNet, x, dtype=np.float32) -> np.ndarray:
    with no_grad(), net.astype(dtype).evaluating():
        return net(Tensor(x.astype(dtype))).data


def image(*shape):
    return np.random.RandomState(0).standard_normal(shape).astype(np.float32)


def assert_close(found, expected, tolerance):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


# ------------------------------------------------------------------------------------------- beside live PyTorch


def by_torch(torch, network, x, double):
    with torch.no_grad():
        x = torch.from_numpy(x)
        return (network.double()(x.double()) if double else network.float()(x)).numpy()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("bilinear", [False, True])
def test_milesial_both_ways(tmp_path, bilinear, bias):
    torch = pytest.importorskip("torch")
    theirs = milesial.unet(torch, 3, 2, bilinear=bilinear, bias=bias, base=4)
    path, x = tmp_path / "unet.pth", image(2, 3, 32, 48)
    torch.save(theirs.state_dict() | {"mask_values": [0, 255]}, path)
    net, names = network_of(read_weights(path).arrays)
    expected = {"in_channels": 3, "classes": 2, "base_channels": 4, "depth": 4, "norm": "batch"}
    assert names == "milesial" and expected.items() <= net.arguments.items()
    assert net.arguments["up"] == ("bilinear" if bilinear else "transposed")
    assert_close(scores(net, x), by_torch(torch, theirs, x, double=False), 1e-5)
    # The folded biases are rounded to float32, as all weights are; without them nothing is.
    assert_close(scores(net, x, np.float64), by_torch(torch, theirs, x, double=True), 1e-6 if bias else 1e-13)

    back = milesial.unet(torch, 3, 2, bilinear=bilinear, bias=bias, base=4)
    changed = drawn(3, 2, 4, 4, up=net.arguments["up"])
    state = {name: torch.tensor(array) for name, array in to_milesial(changed, bias=bias).items()}
    back.load_state_dict(state, strict=True)
    assert_close(scores(changed, x, np.float64), by_torch(torch, back, x, double=True), 1e-13)


@pytest.mark.parametrize("bilinear", [False, True])
def test_the_original_size_of_milesial(bilinear):
    torch = pytest.importorskip("torch")
    with torch.device("meta"):  # names and shapes alone
        theirs = milesial.unet(torch, 3, 1, bilinear=bilinear).state_dict()
    ours = to_milesial(UNet(3, 1, 64, 4, up="bilinear" if bilinear else "transposed"))
    assert {k: tuple(v.shape) for k, v in theirs.items()} == {k: v.shape for k, v in ours.items()}


OWN = {
    "article": ((1, 2, 64, 3), {"up": "nearest", "norm": None}),
    "default": ((3, 4, 4, 2), {}),
    "article's way up": ((2, 1, 4, 3), {"up": "article", "norm": "group"}),
    "bilinear": ((1, 1, 4, 3), {"up": "bilinear", "norm": None}),
    "one level": ((1, 2, 3, 1), {"up": "bilinear"}),
    "nearest, one level": ((1, 2, 3, 1), {"up": "nearest"}),
}


@pytest.mark.parametrize(("sizes", "options"), OWN.values(), ids=OWN)
def test_the_arguments_follow_from_the_weights(sizes, options):
    net = drawn(*sizes, **options)
    found, names = network_of(net.state_dict())
    assert names == "own" and found.arguments == net.arguments
    for name, array in net.state_dict().items():
        assert np.array_equal(found.state_dict()[name], array), name


@pytest.mark.parametrize("name", ["article", "default", "article's way up"])
def test_own_names_both_ways(tmp_path, name):
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    sizes, options = OWN[name]
    twin = torch_twin.unet(torch, *sizes, **{"up": "transposed", "norm": "batch"} | options).float().eval()
    torch.save({"state_dict": {f"module.{k}": v for k, v in twin.state_dict().items()}, "epoch": 3}, tmp_path / "x.pt")
    net, _ = network_of(read_weights(tmp_path / "x.pt").arrays)
    x = image(1, sizes[0], 8, 16)
    assert_close(scores(net, x), by_torch(torch, twin, x, double=False), 1e-5)
    assert_close(scores(net, x, np.float64), by_torch(torch, twin, x, double=True), 1e-13)
    Segmenter(drawn(*sizes, **options), Normalize(), "ab", (0, 1)).save(tmp_path / "x.safetensors")
    twin.load_state_dict(safetensors.load_file(tmp_path / "x.safetensors"), strict=True)
    assert_close(scores(drawn(*sizes, **options), x, np.float64), by_torch(torch, twin, x, double=True), 1e-13)


# ------------------------------------------------------------------------------------------- without PyTorch


@pytest.mark.parametrize("up", ["transposed", "bilinear"])
@pytest.mark.parametrize("bias", [False, True])
def test_milesial_names_lead_back_to_the_same_network(up, bias):
    net = drawn(2, 3, 4, 3, up=up)
    state = to_milesial(net, bias=bias)
    for name, array in state.items():
        if bias and name.endswith("double_conv.0.bias") and "up" in name:
            array += 1
            state[name.replace("0.bias", "1.running_mean")] = state[name.replace("0.bias", "1.running_mean")] + 1
    found, names = network_of({f"module.{name}": array for name, array in state.items()})
    assert names == "milesial" and found.arguments == net.arguments
    for name, array in net.state_dict().items():
        np.testing.assert_allclose(found.state_dict()[name], array, rtol=1e-6, err_msg=name)


NO_COUNTERPART = [
    ({"norm": None}, "norm=None"),
    ({"padding": "valid"}, "padding='valid'"),
    ({"up": "article"}, "up='a"),
]


@pytest.mark.parametrize(("options", "text"), NO_COUNTERPART)
def test_what_milesial_has_not(options, text):
    with pytest.raises(ValueError, match=f"no network with {text}.* can be written with its names"):
        to_milesial(UNet(1, 2, 4, 2, **options))


def changed(state, remove=(), **new):
    return {name: array for name, array in (state | new).items() if name not in remove}


OURS, THEIRS = UNet(1, 2, 4, 2).state_dict(), to_milesial(UNet(1, 2, 4, 2))
W = np.zeros
MISFITS = {
    "nothing": ({}, r"names are those of no network that is known here .* known are nn\.UNet's"),
    "another network": ({"layer1.0.conv1.weight": W(3)}, r"no network that is known here \(layer1\.0\.conv1\.weight"),
    "missing": (
        changed(OURS, ["up2.bias", "encoder1.1.bias"]),
        r"fit this network: missing: encoder1\.1\.bias, up2\.bias$",
    ),
    "left over": (changed(OURS, wings=W(3), tail=W(2)), "fit this network: left over: wings, tail$"),
    "shape": (
        changed(OURS, **{"decoder2.0.weight": W((4, 9, 3, 3))}),
        r"of another shape: decoder2\.0\.weight \(4, 9, 3, 3\) instead of \(4, 8, 3, 3\)$",
    ),
    "milesial: missing": (changed(THEIRS, ["up1.up.bias"]), r"fit this network: missing: up1\.up\.bias$"),
    "milesial: left over": (changed(THEIRS, tail=W(2)), "left over: tail$"),
    "milesial: shape": (
        changed(THEIRS, **{"up2.conv.double_conv.0.weight": W((4, 9, 3, 3))}),
        r"of another shape: up2\.conv\.double_conv\.0\.weight \(4, 9, 3, 3\) instead of \(4, 8, 3, 3\)$",
    ),
    "milesial: some biases": (
        changed(THEIRS, **{"inc.double_conv.0.bias": W(4)}),
        r"missing: inc\.double_conv\.3\.bias, down1\.maxpool_conv\.1\.double_conv\.0\.bias, ",
    ),
    "milesial without normalisation": (
        {name: array for name, array in THEIRS.items() if "running" not in name},
        r"needs inc\.double_conv\.1\.running_mean; missing",
    ),
    "no decoder": (
        {name: array for name, array in OURS.items() if "decoder" not in name},
        r"depth 2 needs decoder3\.0\.weight, decoder1\.weight; missing",
    ),
    "no kernel": (changed(OURS, **{"decoder1.weight": W(3)}), r"needs decoder1\.weight; missing or without the 4 axes"),
    "far too many levels": (
        {name: W((1, 1, 1, 1)) for name in ["decoder1.weight", "decoder50.0.weight"]}
        | {f"encoder{k}.0.weight": W((1, 1, 1, 1)) for k in range(1, 51)},
        "channels that double from level to level, from 1 at the first, do not give the 1 and 1 of level 50",
    ),
}


@pytest.mark.parametrize(("state", "text"), MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_is_named(state, text):
    with pytest.raises(CheckpointError, match=text):
        network_of(state)


def test_the_same_states_pass():
    require_same(OURS, dict(reversed(OURS.items())))


# ------------------------------------------------------------------------------------------- files in, files out


def test_borrowed_weights_segment(tmp_path):
    from .pth import storage, tensor, write

    state = to_milesial(drawn(3, 1, 2, 2))
    kinds, members, content = {"f": "FloatStorage", "i": "LongStorage"}, {}, {}
    for k, (name, array) in enumerate(state.items()):
        members[str(k)] = np.ascontiguousarray(array)
        strides = tuple(step // array.itemsize for step in members[str(k)].strides)
        where = storage(str(k), array.size, kinds[array.dtype.kind])
        content[name] = tensor(where, 0, array.shape, strides if array.ndim else ())
    path = write(tmp_path / "unet.pth", content | {"mask_values": [0, 255]}, members=members)
    segmenter = borrow(path)
    assert segmenter.normalize == Normalize("window", 0, 255)
    assert segmenter.class_names == ("background", "foreground") and segmenter.mask_values == (0, 255)
    picture = np.random.RandomState(0).randint(0, 256, (3, 9, 14))
    p = segmenter.probabilities(picture)
    expected = Segmenter(drawn(3, 1, 2, 2), Normalize("window", 0, 255), "ab", (0, 1)).probabilities(picture)
    assert p.shape == (2, 9, 14) and np.array_equal(p, expected)

    text = convert(path, tmp_path / "net.safetensors")
    assert "in_channels 3, classes 1, base_channels 2, depth 2, up transposed, norm batch" in text
    assert "scaled by window 0..255; classes background, foreground; segment with: tinyunet predict" in text
    assert np.array_equal(Segmenter.load(tmp_path / "net.safetensors").probabilities(picture), p)

    text = convert(tmp_path / "net.safetensors", tmp_path / "theirs.safetensors", names="milesial")
    assert f'load_state_dict(safetensors.torch.load_file("{tmp_path}/theirs.safetensors"))' in text
    found = read_weights(tmp_path / "theirs.safetensors").arrays
    assert found.keys() == state.keys() and all(np.array_equal(found[name], state[name]) for name in state)
    assert np.array_equal(borrow(tmp_path / "theirs.safetensors").probabilities(picture), p)


VALUES = [
    ([0, 7, 9], (0, 7, 9)),
    ([0, 255], (0, 1, 2)),
    ([[0, 0, 0], [255, 0, 0], [0, 255, 0]], (0, 1, 2)),
    ([0, 0, 1], (0, 1, 2)),
    ([0, 1, 10**6], (0, 1, 2)),
    ("0, 1", (0, 1, 2)),
    (None, (0, 1, 2)),
]


@pytest.mark.parametrize(("found", "used"), VALUES)
def test_mask_values_are_used_where_they_are_one_per_class(tmp_path, monkeypatch, found, used):
    from tinyunet.interop import borrow as module
    from tinyunet.interop.torch_file import Weights

    state = to_milesial(UNet(1, 3, 2, 1))
    monkeypatch.setitem(module.__globals__, "read_weights", lambda path: Weights(state, {"mask_values": found}))
    segmenter = borrow(tmp_path / "x.pth")
    assert segmenter.mask_values == used and len(segmenter.class_names) == 3


def test_errors_name_the_file(tmp_path):
    from safetensors.numpy import save_file

    save_file({"w": np.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=r"x\.safetensors cannot be used: the names are those of no network"):
        borrow(tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=r"there is no file .*nowhere\.pth"):
        borrow(tmp_path / "nowhere.pth")
    with pytest.raises(ValueError, match="names must be 'tinyunet' or 'milesial', got 'torch'"):
        convert(tmp_path / "x.safetensors", tmp_path / "y", names="torch")
    with pytest.raises(ValueError, match=r"a safetensors file; give it a name that ends so, not .*y\.pth"):
        convert(tmp_path / "x.safetensors", tmp_path / "y.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]
