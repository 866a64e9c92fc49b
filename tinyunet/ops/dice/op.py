"""Soft Dice loss: the formula and its autograd bookkeeping."""

from __future__ import annotations

import numpy as np

from ...autograd import Op, Tensor
from ...backend import choose_kernels, library_of
from ..shapes import require_4d
from ..targets import prepare_labels


class DiceLoss(Op):
    """The autograd op behind `dice_loss`; equation numbers are those of its docstring."""

    def forward(self, z, *, target, include_background, per_image, squared, eps, empty, ignore_index):
        require_4d(z, "logits")
        if empty not in ("skip", "one"):
            raise ValueError(f"empty must be 'skip' or 'one', got {empty!r}")
        if eps <= 0:
            raise ValueError(f"eps must be positive, got {eps}")
        N, C, H, W = z.shape
        self.squared = squared
        labels = prepare_labels(target, z, ignore_index)
        counted = labels != ignore_index
        if C == 1:
            labels = labels - 1  # the only channel is the foreground: label 1 becomes channel 0
        self.kernels = choose_kernels(z, __package__)
        p = self.kernels.probabilities(z.reshape(N, C, H * W))
        self.save(p, labels, counted)
        sums = self.kernels.sums(p, labels, counted, squared)  # I, P, Y as (3, N, C)
        if not per_image:
            sums = sums.sum(axis=1, keepdims=True)
        I, P, Y = sums
        self.numerator, self.denominator = 2 * I + eps, P + Y + eps
        share = np.ones_like(I)
        if C > 1 and not include_background:
            share[:, 0] = 0
        if empty == "skip":
            share[Y == 0] = 0
        self.share = share / np.maximum(share.sum(), 1)  # nothing counted: the loss is 0
        loss = (self.share * (1 - self.numerator / self.denominator)).sum()  # (1)
        return library_of(z).asarray(loss, z.dtype)

    def backward(self, gy):
        p, labels, counted = self.saved
        # (2): dL/dp = a y + b (times 2 p if squared), with a and b per image and class
        a = -2 * self.share / self.denominator * gy
        b = self.share * self.numerator / self.denominator**2 * gy
        a, b = (np.broadcast_to(k, p.shape[:2]).astype(gy.dtype, order="C") for k in (a, b))
        return (self.kernels.backward_input(a, b, p, labels, counted, self.squared).reshape(self.shapes[0]),)  # (3)


def dice_loss(
    logits,
    target,
    *,
    include_background: bool = False,
    per_image: bool = False,
    squared: bool = False,
    eps: float = 1.0,
    empty: str = "skip",
    ignore_index: int = -1,
) -> Tensor:
    """One minus the soft overlap of prediction and truth, from scores, averaged over classes.

        L_c = 1 - N_c / D_c,   N_c = 2 sum_m p y + eps,   D_c = sum_m p + sum_m y + eps          (1)
        dL_c/dp = -(2 y D_c - N_c) / D_c^2                                                       (2)
        gz[c] = gy p[c] (dL/dp[c] - sum_k dL/dp[k] p[k])     through the softmax                 (3)

    p[c,m] is the probability (softmax; sigmoid for one channel, then gz = gy dL/dp p (1 - p)) and y[c,m] is 1 where
    the label of pixel m is c. If `squared`, D_c sums p^2 instead of p and N_c in (2) is multiplied by 2 p.

    Parameters
    ----------
    logits : (N, C, H, W) float array or Tensor
        Scores z; C = 1 means one foreground class.
    target : (N, H, W) int array
        Class indices, or `ignore_index`.
    include_background : bool
        Whether class 0 counts among several classes.
    per_image : bool
        Sum over the pixels of one image and average (True), or over the whole batch at once (False: steadier for
        small objects).
    squared : bool
        Squared denominator (Milletari et al., 2016).
    eps : float
        Added once to numerator and denominator.
    empty : "skip" or "one"
        A class absent from the truth is left out of the average, or counts with N / D = eps / (sum p + eps), which
        tends to one as its prediction vanishes. The same names as in the metrics.
    ignore_index : int
        Label of pixels that do not count; their gradient is exactly 0.

    Returns
    -------
    Tensor with one number in [0, 1]

    Raises
    ------
    ShapeError
        If shapes do not belong together.
    ValueError, TypeError
        If a label is no class, labels are not integers, `empty` is unknown or eps is not positive.

    References
    ----------
    Milletari et al., V-Net, 2016. Drozdzal et al., The importance of skip connections, 2016.
    """
    options = {"include_background": include_background, "per_image": per_image, "squared": squared}
    return DiceLoss.apply(logits, target=target, eps=eps, empty=empty, ignore_index=ignore_index, **options)
