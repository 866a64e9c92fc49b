"""Optimizers, learning-rate schedules and gradient clipping."""

from .adam import Adam, AdamW
from .optimizer import Optimizer, clip_gradients
from .schedules import Constant, Cosine, Poly, Step
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Constant", "Cosine", "Optimizer", "Poly", "Step", "clip_gradients"]
