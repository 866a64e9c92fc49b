"""Typical wrong answers, each under words of the hint that it must get."""

import copy

import numpy as np


def parts(**slip):
    """Build the two halves of a resume with one slip."""

    def save(run):
        saved = {"model": run.model.state_dict(), "optimizer": run.optimizer.state_dict()}
        if slip.get("parameters"):
            saved["model"] = [p.data for p in run.model.parameters()]
        if not slip.get("alias"):
            saved = copy.deepcopy(saved)
        return saved | {"rng": run.rng.bit_generator.state, "step": run.step}

    def restore(run, saved):
        if slip.get("parameters"):
            for p, array in zip(run.model.parameters(), saved["model"], strict=True):
                p.data[...] = array
        elif not slip.get("no weights"):
            run.model.load_state_dict(saved["model"])
        if not slip.get("no optimizer"):
            run.optimizer.load_state_dict(saved["optimizer"])
        if not slip.get("no rng"):
            run.rng.bit_generator.state = saved["rng"]
        if not slip.get("no step"):
            run.step = saved["step"]

    return save, restore


def batches(make_rng, keep_last=True, cut=True):
    def build(count, size, seed, epoch):
        rng = make_rng(seed, epoch)
        order = rng.permutation(count) if cut else rng.integers(0, count, count)
        stop = count if keep_last else count // size * size
        return [order[k : k + size] for k in range(0, stop, size)]

    return build


def look_at(centre=True, half=1, sign=1, swap=False):
    def look(i, j, angle, H, W):
        H, W = (W, H) if swap else (H, W)
        ci, cj = ((H - half) / 2, (W - half) / 2) if centre else (0, 0)
        i, j, cos, sin = i - ci, j - cj, np.cos(angle), sign * np.sin(angle)
        return ci + cos * i + sin * j, cj - sin * i + cos * j

    return look


def nearest(toward=lambda a: np.floor(a + 0.5).astype(int), outside=True, kind=int):
    def sample(mask, p, q):
        H, W = mask.shape
        p, q = toward(p), toward(q)
        inside = (p >= 0) & (p < H) & (q >= 0) & (q < W)
        labels = mask[p.clip(0, H - 1), q.clip(0, W - 1)].astype(kind)
        return np.where(inside, labels, -1) if outside else labels

    return sample


def augment(image_axis=-1, one_draw=True, mirror=True):
    def move(image, mask, rng):
        def draw():
            return rng.random() < 0.5, rng.integers(4)

        first = draw()
        second = first if one_draw else draw()
        moved = []
        for array, (flip, turns), axis in ((image, first, image_axis), (mask, second, -1)):
            array = np.flip(array, axis) if flip and mirror else array
            moved.append(np.rot90(array, turns, axes=(-2, -1)))
        return tuple(moved)

    return move


def by_slice(patients, count, seed):
    order = np.random.default_rng(seed).permutation(len(patients))
    return order[count:], order[:count]


def with_repetition(patients, count, seed):
    held = np.random.default_rng(seed).choice(patients, count)
    out = np.isin(patients, held)
    return np.flatnonzero(~out), np.flatnonzero(out)


def by_patient(seed_counts=True, exchange=False):
    def split(patients, count, seed):
        rng = np.random.default_rng(seed if seed_counts else 0)
        out = np.isin(patients, rng.choice(sorted(set(patients)), count, replace=False))
        return tuple(np.flatnonzero(side) for side in ((out, ~out) if exchange else (~out, out)))

    return split


WRONG = {
    "leaked": {
        "no slice is in both": lambda train, test: sorted(set(train) & set(test)),
        "p1 is not p10": lambda train, test: sorted({a.split("_")[0] for a in train for b in test if _begins(b, a)}),
        "not slices": lambda train, test: sorted(a for a in train if a[:3] in {b[:3] for b in test}),
        "each patient once": lambda train, test: [a[:3] for a in sorted(train) if a[:3] in {b[:3] for b in test}],
    },
    "split_by_patient": {
        "has slices on both sides": by_slice,
        "draw without repetition": with_repetition,
        "exchanged": by_patient(exchange=True),
        "another seed": by_patient(seed_counts=False),
    },
    "batches": {
        "left out": batches(lambda seed, epoch: np.random.default_rng([seed, epoch]), keep_last=False),
        "comes twice": batches(lambda seed, epoch: np.random.default_rng([seed, epoch]), cut=False),
        "no other source of chance": batches(lambda seed, epoch: np.random.default_rng()),
        "another epoch needs": batches(lambda seed, epoch: np.random.default_rng(seed)),
        "not only their sum": batches(lambda seed, epoch: np.random.default_rng(seed + epoch)),
        "must be random": lambda count, size, seed, epoch: np.split(np.arange(count), range(size, count, size)),
    },
    "look_at": {
        "about its middle": look_at(centre=False),
        "(H - 1) / 2": look_at(half=0),
        "turns clockwise": look_at(sign=-1),
        "is off in an image": look_at(swap=True),
    },
    "nearest": {
        "cuts off": nearest(toward=lambda a: a.astype(int)),
        "the label is -1": nearest(outside=False),
        "nothing may be averaged": nearest(kind=float),
        "rounded to whole": nearest(toward=lambda a: np.ceil(a).astype(int)),
    },
    "augment": {
        "different ways": augment(one_draw=False),
        "channels have changed places": augment(image_axis=0),
        "are 8 positions": augment(mirror=False),
    },
    "resume": {
        "the weights are not": parts(**{"no weights": True}),
        "running means": parts(parameters=True),
        "m, v and t": parts(**{"no optimizer": True}),
        "next batches": parts(**{"no rng": True}),
        "begin anew": parts(**{"no step": True}),
        "copy.deepcopy": parts(alias=True),
    },
}


def _begins(name: str, other: str) -> bool:
    """Compare what stands before the underscore by its beginning only."""
    one, two = name.split("_")[0], other.split("_")[0]
    return one.startswith(two)
