"""The settings of augmentation: what may happen to an image, how strongly and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from tinyunet.data.augment import geometry, intensity
from tinyunet.data.augment.geometry import Motion, Window
from tinyunet.data.sample import DataError

_LARGEST = {"rotate": np.inf, "shift": 0.5, "elastic": 1, "bias": 5, "brightness": np.inf, "blur": 50, "noise": np.inf}
_RANGES = ("scale", "gamma", "contrast")
_ORDER = ("flip", "rot90", "rotate", "scale", "shift", "elastic", "bias", "gamma", "contrast", "brightness", "blur")
_NAMES = (*_ORDER, "noise", "drop_channel")
_AXES = {True: (-2, -1), False: (), "vertical": (-2,), "horizontal": (-1,)}
_INTENSITIES = {  # how a strength is drawn, and what is done with it
    "gamma": (intensity.log_uniform, intensity.gamma),
    "contrast": (intensity.log_uniform, intensity.contrast),
    "brightness": (lambda largest, draw: largest * (2 * draw - 1), intensity.brightness),
    "blur": (lambda largest, draw: largest * draw, intensity.blurred),
    "noise": (lambda largest, draw: largest * draw, intensity.noise),
}


@dataclass(frozen=True)
class Augment:
    """Move and repaint at random. To change nothing, use None in place of an Augment.

    The image is sampled bilinearly, the mask by nearest neighbour: an average of class 0 and class 2 is not
    class 1. The set of labels therefore never grows, but for `IGNORE`: where a move looks outside the image, the image
    is continued by its mirror image, and the mask is `IGNORE`, because nobody has seen those pixels. Flips and quarter
    turns move pixels and change no value; all other moves together read the image once.

    What happens is in this order. Intensities are measured in the image as it comes: "lowest" to "highest" is the range
    of a channel, "std" its standard deviation, so a constant channel (a missing modality) stays as it is.

    Parameters
    ----------
    flip : bool, "horizontal" or "vertical"
        Mirror left to right (horizontal), top to bottom, or (True) each, with probability 1/2. If a class means "left",
        switch it off or set `swap`.
    swap : pairs of int
        Classes that change places when the image is mirrored, such as left and right kidney: ((1, 2),). Two mirrorings
        are a turn by 180 degrees: left stays left.
    rot90 : bool
        Turn by 0, 90, 180 or 270 degrees; an image that is not square, by 0 or 180.
    rotate : float, degrees
        Angle uniform in [-rotate, rotate].
    scale : (smallest, largest)
        Zoom factor, log-uniform in this range; above 1, things grow.
    shift : float, fraction of height and width
        Rows and columns, each uniform in [-shift, shift], at most 0.5.
    elastic : float, fraction of the shorter side
        Standard deviation of a smooth random displacement. U-Net paper: 10 of 512 pixels, about 0.02.
    elastic_cells : int
        How often it changes direction: cells of its grid along the shorter side. It never folds: per cell, no more
        than 0.4 of one.
    bias : float
        The gain of the coil of an MR scanner, smooth across the image: values above the lowest are multiplied by exp(f)
        with standard deviation `bias` of f.
    gamma : (smallest, largest)
        t becomes t^g, where t in [0, 1] is the place between lowest and highest, with g log-uniform between these;
        above 1, darker.
    contrast : (smallest, largest)
        Distance from the mean times a factor, log-uniform.
    brightness : float, in std
        Added amount, uniform in [-brightness, brightness].
    blur : float, pixels
        Gaussian with standard deviation uniform in [0, blur].
    noise : float, in std
        Gaussian noise with standard deviation uniform in [0, noise].
    drop_channel : float
        Probability with which each channel becomes `missing`, so that the network learns to do without a modality;
        one channel at least stays.
    per_channel : bool
        Draw bias, gamma, contrast, brightness and blur for each channel anew, as for modalities that are recorded in
        turn; without, alike, as for the three colours of a photograph.
    probability : dict from name to number in [0, 1]
        How often a change happens, such as {"noise": 0.1}. Without an entry: 0.5 for each mirroring, 1 for the others.

    Raises
    ------
    DataError
        If a strength or probability is out of its range, a range is not 0 < smallest <= largest, `swap` names a class
        twice, or `probability` something that is no change.
    """

    flip: bool | Literal["horizontal", "vertical"] = True
    rot90: bool = False
    rotate: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    gamma: tuple[float, float] = (1.0, 1.0)
    swap: tuple[tuple[int, int], ...] = ()
    shift: float = 0.0
    elastic: float = 0.0
    elastic_cells: int = 3
    bias: float = 0.0
    contrast: tuple[float, float] = (1.0, 1.0)
    brightness: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    drop_channel: float = 0.0
    per_channel: bool = False
    probability: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.flip not in _AXES:
            raise DataError(f'flip is {self.flip!r}; expected True, False, "horizontal" or "vertical"')
        for name, largest in _LARGEST.items():
            if not 0 <= (value := getattr(self, name)) <= largest or value == np.inf:
                limit = "" if largest == np.inf else f" and at most {largest}"
                raise DataError(f"{name} is {value}; expected at least 0{limit} (it is the largest that is drawn)")
        for name in _RANGES:
            smallest, largest = getattr(self, name)
            if not 0 < smallest <= largest < np.inf:
                raise DataError(f"{name} is ({smallest}, {largest}); expected 0 < smallest <= largest")
        if self.elastic_cells < 1:
            raise DataError(f"elastic_cells is {self.elastic_cells}; expected at least 1")
        swapped = [k for pair in self.swap for k in pair]
        if any(len(pair) != 2 for pair in self.swap) or len(set(swapped)) < len(swapped) or min(swapped, default=0) < 0:
            raise DataError(f"swap is {self.swap}; expected pairs of classes, each class once, such as ((1, 2),)")
        if unknown := set(self.probability) - set(_ORDER) - {"noise"}:
            raise DataError(f"probability has {sorted(unknown)}; expected among {', '.join(_ORDER)}, noise")
        for name, value in {"drop_channel": self.drop_channel, **self.probability}.items():
            if not 0 <= value <= 1:
                raise DataError(f"the probability of {name} is {value}; expected 0 to 1")

    def __call__(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        rng: np.random.Generator,
        *maps: np.ndarray,
        window: Window = (slice(None), slice(None)),
        missing: float = 0.0,
    ) -> tuple[np.ndarray, ...]:
        """Change one image, and its mask with it.

        Parameters
        ----------
        image : (C, H, W) float array
        mask : (H, W) signed int array
        rng : NumPy Generator
            The only source of chance. Every change has numbers of its own, so that switching one on or off leaves the
            others as they were.
        *maps : (H, W) arrays
            What else belongs to the pixels and moves along: floats such as pixel weights like the image, signed
            integers such as instances like the mask.
        window : (rows, columns), two slices
            What is wanted of the result, and all that is computed of it. The same pixels as if cut out afterwards, but
            for noise, which is drawn anew, and blur at the rim.
        missing : float
            What a dropped channel is filled with: what a modality that is not there will be at prediction.

        Returns
        -------
        image : (C, h, w) array, of the dtype of `image`
        mask : (h, w) array, of the dtype of `mask`
        *maps : (h, w) arrays, of their dtypes

        Raises
        ------
        DataError
            If image, mask and maps differ in height or width, or have other dtypes.
        """
        if image.ndim != 3 or image.shape[1:] != mask.shape:
            raise DataError(f"expected image (C, H, W) and mask (H, W); got {image.shape} and {mask.shape}")
        if image.dtype.kind != "f" or mask.dtype.kind != "i":
            raise DataError(f"expected a float image and a signed int mask; got {image.dtype} and {mask.dtype}")
        for extra in maps:
            if extra.shape != mask.shape or extra.dtype.kind not in "fi":
                raise DataError(
                    f"expected maps {mask.shape} of floats or signed ints; got {extra.shape} of {extra.dtype}"
                )
        draw, streams = rng.random(6), _Streams(rng, self.probability)
        motion = self._motion(mask.shape, window, draw, streams)
        levels, size = intensity.Levels(image), mask.shape
        image, mask, *maps = (motion(array) for array in (image, mask, *maps))
        if motion.mirrored and self.swap:
            mask = _swapped(mask, self.swap)
        if self.bias and streams.happens("bias"):
            image = intensity.bias(image, levels, self.bias, self.per_channel, streams.of("bias"), size, window)
        for name, (draw_strength, change) in _INTENSITIES.items():
            setting = getattr(self, name)
            if setting in (0, (1, 1)) or not streams.happens(name):
                continue
            stream = streams.of(name)
            if self.per_channel:
                strength = np.asarray(draw_strength(setting, stream.random((len(image), 1, 1))), image.dtype)
            else:  # a Python float keeps the dtype of the image
                strength = draw_strength(setting, float(draw[5] if name == "gamma" else stream.random()))
            image = change(image, levels, strength, stream)
        if self.drop_channel:
            image = intensity.drop_channels(image, self.drop_channel, streams.of("drop_channel"), missing)
        return image, mask, *maps

    def _motion(self, size: tuple[int, int], window: Window, draw: np.ndarray, streams: _Streams) -> Motion:
        H, W = size
        often = self.probability.get("flip", 0.5)
        flips = tuple(axis for axis in _AXES[self.flip] if draw[axis + 2] < often)
        turns = int(4 * draw[2]) if self.rot90 and streams.happens("rot90") else 0
        if H != W:
            turns = turns // 2 * 2  # a quarter turn would swap height and width
        moves = {}
        if self.rotate and streams.happens("rotate"):
            moves["angle"] = np.deg2rad(self.rotate) * (2 * draw[3] - 1)
        if self.scale != (1, 1) and streams.happens("scale"):
            moves["zoom"] = intensity.log_uniform(self.scale, draw[4])
        if self.shift and streams.happens("shift"):
            moves["shift"] = self.shift * (2 * streams.of("shift").random(2) - 1) * size
        if self.elastic and streams.happens("elastic"):
            stream = streams.of("elastic")
            moves["displacement"] = geometry.elastic(stream, self.elastic, self.elastic_cells, size, window)
        looks = geometry.positions(size, window, **moves) if moves else None
        return Motion(flips, turns, looks, window)


class _Streams:
    """For each change its own random numbers, and the decision whether it happens."""

    def __init__(self, rng: np.random.Generator, probability: Mapping[str, float]) -> None:
        self.rng, self.probability = rng, probability

    @cached_property
    def _drawn(self) -> tuple[dict[str, float], int]:
        child = self.rng.spawn(1)[0]  # takes no numbers away from rng itself
        return dict(zip(_NAMES, child.random(len(_NAMES)), strict=True)), int(child.integers(2**63))

    def happens(self, name: str) -> bool:
        often = self.probability.get(name, 1)
        return often == 1 or self._drawn[0][name] < often

    def of(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self._drawn[1], _NAMES.index(name)])


def _swapped(mask: np.ndarray, pairs: tuple[tuple[int, int], ...]) -> np.ndarray:
    swapped = mask.copy()
    for one, other in pairs:
        swapped[mask == one], swapped[mask == other] = other, one
    return swapped
