"""Checks: sizes through a UNet, the article's forward pass repaired, any size by padding, and the unpadded network."""

from __future__ import annotations

import numpy as np

from ...autograd import Tensor, as_tensor
from ...nn import UNet
from ...ops.shapes import ShapeError
from ...settings import no_grad
from ..exercise import NotSolved, as_array, exercise, require, require_close

_random = np.random.default_rng(0)


@exercise
def encoder_heights(fn):
    """The heights of the encoder's maps in the article's listing."""
    found = list(fn(64))
    require(len(found) == 4, f"four heights, those of enc1 to enc4; got {len(found)}")
    require(found != [64, 32, 16, 8], "enc1 is already pooled: the pooling is the last layer of each conv_block")
    require(found == [32, 16, 8, 4], f"each block halves the height: 64 gives 32, 16, 8, 4, got {found}")
    require(list(fn(15)) == [7, 3, 1, 0], f"a pooling drops the remainder: 15 gives 7, 3, 1, 0, got {list(fn(15))}")


@exercise
def repaired(fn):
    """The repaired forward pass."""
    net, x = UNet(1, 2, 4, 3, up="nearest", norm=None, seed=0), _random.normal(size=(1, 1, 16, 24)).astype(np.float32)
    with no_grad():
        right = net(x).data
        try:
            found = as_array(fn(net, Tensor(x)))
        except ShapeError as error:
            raise NotSolved(
                f"two maps do not fit ({error}): pool before encoder2, 3 and 4, enlarge the deep map by 2 before each "
                "join, and take the skip before the pooling, at the level of the join"
            ) from error
        require(found.shape[1] != 4, "the last step is missing: net.decoder1 makes the scores of the classes")
        hint = f"the scores have the size of the image, 16 x 24, got {found.shape[2]} x {found.shape[3]}: "
        require(
            found.shape == right.shape, hint + "is every pooling matched by an enlargement, and is enc4 not pooled?"
        )
        hint = "sizes fit, but values differ: join [deep, skip] in this order, with each skip at its level; "
        require_close(found, right, hint + "there are three poolings and three enlargements")


class _Needs:
    """Stands for a network: needs multiples of a number, notes what it was given, and changes nothing."""

    def __init__(self, step: int):
        self.step = step

    def __call__(self, x):
        self.given = as_tensor(x).numpy()
        H, W = self.given.shape[2:]
        if H % self.step or W % self.step:
            raise NotSolved(f"the network got {H} x {W} pixels, which {self.step} = 2^depth does not divide")
        return x


@exercise
def run_any_size(fn):
    """A network that takes images of any size."""
    x = _random.uniform(1, 2, (1, 2, 13, 21)).astype(np.float32)
    network = _Needs(8)
    found = as_array(fn(network, x, 3))
    require(hasattr(network, "given"), "the network was never called")
    hint = f"the result must have the size of the image again, 13 x 21, got {found.shape[2:]}: crop the margins off"
    require(found.shape == x.shape, hint)
    require_close(found, x, "the crop does not fit the padding: cut off the same four margins that were added")
    size = network.given.shape[2:]
    require(size == (16, 24), f"the next multiples of 8 are 16 x 24, the network got {size[0]} x {size[1]}")
    require(network.given.min() >= 1, "padded with zeros: that is a black frame; use mode='edge'")
    expected = np.pad(x, ((0, 0), (0, 0), (1, 2), (1, 2)), mode="edge")
    require_close(network.given, expected, "three missing rows are 1 at the top and 2 at the bottom, columns likewise")
    exact = _random.uniform(1, 2, (1, 1, 16, 8)).astype(np.float32)
    network = _Needs(8)
    fn(network, exact, 3)
    size = network.given.shape[2:]
    require(size == (16, 8), f"16 x 8 fits already and needs no padding, the network got {size[0]} x {size[1]}")
    network = _Needs(4)
    fn(network, exact[:, :, :9, :5], 2)
    require(network.given.shape[2:] == (12, 8), "depth 2 needs multiples of 4: the multiple is 2**depth")


@exercise
def crop_skip(fn):
    """The middle of a skip."""
    skip = np.arange(2 * 8 * 10.0).reshape(1, 2, 8, 10)
    found = as_array(fn(skip, 4, 4))
    require(found.shape == (1, 2, 4, 4), f"all channels, 4 x 4 pixels: shape (1, 2, 4, 4), got {found.shape}")
    require(not np.array_equal(found, skip[:, :, :4, :4]), "that is the top left corner; cut out the middle")
    require_close(found, skip[:, :, 2:6, 3:7], "of 8 rows the middle four are 2 to 5, of 10 columns 3 to 6")
    require_close(fn(skip, 8, 10), skip, "nothing to cut off: the whole skip comes back")
    hint = "8 - 5 = 3 rows too many: one above and two below, since the odd one stays outside at the bottom"
    require_close(fn(skip, 5, 10), skip[:, :, 1:6], hint)


def _height(H: int, depth: int) -> int | None:
    for _ in range(depth):
        H -= 4
        if H < 2 or H % 2:
            return None
        H //= 2
    H = (H - 4) * 2**depth - 4 * (2**depth - 1)
    return H if H > 0 else None


@exercise
def unpadded_height(fn):
    """The height of what an unpadded UNet makes."""
    require(fn(20, 0) == 16, "depth 0 is two convolutions, each of which takes 2 rows: 20 gives 16")
    require(fn(28, 1) is not None, "28 at depth 1 fits: 24, pooled 12, then 8, doubled 16, then 12")
    require(fn(28, 1) == 12, f"28 at depth 1: 24, pooled 12, then 8, doubled 16, then 12; got {fn(28, 1)}")
    require(fn(572, 4) == 388, f"the paper's 572 gives 388 at depth 4, got {fn(572, 4)}")
    require(fn(27, 1) is None, "27 - 4 = 23 is odd before a pooling: that is not allowed, so None")
    require(fn(16, 1) is None, "16 at depth 1: 12, 6, 2, 4, and then nothing is left, so None")
    for H in (60, 92, 100, 140, 188):
        for depth in (1, 2, 3, 4):
            require(
                fn(H, depth) == _height(H, depth),
                f"H = {H}, depth {depth} gives {_height(H, depth)}, got {fn(H, depth)}",
            )
