"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np


def gradient(divide="labelled", keep=False, sign=1):
    def partial(z, t):
        p = np.exp(z) / np.exp(z).sum(axis=0)
        p[t, np.arange(len(t))] -= 1
        p = p if keep else np.where(t >= 0, p, 0)
        return sign * p / {"labelled": (t >= 0).sum(), "all": len(t), "none": 1}[divide]

    return partial


def stack(each=True, axis=0, guard=True, dtype=np.float32):
    def stacked(scans):
        arrays = [np.asarray(s, float) for s in scans]
        low = [a.min() for a in arrays] if each else [np.min(arrays)] * len(arrays)
        span = [np.ptp(a) for a in arrays] if each else [np.ptp(arrays)] * len(arrays)
        channels = [(a - b) / (s or (1 if guard else s)) for a, b, s in zip(arrays, low, span, strict=True)]
        return np.stack(channels, axis=axis).astype(dtype)

    return stacked


def drop(spare="random", in_place=False, pixels=False, one_only=False):
    def dropped(x, p, rng):
        gone = rng.random(x.shape if pixels else len(x)) < p
        if pixels:
            return np.where(gone, 0, x)
        if one_only:
            gone = np.arange(len(x)) == (rng.integers(len(x)) if rng.random() < p else -1)
        if gone.all() and spare:
            gone[0 if spare == "first" else rng.integers(len(x))] = False
        y = x if in_place else x.copy()
        y[gone] = 0
        return y

    return dropped


def freeze(chosen, count=lambda parameters: sum(p.data.size for p in parameters)):
    def frozen(model, prefix):
        parameters = [p for name, p in model.named_parameters() if chosen(name, prefix)]
        for p in parameters:
            p.requires_grad = False
        return count(parameters)

    return frozen


def freeze_layer(model, prefix):
    for name, layer in model.named_children():
        if name.startswith(prefix):
            layer.requires_grad = False


WRONG = {
    "to_labels": {
        "255": lambda strokes: strokes - 1,
        "not background": lambda strokes: np.maximum(strokes.astype(np.int64) - 1, 0),
        "int64": lambda strokes: strokes.astype(np.float32) - 1,
        "1 becomes 0": lambda strokes: np.where(strokes == 0, -1, strokes.astype(np.int64)),
    },
    "partial_gradient": {
        "exactly 0": gradient(keep=True),
        "all 8 pixels": gradient(divide="all"),
        "not divided": gradient(divide="none"),
        "sign": gradient(sign=-1),
        "divides by 0": gradient(),
    },
    "stack_modalities": {
        "one range": stack(each=False),
        "channels come first": stack(axis=-1),
        "divides 0 by 0": stack(guard=False),
        "float32": stack(dtype=float),
    },
    "drop_modalities": {
        "one must stay": drop(spare=None),
        "Work on a copy": drop(in_place=True),
        "single pixels": drop(pixels=True),
        "always the same one": drop(spare="first"),
        "exactly one of three": drop(one_only=True),
    },
    "widen": {
        "three times the answer": lambda w, C: np.repeat(w, C, axis=1),
        "not heard": lambda w, C: np.concatenate([w, *[np.zeros_like(w)] * (C - 1)], axis=1),
        "becomes (4, 3, 3, 3)": lambda w, C: np.repeat(w, C, axis=0) / C,
        "same say": lambda w, C: np.concatenate([w * k for k in (0.5, 0.25, 0.25)], axis=1),
    },
    "freeze": {
        "on each parameter": freeze_layer,
        "everything is frozen": freeze(lambda name, prefix: True),
        "is frozen too": freeze(lambda name, prefix: "coder" in name),
        "is not frozen": freeze(lambda name, prefix: name.startswith(prefix) and name.endswith("weight")),
        "number of arrays": freeze(lambda name, prefix: name.startswith(prefix), count=len),
        "returned None": freeze(lambda name, prefix: name.startswith(prefix), count=lambda parameters: None),
        "prefix is an argument": freeze(lambda name, prefix: name.startswith("encoder")),
    },
}
