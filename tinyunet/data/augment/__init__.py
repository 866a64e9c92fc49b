"""Random changes of training images that keep their meaning: one draw moves image and mask together.

`recipe` holds the settings, `presets` recommended ones, `geometry` what moves pixels, `intensity` what changes their
values.
"""

from tinyunet.data.augment.presets import PRESETS, preset
from tinyunet.data.augment.recipe import Augment

__all__ = ["PRESETS", "Augment", "preset"]
