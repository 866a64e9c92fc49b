"""Weights from other people's networks, and ours for theirs: PyTorch's files read and written without PyTorch."""

from .borrow import borrow, convert
from .networks import network_of, to_milesial
from .torch_file import Weights, read_weights, write_weights

__all__ = ["Weights", "borrow", "convert", "network_of", "read_weights", "to_milesial", "write_weights"]
