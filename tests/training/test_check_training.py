"""`tinyunet train --check`: every planted fault is found, with what mends it, and a sound run has none."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tinyunet import use_kernels
from tinyunet.checkup.training import check_batch, check_layers, check_shares, check_trials, examine_training
from tinyunet.checkup.trial import Layer, Trial, choose_batch, learn_by_heart
from tinyunet.cli import main
from tinyunet.training import Settings

from .test_trainer import Discs, make
from .test_weights import Few
from .tiny import folder, save


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with use_kernels("reference"):
        yield


TINY = {"base_channels": 4, "depth": 1, "lr": 0.03, "batch_size": 2, "device": "cpu"}


def noise(root, count=6):
    """Masks that have nothing to do with the images, which are all the same."""
    folder(root, count)
    rng = np.random.default_rng(0)
    for k in range(count):
        save(root / "images" / f"s{k}.png", np.arange(1024, dtype=np.int64).reshape(32, 32).astype(np.uint8))
        save(root / "masks" / f"s{k}.png", 255 * rng.integers(0, 2, (32, 32)).astype(np.uint8))
    return root


RUNS = {
    # data, settings: severity and kind of what is found beside the baseline, words of it, words of its remedy
    "sound": (folder, {}, "note", "learns", "2 images are learnt by heart in", ""),
    "slow": (folder, {"lr": 3e-3}, "warning", "learning rate", "are not learnt by heart", "--lr 0.03"),
    "diverges": (
        folder,
        {"lr": 1e6, "optimizer": "sgd", "norm": "none"},
        "error",
        "does not learn",
        "broke off: the loss became .*layer (en|de)coder",
        "tinyunet check",
    ),
    "noise": (noise, {}, "error", "does not learn", "are not learnt by heart", "Do the masks belong to the images"),
    "blind": (
        folder,
        {"normalize": "window", "window": (0.0, 1e6)},
        "warning",
        "intensities",
        "standard deviation of",
        "--window",
    ),
    "deep": (folder, {"depth": 2, "deep_supervision": True, "recompute": True}, "note", "learns", "by heart in", ""),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", RUNS)
def test_runs(tmp_path, name):
    make_data, settings, severity, kind, what, remedy = RUNS[name]
    found = examine_training(make_data(tmp_path / "data"), steps=60, **TINY | settings)
    by_kind = {finding.kind: finding for finding in found.findings}
    assert kind in by_kind, by_kind
    assert by_kind[kind].severity == severity and remedy in by_kind[kind].remedy
    assert re.search(what, by_kind[kind].what)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]
    if name in ("sound", "deep"):
        assert by_kind.keys() == {"baseline", "learns"}
    page = found.page()
    assert "encoder1.0" in page and by_kind["baseline"].what in page and ("head2" in page) == (name == "deep")


def test_too_few_steps_are_refused():
    with pytest.raises(ValueError, match="steps must be at least 50, got 3"):
        examine_training(steps=3)


def layer(**what) -> Trial:
    healthy = {"name": "up2", "gradient": 0.1, "update": 1e-3, "dead": 0.0}
    return Trial(0.1, [1.0], (Layer(**healthy), Layer(**healthy | {"name": "encoder1.0"} | what)), True, "")


LAYERS = [
    ({}, None),
    ({"dead": float("nan")}, None),
    ({"dead": 0.75}, "dead rectifiers"),
    ({"gradient": 1e-9}, "vanishing gradients"),
    ({"gradient": 1e5}, "exploding gradients"),
    ({"update": 0.9}, "large steps"),
    ({"update": 1e-7}, "small steps"),
]


@pytest.mark.parametrize("what, kind", LAYERS)
def test_layers(what, kind):
    findings = check_layers(layer(**what))
    assert [finding.kind for finding in findings] == ([kind] if kind else [])
    assert all(finding.what.endswith("in encoder1.0") and finding.remedy for finding in findings)


def test_dead_channels_and_gradients_are_those_of_the_network():
    trainer = make(validated=False)
    batch = choose_batch(trainer)
    parameters = dict(trainer.model.named_parameters())
    parameters["encoder2.4.bias"].data[1:] = -1e3  # of the second normalisation: its rectifier lets 1 of 4 through
    first = learn_by_heart(trainer, batch, 1e-9, 2)
    layers = {layer.name: layer for layer in first.layers}
    assert [name for name, layer in layers.items() if layer.dead > 0.5] == ["encoder2.3"]
    assert layers["encoder2.3"].dead == 0.75 and np.isnan(layers["up2"].dead) and np.isnan(layers["decoder1"].dead)
    trainer.model.zero_grad()
    trainer.model.train()
    trainer._forward(*batch).backward()
    w = parameters["decoder1.weight"]
    assert layers["decoder1"].gradient == pytest.approx(np.linalg.norm(w.grad) / np.linalg.norm(w.data), rel=1e-3)
    assert 0 < layers["decoder1"].update < 1e-6 and not first.learnt and len(first.losses) == 2


def test_the_images_show_all_classes():
    masks = [np.zeros((4, 4), np.int64) for _ in range(7)]
    masks[2][0, :2], masks[4][0, 0], masks[5][0, 0], masks[6][:] = 1, 2, 2, 1
    trainer = make(validated=False)
    trainer.loader.dataset, trainer.loader.size = Few(masks), (4, 4)
    _, chosen = choose_batch(trainer)
    assert set(np.unique(chosen)) == {0, 1, 2} and len(chosen) == 2
    trainer.loader.dataset = Few(masks[:1])
    images, chosen = choose_batch(trainer)
    assert len(chosen) == 1 and [finding.kind for finding in check_batch(images, chosen)] == ["one class"]


def seldom(settings: dict, share: float, side: int = 16) -> list:
    mask = np.zeros((side, side), np.int64)
    mask.flat[: int(share * side**2)] = 1
    mask.flat[-1] = 2
    return [finding for finding in check_shares(Settings(**settings), Few([mask])) if finding.kind == "rare classes"]


@pytest.mark.parametrize(
    "settings, side, remedies",
    [
        ({}, 16, "--class-weights balanced"),
        ({"class_weights": "balanced"}, 16, ""),
        ({"loss": "dice"}, 16, ""),
        ({"class_weights": "balanced"}, 256, "--size 128 (crops"),
        ({"class_weights": "balanced", "size": 64}, 256, ""),
    ],
)
def test_rare_classes(settings, side, remedies):
    (finding,) = seldom(settings, 0.2, side)
    assert finding.what.startswith("rare classes: never ") and "cell" not in finding.what
    assert finding.remedy.startswith(remedies) and bool(finding.remedy) == bool(remedies)
    assert finding.severity == ("warning" if remedies else "note")


def test_touching_objects_get_border_weights(tmp_path):
    data = folder(tmp_path, count=2)
    (data / "instances").mkdir()
    (finding,) = seldom({"data": str(data), "class_weights": "balanced"}, 0.2)
    assert finding.remedy.startswith("--border-weight 10")


def test_the_baseline_is_that_of_the_masks():
    (finding,) = [f for f in check_shares(Settings(), Discs(3)) if f.kind == "baseline"]
    share = np.mean([sample[1] == 1 for sample in Discs(3).samples])
    assert f"{1 - share:.1%}" in finding.what and f"{2 * share / (1 + share):.4f} ('disc')" in finding.what


def test_the_second_learning_rate_that_works_is_the_remedy():
    bad, good = Trial(1.0, [1.0, 0.9], (), False, ""), Trial(0.1, [1.0, 0.05], (), True, "")
    (finding,) = check_trials([bad, good], 2)
    assert finding.severity == "warning" and finding.remedy.startswith("--lr 0.1, with which it falls to 0.050")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_command(tmp_path, capsys):
    data = folder(tmp_path / "data")
    options = [str(data), "--base-channels", "4", "--depth", "1", "--device", "cpu", "--check"]
    assert main(["train", *options, "--lr", "0.03"]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    assert main(["train", "--check", "--resume", str(tmp_path)]) == 1
    assert "--check looks at a run before it starts" in capsys.readouterr().err
    assert main(["train", *options, "--lr", "1e6", "--norm", "none", "--optimizer", "sgd"]) == 1
    assert "error    learning 2 images by heart broke off" in capsys.readouterr().out
