"""tinyunet: from a formula to a trained UNet, with no black box between."""

from __future__ import annotations

from . import functional
from .autograd import GraphError, NonFiniteError, Op, Tensor
from .backend import keep_freed_memory
from .gradcheck import GradientError, check_adjoint, check_gradients
from .nn import Module, Parameter, UNet
from .ops.shapes import ShapeError
from .settings import debug, matmul_precision, no_grad, use_kernels

__version__ = "0.1.0"

__all__ = [
    "GradientError",
    "GraphError",
    "Module",
    "NonFiniteError",
    "Op",
    "Parameter",
    "ShapeError",
    "Tensor",
    "UNet",
    "check_adjoint",
    "check_gradients",
    "debug",
    "functional",
    "keep_freed_memory",
    "load",
    "matmul_precision",
    "no_grad",
    "profile",
    "resume",
    "train",
    "use_kernels",
]


def load(path):
    """Load a trained network; see `tinyunet.inference.Segmenter.load`."""
    from .inference import Segmenter

    return Segmenter.load(path)


def __getattr__(name: str):
    # Training needs numba and tqdm, which take longer to import than all the rest.
    if name in ("train", "resume"):
        from . import training

        return getattr(training, name)
    if name == "profile":
        from .glass import profile

        return profile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
