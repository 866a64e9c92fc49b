"""Writing what a network says: label images, pictures and arrays, each file whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinyunet.files import write_whole


def write_labels(path: Path, labels: np.ndarray, mask_values: Sequence[int]) -> None:
    """Write class indices (H, W) as a grey PNG with the value of each class, 8 bit or, where needed, 16 bit."""
    values = np.array(mask_values)
    _write_png(path, values.astype(np.uint8 if values.max() < 256 else np.uint16)[labels])


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write an (H, W, 3) array in [0, 1] as an RGB PNG."""
    _write_png(path, (picture * 255).round().clip(0, 255).astype(np.uint8))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as .npy."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_whole(path, buffer.getvalue())


def _write_png(path: Path, array: np.ndarray) -> None:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG")
    write_whole(path, buffer.getvalue())
