"""What the lessons stand on: exercises that check themselves, predictions with a score, figures, notebooks.

The lessons themselves are `lessons/NN_name.py` beside the package. Nothing else in the library imports this.
"""

from .exercise import NotSolved
from .predictions import predict, reveal
from .threads import one_thread

__all__ = ["NotSolved", "one_thread", "predict", "reveal"]
