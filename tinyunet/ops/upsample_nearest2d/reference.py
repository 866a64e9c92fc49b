"""Nearest-neighbour up-sampling in NumPy: the specification."""


def forward(x, SH, SW):
    """Compute y by equation (1)."""
    return x.repeat(SH, axis=2).repeat(SW, axis=3)


def backward_input(gy, SH, SW):
    """Compute gx by equation (2)."""
    N, C, OH, OW = gy.shape
    return gy.reshape(N, C, OH // SH, SH, OW // SW, SW).sum(axis=(3, 5))
