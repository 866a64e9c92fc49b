"""Checks: labels from strokes, the partial loss, modalities as channels, borrowed kernels, frozen layers."""

from __future__ import annotations

import numpy as np

from ... import functional as F
from ...autograd import Tensor
from ...nn import UNet
from ...optim import Adam
from ..exercise import as_array, exercise, require, require_close

_random = np.random.default_rng(0)


@exercise
def to_labels(fn):
    """Labels from strokes."""
    strokes = np.array([[0, 1, 2], [2, 0, 1]], np.uint8)
    found = as_array(fn(strokes))
    require(255 not in found, "0 - 1 = 255 in 8 bits without a sign: make them int64 first")
    require(found.dtype.kind == "i" and found.dtype.itemsize == 8, f"labels are int64, got {found.dtype}")
    require(not np.array_equal(found, np.maximum(strokes.astype(int) - 1, 0)), "nobody has said is -1, not background")
    require_close(found, [[-1, 0, 1], [1, -1, 0]], "0 becomes -1, 1 becomes 0, 2 becomes 1")
    require_close(strokes, [[0, 1, 2], [2, 0, 1]], "the strokes themselves were changed; return a new array")


@exercise
def partial_gradient(fn):
    """The gradient of the partial loss."""
    z, t = _random.normal(size=(3, 8)), np.array([0, -1, 2, 1, -1, -1, 0, 2])
    scores = Tensor(z[None, :, None], requires_grad=True)
    F.cross_entropy(scores, t[None, None]).backward()
    right = scores.grad[0, :, 0]
    found = as_array(fn(z.copy(), t))
    require(found.shape == z.shape, f"one number for each score: shape {z.shape}, got {found.shape}")
    outside = found[:, t < 0]
    hint = "unlabelled pixels have a gradient, and it must be exactly 0: does the label -1 act as an index?"
    require(not outside.any(), hint)
    hint = "divided by all 8 pixels; |Omega| counts the 5 labelled ones"
    require(not np.allclose(found * 8, right * 5), hint)
    require(not np.allclose(found, right * 5), "not divided by |Omega|, of which there are 5 here")
    require(not np.allclose(found, -right), "the sign is turned: p minus 1 for the true class")
    require_close(found, right, "on labelled pixels (p - [c = t]) / |Omega|", 1e-9)
    with np.errstate(all="ignore"):
        nothing = as_array(fn(z.copy(), np.full(8, -1)))
    require(np.isfinite(nothing).all(), "no pixel is labelled: that divides by 0; the gradient is 0 then")
    require(not nothing.any(), "no pixel is labelled: the gradient is 0 everywhere")


@exercise
def stack_modalities(fn):
    """Modalities as channels."""
    A, B = _random.uniform(0, 4095, (4, 6)), _random.uniform(10, 255, (4, 6))
    found = as_array(fn([A, B]))
    require(found.shape != (4, 6, 2), "channels come first: (2, 4, 6), not (4, 6, 2)")
    require(found.shape == (2, 4, 6), f"two scans of 4 x 6 make (2, 4, 6), got {found.shape}")
    right = np.stack([(x - x.min()) / np.ptp(x) for x in (A, B)])
    pair = np.stack([A, B])
    require(
        not np.allclose(found, (pair - pair.min()) / np.ptp(pair)),
        "both were scaled by one range, so the darker file is nearly black: scale each by its own",
    )
    require_close(found, right, "each scan by itself: (x - min) / (max - min)")
    require(found.dtype == np.float32, f"float32 is wanted, got {found.dtype}")
    with np.errstate(all="ignore"):
        missing = as_array(fn([A, np.full((4, 6), 7.0)]))
    require(np.isfinite(missing).all(), "a constant scan divides 0 by 0; let it become 0")
    require_close(missing[1], np.zeros((4, 6)), "a constant scan becomes 0")
    small = np.array([[200, 10], [30, 250]], np.uint8)
    require_close(as_array(fn([small]))[0], (small - 10.0) / 240, "scans of 8 bits are scaled wrongly: make them float")


@exercise
def drop_modalities(fn):
    """Blanking modalities at random."""
    x = _random.uniform(1, 2, (3, 4, 5)).astype(np.float32)
    before, rng = x.copy(), np.random.default_rng(0)
    require_close(fn(x, 0.0, rng), before, "with p = 0 nothing is blanked")
    draws = np.stack([as_array(fn(x, 0.5, rng)) for _ in range(600)])
    require(np.array_equal(x, before), "x itself was changed; the next epoch would find it blank. Work on a copy")
    require(draws.shape[1:] == x.shape, f"the result has the shape of x, {x.shape}, got {draws.shape[1:]}")
    blank = (draws == 0).all(axis=(2, 3))
    partly = (draws == 0).any(axis=(2, 3)) & ~blank
    require(not partly.any(), "single pixels were blanked: a whole channel is there or not")
    require(not blank.all(axis=1).any(), "sometimes all channels are blank: one must stay")
    require_close(draws[~blank], np.broadcast_to(x, draws.shape)[~blank], "channels that stay keep their values")
    last = np.stack([(as_array(fn(x, 1.0, rng)) == 0).all(axis=(1, 2)) for _ in range(60)])
    require((last.sum(axis=1) == 2).all(), "with p = 1 exactly one of three stays")
    require(
        not last.all(axis=0).any() and last.any(axis=0).all(), "with p = 1 always the same one stays: choose at random"
    )
    share = (0.5 - 0.125 / 3) * np.ones(3)  # one in eight times all three are drawn, and one of them is spared
    require_close(blank.mean(axis=0), share, "each channel goes with probability p by itself", 0.08)
    require((blank.sum(axis=1) == 2).any(), "two of three may go together: draw for each channel")


@exercise
def widen(fn):
    """A first kernel for more channels."""
    w = _random.normal(size=(4, 1, 3, 3))
    found = as_array(fn(w, 3))
    require(found.shape == (4, 3, 3, 3), f"(4, 1, 3, 3) becomes (4, 3, 3, 3), got {found.shape}")
    silent = [c for c in range(3) if not found[:, c].any()]
    require(not silent, f"channel {silent} is not heard: its kernel is 0")
    require(
        not np.allclose(found, np.repeat(w, 3, axis=1)), "three channels alike now give three times the answer: scale"
    )
    require_close(
        found.sum(axis=1, keepdims=True), w, "channels alike must give what grey gave: the kernels add up to w"
    )
    require_close(found, np.repeat(w, 3, axis=1) / 3, "each channel shall have the same say")


@exercise
def freeze(fn):
    """Frozen layers."""
    model = UNet(1, 2, 2, 2, seed=0)
    before, chosen = model.state_dict(), [n for n, _ in model.named_parameters() if n.startswith("encoder")]
    before = {name: array.copy() for name, array in before.items()}
    returned = fn(model, "encoder")
    parameters = dict(model.named_parameters())
    frozen = [name for name, p in parameters.items() if not p.requires_grad]
    require(frozen, "no parameter is frozen: set requires_grad = False on each parameter, not on a layer")
    require(len(frozen) < len(parameters), "everything is frozen, and nothing is left to train")
    extra = [name for name in frozen if name not in chosen]
    require(not extra, f"{extra[:1]} is frozen too, and does not begin with 'encoder'")
    left = [name for name in chosen if name not in frozen]
    require(not left, f"{left[:1]} begins with 'encoder' and is not frozen")
    optimizer = Adam(model.parameters(), 0.1)
    x = _random.normal(size=(2, 1, 8, 8)).astype(np.float32)
    F.cross_entropy(model(x), _random.integers(0, 2, (2, 8, 8))).backward()
    optimizer.step()
    after = model.state_dict()
    moved = [name for name in after if name.startswith("encoder") and not np.array_equal(after[name], before[name])]
    require(not moved, f"after a step {moved[:1]} has moved")
    require(any(not np.array_equal(after[n], before[n]) for n in after), "after a step nothing has moved at all")
    count = sum(parameters[name].data.size for name in chosen)
    require(returned is not None, "your function returned None; it should return how many numbers are frozen")
    require(returned != len(chosen), f"{returned} is the number of arrays; count the numbers in them, p.data.size")
    require(returned == count, f"{count} numbers are frozen here, your function says {returned}")
    require(fn(UNet(1, 2, 2, 2), "decoder1") == 6, "the prefix is an argument: 'decoder1' has 6 numbers")
