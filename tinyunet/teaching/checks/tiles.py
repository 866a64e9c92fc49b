"""Checks: how far a UNet looks, cutting and joining tiles, the memory of a training step, mirror images."""

from __future__ import annotations

import numpy as np

from ... import functional as F
from ...nn import UNet
from ...settings import no_grad
from ..exercise import as_array, exercise, require, require_close

_random = np.random.default_rng(0)


@exercise
def margin(fn):
    """How far a UNet looks."""
    found = fn(1)
    require(found != 19, "that is the whole width, 2 m + 1; the margin is one side of it")
    hint = "the way down alone: each of the levels 1 to D has four convolutions, two of them on the way up"
    require(found not in (6, 7), hint)
    require(found != 13, "at level k a convolution looks 2^(k-1) pixels each way: one at level 1, not two")
    require(found != 8, "what remains is the place in the block of 2^D: up to 2^D - 1 pixels more")
    require(found != 5, "the bottom is missing: two convolutions at level D+1, which look 2^D pixels each")
    require(found == 9, f"depth 1: four convolutions at level 1, two at level 2, and 1 for the block: 9, got {found}")
    for depth in (2, 3, 4):
        right = 7 * 2**depth - 5
        hint = f"depth {depth} gives {right}, got {fn(depth)}: at level k a convolution looks 2^(k-1) pixels each way"
        require(fn(depth) == right, hint)


@exercise
def tile_starts(fn):
    """Where tiles begin."""
    found = list(fn(384, 128, 46, 4))
    require(all(start % 4 == 0 for start in found), f"all must begin at multiples of step: 4, got {found}")
    require(found[0] == 0, "the first tile begins where the image begins")
    require(found[-1] + 128 >= 384, f"the last tile must reach the end, column 383; it begins at {found[-1]}")
    require(
        found[-1] + 128 == 384, f"the last tile begins at {found[-1]} and looks beyond the end: begin at size - tile"
    )
    strides = np.diff(found)
    require(strides.max() <= 82, f"the overlap is smaller than 46: round the stride 82 down, to 80, got {found}")
    require(found == [0, 80, 160, 240, 256], f"strides of 80 and then 256, the last place: got {found}")
    found = list(fn(100, 40, 20, 4))
    require(len(set(found)) == len(found), f"the last tile is there twice: {found}")
    require(found == [0, 20, 40, 60], f"size 100, tile 40, overlap 20: 0, 20, 40, 60, got {found}")
    for size in (64, 40):
        require(
            list(fn(size, 64, 20, 4)) == [0], f"one tile of 64 holds an image of {size}: [0], got {fn(size, 64, 20, 4)}"
        )


@exercise
def join(fn):
    """Joining tiles."""
    whole = _random.normal(size=(1, 2, 3, 20))
    starts = [0, 6, 12]
    tiles = [whole[..., s : s + 8] for s in starts]
    ones = [np.ones(8)] * 3
    found = as_array(fn(tiles, starts, 20, ones))
    require(found.shape == whole.shape, f"the result has the width of the image: {whole.shape}, got {found.shape}")
    hint = "where two tiles overlap their values were added: divide by the sum of the weights"
    require(np.allclose(found[..., :6], whole[..., :6]), "columns that one tile covers must come back as they are")
    require(not np.allclose(found[..., 6:8], 2 * whole[..., 6:8]), hint)
    require_close(found, whole, "tiles cut from one array, joined with equal weights, must give that array")
    shifted = [tile + t for t, tile in enumerate(tiles)]
    weights = [np.linspace(1, 2, 8), np.linspace(3, 1, 8), np.linspace(1, 5, 8)]
    total, weight = np.zeros(whole.shape), np.zeros(20)
    for s, tile, w in zip(starts, shifted, weights, strict=True):
        total[..., s : s + 8] += w * tile
        weight[s : s + 8] += w
    found = as_array(fn(shifted, starts, 20, weights))
    mean = [(shifted[0][..., 6:] + shifted[1][..., :2]) / 2, shifted[1][..., :2], shifted[0][..., 6:]]
    require(not np.allclose(found[..., 6:8], mean[0]), "that is the plain mean: each tile counts with its own weights")
    require(not np.allclose(found[..., 6:8], mean[1]), "later tiles overwrite earlier ones: add, and divide at the end")
    require_close(found, total / weight, "y is the sum of w y over the sum of w, in each column")


@exercise
def trusted(fn):
    """The values to trust."""
    for sides, right, hint in (
        ((True, True), [0, 0, 1, 1, 1, 1, 0, 0], "length 8, margin 2, cut on both sides: 0 0 1 1 1 1 0 0"),
        ((False, True), [1, 1, 1, 1, 1, 1, 0, 0], "not cut before: the image begins here, and its edge can be trusted"),
        ((True, False), [0, 0, 1, 1, 1, 1, 1, 1], "not cut after: the image ends here, and its edge can be trusted"),
        ((False, False), [1] * 8, "a single tile is not cut: all 1"),
    ):
        require_close(fn(8, 2, *sides), right, hint)
    require_close(fn(4, 0, True, True), [1] * 4, "with margin 0 nothing is lost; mind that w[-0:] is all of w")
    model, x = UNet(1, 2, 2, 1, norm=None, seed=0), _random.normal(size=(1, 1, 4, 64)).astype(np.float32)
    with no_grad():
        whole, y, weight = model(x).numpy(), np.zeros((1, 2, 4, 64)), np.zeros(64)
        for start in (0, 14, 24):
            w = as_array(fn(40, 9, start > 0, start < 24))
            y[..., start : start + 40] += w * model(np.ascontiguousarray(x[..., start : start + 40])).numpy()
            weight[start : start + 40] += w
    require_close(y / weight, whole, "joined with your weights, the tiles of a UNet differ from the whole image", 1e-5)


@exercise
def gaussian(fn):
    """Gaussian weights."""
    w = as_array(fn(64))
    require(w.shape == (64,), f"one weight for each of 64 columns, got shape {w.shape}")
    w = w / w.max()
    i = np.arange(64)

    def curve(middle, width, factor=0.5):
        g = np.exp(-factor * ((i - middle) / width) ** 2)
        return g / g.max()

    require(not np.allclose(w, curve(32, 8)), "off by half a pixel: of the columns 0 to 63 the middle is 31.5")
    require(not np.allclose(w, curve(31.5, 8, 1)), "the 1/2 in the exponent is missing")
    require(not np.allclose(w, curve(31.5, 64)), "the width is L/8 = 8 columns, not L")
    require(not np.allclose(w, curve(31.5, 512)), "a / L / 8 is a / (8 L): put L/8 in parentheses")
    require_close(w, curve(31.5, 8), "exp(-1/2 ((i - (L-1)/2) / (L/8))^2) for i = 0 to L-1")
    require_close(as_array(fn(17)).argmax(), 8, "of 17 columns the middle one is 8")


@exercise
def training_bytes(fn):
    """Bytes of a training step."""
    found, right = fn(16, 0, 1, 8, 8), 4 * 4 * 16 * 64
    require(not np.isclose(found, right / 4), "a number has 4 bytes")
    require(not np.isclose(found, 10 * right / 4), "the bottom has no decoder and no skip: 4 maps, not 10")
    require_close(found, right, "depth 0 is the bottom alone: 4 maps of 16 x 8 x 8 numbers of 4 bytes")
    found, right = fn(16, 1, 1, 8, 8), 4 * 16 * 64 * (10 + 4 / 2)
    hint = "one level down a map has twice the channels, and half the height and width: half the numbers"
    require(not np.isclose(found, 4 * 16 * 64 * (10 + 4)), hint)
    require(not np.isclose(found, 4 * 16 * 64 * (10 + 4 / 4)), "the channels double from level to level")
    require_close(found, right, "depth 1: 10 maps of level 1, and 4 of level 2 with half the numbers each")
    require(not np.isclose(fn(16, 1, 3, 8, 8), found), "three images take three times the memory of one")
    for depth in (2, 3, 5):
        right = 4 * 3 * 8 * 64 * 32 * (20 - 16 / 2**depth)
        require_close(
            fn(8, depth, 3, 64, 32), right, f"depth {depth}: 10 maps at each of {depth} levels, 4 at the bottom"
        )


@exercise
def four_looks(fn):
    """Four mirror images."""
    x = _random.normal(size=(2, 1, 4, 6)).astype(np.float32)
    ramp = np.arange(24.0).reshape(4, 6)

    def network(x):
        x = np.asarray(getattr(x, "data", x))
        return np.concatenate([x * ramp, F.relu(x).numpy() + ramp], axis=1)

    looks = [(a, b) for a in (1, -1) for b in (1, -1)]
    right = sum(network(x[..., ::a, ::b])[..., ::a, ::b] for a, b in looks) / 4
    found = as_array(fn(network, x))
    require(found.shape == right.shape, f"the result has the shape of one answer, {right.shape}, got {found.shape}")
    require(not np.allclose(found, network(x)), "that is one look: the mirror images are missing")
    require(not np.allclose(found, 4 * right), "the sum of four looks: divide by 4")
    unturned = sum(network(x[..., ::a, ::b]) for a, b in looks) / 4
    require(not np.allclose(found, unturned), "the answers are not mirrored back: each shows its own mirror image")
    two = (network(x) + network(x[..., ::-1])[..., ::-1]) / 2
    require(not np.allclose(found, two), "two looks: there are also top to bottom, and both ways")
    require_close(
        found, right, "the mean over (no, left-right, top-bottom, both), each answer mirrored back the same way"
    )
