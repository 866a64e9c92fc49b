"""tinyunet: from a formula to a trained UNet, with no black box between."""

from . import functional
from .autograd import GraphError, NonFiniteError, Op, Tensor
from .gradcheck import GradientError, check_adjoint, check_gradients
from .ops.shapes import ShapeError
from .nn import UNet
from .settings import debug, no_grad, use_kernels

__version__ = "0.1.0"

__all__ = [
    "GradientError",
    "GraphError",
    "NonFiniteError",
    "Op",
    "ShapeError",
    "Tensor",
    "UNet",
    "check_adjoint",
    "check_gradients",
    "debug",
    "functional",
    "no_grad",
    "use_kernels",
]
