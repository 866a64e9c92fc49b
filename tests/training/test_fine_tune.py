"""Starting from other weights: what is copied, adapted and fresh, what stays frozen, and what is refused."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from tinyunet import Tensor, no_grad, optim, use_kernels
from tinyunet import functional as F
from tinyunet.checkpoint import CheckpointError, read_checkpoint
from tinyunet.data import Normalize
from tinyunet.inference import Segmenter
from tinyunet.interop import to_milesial, write_weights
from tinyunet.nn import UNet
from tinyunet.training import Settings, Trainer, resume, train
from tinyunet.training.fine_tune import freeze, start_from, transfer

from .tiny import FAST, folder

pytestmark = pytest.mark.usefixtures("no_drawing")


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with use_kernels("reference"):
        yield


def drawn(*sizes, **options) -> UNet:
    """Return a network in which every array is drawn, running statistics included."""
    net, rng = UNet(*sizes, **options), np.random.default_rng(1)
    for array in net.state_dict().values():
        if array.dtype.kind == "f":
            array += rng.uniform(0.1, 0.5, array.shape)
    return net


def scores(net, x):
    with no_grad(), net.evaluating():
        return net(Tensor(x.astype(np.float32))).data


GREY = np.random.RandomState(0).standard_normal((2, 1, 8, 12))


# ------------------------------------------------------------------------------------------- transfer


def test_the_same_network_is_copied_whole():
    source, model = drawn(2, 3, 4, 2), UNet(2, 3, 4, 2, seed=9)
    done = transfer(source, model)
    assert done.copied == tuple(model.state_dict()) and not done.adapted and not done.fresh
    assert str(done) == "66 of 66 arrays copied"
    for name, array in source.state_dict().items():
        assert np.array_equal(model.state_dict()[name], array)
        assert not np.shares_memory(model.state_dict()[name], array)


@pytest.mark.parametrize(("C", "D"), [(3, 1), (1, 3), (2, 1), (1, 2)])
def test_grey_images_and_equal_channels_give_the_same_scores(C, D):
    source, model = drawn(C, 2, 4, 2), UNet(D, 2, 4, 2)
    done = transfer(source, model)
    assert list(done.adapted) == ["encoder1.0.weight"] and len(done.copied) == len(model.state_dict()) - 1
    expected = scores(source, GREY.repeat(C, axis=1))
    np.testing.assert_allclose(scores(model, GREY.repeat(D, axis=1)), expected, rtol=1e-4, atol=1e-5)


def test_more_channels_repeat_the_kernels():
    source, model = drawn(3, 2, 4, 1), UNet(5, 2, 4, 1)
    assert "adapted: encoder1.0.weight, 3 -> 5 input channels: kernels repeated, times 3/5" in str(
        transfer(source, model)
    )
    w, v = source.state_dict()["encoder1.0.weight"], model.state_dict()["encoder1.0.weight"]
    np.testing.assert_allclose(v, w[:, [0, 1, 2, 0, 1]] * 0.6, rtol=1e-6)


def test_the_last_layer_starts_afresh_for_other_classes():
    source, model = drawn(1, 2, 4, 1), UNet(1, 4, 4, 1)
    before = {name: model.state_dict()[name].copy() for name in ("decoder1.weight", "decoder1.bias")}
    done = transfer(source, model)
    assert done.fresh == dict.fromkeys(before, "2 -> 4 classes")
    assert "fresh: decoder1.weight, 2 -> 4 classes" in str(done)
    for name, array in before.items():
        assert np.array_equal(model.state_dict()[name], array)


def test_one_class_becomes_two_with_the_same_probabilities():
    source, model = drawn(1, 1, 4, 1), UNet(1, 2, 4, 1)
    assert list(transfer(source, model).adapted) == ["decoder1.weight", "decoder1.bias"]
    one, two = (Segmenter(net, Normalize(), "ab", (0, 1)).probabilities(GREY[0]) for net in (source, model))
    np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-7)


def test_layers_start_afresh_on_request():
    source, model = drawn(3, 1, 4, 1), UNet(1, 2, 4, 1)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    done = transfer(source, model, fresh="encoder1.0, decoder1*")
    assert done.fresh == dict.fromkeys(("encoder1.0.weight", "decoder1.weight", "decoder1.bias"), "as asked")
    assert not done.adapted
    for name, array in model.state_dict().items():
        assert np.array_equal(array, before[name]) == (name in done.fresh or name.endswith("tracked")), name


OTHERS = {
    "depth": (UNet(1, 2, 4, 1), r"missing: encoder3\.0\.weight,.* of another shape|missing: encoder3\.0\.weight"),
    "norm": (UNet(1, 2, 4, 2, norm=None), r"missing: encoder1\.1\.weight, .*left over: encoder1\.0\.bias, "),
    "width": (UNet(1, 2, 8, 2), r"of another shape: encoder1\.0\.weight \(8, 1, 3, 3\) instead of \(4, 1, 3, 3\), "),
    "up": (UNet(1, 2, 4, 2, up="article"), r"up3\.weight \(8, 16, 3, 3\) instead of \(16, 8, 2, 2\)"),
}


@pytest.mark.parametrize(("source", "text"), OTHERS.values(), ids=OTHERS)
def test_a_network_of_another_size_is_refused_and_nothing_changes(source, text):
    model = UNet(1, 2, 4, 2)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=text):
        transfer(source, model)
    assert all(np.array_equal(array, before[name]) for name, array in model.state_dict().items())


# ------------------------------------------------------------------------------------------- frozen layers


def test_frozen_layers_stay_and_the_others_learn():
    net = drawn(1, 2, 4, 2)
    names = freeze(net, "encoder*, up3")
    assert {name.partition(".")[0] for name in names} == {"encoder1", "encoder2", "encoder3", "up3"}
    before = {name: array.copy() for name, array in net.state_dict().items()}
    optimizer = optim.Adam(net.parameters(), 0.1, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(net(Tensor(GREY.astype(np.float32))), (GREY[:, 0] > 0).astype(int)).backward()
        optimizer.step()
    frozen = ("encoder", "up3")
    for name, array in net.state_dict().items():
        assert np.array_equal(array, before[name]) == name.startswith(frozen), name
    assert all((p.grad is None) == name.startswith(frozen) for name, p in net.named_parameters())


def test_one_parameter_can_be_frozen_and_the_statistics_then_go_on():
    net = UNet(1, 2, 4, 1)
    assert freeze(net, "encoder1.1.weight") == ["encoder1.1.weight"]
    net(Tensor(GREY.astype(np.float32)))
    assert net.state_dict()["encoder1.1.num_batches_tracked"] == 1


WRONG = [
    ("encoder9", "'encoder9' names no layer; the layers are encoder1, encoder2, up2, decoder2, decoder1"),
    ("encoder*, wings", "'wings' names no layer"),
    ("*", r"freeze '\*' leaves nothing to train"),
]


@pytest.mark.parametrize(("patterns", "text"), WRONG)
def test_patterns_that_cannot_be_meant(patterns, text):
    with pytest.raises(ValueError, match=text):
        freeze(UNet(1, 2, 4, 1), patterns)


def test_what_is_frozen_must_not_be_random():
    model = UNet(1, 3, 4, 1)
    freeze(model, "decoder1")
    with pytest.raises(ValueError, match=r"decoder1\.weight, decoder1\.bias would start afresh .* do not freeze them"):
        transfer(drawn(1, 2, 4, 1), model)


# ------------------------------------------------------------------------------------------- whole runs


def test_size_and_scaling_come_from_the_checkpoint(tmp_path):
    net = UNet(1, 2, 4, 2, up="article", norm="group")
    Segmenter(net, Normalize("window", 10, 200), "ab", (0, 1)).save(tmp_path / "x.safetensors")
    expected = {"base_channels": 4, "depth": 2, "up": "article", "norm": "group"}
    scaling = {"normalize": "window", "window": (10, 200), "normalize_per": "volume"}
    assert start_from(tmp_path / "x.safetensors", {"lr": 0.1})[1] == {"lr": 0.1} | expected | scaling
    given = {"normalize": "zscore", "depth": 2}
    assert start_from(tmp_path / "x.safetensors", given)[1] == expected | given
    write_weights(tmp_path / "y.safetensors", to_milesial(UNet(1, 2, 4, 2)))
    expected = {"base_channels": 4, "depth": 2, "up": "transposed", "norm": "batch"}
    assert start_from(tmp_path / "y.safetensors", {})[1] == expected
    with pytest.raises(
        ValueError, match=r"depth is 2 in the network of .*y\.safetensors, but given as 3; leave it out"
    ):
        start_from(tmp_path / "y.safetensors", {"depth": 3})


@pytest.fixture
def colour(tmp_path):
    """Weights of a network for colour images and one class, with milesial's names."""
    write_weights(tmp_path / "unet.safetensors", to_milesial(drawn(3, 1, 2, 1)))
    return tmp_path / "unet.safetensors"


TUNE = {name: value for name, value in FAST.items() if name not in ("base_channels", "depth")}


def test_a_run_starts_from_borrowed_weights_and_resumes(tmp_path, colour, capsys, monkeypatch):
    data = folder(tmp_path / "data", values=(0, 90, 200))
    settings = TUNE | {"start_from": colour, "freeze": "encoder2*, up2", "show_progress": True}
    train(data, tmp_path / "whole", **settings)
    said = capsys.readouterr().out
    assert f"starting from {colour}: 37 of 40 arrays copied" in said
    assert "adapted: encoder1.0.weight, 3 -> 1 input channels: kernels summed" in said
    assert "fresh: decoder1.weight, 1 -> 3 classes" in said and "of them frozen)" in said
    best, _ = read_checkpoint(tmp_path / "whole")
    source = drawn(3, 1, 2, 1).state_dict()
    for name, array in best.items():
        assert np.array_equal(array, source[name]) == name.startswith(("encoder2", "up2")) or array.ndim == 0, name
    last, description = read_checkpoint(tmp_path / "whole" / "last.safetensors")
    assert description["settings"]["start_from"] == str(colour) and description["settings"]["depth"] == 1
    assert description["settings"]["freeze"] == "encoder2*, up2"

    original = Trainer._forward

    def forward(self, *arguments):
        if self.optimizer.steps == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt, match="nothing is lost"):
        patch.setattr(Trainer, "_forward", forward)
        train(data, tmp_path / "halves", **settings)
    colour.unlink()  # to continue needs only the run
    resume(tmp_path / "halves", show_progress=False)
    for name, array in read_checkpoint(tmp_path / "halves" / "last.safetensors")[0].items():
        assert np.array_equal(array, last[name]), name


def test_a_refused_start_leaves_nothing(tmp_path, colour):
    data = folder(tmp_path / "data")
    for options, text in (
        ({"start_from": tmp_path / "nowhere.pth"}, "there is no file .*nowhere.pth"),
        ({"start_from": colour, "base_channels": 4}, "base_channels is 2 in the network of"),
        ({"start_from": colour, "freeze": "wings"}, "'wings' names no layer"),
        ({"start_from": colour, "fresh": "encoder1", "freeze": "encoder1"}, "do not freeze them"),
        ({"freeze": "encoder*"}, "give start_from"),
    ):
        with pytest.raises(ValueError, match=text):
            train(data, tmp_path / "out", **TUNE | options)
    assert not (tmp_path / "out").exists()


def test_settings_know_the_options():
    assert Settings(start_from="x", freeze="encoder*").fresh == ""
