from __future__ import annotations

import numpy as np
import pytest

from tinyunet.data.sample import Sample
from tinyunet.metrics import Scores, measure


class Slices:
    """Two volumes of other sizes, a picture of a third patient, and one of nobody."""

    class_names, channels, mask_values = ("background", "a"), 1, (0, 1)

    def __init__(self, spacing=(3.0, 1.0, 0.5)):
        rng = np.random.default_rng(0)
        self.samples = []
        for patient, size, count in (("p1", (6, 7), 3), ("p2", (5, 9), 2)):
            for k in range(count):
                sample = self.make(rng, size, f"{patient}_slice{k:03d}", patient, spacing)
                self.samples.append(sample._replace(volume=patient))
        self.samples.append(self.make(rng, (4, 4), "p3", "p3", spacing and spacing[-2:]))
        self.samples.append(self.make(rng, (4, 4), "picture", "", spacing and spacing[-2:]))

    @staticmethod
    def make(rng, size, *rest):
        return Sample(rng.random((1, *size)).astype(np.float32), rng.integers(-1, 2, size), *rest)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        return self.samples[i]


def predict(image):
    return (image[0] > 0.5).astype(np.int64)


def test_slices_are_joined_and_measured_as_a_volume():
    data = Slices()
    scores = measure(predict, data, Scores(data.class_names, detailed=True))
    assert scores.names == ["p1", "p2", "p3", "picture"]
    assert scores.shapes == [(3, 6, 7), (2, 5, 9), (4, 4), (4, 4)] and scores.unit == "mm"
    expected = Scores(data.class_names, detailed=True)
    for first, last, spacing in ((0, 3, (3.0, 1.0, 0.5)), (3, 5, (3.0, 1.0, 0.5))):
        slices = [data[i] for i in range(first, last)]
        expected.add(
            np.stack([predict(s.image) for s in slices]), np.stack([s.mask for s in slices]), "", spacing=spacing
        )
    for metric in scores.metrics:
        np.testing.assert_array_equal(scores.per_image(metric)[:2], expected.per_image(metric))


def test_without_the_distance_of_slices_a_volume_is_measured_in_pixels():
    data = Slices(None)
    scores = measure(predict, data, Scores(data.class_names, detailed=True))
    assert scores.unit == "px" and scores.shapes[0] == (3, 6, 7)
    data.samples = [sample._replace(spacing=(1.0, 0.5)) for sample in data.samples[:3]]
    assert measure(predict, data, Scores(data.class_names, detailed=True)).unit == "px"


def test_pictures_of_one_patient_are_not_joined_but_grouped():
    data = Slices()
    data.samples = [sample._replace(name=f"x{i}", volume="") for i, sample in enumerate(data.samples[:5])]
    scores = measure(predict, data, Scores(data.class_names))
    assert scores.names == ["x0", "x1", "x2", "x3", "x4"] and scores.groups == ["p1"] * 3 + ["p2"] * 2


@pytest.mark.parametrize("scale", [1, 20_000])  # labels of instance maps may be large
def test_instance_maps(scale):
    data = Slices()
    maps = {sample.name: np.arange(sample.mask.size).reshape(sample.mask.shape) * scale for sample in data.samples}
    scores = measure(
        lambda image: np.ones(image.shape[1:], int),
        data,
        Scores(data.class_names, detailed=True),
        instances=lambda sample: maps[sample.name],
    )
    pixels = [int(sum((s.mask == 1).sum() for s in data.samples[a:b])) for a, b in ((5, 6), (6, 7))]
    found = scores.objects[2:, 1, 0] + scores.objects[2:, 1, 2]
    assert scores.instance_maps and abs(found - pixels).max() <= 1  # every pixel an object, but the one that is 0
