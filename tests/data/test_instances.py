from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tinyunet.data.instances import Instances
from tinyunet.data.sample import DataError, Sample


def sample(name, size=(4, 5)):
    return Sample(np.zeros((1, *size), np.float32), np.zeros(size, np.int64), name)


@pytest.fixture
def root(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part / "instances").mkdir(parents=True)
    labels = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000
    Image.fromarray(labels).save(tmp_path / "test" / "instances" / "a.png")
    return tmp_path


def test_reads_the_map_of_a_sample(root):
    labels = Instances.of_data(root, "test")(sample("a"))
    assert np.array_equal(labels, np.arange(20).reshape(4, 5) * 3000)


def test_finds_the_folder_of_the_part(root):
    assert Instances.of_data(root, "train").folder == root / "train" / "instances"
    assert Instances.of_data(root) is None and Instances.of_data("tumour", "test") is None
    (root / "instances").mkdir()
    assert Instances.of_data(root).folder == root / "instances"


@pytest.mark.parametrize(
    "name, size, word", [("b", (4, 5), "holds no instance map of b"), ("a", (5, 5), "a.png is 4x5, its mask 5x5")]
)
def test_refuses_what_does_not_fit(root, name, size, word):
    with pytest.raises(DataError, match=word):
        Instances.of_data(root, "test")(sample(name, size))
