"""Data: toy images, image folders, normalisation, paired augmentation, splits and batches.

Every dataset yields `Sample(image, mask, name, patient, spacing, volume, statistics)`; `tinyunet.data.sample` says what
these are.
"""

from tinyunet.data.augment import PRESETS, Augment, preset
from tinyunet.data.folder import ImageFolder
from tinyunet.data.loader import Loader
from tinyunet.data.normalize import Normalize
from tinyunet.data.sample import IGNORE, DataError, Dataset, Sample
from tinyunet.data.split import Subset, split
from tinyunet.data.toy import Toy

__all__ = [
    "IGNORE",
    "PRESETS",
    "Augment",
    "DataError",
    "Dataset",
    "ImageFolder",
    "Loader",
    "Normalize",
    "Sample",
    "Subset",
    "Toy",
    "preset",
    "split",
]
