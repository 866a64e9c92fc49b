"""Several looks at one image: mirror images, dropout, and what their disagreement says."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import use_kernels
from tinyunet.data import Normalize
from tinyunet.inference import Segmenter
from tinyunet.inference.looks import entropy, mirror, mirror_back
from tinyunet.nn import UNet

IMAGE = np.random.default_rng(0).random((16, 24)).astype(np.float32)


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with use_kernels("reference"):
        yield


def make(classes=3, **options):
    names = tuple("abc"[: max(classes, 2)])
    return Segmenter(UNet(1, classes, 2, 1, seed=3, **options), Normalize(), names, range(len(names)))


def test_the_eight_mirror_images_differ_and_come_back():
    x = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    seen = [mirror(x, k) for k in range(8)]
    assert len({image.tobytes() + bytes(image.shape) for image in seen}) == 8
    assert [image.shape for image in seen] == [(2, 3, 4)] * 4 + [(2, 4, 3)] * 4
    for k, image in enumerate(seen):
        assert np.array_equal(mirror_back(image, k), x)


@pytest.mark.parametrize("tta", [4, 8])
@pytest.mark.parametrize("classes", [1, 3])
def test_mirrored_looks_are_the_mean_and_do_not_mind_mirroring(tta, classes):
    segmenter = make(classes)
    p = segmenter.probabilities(IMAGE, tta=tta)
    single = [mirror_back(segmenter.probabilities(mirror(IMAGE, k)), k) for k in range(tta)]
    np.testing.assert_allclose(p, np.mean(single, axis=0), atol=1e-6)
    assert np.abs(p - single[0]).max() > 1e-3
    for k in range(tta):
        again = mirror_back(segmenter.probabilities(mirror(IMAGE, k), tta=tta), k)
        np.testing.assert_allclose(again, p, atol=1e-6)


@pytest.mark.parametrize(
    ("p", "nats"),
    [([1.0, 0], 0), ([0.5, 0.5], np.log(2)), ([0.25, 0.25, 0.5], 1.5 * np.log(2)), ([1 / 3] * 3, np.log(3))],
)
def test_entropy(p, nats):
    assert entropy(np.array(p)[:, None, None], -3) == pytest.approx(nats)


def test_uncertainty_follows_its_definition():
    segmenter = make()
    got = segmenter.examine(IMAGE, tta=4)
    single = np.stack([mirror_back(segmenter.probabilities(mirror(IMAGE, k)), k) for k in range(4)])
    mean = single.mean(axis=0)
    np.testing.assert_allclose(got.probabilities, mean, atol=1e-6)
    np.testing.assert_allclose(got.entropy, -(mean * np.log(mean)).sum(axis=0), atol=1e-5)
    expected = got.entropy - -(single * np.log(single)).sum(axis=1).mean(axis=0)
    np.testing.assert_allclose(got.mutual_information, expected, atol=1e-5)
    assert got.entropy.shape == IMAGE.shape and got.mutual_information.min() >= 0 < expected.max()


def test_one_look_has_no_mutual_information():
    segmenter = make()
    got = segmenter.examine(IMAGE)
    assert np.array_equal(got.probabilities, segmenter.probabilities(IMAGE))
    assert got.mutual_information.max() < 1e-6 < got.entropy.max()
    assert segmenter.examine(IMAGE[None, None]).entropy.shape == (1, *IMAGE.shape)


def test_dropout_passes_repeat_and_leave_the_network_as_it_was():
    segmenter = make(dropout=0.5)
    state = segmenter.model.rng.bit_generator.state
    got = segmenter.examine(IMAGE, passes=5)
    assert np.array_equal(got.probabilities, segmenter.probabilities(IMAGE, passes=5))
    assert got.mutual_information.max() > 1e-3
    assert np.abs(got.probabilities - segmenter.probabilities(IMAGE)).max() > 1e-3
    assert segmenter.model.rng.bit_generator.state == state
    assert all(module.training for _, module in segmenter.model.named_modules())
    generators = {id(module.rng) for _, module in segmenter.model.named_modules() if hasattr(module, "rng")}
    assert generators == {id(segmenter.model.rng)}
