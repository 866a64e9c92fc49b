"""The default loss: cross-entropy, which gives every pixel a steady gradient, plus Dice, which counts objects."""

from __future__ import annotations

from ..autograd import Tensor, as_tensor
from .binary_cross_entropy.op import binary_cross_entropy
from .cross_entropy.op import cross_entropy
from .dice.op import dice_loss
from .shapes import require_4d
from .targets import prepare_labels


def cross_entropy_dice(
    logits, target, *, class_weights=None, pixel_weights=None, ignore_index: int = -1, dice_weight: float = 1.0, **dice
) -> Tensor:
    """Return cross-entropy (binary for one channel) + dice_weight * soft Dice.

    Cross-entropy alone neglects rare classes; Dice alone is noisy on tiny objects, says nothing where a class is
    absent, and gives badly calibrated probabilities. Their sum is what most of the field trains with.

    Parameters
    ----------
    logits : (N, C, H, W) float array or Tensor
        Scores; C = 1 means sigmoid.
    target : (N, H, W) int array
        Class indices, or `ignore_index`.
    class_weights, pixel_weights
        As in `cross_entropy`; they do not enter Dice.
    ignore_index : int
        Label of pixels that do not count.
    dice_weight : float
        Factor of the Dice loss.
    **dice
        Options of `dice_loss`.

    Returns
    -------
    Tensor with one number

    References
    ----------
    Isensee et al., nnU-Net, 2021.
    """
    logits = as_tensor(logits)
    require_4d(logits, "logits")
    target = prepare_labels(target, logits.data, ignore_index).reshape(target.shape)  # once, and once to the GPU
    entropy = binary_cross_entropy if logits.shape[1] == 1 else cross_entropy
    weights = {"class_weights": class_weights, "pixel_weights": pixel_weights}
    return entropy(logits, target, ignore_index=ignore_index, **weights) + dice_weight * dice_loss(
        logits, target, ignore_index=ignore_index, **dice
    )
