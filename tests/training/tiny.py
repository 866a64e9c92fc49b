"""The smallest data and settings on which a whole run makes sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

FAST = {"epochs": 2, "batch_size": 2, "base_channels": 2, "depth": 1, "lr": 0.02, "show_progress": False}
OPTIONS = ["--epochs", "2", "--batch-size", "2", "--base-channels", "2", "--depth", "1"]


def scene(seed: int, height: int = 32, width: int = 32, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return a grey uint8 image (H, W) with a bright disc per class but the background, and its class indices."""
    rng = np.random.default_rng(seed)
    i, j = np.mgrid[:height, :width]
    mask = np.zeros((height, width), np.uint8)
    for k in range(1, classes):
        row, column = rng.uniform(0.3, 0.7, 2) * (height, width)
        mask[(i - row) ** 2 + (j - column) ** 2 < (min(height, width) / (3 + k)) ** 2] = k
    return (40 + 200 // classes * mask + rng.integers(0, 20, mask.shape)).astype(np.uint8), mask


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def folder(root: Path, count: int = 6, values=(0, 255), sizes=((32, 32),), rgb: bool = False, first: int = 0) -> Path:
    """Write images/ and masks/ with `count` pairs, whose sizes are taken in turn; `first` is the seed of the first."""
    for k in range(count):
        image, mask = scene(first + k, *sizes[k % len(sizes)], classes=len(values))
        save(root / "images" / f"s{k}.png", np.stack([image, image // 2, 255 - image], axis=-1) if rgb else image)
        save(root / "masks" / f"s{k}.png", np.array(values, np.uint8)[mask])
    return root
