"""The rectifier on the GPU: one thread per element."""

from ..cuda import CudaSource, contiguous, empty

cu = CudaSource(__file__)


def forward(x):
    """Compute y by equation (1)."""
    x, y = contiguous(x), empty(x.shape, x.dtype)
    cu.launch("forward", x.dtype, threads=y.size, args=(x, y, y.size))
    return y


def backward_input(gy, y):
    """Compute gx by equation (2)."""
    gy, y, gx = contiguous(gy), contiguous(y), empty(gy.shape, gy.dtype)
    cu.launch("backward_input", gy.dtype, threads=gx.size, args=(gy, y, gx, gx.size))
    return gx
