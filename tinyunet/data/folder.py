"""Images and masks in folders, as most people have them; every mistake is named before training starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from tinyunet.data.image_file import SUFFIXES, read_header, read_image, read_mask
from tinyunet.data.sample import DataError, Sample, SampleCache

MAX_CLASSES = 32
_LAYOUTS = """expected one of these layouts:
    ROOT/images  ROOT/masks
    ROOT/train/images  ROOT/train/masks  and the same in test"""


class ImageFolder:
    """Pairs of files `images/NAME.*` and `masks/NAME.*` (or `masks/NAME_mask.*`).

    The distinct values of all masks are found when the folder is opened and become the classes 0..C-1 in
    ascending order. Masks are never scaled: 0/255 and 0/1 give the same two classes. Samples are kept in
    memory after the first reading, as far as 1 GiB goes.

    Parameters
    ----------
    root : path
    split : "train", "test" or None
        Which sub-folder; None if `images` and `masks` lie directly in `root`.
    mask_values : sequence of int, optional
        The raw value of each class, in class order. Pass `train.mask_values` when opening a test set, so
        that a class keeps its index even if the test masks lack another one.
    channels : 1, 3 or None
        Convert every image to grey or to RGB; None takes them as they are, provided that they agree.

    Attributes
    ----------
    names : tuple of str
        File stems in alphabetical order: the order of the samples.
    sizes : tuple of (H, W)
        Size of each image, in pixels.
    class_names, channels, mask_values
        See `tinyunet.data.sample.Dataset`.

    Raises
    ------
    DataError
        If a folder is missing or empty; files do not pair; a file is not an image (see `read_image`,
        `read_mask`); an image and its mask differ in size; grey and RGB are mixed; the masks hold more than
        `MAX_CLASSES` values, only one value, or a value that is not in `mask_values`.
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        *,
        mask_values: Sequence[int] | None = None,
        channels: int | None = None,
    ) -> None:
        if split not in (None, "train", "test"):
            raise DataError(f"split is {split!r}; expected None, 'train' or 'test'")
        if channels not in (None, 1, 3):
            raise DataError(f"channels is {channels!r}; expected None, 1 (grey) or 3 (RGB)")
        if mask_values is not None and (len(mask_values) < 2 or len(set(mask_values)) < len(mask_values)):
            raise DataError(f"mask_values is {tuple(mask_values)}; expected at least two different values")
        self.root, self.split = Path(root), split
        folder = _find(self.root, split)
        self._pairs = _pair(folder / "images", folder / "masks")
        self.names = tuple(self._pairs)
        self.channels, self.sizes = self._scan_images(channels)
        self._pixels, self._files = self._scan_masks(mask_values)
        self.mask_values = tuple(mask_values if mask_values is not None else sorted(self._pixels))
        if len(self.mask_values) < 2:
            raise DataError(
                f"{folder / 'masks'}: every mask holds the single value {self.mask_values[0]}; expected at "
                "least two values, such as 0 for the background and 255 for the object"
            )
        self.class_names = _class_names(self.mask_values)
        self._cache = SampleCache()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} samples")
        return self._cache.get(index % len(self), self._read)

    def _read(self, index: int) -> Sample:
        image_path, mask_path = self._pairs[self.names[index]]
        raw = read_mask(mask_path)
        values = np.array(self.mask_values)
        order = np.argsort(values)
        mask = order[np.searchsorted(values, raw, sorter=order)]
        return Sample(read_image(image_path, self.channels), mask, self.names[index])

    def _scan_images(self, channels: int | None) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Channels of the data set and the size of each image, from the headers alone."""
        headers = {image: read_header(image) for image, _ in self._pairs.values()}
        grey = [path.name for path, (count, _) in headers.items() if count == 1]
        colour = [path.name for path, (count, _) in headers.items() if count == 3]
        if grey and colour and channels is None:
            raise DataError(
                f"{self.root}: {len(grey)} grey images ({_some(grey)}) are mixed with {len(colour)} RGB "
                f"images ({_some(colour)}). Make all of them grey with channels=1 "
                "(--channels 1), or RGB with channels=3 (--channels 3)."
            )
        return channels or (1 if grey else 3), tuple(size for _, size in headers.values())

    def _scan_masks(self, expected: Sequence[int] | None) -> tuple[Counter[int], Counter[int]]:
        """How many pixels, and how many files, hold each value; checks sizes and values on the way."""
        pixels: Counter[int] = Counter()
        files: Counter[int] = Counter()
        for (_, path), size in zip(_progress(self._pairs.values()), self.sizes, strict=True):
            mask = read_mask(path)
            if mask.shape != size:
                raise DataError(
                    f"{path}: the mask is {mask.shape[0]}x{mask.shape[1]} (height x width), its image is "
                    f"{size[0]}x{size[1]}. Export both at one size; resize masks with nearest neighbour only."
                )
            found = dict(zip(*(a.tolist() for a in np.unique(mask, return_counts=True)), strict=True))
            unknown = sorted(set(found) - set(expected)) if expected is not None else []
            if unknown:
                raise DataError(
                    f"{path}: holds the values {_some(unknown)}; expected only {_some(expected)}. "
                    "Masks must use the values that the model was trained with."
                )
            pixels.update(found)
            files.update(found.keys())
            if len(pixels) > MAX_CLASSES:
                raise DataError(
                    f"{path}: {len(found)} distinct values here, {len(pixels)} in the masks so far; expected "
                    f"one value per class, at most {MAX_CLASSES}. This looks like a grey image or a "
                    "probability map: are images and masks swapped, or was the mask resized with interpolation?"
                )
        return pixels, files

    def describe(self) -> str:
        """Text for people: where, how many, which sizes, and how mask values became classes."""
        heights, widths = zip(*self.sizes, strict=True)
        size = f"{heights[0]}x{widths[0]}"
        if len(set(self.sizes)) > 1:
            size = f"{min(heights)}..{max(heights)}x{min(widths)}..{max(widths)}"
        lines = [
            f"{self.root}{f' ({self.split})' if self.split else ''}",
            f"  images    {len(self)}",
            f"  size      {size} (height x width)",
            f"  channels  {self.channels} ({'grey' if self.channels == 1 else 'RGB'})",
            "  classes   mask value -> class: share of pixels, masks that hold it",
        ]
        total = sum(self._pixels.values())
        for index, (value, name) in enumerate(zip(self.mask_values, self.class_names, strict=True)):
            share, files = self._pixels[value] / total, self._files[value]
            lines.append(f"    {value:5d} -> {index} {name}: {share:.2%}, {files} of {len(self)}")
        return "\n".join(lines)


def _find(root: Path, split: str | None) -> Path:
    """The folder that holds `images` and `masks`."""
    folder = root / split if split else root
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        return folder
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder; {_LAYOUTS}")
    missing = [name for name in ("images", "masks") if not (folder / name).is_dir()]
    place = folder if folder.is_dir() else root
    found = [path.name + "/" * path.is_dir() for path in sorted(place.iterdir())]
    hint = ""
    if split is None and (root / "train" / "images").is_dir():
        hint = '\nThe folder has a train part: choose split="train" (--split train).'
    elif split is not None and (root / "images").is_dir() and not folder.is_dir():
        hint = "\nThe folder is not divided: leave out the split."
    raise DataError(
        f"{folder}: no folder {' and no folder '.join(missing)}; {_LAYOUTS}\n"
        f"{place} holds: {_some(found) or 'nothing'}{hint}"
    )


def _pair(images: Path, masks: Path) -> dict[str, tuple[Path, Path]]:
    """Image and mask path by stem, in alphabetical order."""
    image_by_stem = _by_stem(images, lambda path: path.stem)
    mask_by_stem = _by_stem(
        masks, lambda path: path.stem if path.stem in image_by_stem else path.stem.removesuffix("_mask")
    )
    lonely_images = [image_by_stem[stem].name for stem in sorted(image_by_stem.keys() - mask_by_stem.keys())]
    lonely_masks = [mask_by_stem[stem].name for stem in sorted(mask_by_stem.keys() - image_by_stem.keys())]
    if lonely_images or lonely_masks:
        lines = [f"{images.parent}: files do not pair; images/NAME.* needs masks/NAME.* or masks/NAME_mask.*"]
        if lonely_images:
            lines.append(f"  {len(lonely_images)} images without a mask: {_some(lonely_images)}")
        if lonely_masks:
            lines.append(f"  {len(lonely_masks)} masks without an image: {_some(lonely_masks)}")
        raise DataError("\n".join(lines))
    return {stem: (image_by_stem[stem], mask_by_stem[stem]) for stem in sorted(image_by_stem)}


def _by_stem(folder: Path, stem_of: Callable[[Path], str]) -> dict[str, Path]:
    """Image files by stem; hidden files and files that are no images are passed over."""
    everything = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    by_stem: dict[str, Path] = {}
    for path in everything:
        if path.suffix.lower() not in SUFFIXES:
            continue
        twin = by_stem.setdefault(stem_of(path), path)
        if twin != path:
            raise DataError(f"{folder}: {twin.name} and {path.name} belong to one name; keep one of them")
    if not by_stem:
        found = _some([path.name for path in everything]) or "nothing"
        raise DataError(f"{folder}: no images; expected files ending in {', '.join(SUFFIXES)}; found {found}")
    return by_stem


def _class_names(values: Sequence[int]) -> tuple[str, ...]:
    if len(values) == 2:
        return ("background", "foreground")
    return ("background", *(f"value {value}" for value in values[1:]))


def _some(items: Iterable[object], limit: int = 10) -> str:
    """The first items, and how many more there are."""
    items = list(items)
    more = f", and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(str(item) for item in items[:limit]) + more


def _progress(items: Iterable) -> Iterable:
    """A progress bar, if there is enough to wait for."""
    from tqdm import tqdm

    items = list(items)
    return tqdm(items, desc="reading masks", unit="file", disable=len(items) <= 200)
