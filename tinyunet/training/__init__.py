"""Training: `train` is the whole run from data to report; `Trainer` is the loop in it."""

from ..checkpoint import CheckpointError
from .run import Result, resume, train
from .settings import Settings
from .trainer import Trainer

__all__ = ["CheckpointError", "Result", "Settings", "Trainer", "resume", "train"]
