"""The optimizers' arithmetic on the CPU: NumPy's passes over the weights are short beside a convolution's."""

from .reference import adam, clip, sgd

__all__ = ["adam", "clip", "sgd"]
