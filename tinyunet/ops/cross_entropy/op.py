"""Cross-entropy of class scores: the formula and its autograd bookkeeping."""

from __future__ import annotations

from ...autograd import Op, Tensor
from ...backend import choose_kernels, library_of
from ..shapes import ShapeError, require_4d
from ..targets import pixel_weight, prepare_labels, total_weight


class CrossEntropy(Op):
    """The autograd op behind `cross_entropy`; equation numbers are those of its docstring."""

    def forward(self, z, *, target, class_weights, pixel_weights, ignore_index):
        require_4d(z, "logits")
        N, C, H, W = z.shape
        if C == 1:
            raise ShapeError("cross_entropy needs two or more classes; for one channel use binary_cross_entropy")
        labels = prepare_labels(target, z, ignore_index)
        weight = pixel_weight(labels, target.shape, C, class_weights, pixel_weights, ignore_index, z.dtype)
        self.total = total_weight(weight)
        self.kernels = choose_kernels(z, __package__)
        self.save(z, labels, weight)
        loss = self.kernels.forward(z.reshape(N, C, H * W), labels, weight) / self.total  # (1)
        return library_of(z).asarray(loss, z.dtype)

    def backward(self, gy):
        z, labels, weight = self.saved
        N, C, H, W = z.shape
        factor = (gy / self.total).astype(gy.dtype)
        return (self.kernels.backward_input(factor, z.reshape(N, C, H * W), labels, weight).reshape(z.shape),)  # (2)


def cross_entropy(logits, target, *, class_weights=None, pixel_weights=None, ignore_index: int = -1) -> Tensor:
    """Average negative log-probability of the true class of every pixel, from scores.

        loss = 1/S sum_m s[m] (log sum_c exp(z[c,m]) - z[t[m],m]),   S = sum_m s[m]          (1)
        gz[c,m] = gy s[m] / S (softmax(z)[c,m] - [c = t[m]])                                (2)

    m runs over all pixels of all images; s[m] is the weight of the pixel: 0 where it is ignored, else its class's
    weight times its own. Without weights S is the number of counted pixels. If no pixel counts the loss is 0.

    Parameters
    ----------
    logits : (N, C, H, W) float array or Tensor
        Scores z, C at least 2.
    target : (N, H, W) int array
        Class indices t, or `ignore_index`.
    class_weights : (C,) floats, optional
        A weight per class, for rare classes.
    pixel_weights : (N, H, W) float array, optional
        A weight per pixel, for example the border map of the U-Net paper.
    ignore_index : int
        Label of pixels that do not count; their gradient is exactly 0.

    Returns
    -------
    Tensor with one number

    Raises
    ------
    ShapeError
        If shapes do not belong together or there is only one channel.
    ValueError, TypeError
        If a label is no class, or labels are not integers.

    References
    ----------
    Ronneberger et al., U-Net, 2015, equation 1.
    """
    options = {"class_weights": class_weights, "pixel_weights": pixel_weights, "ignore_index": ignore_index}
    return CrossEntropy.apply(logits, target=target, **options)
