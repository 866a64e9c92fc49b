"""Instance maps beside a data set: one value per object, which tells touching objects apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyunet.data.image_file import SUFFIXES, read_mask
from tinyunet.data.sample import DataError, Sample


class Instances:
    """Called with a sample, reads its instance map `NAME.*` from a folder.

    Parameters
    ----------
    folder : path
        Of grey images, 8 or 16 bit: 0 is background, every other value one object.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @classmethod
    def of_data(cls, root: str | Path, split: str | None = None) -> Instances | None:
        """Return those in the folder `instances/` beside `images/` and `masks/`, or None if there is none.

        Parameters
        ----------
        root : path
            Of the data set, as in `ImageFolder`.
        split : "train", "test" or None
            Which part, if `root` is divided.
        """
        places = [Path(root) / split / "instances"] if split else []
        places = [place for place in (*places, Path(root) / "instances") if place.is_dir()]
        return cls(places[0]) if places else None

    def __call__(self, sample: Sample) -> np.ndarray:
        """Return the instance map (H, W) of a sample.

        Raises
        ------
        DataError
            If there is none, it cannot be read, or it is larger or smaller than the mask.
        """
        paths = [path for suffix in SUFFIXES if (path := self.folder / f"{sample.name}{suffix}").is_file()]
        if not paths:
            raise DataError(f"{self.folder} holds no instance map of {sample.name}; add it, or remove the folder")
        labels = read_mask(paths[0])
        if labels.shape != sample.mask.shape:
            shown = ["x".join(map(str, a.shape)) for a in (labels, sample.mask)]
            raise DataError(f"{paths[0]} is {shown[0]}, its mask {shown[1]} (height x width)")
        return labels
