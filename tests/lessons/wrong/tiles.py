"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np


def starts(rounded=True, last=True, beyond=False, twice=False, single=True):
    def tile_starts(size, tile, overlap, step):
        if tile >= size and single:
            return [0]
        stride = (tile - overlap) // step * step if rounded else tile - overlap
        if beyond:
            return list(range(0, size - overlap, stride))
        found = list(range(0, size - tile + (1 if twice else 0), stride))
        return [*found, size - tile] if last else found

    return tile_starts


def join(weighted=True, divide=True, overwrite=False, wide=True):
    def joined(outputs, starts, width, weights):
        total, weight = np.zeros((*outputs[0].shape[:3], width)), np.zeros(width)
        for y, s, w in zip(outputs, starts, weights, strict=True):
            w = w if weighted else np.ones(len(w))
            here = slice(s, s + len(w))
            total[..., here] = y if overwrite else total[..., here] + w * y
            weight[here] = 1 if overwrite else weight[here] + w
        total = total / weight if divide else total
        return total if wide else total[..., : len(weights[0])]

    return joined


def trusted(at_edges=True):
    def weights(length, margin, cut_before, cut_after):
        w = np.ones(length)
        if cut_before or not at_edges:
            w[:margin] = 0
        if cut_after or not at_edges:
            w[-margin:] = 0
        return w

    return weights


def gaussian(middle=lambda L: (L - 1) / 2, width=lambda L: L / 8, factor=0.5):
    return lambda L: np.exp(-factor * ((np.arange(L) - middle(L)) / width(L)) ** 2)


def bytes_of(number=4, bottom=4, shrink=2, images=True):
    def training_bytes(base, depth, N, H, W):
        maps = [10] * depth + [bottom]
        one = number * base * H * W * (N if images else 1)
        return sum(count * one / shrink**k for k, count in enumerate(maps))

    return training_bytes


def looks(which=((1, 1), (1, -1), (-1, 1), (-1, -1)), back=True, divide=True):
    def mean(network, x):
        total = 0
        for a, b in which:
            y = network(x[..., ::a, ::b])
            total = total + (y[..., ::a, ::b] if back else y)
        return total / len(which) if divide else total

    return mean


WRONG = {
    "margin": {
        "whole width": lambda D: 2 * (7 * 2**D - 5) + 1,
        "way down alone": lambda D: 2 * (2**D - 1) + 2 * 2**D,
        "place in the block": lambda D: 4 * (2**D - 1) + 2 * 2**D,
        "bottom is missing": lambda D: 4 * (2**D - 1) + 2**D - 1,
        "not two": lambda D: 8 * (2**D - 1) + 3 * 2**D - 1,
        "2^(k-1)": lambda D: 4 * D + 2 * (D + 1) + 1 if D > 1 else 9,
    },
    "tile_starts": {
        "multiples of step": starts(rounded=False),
        "must reach the end": starts(last=False),
        "beyond the end": starts(beyond=True),
        "there twice": starts(twice=True),
        "one tile of 64": starts(single=False),
    },
    "join": {
        "divide by the sum": join(divide=False),
        "plain mean": join(weighted=False),
        "overwrite": join(overwrite=True),
        "width of the image": join(wide=False),
    },
    "trusted": {
        "image begins here": trusted(at_edges=False),
        "w[-0:]": trusted(),
        "cut on both sides": lambda length, margin, before, after: np.ones(length),
    },
    "gaussian": {
        "half a pixel": gaussian(middle=lambda L: L / 2),
        "1/2 in the exponent": gaussian(factor=1),
        "not L": gaussian(width=lambda L: L),
        "in parentheses": gaussian(width=lambda L: 8 * L),
        "one weight for each": lambda L: gaussian()(L)[:-1],
    },
    "training_bytes": {
        "4 bytes": bytes_of(number=1),
        "not 10": bytes_of(bottom=10),
        "half the height": bytes_of(shrink=1),
        "channels double": bytes_of(shrink=4),
        "three images": bytes_of(images=False),
    },
    "four_looks": {
        "not mirrored back": looks(back=False),
        "two looks": looks(which=((1, 1), (1, -1))),
        "divide by 4": looks(divide=False),
        "one look": lambda network, x: network(x),
    },
}
