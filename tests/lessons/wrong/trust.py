"""Typical wrong answers, each under words of the hint that it must get."""

import numpy as np

from tinyunet import Tensor


def saliency(reduce, classes=False, pixels=False):
    def fn(network, x, target, region):
        leaf = Tensor(x[None], requires_grad=True)
        z = network(leaf)
        gz = np.zeros_like(z.data)
        gz[0, slice(None) if classes else target] = 1 if pixels else region
        z.backward(gz)
        return reduce(leaf.grad[0])

    return fn


def largest(g):
    return np.abs(g).max(axis=0)


def occlusion(sign=1, copy=True, blank=np.mean, corner=False, cut=True):
    def fn(score, x, patch):
        m, hidden = np.zeros(x.shape), x.copy()
        H, W = x.shape if cut else (n // patch * patch for n in x.shape)
        for p in range(0, H, patch):
            for q in range(0, W, patch):
                hidden = x.copy() if copy else hidden
                here = hidden[p : p + patch, q : q + patch]
                here[:] = blank(x) if blank else here.mean()
                fall = sign * (score(x) - score(hidden))
                if corner:
                    m[p, q] = fall
                else:
                    m[p : p + patch, q : q + patch] = fall
        return m

    return fn


def occlusion_in_place(score, x, patch):
    whole = score(x)
    x[:patch, :patch] = x.mean()
    return np.full(x.shape, whole - score(x))


def places(m):
    return m.ravel().argsort().argsort()


def cam(A, gA):
    return np.maximum(0, (gA.mean(axis=(1, 2))[:, None, None] * A).sum(axis=0))


def entropy(p, axis):
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=axis)


def doubt(p):
    H = entropy(p.mean(axis=0), 0)
    return H, H - entropy(p, 1).mean(axis=0)


def naive(p):
    H = -(p.mean(axis=0) * np.log(p.mean(axis=0))).sum(axis=0)
    return H, H + (p * np.log(p)).sum(axis=1).mean(axis=0)


def scrub(header, keep, pseudonym):
    return {tag: header[tag] for tag in header if tag in keep} | {"0010|0020": pseudonym, "0012|0062": "YES"}


def by_block_list(header, keep, pseudonym):
    clean = {tag: text for tag, text in header.items() if not tag.startswith("0010")}
    return clean | {"0010|0020": pseudonym, "0012|0062": "YES"}


def in_place(header, keep, pseudonym):
    header["0010|0020"] = pseudonym
    return header


WRONG = {
    "saliency": {
        "every class": saliency(largest, classes=True),
        "every pixel": saliency(largest, pixels=True),
        "the size is missing": saliency(lambda g: g.max(axis=0)),
        "added up": saliency(lambda g: np.abs(g).sum(axis=0)),
        "one number for each pixel": saliency(np.abs),
    },
    "occlusion": {
        "the sign": occlusion(sign=-1),
        "under 0": occlusion(blank=lambda x: 0),
        "patch's own mean": occlusion(blank=None),
        "show each patch again": occlusion(copy=False),
        "not only for its first": occlusion(corner=True),
        "is cut, but counts": occlusion(cut=False),
        "hide the patch in a copy": occlusion_in_place,
    },
    "rank_correlation": {
        "values, not places": lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1],
        "which pixel comes first": lambda a, b: np.corrcoef(a.ravel().argsort(), b.ravel().argsort())[0, 1],
        "every row by itself": lambda a, b: np.corrcoef(*(m.argsort().argsort().ravel() for m in (a, b)))[0, 1],
        "the same order": lambda a, b: (places(a) * places(b)).mean(),
    },
    "seg_grad_cam": {
        "is left in": lambda A, gA: (gA.mean(axis=(1, 2))[:, None, None] * A).sum(axis=0),
        "around the sum over k": lambda A, gA: np.maximum(0, gA.mean(axis=(1, 2))[:, None, None] * A).sum(axis=0),
        "its own weight": lambda A, gA: np.maximum(0, (gA * A).sum(axis=0)),
        "exchanged": lambda A, gA: cam(gA, A),
        "not the sum": lambda A, gA: np.maximum(0, (gA.sum(axis=(1, 2))[:, None, None] * A).sum(axis=0)),
        "rows and columns of A": lambda A, gA: cam(A, gA).T,
        "over the channels is missing": lambda A, gA: np.maximum(0, gA.mean(axis=(1, 2))[:, None, None] * A),
    },
    "doubt": {
        "two arrays": lambda p: doubt(p)[0],
        "in bits": lambda p: tuple(part / np.log(2) for part in doubt(p)),
        "minus sign": lambda p: tuple(-part for part in doubt(p)),
        "0 ln 0": naive,
        "entropy of the mean": lambda p: (entropy(p, 1).mean(axis=0), doubt(p)[1]),
        "added up": lambda p: (doubt(p)[0], doubt(p)[0] - entropy(p, 1).sum(axis=0)),
        "I = 0": lambda p: (doubt(p)[0], entropy(p, 1).mean(axis=0)),
    },
    "left_in_header": {
        "free text": {"0009|1001"},
        "is private": {"0008|103e", "0020|000d"},
        "birth date": ["0008|103e", "0009|1001"],
        "put in by the anonymiser": {"0010|0010"},
        "too many": {"0008|103e", "0009|1001", "0020|000d", "0018|0050"},
    },
    "scrub": {
        "got through": by_block_list,
        "not into the name": lambda h, keep, name: {t: h[t] for t in h if t in keep} | {"0010|0010": name},
        "header that was given": in_place,
        "pseudonym there": lambda header, keep, _: dict(header),
        "split by patient": lambda header, keep, _: {tag: header[tag] for tag in header if tag in keep},
        "so that the next": lambda h, keep, name: {t: h[t] for t in h if t in keep} | {"0010|0020": name},
        "make nothing up": lambda h, keep, name: {t: h.get(t, "") for t in keep} | scrub(h, keep, name),
        "got lost": lambda h, keep, name: {t: v for t, v in scrub(h, keep, name).items() if t != "0020|0032"},
    },
}
