"""Trained networks on new images.

- `segmenter`: `Segmenter`, a network with everything needed to use it.
- `tiles`: an image in overlapping windows, so that any size fits into memory.
- `looks`: the same window several times, mirrored or with dropout, and what the disagreement says.
- `tidy`: keeping the largest object, or the large ones.
- `large`: a file that is read, segmented and written a few rows at a time.
"""

from .looks import Prediction
from .segmenter import Segmenter
from .tidy import tidy

__all__ = ["Prediction", "Segmenter", "tidy"]
