from __future__ import annotations

import numpy as np
import pytest

from tinyunet.data.augment import Augment
from tinyunet.data.loader import Loader
from tinyunet.data.normalize import Normalize
from tinyunet.data.sample import IGNORE, DataError, Sample
from tinyunet.data.split import Subset, split
from tinyunet.data.toy import Toy


class Fake:
    """Images of the given sizes; every pixel of sample k is 100 k plus its place."""

    class_names, channels, mask_values = ("background", "object"), 1, (0, 1)

    def __init__(self, *sizes: tuple[int, int]) -> None:
        self.sizes = sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, k: int) -> Sample:
        size = self.sizes[k]
        place = np.arange(size[0] * size[1]).reshape(size)
        return Sample((100.0 * k + place[None]).astype(np.float32), place % 2, f"fake{k}")


RAW = Normalize("window", 0, 1e6)  # image / 1e6: keeps track of which pixel is which


def pixels(images: np.ndarray) -> np.ndarray:
    return np.rint(images * 1e6).astype(int)


# -------------------------------------------------------------------------------------------------- split


@pytest.mark.parametrize("fraction, held_out", [(0.2, 4), (0.5, 10), (0.001, 1), (0.999, 19)])
def test_split_is_a_partition(fraction, held_out):
    data = Fake(*[(1, 1)] * 20)
    train, test = split(data, fraction, seed=3)
    assert len(test) == held_out
    assert sorted(train.indices + test.indices) == list(range(20))
    assert [s.name for s in test] == [data[k].name for k in test.indices]
    assert train.class_names == data.class_names and train.channels == 1 and train.mask_values == (0, 1)


def test_split_depends_on_the_seed_alone():
    data = Fake(*[(1, 1)] * 20)
    assert split(data, seed=1)[1].indices == split(data, seed=1)[1].indices
    assert split(data, seed=1)[1].indices != split(data, seed=2)[1].indices


def test_no_patient_on_both_sides():
    data = Fake(*[(1, 1)] * 20)
    patients = [k // 3 for k in range(20)]
    for seed in range(10):
        train, test = split(data, 0.3, seed, groups=patients)
        sides = [{patients[k] for k in part.indices} for part in (train, test)]
        assert not sides[0] & sides[1] and len(sides[1]) == 2
        assert len(train) + len(test) == 20


@pytest.mark.parametrize(
    "count, arguments, word",
    [
        (5, dict(fraction=0), "fraction is 0"),
        (5, dict(fraction=1.0), "fraction is 1.0"),
        (1, {}, "cannot divide 1 samples"),
        (5, dict(groups=["x"] * 5), "cannot divide 1 groups"),
        (5, dict(groups=["x"] * 4), "4 labels for 5 samples"),
    ],
)
def test_bad_split(count, arguments, word):
    with pytest.raises(DataError, match=word):
        split(Fake(*[(1, 1)] * count), **arguments)


# ------------------------------------------------------------------------------------------------- loader


def test_batches_cover_every_sample_once():
    loader = Loader(Fake(*[(4, 5)] * 7), 3, normalize=RAW)
    batches = list(loader.epoch(0))
    assert len(loader) == len(batches) == 3
    assert [images.shape for images, _ in batches] == [(3, 1, 4, 5), (3, 1, 4, 5), (1, 1, 4, 5)]
    images, masks = (np.concatenate(part) for part in zip(*batches, strict=True))
    assert images.dtype == np.float32 and masks.dtype == np.int64
    assert (pixels(images)[:, 0, 0, 0] // 100).tolist() == list(range(7))
    assert (masks[0] == np.arange(20).reshape(4, 5) % 2).all()


def test_shuffle_gives_each_epoch_its_own_order():
    loader = Loader(Fake(*[(1, 1)] * 30), 30, normalize=RAW, shuffle=True)
    orders = [(pixels(next(loader.epoch(k))[0]).ravel() // 100).tolist() for k in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert all(sorted(order) == list(range(30)) for order in orders)


def test_an_epoch_does_not_depend_on_what_came_before():
    options = dict(
        normalize=Normalize(),
        augment=Augment(rot90=True, rotate=20, scale=(0.8, 1.2), gamma=(0.7, 1.4)),
        size=(32, 40),
        shuffle=True,
        seed=5,
    )
    through, resumed = (Loader(Toy(count=5), 2, **options) for _ in range(2))
    history = [list(through.epoch(k)) for k in range(3)]
    for (a, b), (c, d) in zip(history[2], resumed.epoch(2), strict=True):
        assert np.array_equal(a, c) and np.array_equal(b, d)
    other_seed = next(Loader(Toy(count=5), 2, **{**options, "seed": 6}).epoch(2))
    assert not np.array_equal(history[2][0][0], other_seed[0])


def test_augmentation_of_a_sample_does_not_depend_on_the_batch_size():
    options = dict(normalize=RAW, augment=Augment(rot90=True), shuffle=True)
    data = Fake(*[(6, 6)] * 5)
    one, many = (np.concatenate([images for images, _ in Loader(data, n, **options).epoch(4)]) for n in (1, 5))
    assert np.array_equal(one, many)


def test_augmentation_changes_from_epoch_to_epoch():
    loader = Loader(Fake((6, 6)), 1, normalize=RAW, augment=Augment(rot90=True))
    assert len({next(loader.epoch(k))[0].tobytes() for k in range(40)}) == 8


def test_augmentation_changes_with_the_seed_and_from_sample_to_sample():
    options = dict(normalize=Normalize(), augment=Augment(rot90=True))  # Normalize makes all samples equal
    loaders = [Loader(Fake(*[(6, 6)] * 40), 40, seed=seed, **options) for seed in (0, 1)]
    first, second = (next(loader.epoch(0))[0] for loader in loaders)
    assert not np.array_equal(first, second)
    assert len({image.tobytes() for image in first}) == 8


def test_crop_in_the_middle_and_at_random():
    data = Fake((10, 12))
    image, mask = next(Loader(data, 1, normalize=RAW, size=(4, 6)).epoch(0))
    assert (pixels(image)[0, 0] == data[0].image[0, 3:7, 3:9]).all()
    assert (mask[0] == data[0].mask[3:7, 3:9]).all()
    loader = Loader(data, 1, normalize=RAW, size=(4, 6), shuffle=True)
    corners = set()
    for k in range(300):
        image, mask = next(loader.epoch(k))
        corner = divmod(int(pixels(image)[0, 0, 0, 0]), 12)
        corners.add(corner)
        window = slice(corner[0], corner[0] + 4), slice(corner[1], corner[1] + 6)
        assert (pixels(image)[0, 0] == data[0].image[0][window]).all() and (mask[0] == data[0].mask[window]).all()
    assert corners == {(i, j) for i in range(7) for j in range(7)}


def test_small_images_are_padded():
    image, mask = next(Loader(Fake((2, 3)), 1, normalize=Normalize("symmetric"), size=(5, 3)).epoch(0))
    assert mask[0].tolist() == [[IGNORE] * 3, [0, 1, 0], [1, 0, 1], [IGNORE] * 3, [IGNORE] * 3]
    assert (image[0, 0][mask[0] == IGNORE] == -1).all()
    assert np.allclose(image[0, 0][mask[0] != IGNORE], 2 * np.arange(6) / 5 - 1)


def test_one_side_cropped_the_other_padded():
    for shuffle in (False, True):
        image, mask = next(Loader(Fake((9, 3)), 1, normalize=RAW, size=(4, 8), shuffle=shuffle).epoch(0))
        assert image.shape == (1, 1, 4, 8) and (mask != IGNORE).sum() == 12


@pytest.mark.parametrize("batch_size", [1, 2])
def test_images_of_different_size(batch_size):
    loader = Loader(Fake((70, 40), (70, 40), (50, 90)), batch_size, normalize=RAW)
    with pytest.raises(DataError, match=r"fake0 is 70x40.*fake2 is 50x90. Pass size=\(32, 32\)"):
        list(loader.epoch(0))


def test_errors_name_the_sample():
    class Broken(Fake):
        def __getitem__(self, k):
            image, mask, name, *_ = super().__getitem__(k)
            return Sample(image * np.nan if k == 1 else image, mask, name)

    with pytest.raises(DataError, match="fake1: 20 of 20 intensities"):
        list(Loader(Broken((4, 5), (4, 5)), 2, normalize=Normalize()).epoch(0))


@pytest.mark.parametrize(
    "data, batch_size, options, word",
    [
        (Subset(Fake((1, 1)), []), 1, {}, "dataset is empty"),
        (Fake((1, 1)), 0, {}, "batch_size=0"),
        (Fake((1, 1)), 1, dict(seed=-1), "seed=-1"),
        (Fake((1, 1)), 1, dict(size=(0, 4)), r"size=\(0, 4\)"),
    ],
)
def test_bad_loader(data, batch_size, options, word):
    with pytest.raises(DataError, match=word):
        Loader(data, batch_size, normalize=RAW, **options)
