"""Deep supervision: its heads, its loss, and the networks that come and go without it."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import Tensor, use_kernels
from tinyunet import functional as F
from tinyunet.checkpoint import read_checkpoint
from tinyunet.inference import Segmenter
from tinyunet.nn import UNet
from tinyunet.training import Settings, train
from tinyunet.training.fine_tune import transfer
from tinyunet.training.supervision import in_cells, supervise

from .tiny import FAST, folder


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with use_kernels("reference"):
        yield


CELLS = [
    # array, side, size, what is in the cells
    ([[1, 2], [3, 4]], 1, (2, 2), [[1, 2], [3, 4]]),
    ([[1, 2, 3, 4], [5, 6, 7, 8]], 2, (1, 2), [[6, 8]]),
    ([[1, 2, 3]], 2, (1, 2), [[-1, -1]]),  # the row below the only one
    ([[1], [2], [3]], 2, (2, 1), [[-1], [-1]]),  # the column beside the only one
    ([[1, 2, 3]] * 3, 2, (2, 2), [[2, -1], [-1, -1]]),  # padded below and at the right, as by the network
    ([[1, 2, 3, 4]] * 4, 1, (2, 2), [[2, 3], [2, 3]]),  # an unpadded network answers for the middle
    ([[1, 2, 3, 4, 5, 6]] * 6, 2, (1, 1), [[4]]),
]


@pytest.mark.parametrize("array, side, size, expected", CELLS)
def test_cells_lie_around_the_middle(array, side, size, expected):
    masks, weights = np.array([array]), np.array([array], np.float32)
    assert in_cells(masks, side, size).tolist() == [expected]
    assert in_cells(weights, side, size).tolist() == [np.maximum(expected, 0).tolist()]


@pytest.mark.parametrize("padding, size", [("same", (32, 48)), ("same", (27, 41)), ("valid", (108, 92))])
def test_every_level_sees_what_it_answers_for(padding, size):
    """An image is 1 in its right half, and a head that knew it would be right in all cells but those at the border."""
    model = UNet(1, 2, 2, 3, padding=padding, norm=None, deep_supervision=True)
    half = np.zeros((1, *size), int)
    half[:, :, size[1] // 2 :] = 1
    scores = model(half[:, None].astype(np.float32))
    assert len(scores) == 3
    for k, y in enumerate(scores):
        cells = in_cells(half, 2**k, y.shape[2:])
        middle = y.shape[3] // 2
        assert (cells[:, :, : middle - 1] <= 0).all() and (np.abs(cells[:, :, middle + 1 :]) == 1).all()
        if padding == "valid" or k == 0:
            assert (cells >= 0).all()


def test_levels_weigh_half_of_the_one_above():
    rng = np.random.default_rng(0)
    scores = [Tensor(rng.standard_normal((2, 3, 16 // s, 24 // s)).astype(np.float32)) for s in (1, 2, 4)]
    masks = rng.integers(0, 3, (2, 16, 24))
    alone = [F.cross_entropy(y, in_cells(masks, 2**k, y.shape[2:])).item() for k, y in enumerate(scores)]
    together = supervise(F.cross_entropy, scores, masks).item()
    assert together == pytest.approx((4 * alone[0] + 2 * alone[1] + alone[2]) / 7, rel=1e-6)
    assert supervise(F.cross_entropy, scores[0], masks).item() == alone[0]


def test_pixel_weights_go_with_the_masks():
    scores = [Tensor(np.random.RandomState(0).rand(1, 2, 8 // s, 8 // s).astype(np.float32)) for s in (1, 2)]
    masks, seen = np.arange(64).reshape(1, 8, 8), []

    def loss(y, mask, weights):
        seen.append((mask, weights))
        return y.sum()

    supervise(loss, scores, masks, masks.astype(np.float32))
    assert len(seen) == 2 and all(np.array_equal(mask, weights) for mask, weights in seen)


@pytest.mark.parametrize("options", [{}, {"up": "bilinear"}, {"up": "nearest", "norm": "group"}])
def test_heads_change_nothing_but_themselves(options):
    plain, deep = UNet(1, 3, 4, 3, **options), UNet(1, 3, 4, 3, deep_supervision=True, **options)
    heads = [name for name in deep.state_dict() if name not in plain.state_dict()]
    assert heads == ["head2.weight", "head2.bias", "head3.weight", "head3.bias"]
    for name, array in plain.state_dict().items():
        assert np.array_equal(array, deep.state_dict()[name]), name
    x = np.random.RandomState(0).rand(2, 1, 30, 40).astype(np.float32)
    shapes = [y.shape for y in deep(x)]
    assert shapes == [(2, 3, 30, 40), (2, 3, 16, 20), (2, 3, 8, 10)]
    assert np.array_equal(deep.eval()(x).data, plain(x).data) is (options.get("norm") == "group")
    assert np.array_equal(deep(x).data, deep.without_heads()(x).data)


def test_every_head_and_every_level_learns():
    model = UNet(1, 2, 4, 3, deep_supervision=True)
    images = np.random.RandomState(0).rand(2, 1, 16, 16).astype(np.float32)
    supervise(F.cross_entropy_dice, model(images), np.ones((2, 16, 16), int)).backward()
    assert all(p.grad is not None and np.abs(p.grad).max() > 0 for p in model.parameters() if p.ndim == 4)


def test_checkpoints_with_and_without(tmp_path, no_drawing):
    data = folder(tmp_path / "data")
    settings = FAST | {"depth": 2, "epochs": 1, "deep_supervision": True}
    train(data, tmp_path / "deep", **settings)
    best, last = (read_checkpoint(tmp_path / "deep" / f"{name}.safetensors") for name in ("best", "last"))
    assert "head2.weight" not in best[0] and best[1]["arguments"]["deep_supervision"] is False
    assert "model.head2.weight" in last[0] and last[1]["arguments"]["deep_supervision"] is True
    one, other = (Segmenter.load(tmp_path / "deep" / f"{name}.safetensors") for name in ("best", "last"))
    image = np.random.RandomState(0).rand(20, 28)
    assert np.array_equal(one.probabilities(image), other.probabilities(image))
    for source, deep in (("best", True), ("last", False), ("last", True)):
        start = str(tmp_path / "deep" / f"{source}.safetensors")
        given = {"epochs": 1, "batch_size": 2, "start_from": start, "deep_supervision": deep, "show_progress": False}
        train(data, tmp_path / f"{source}-{deep}", **given)


def test_new_heads_start_afresh_and_the_rest_is_copied():
    source, model = UNet(1, 2, 4, 2, seed=1), UNet(1, 2, 4, 2, deep_supervision=True)
    report = transfer(source, model)
    assert report.fresh == dict.fromkeys(("head2.weight", "head2.bias"), "for deep supervision")
    assert np.array_equal(model.state_dict()["up3.weight"], source.state_dict()["up3.weight"])


def test_it_needs_two_levels():
    with pytest.raises(ValueError, match="deep_supervision needs a depth of 2 or more, got 1"):
        UNet(depth=1, deep_supervision=True)
    with pytest.raises(ValueError, match="deep_supervision needs a depth of at least 2, got 1"):
        Settings(depth=1, deep_supervision=True)
