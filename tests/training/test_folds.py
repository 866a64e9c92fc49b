"""k folds: every sample validates once, no patient on both sides, and the test set stays what it is."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet.data.sample import DataError
from tinyunet.data.source import open_sources
from tinyunet.data.split import fold

from .tiny import folder


class Numbered:
    class_names, channels, mask_values = ("background", "disc"), 1, (0, 1)

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, k):
        return k


def contents(part) -> list:
    return [part[k] for k in range(len(part))]


@pytest.mark.parametrize("count, folds", [(2, 2), (10, 5), (11, 4), (7, 7)])
def test_each_sample_is_held_out_once(count, folds):
    data, held = Numbered(count), []
    for number in range(1, folds + 1):
        train, out = fold(data, folds, number, seed=3)
        assert sorted(contents(train) + contents(out)) == list(range(count))
        assert contents(out) == sorted(contents(out)) and count // folds <= len(out) <= -(-count // folds)
        held += contents(out)
    assert sorted(held) == list(range(count))


def test_folds_depend_on_the_seed_alone():
    data = Numbered(30)
    assert contents(fold(data, 3, 1, seed=1)[1]) == contents(fold(data, 3, 1, seed=1)[1])
    assert contents(fold(data, 3, 1, seed=1)[1]) != contents(fold(data, 3, 1, seed=2)[1])


def test_a_patient_is_in_one_fold():
    patients = [k // 4 for k in range(24)]
    for number in range(1, 4):
        train, out = fold(Numbered(24), 3, number, groups=patients)
        sides = [{patients[k] for k in contents(part)} for part in (train, out)]
        assert not sides[0] & sides[1] and len(sides[1]) == 2


@pytest.mark.parametrize(
    "count, folds, number, groups, text",
    [
        (5, 1, 1, None, "expected at least 2 folds"),
        (5, 3, 4, None, "one of 1 to 3, got 3 folds and number 4"),
        (5, 3, 0, None, "number 0"),
        (5, 6, 1, None, "cannot divide 5 samples into 6 parts"),
        (5, 3, 1, [0, 0, 1, 1, 1], "cannot divide 2 groups into 3 parts"),
        (5, 3, 1, [0, 1, 2], "groups has 3 labels for 5 samples"),
    ],
)
def test_bad_folds(count, folds, number, groups, text):
    with pytest.raises(DataError, match=text):
        fold(Numbered(count), folds, number, groups=groups)


def names(part) -> set[str]:
    return {part[k].name for k in range(len(part))}


def test_the_test_set_is_the_same_for_all_folds(tmp_path):
    data, validated = folder(tmp_path, count=10), []
    test = names(open_sources(data).test)
    for number in range(1, 5):
        sources = open_sources(data, folds=4, fold=number)
        parts = [names(part) for part in sources[:3]]
        assert parts[2] == test and len(set.union(*parts)) == sum(map(len, parts)) == 10
        validated += sorted(parts[1])
    assert len(validated) == 8 and not test & set(validated)


def stacks(root, depths):
    for k, depth in enumerate(depths):
        rng = np.random.default_rng(k)
        for kind, values in (("images", 255), ("masks", 2)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            np.save(root / kind / f"p{k}.npy", rng.integers(0, values, (depth, 16, 16)).astype(np.uint8))
    return root


def test_folds_of_volumes_keep_patients_together(tmp_path):
    data, seen = stacks(tmp_path / "many", (2, 3, 4, 2, 3, 2)), []
    for number in (1, 2):
        parts = open_sources(data, folds=2, fold=number)[:3]
        sides = [{part[k].patient for k in range(len(part))} for part in parts]
        assert len(set.union(*sides)) == sum(map(len, sides)) == 6
        seen.append(sides[1])
    assert not seen[0] & seen[1]
    with pytest.raises(DataError, match="cannot divide 5 groups into 6 parts"):
        open_sources(data, folds=6)
