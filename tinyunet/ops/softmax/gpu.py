"""Softmax and its logarithm on the GPU, on arrays (before, C, after): a thread per pixel, a loop over its classes.

With the classes on axis 1 neighbouring threads read neighbouring pixels of the same class, and the second and third
reading of a score come from the cache: a pass moves x and y about once. On the last axis (after = 1) the threads of a
warp read C elements apart; with the few classes of a segmentation these still share cache lines.
"""

from ..cuda import CudaSource, contiguous, empty

cu = CudaSource(__file__)


def _run_forward(x, logarithm):
    before, C, after = x.shape
    y = empty(x.shape, x.dtype)
    pixels = before * after
    cu.launch("forward", x.dtype, threads=pixels, args=(contiguous(x), y, pixels, C, after, logarithm))
    return y


def _run_backward(gy, y, logarithm):
    before, C, after = y.shape
    gx = empty(y.shape, y.dtype)
    pixels = before * after
    cu.launch("backward", y.dtype, threads=pixels, args=(contiguous(gy), y, gx, pixels, C, after, logarithm))
    return gx


def softmax(x):
    """Compute y by softmax's equation (1)."""
    return _run_forward(x, False)


def softmax_backward(gy, y):
    """Compute gx by softmax's equation (2)."""
    return _run_backward(gy, y, False)


def log_softmax(x):
    """Compute y by log_softmax's equation (1)."""
    return _run_forward(x, True)


def log_softmax_backward(gy, y):
    """Compute gx by log_softmax's equation (2)."""
    return _run_backward(gy, y, True)
