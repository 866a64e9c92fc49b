"""Checks: splits by patient, batches, rotation, paired augmentation and exact resume."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np

from ... import functional as F
from ...data.augment.geometry import positions
from ...nn import BatchNorm2d, Conv2d, ReLU
from ...nn.module import Sequential
from ...optim import Adam
from ..exercise import as_array, exercise, require, require_close

_random = np.random.default_rng(0)


@exercise
def leaked(fn):
    """Patients on both sides."""
    found = fn(["p01_s1", "p01_s2", "p10_s1", "p03_s4"], ["p01_s3", "p03_s1", "p02_s1"])
    require(found is not None, "your function returned None; does it end with `return`?")
    found = list(found)
    require(not any("_" in name for name in found), "return patients, what stands before the underscore, not slices")
    require(found != [], "no slice is in both lists, but patients are: compare what stands before the underscore")
    require(len(set(found)) == len(found), "each patient once, however many of its slices are there")
    require(found == sorted(found), "sort the list")
    require(found == ["p01", "p03"], f"p01 and p03 are on both sides here, you found {found}")
    require(list(fn(["p1_s1"], ["p10_s1"])) == [], "p1 is not p10: take all that stands before the underscore")


@exercise
def split_by_patient(fn):
    """A split by patients."""
    patients = ["b"] * 4 + ["a"] * 2 + ["c"] * 3 + ["d"] + ["e"] * 2 + ["a"]
    owner, seen = np.array(patients), set()
    for seed in range(12):
        returned = fn(patients, 2, seed)
        require(isinstance(returned, tuple) and len(returned) == 2, "return two things: (training, held out)")
        train, out = ([int(k) for k in as_array(part)] for part in returned)
        require(len(set(train) | set(out)) == len(patients), "every slice belongs to one of the two sides")
        require(not set(train) & set(out), "a slice is on both sides")
        both = set(owner[train]) & set(owner[out])
        require(not both, f"patient {min(both, default='')!r} has slices on both sides: hold out all of a patient")
        held = len(set(owner[out]))
        require(held != 3, "the two sides are exchanged: first the training slices, then the held-out ones")
        require(held == 2, f"2 patients are to be held out, not {held}: draw without repetition, each patient once")
        require(list(map(int, as_array(fn(patients, 2, seed)[1]))) == out, "the same seed must give the same split")
        seen.add(tuple(sorted(set(owner[out]))))
    require(len(seen) > 1, "another seed should draw other patients: use np.random.default_rng(seed)")


@exercise
def batches(fn):
    """The batches of an epoch."""
    found = fn(10, 4, 0, 0)
    require(found is not None, "your function returned None; does it end with `return`?")
    first = [as_array(batch).tolist() for batch in found]
    together = sum(first, [])
    require(len(together) != 8, "the last two images are left out: a last, smaller batch is a batch")
    require(len(set(together)) == len(together), "an image comes twice: draw one order of all images, then cut it")
    require(sorted(together) == list(range(10)), "all of 0 to 9 must come, each once")
    require([len(batch) for batch in first] == [4, 4, 2], "10 images make batches of 4, 4 and 2")
    require(together != list(range(10)), "the order must be random")
    again = [as_array(batch).tolist() for batch in fn(10, 4, 0, 0)]
    require(again == first, "the same seed and epoch must give the same order: no other source of chance")
    later = [as_array(batch).tolist() for batch in fn(10, 4, 0, 1)]
    require(later != first, "another epoch needs another order: give the generator [seed, epoch]")
    other = [as_array(batch).tolist() for batch in fn(10, 4, 1, 0)]
    require(other != first and other != later, "seed and epoch must both count, and not only their sum")


@exercise
def look_at(fn):
    """Where a rotated pixel looks."""
    corner = fn(0, 0, np.pi / 2, 5, 5)
    require(corner is not None, "your function returned None; does it end with `return`?")
    p, q = (float(as_array(part)) for part in corner)
    require(not np.allclose((p, q), (0, 0)) and min(p, q) > -0.1, "the image turns about its middle: subtract it first")
    require(abs(p) < 5 and abs(q) < 5, "the middle of 5 pixels counted from 0 is 2, which is (H - 1) / 2")
    require(not np.allclose((p, q), (4, 0)), "that turns clockwise: the sign of the sines is exchanged")
    require_close([p, q], [0.0, 4.0], "turned by 90 degrees, pixel (0, 0) of 5 x 5 looks at (0, 4)")
    i, j = np.mgrid[:6, :9]
    right = positions((6, 9), (slice(None), slice(None)), angle=0.4)
    for name, found, wanted in zip("pq", fn(i, j, 0.4, 6, 9), right, strict=True):
        require_close(found, np.broadcast_to(wanted, (6, 9)), f"{name} is off in an image of 6 x 9, turned by 0.4")


@exercise
def nearest(fn):
    """The label of the nearest pixel."""
    mask = np.array([[0, 2, 2], [5, 0, 2]])
    p, q = np.array([0.0, 0.4, 0.6, 1.2]), np.array([0.6, 2.3, 0.1, 0.8])
    found = as_array(fn(mask, p, q))
    require(found.dtype.kind == "i", "labels are integers; nothing may be averaged")
    require(
        not np.array_equal(found, mask[p.astype(int), q.astype(int)]), "int() cuts off: 0.6 is nearer to 1 than to 0"
    )
    require_close(found, [2, 2, 5, 0], "take the pixel (p, q) rounded to whole numbers")
    p, q = np.array([-0.4, -0.6, 1.4, 1.6, 0.0, 0.0, 0.0, -3.0]), np.array([0.0, 0.0, 0.0, 0.0, 2.4, 2.6, -0.6, 0.0])
    found = as_array(fn(mask, p, q))
    require((found[[1, 3, 5, 6, 7]] == -1).all(), f"outside of the image the label is -1, got {found.tolist()}")
    require_close(found, [0, -1, 5, -1, 2, -1, -1, -1], "half a pixel beyond the first or last centre is still inside")


@exercise
def augment(fn):
    """One draw for image and mask."""
    mask = np.arange(16).reshape(4, 4)
    image = np.stack([mask, mask + 100]).astype(np.float32)
    seen = set()
    for seed in range(60):
        returned = fn(image.copy(), mask.copy(), np.random.default_rng(seed))
        require(isinstance(returned, tuple) and len(returned) == 2, "return two things: image and mask")
        moved, labels = (as_array(part) for part in returned)
        require(moved.shape == image.shape, "rows and columns are the last two axes: flip axis -1, turn axes (-2, -1)")
        hint = "the channels have changed places: the image is (C, H, W), and its first axis must stay"
        require(np.array_equal(moved[0] + 100, moved[1]), hint)
        require(np.array_equal(moved[0], labels), "image and mask went different ways: draw once, then move both alike")
        again = as_array(fn(image.copy(), mask.copy(), np.random.default_rng(seed))[1])
        require(np.array_equal(labels, again), "the same rng must give the same move: take all chance from it")
        seen.add(labels.tobytes())
    require(np.sort(labels.ravel()).tolist() == list(range(16)), "pixels may move, and none may get lost")
    require(len(seen) == 8, f"2 mirrorings times 4 quarter turns are 8 positions; yours gave {len(seen)}")


class _Run(SimpleNamespace):
    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        layers = Conv2d(1, 2, 3, padding=1, rng=rng), BatchNorm2d(2), ReLU(), Conv2d(2, 2, 1, rng=rng)
        model = Sequential(*layers)
        optimizer = Adam(model.parameters(), 0.01 * (seed + 1))
        super().__init__(model=model, optimizer=optimizer, rng=rng, step=0)

    def train(self, steps: int) -> None:
        for _ in range(steps):
            images = self.rng.normal(size=(2, 1, 4, 4)).astype(np.float32)
            self.optimizer.lr = 0.05 / (1 + self.step)
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(images), (images[:, 0] > 0).astype(int)).backward()
            self.optimizer.step()
            self.step += 1

    def parts(self) -> dict:
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        return copy.deepcopy(parts | {"rng": self.rng.bit_generator.state, "step": self.step})


def _same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@exercise
def resume(functions):
    """Exact resume."""
    save, restore = functions
    run, other = _Run(seed=0), _Run(seed=1)
    run.train(3)
    before = run.parts()
    saved = save(run)
    require(saved is not None, "save returned None; does it end with `return`?")
    run.train(3)
    later = run.parts()
    restore(other, saved)
    found = other.parts()
    if not _same(before["model"], later["model"]) and _same(found["model"], later["model"]):
        require(False, "what was saved changed while training went on: copy the arrays (copy.deepcopy)")
    learned = [name for name in before["model"] if "running" not in name and "tracked" not in name]
    same = all(np.array_equal(before["model"][name], found["model"][name]) for name in learned)
    require(same, "the weights are not those of the moment of saving: model.state_dict() and load_state_dict()")
    hint = "batch norm's running means are missing: state_dict() has them, parameters() has not"
    require(_same(before["model"], found["model"]), hint)
    hint = "Adam's m, v and t are missing, or changed after saving: optimizer.state_dict(), copied"
    require(_same(before["optimizer"], found["optimizer"]), hint)
    require(before["rng"] == found["rng"], "the next batches will be others: save rng.bit_generator.state")
    require(before["step"] == found["step"], "the schedule will begin anew: save run.step")
    other.train(3)
    end = other.parts()
    require(_same(end["model"], later["model"]), "3 + resume + 3 steps do not give the bits of 6 steps")
