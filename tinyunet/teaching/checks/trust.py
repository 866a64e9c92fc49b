"""Checks: maps of what matters, the likeness of maps, doubt, and what a header gives away."""

from __future__ import annotations

import numpy as np

from ... import functional as F
from ...autograd import Tensor
from ...glass.attribution.sanity import rank_correlation as spearman
from ..exercise import as_array, exercise, require, require_close

_random = np.random.default_rng(0)
W = _random.normal(size=(3, 2, 3, 3))
X, A, GA = _random.normal(size=(2, 6, 7)), _random.normal(size=(4, 5, 6)), _random.normal(size=(4, 5, 6))
REGION = np.zeros((6, 7), bool)
REGION[1:3, 2:6] = True


def _gradient(weight: np.ndarray) -> np.ndarray:
    """The gradient in X of the sum of all scores times their weights."""
    x = Tensor(X[None], requires_grad=True)
    F.conv2d(x, W, padding=1).backward(weight[None])
    return x.grad[0]


@exercise
def saliency(fn):
    """Saliency of a class in a region."""
    found = as_array(fn(lambda x: F.conv2d(x, Tensor(W), padding=1), X, 1, REGION))
    require(found.shape != X.shape, "one number for each pixel: take the largest over the image's channels, axis 0")
    weights = np.zeros((3, 3, 6, 7))  # of the right answer and of two slips: (classes, H, W) each
    weights[0, 1], weights[1, :], weights[2, 1] = REGION, REGION, 1
    right, all_classes, all_pixels = (_gradient(weight) for weight in weights)
    for g, hint in (
        (all_classes, "every class is asked about: gz is 1 in channel `target` only"),
        (all_pixels, "every pixel is asked about: gz is 1 inside the region only"),
    ):
        require(not _close(found, np.abs(g).max(axis=0)), hint)
    require(not _close(found, right.max(axis=0)), "the size is missing: (2) has |.|, and takes the largest after it")
    require(not _close(found, np.abs(right.max(axis=0))), "first the size of each channel's gradient, then the largest")
    require(not _close(found, np.abs(right).sum(axis=0)), "channels are added up; (2) takes the largest of them")
    require_close(found, np.abs(right).max(axis=0), "gz must be 1 at the class and the region asked about, then (2)")


def _close(found: np.ndarray, other: np.ndarray) -> bool:
    return found.shape == other.shape and np.allclose(found, other)


def _occlusion(weights: np.ndarray, x: np.ndarray, patch: int, blank: float | None) -> np.ndarray:
    """What (3) gives for a score that is linear, S = sum of weights * x; without `blank` under the patch's mean."""
    m = np.zeros(x.shape)
    for p in range(0, x.shape[0], patch):
        for q in range(0, x.shape[1], patch):
            here = slice(p, p + patch), slice(q, q + patch)
            m[here] = (weights[here] * (x[here] - (x[here].mean() if blank is None else blank))).sum()
    return m


@exercise
def occlusion(fn):
    """Occlusion, patch by patch."""
    weights = _random.normal(size=(6, 8))
    x = _random.normal(2, 1, size=(6, 8))

    def map_of(x, patch):
        given = x.copy()
        found = as_array(fn(lambda image: float((weights * image).sum()), given, patch))
        require(np.array_equal(given, x), "the image itself was changed: hide the patch in a copy, x.copy()")
        return found

    found, right = map_of(x, 2), _occlusion(weights, x, 2, x.mean())
    require(not _close(found, -right), "the sign: a patch that the score needs is positive, S(x) - S(hidden)")
    require(not _close(found, _occlusion(weights, x, 2, 0)), "the patch is hidden under 0; (3) puts the image's mean")
    require(not _close(found, _occlusion(weights, x, 2, None)), "that is the patch's own mean; (3) puts the image's")
    require(not _close(np.cumsum(right[::2, ::2]), found[::2, ::2].ravel()), "show each patch again before the next")
    only_corners = np.zeros(x.shape)
    only_corners[::2, ::2] = right[::2, ::2]
    require(not _close(found, only_corners), "(3) holds for all pixels of the patch, not only for its first one")
    require_close(found, right, "for each patch: copy, put x.mean() into it, and note score(x) - score(hidden)")
    right = _occlusion(weights, x, 4, x.mean())
    require_close(map_of(x, 4), right, "with patches of 4 in 6 rows the last patch is cut, but counts")


@exercise
def rank_correlation(fn):
    """Rank correlation of two maps."""
    a, b = _random.random((2, 6, 7))
    b = b + a
    cubed = float(fn(a, a**9))
    require(not np.isclose(cubed, np.corrcoef(a.ravel(), (a**9).ravel())[0, 1]), "that correlates values, not places")
    hint = "a and a to the power of 9 have the same order, so 1 is right: two argsorts, after ravel() of the whole map"
    require(np.isclose(cubed, 1), f"{hint} (got {cubed:.4f})")
    once = np.corrcoef(a.ravel().argsort(), b.ravel().argsort())[0, 1]
    require(not np.isclose(fn(a, b), once), "argsort once tells which pixel comes first; its argsort gives the places")
    rows = np.corrcoef(*(m.argsort().argsort().ravel() for m in (a, b)))[0, 1]
    require(not np.isclose(fn(a, b), rows), "argsort sorts every row by itself: ravel() first")
    require_close(fn(a, b), spearman(a, b), "the ordinary correlation of the places of both maps", 1e-9)
    require_close(fn(a, -a), -1.0, "a map and its negative have opposite orders")


@exercise
def seg_grad_cam(fn):
    """Seg-Grad-CAM of one layer."""
    found = as_array(fn(A, GA))
    a = GA.mean(axis=(1, 2))
    raw = np.tensordot(a, A, axes=1)
    require(found.shape != A.shape, "the sum over the channels is missing: L is (5, 6)")
    require(found.shape == A.shape[1:], f"L has the rows and columns of A, (5, 6), got {found.shape}")
    require(not _close(found, raw), "what speaks against the class is left in: max(0, .) around the sum")
    require(not _close(found, np.maximum(0, a[:, None, None] * A).sum(axis=0)), "max(0, .) goes around the sum over k")
    each = np.maximum(0, (GA * A).sum(axis=0))
    require(not _close(found, each), "each place got its own weight; (4) first takes the mean of the gradient over it")
    other = np.maximum(0, np.tensordot(A.mean(axis=(1, 2)), GA, axes=1))
    require(not _close(found, other), "exchanged: the mean is of the gradient gA, and the map is made of A")
    require(not _close(found, np.maximum(0, raw) * 30), "a[k] is the mean over all places, not the sum")
    require_close(found, np.maximum(0, raw), "a[k] is the mean of gA[k]; then the sum of a[k] A[k] over k", 1e-9)


@exercise
def doubt(fn):
    """Entropy and mutual information."""
    same, contrary = np.full((2, 2, 1, 1), 0.5), np.array([[1, 0], [0, 1.0]]).reshape(2, 2, 1, 1)
    answer = fn(same)
    require(isinstance(answer, tuple) and len(answer) == 2, "two arrays are wanted: return H, I")
    H, info = (as_array(part) for part in answer)
    require(H.shape == (1, 1), f"from (T, classes, H, W) comes (H, W), here (1, 1), got {H.shape}: sum over classes")
    require(not np.isclose(H, 1), "that is in bits; (5) has the natural logarithm")
    require(not np.isclose(H, -np.log(2)), "the minus sign of the entropy is missing")
    require_close(H, [[np.log(2)]], "one half and one half have the entropy ln 2")
    require(not np.isclose(info, -np.log(2)), "the entropies of the looks are added up; (5) takes their mean")
    require_close(info, [[0]], "two looks that say the same do not contradict each other: I = 0")
    with np.errstate(divide="ignore", invalid="ignore"):
        H, info = (as_array(part) for part in fn(contrary))
    require(np.isfinite(H).all() and np.isfinite(info).all(), "0 ln 0 counts as 0; NumPy makes nan of it, see np.where")
    require(
        not np.isclose(H, 0), "the mean of the entropies; H is the entropy of the mean, here of one half and one half"
    )
    require_close(H, [[np.log(2)]], "the mean of (1, 0) and (0, 1) is undecided: H = ln 2", 1e-4)
    require_close(info, [[np.log(2)]], "looks that are each sure and contradict each other: I = H = ln 2", 1e-4)
    p = _random.dirichlet((1, 2, 3), size=(4, 2, 3)).transpose(0, 3, 1, 2)
    mean = p.mean(axis=0)
    right = -(mean * np.log(mean)).sum(axis=0)
    H, info = fn(p)
    require_close(H, right, "H is the entropy of the mean over the looks (the first axis)")
    require_close(info, right + (p * np.log(p)).sum(axis=1).mean(axis=0), "I = H - the mean of the looks' entropies")


_LEFT = {
    "0008|103e": "one entry is free text, which somebody typed",
    "0009|1001": "one entry is private (an odd group), and holds a number that you know",
    "0020|000d": "one entry is a long number, and the scanner made a part of it from the birth date, 19391207",
}


@exercise
def left_in_header(tags):
    """The identifiers left in the header."""
    require(isinstance(tags, (set, list, tuple)), "a set of tags is wanted, such as {'0008|0060'}")
    tags = set(tags)
    require(not tags & {"0010|0010", "0010|0020"}, "ANONYMOUS and CASE-07 were put in by the anonymiser")
    for tag, hint in _LEFT.items():
        require(tag in tags, f"{3 - len(tags & set(_LEFT))} of 3 are missing; {hint}")
    require(
        tags == set(_LEFT), f"too many: {sorted(tags - set(_LEFT))} hold no name, birth date or number of the patient"
    )


@exercise
def scrub(fn):
    """A scrubber for headers."""
    keep = {"0008|0060", "0020|0032", "0028|0030"}
    header = {
        "0008|0060": "CT",
        "0010|0010": "Winterbottom^Ada",
        "0010|0020": "48151623",
        "0010|0030": "19391207",
        "0020|0032": "0\\0\\5",
        "0008|103e": "for Mrs Winterbottom",
        "0009|1001": "48151623",
        "7777|1234": "Ada",
    }
    before = dict(header)
    clean = fn(header, keep, "P-001")
    require(header == before and keep == {"0008|0060", "0020|0032", "0028|0030"}, "the header that was given changed")
    require(isinstance(clean, dict), "a dict is wanted; does your function end with `return`?")
    require(clean.get("0010|0020") != "48151623", "PatientID still has the patient's number: put the pseudonym there")
    require(clean.get("0010|0010") != "P-001", "the pseudonym belongs into PatientID, 0010|0020, not into the name")
    secrets = [tag for tag, text in clean.items() if tag not in keep and tag not in ("0010|0020", "0012|0062") and text]
    require(not secrets, f"{', '.join(secrets)} got through: keep what is in `keep`, and nothing else")
    require(clean.get("0010|0020") == "P-001", "the pseudonym is missing; without it nobody can split by patient")
    require(clean.get("0012|0062") == "YES", "0012|0062 must say YES, so that the next one knows")
    require(clean.get("0020|0032") == "0\\0\\5", "0020|0032 is in `keep` and got lost: slices need their place")
    require("0028|0030" not in clean, "0028|0030 is in `keep`, but this header has none: make nothing up")
    require(
        set(clean) == {"0008|0060", "0020|0032", "0010|0020", "0012|0062"}, "there is more in it than was asked for"
    )
