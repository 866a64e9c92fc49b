"""Cross-entropy of one score per pixel: the formula and its autograd bookkeeping."""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels, library_of
from ..shapes import ShapeError, require_4d
from ..targets import pixel_weight, prepare_labels, total_weight


class BinaryCrossEntropy(Op):
    """The autograd op behind `binary_cross_entropy`; equation numbers are those of its docstring."""

    def forward(self, z, *, target, class_weights, pixel_weights, ignore_index):
        require_4d(z, "logits")
        if z.shape[1] != 1:
            raise ShapeError(f"binary_cross_entropy needs one channel, got {z.shape[1]}; use cross_entropy")
        labels = prepare_labels(target, z, ignore_index)
        weight = pixel_weight(labels, target.shape, 2, class_weights, pixel_weights, ignore_index, z.dtype)
        self.total = total_weight(weight)
        self.kernels = choose_kernels(z, __package__)
        self.save(z, labels, weight)
        loss = self.kernels.forward(z.reshape(labels.shape), labels, weight) / self.total  # (1)
        return library_of(z).asarray(loss, z.dtype)

    def backward(self, gy):
        z, labels, weight = self.saved
        factor = (gy / self.total).astype(gy.dtype)
        return (self.kernels.backward_input(factor, z.reshape(labels.shape), labels, weight).reshape(z.shape),)  # (2)


def binary_cross_entropy(logits, target, *, class_weights=None, pixel_weights=None, ignore_index: int = -1) -> Tensor:
    """Average negative log-probability of the true label of every pixel, from one score per pixel.

        loss = 1/S sum_m s[m] (max(z[m],0) - z[m] t[m] + log(1 + exp(-|z[m]|))),   S = sum_m s[m]     (1)
        gz[m] = gy s[m] / S (sigmoid(z[m]) - t[m])                                                   (2)

    s[m] is the weight of the pixel, as in `cross_entropy`. If no pixel counts the loss is 0.

    Parameters
    ----------
    logits : (N, 1, H, W) float array or Tensor
        Scores z of the foreground.
    target : (N, H, W) int array
        Labels t: 0, 1 or `ignore_index`.
    class_weights : (2,) floats, optional
        Weights of background and foreground.
    pixel_weights : (N, H, W) float array, optional
        A weight per pixel.
    ignore_index : int
        Label of pixels that do not count; their gradient is exactly 0.

    Returns
    -------
    Tensor with one number

    Raises
    ------
    ShapeError
        If shapes do not belong together or there is more than one channel.
    ValueError, TypeError
        If a label is neither 0 nor 1, or labels are not integers.
    """
    options = {"class_weights": class_weights, "pixel_weights": pixel_weights, "ignore_index": ignore_index}
    return BinaryCrossEntropy.apply(logits, target=target, **options)
