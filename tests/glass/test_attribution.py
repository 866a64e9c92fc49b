from __future__ import annotations

import numpy as np
import pytest

import tinyunet
from tinyunet.data import Normalize
from tinyunet.data.sample import DataError
from tinyunet.glass.attribution import question
from tinyunet.glass.attribution.figures import show_maps
from tinyunet.glass.attribution.occlusion import occlusion
from tinyunet.glass.attribution.question import Question
from tinyunet.glass.attribution.saliency import saliency
from tinyunet.glass.attribution.seg_grad_cam import seg_grad_cam
from tinyunet.inference import Segmenter
from tinyunet.nn import UNet
from tinyunet.ops.shapes import ShapeError

from .hand_made import conv, looks_left

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def reference_kernels():
    with tinyunet.use_kernels("reference"):
        yield


def only(shape, place, value):
    expected = np.zeros(shape)
    expected[place] = value
    return expected


METHODS = [
    ("saliency", saliency, {}, 2.0),
    ("times input", saliency, {"times_input": True}, 2 * 5.0),
    ("SmoothGrad", saliency, {"samples": 3}, 2.0),  # of a linear network the gradient is the same everywhere
    ("occlusion", occlusion, {"patch": 1, "blank": 0.0}, 2 * 5.0),
    ("Seg-Grad-CAM", seg_grad_cam, {"layer": "0"}, 2 / (9 * 11) * 5.0),
]


@pytest.mark.parametrize("name, method, options, value", METHODS, ids=[m[0] for m in METHODS])
def test_a_network_that_looks_3_pixels_to_the_left_lights_up_exactly_there(name, method, options, value):
    image = np.zeros((2, 9, 11), np.float32)
    image[0, 4, 3] = 5
    image[1, 2, 8] = 7  # it does not look at the second channel
    map = method(looks_left(), image, 1, (4, 6), **options)
    np.testing.assert_allclose(map, only((9, 11), (4, 3), value), rtol=1e-5)


@pytest.mark.parametrize("method, options", [m[1:3] for m in METHODS], ids=[m[0] for m in METHODS])
def test_what_does_not_matter_stays_dark(method, options):
    image = RNG.normal(0, 1, (2, 9, 11)).astype(np.float32)
    assert not method(looks_left(strength=0.0), image, 1, (4, 6), **options).any()


@pytest.mark.parametrize("method, options", [m[1:3] for m in METHODS], ids=[m[0] for m in METHODS])
def test_the_map_of_a_region_is_made_from_the_sum_of_its_scores(method, options):
    """The network is linear, so maps of pixels whose places do not meet add."""
    image = RNG.uniform(1, 2, (2, 9, 11)).astype(np.float32)
    region = np.zeros((9, 11), bool)
    region[[2, 4, 4], [5, 6, 9]] = True
    parts = [method(looks_left(), image, 1, tuple(pixel), **options) for pixel in np.argwhere(region)]
    np.testing.assert_allclose(method(looks_left(), image, 1, region, **options), sum(parts), rtol=1e-5, atol=1e-6)


def test_one_output_channel_speaks_for_class_1_and_against_class_0():
    image = RNG.uniform(1, 2, (2, 9, 11)).astype(np.float32)
    network = looks_left(classes=1, target=0)
    options = {"region": (4, 6), "patch": 1}
    for_it, against = (occlusion(network, image, target, **options) for target in (1, 0))
    assert for_it.any()
    np.testing.assert_allclose(for_it, -against)
    assert seg_grad_cam(network, image, 1, (4, 6), layer="0").any()
    assert not seg_grad_cam(network, image, 0, (4, 6), layer="0").any()  # features that speak against are cut off


def unet(in_channels=1, classes=2, depth=1, **options):
    """A UNet whose batch normalisation has seen something."""
    model = UNet(in_channels, classes, 3, depth, **options)
    rng = np.random.default_rng(1)
    for name, array in model.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            array[...] = rng.uniform(0.2, 0.6, array.shape)
    return model


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (3, 10)])
@pytest.mark.parametrize(
    "classes, options", [(1, {}), (2, {"norm": "group"}), (3, {"padding": "valid"}), (2, {"up": "bilinear"})]
)
def test_saliency_is_the_slope_of_the_score(size, classes, options):
    model = unet(classes=classes, **options).astype(np.float64)
    image = RNG.normal(0, 1, (1, *size))
    region = RNG.random(size) < 0.3
    question, eps = Question(model, image, 1, region), 1e-6
    steps = eps * np.eye(image.size).reshape(-1, 1, *size)  # one pixel each
    slopes = ((question.score(image + steps) - question.score(image - steps)) / (2 * eps)).reshape(size)
    assert np.abs(slopes).max() > 1e-3
    np.testing.assert_allclose(saliency(model, image, 1, region), np.abs(slopes), rtol=1e-5, atol=1e-7)
    signed = saliency(model, image, 1, region, times_input=True)
    np.testing.assert_allclose(signed, image[0] * slopes, rtol=1e-5, atol=1e-7)


def test_saliency_of_several_channels_is_that_of_the_strongest():
    model = unet(3)
    image = RNG.random((3, 10, 6)).astype(np.float32)
    question = Question(model, image, 1, (5, 3))
    g = question.gradient(question.x)[0]
    np.testing.assert_array_equal(saliency(model, image, 1, (5, 3)), np.abs(g).max(axis=0))
    np.testing.assert_allclose(saliency(model, image, 1, (5, 3), times_input=True), (image * g).sum(axis=0), rtol=1e-6)


def test_smoothgrad_is_the_mean_gradient_of_noisy_copies():
    model = unet()
    image = RNG.random((1, 6, 8)).astype(np.float32)
    plain = saliency(model, image, 1, (2, 2))
    np.testing.assert_allclose(saliency(model, image, 1, (2, 2), samples=4, noise=0), plain, rtol=1e-5)
    a, b, c = (saliency(model, image, 1, (2, 2), samples=4, noise=0.5, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(a, b) and not np.allclose(a, c) and not np.allclose(a, plain)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("layer", ["encoder1", "encoder2", "decoder2"])
@pytest.mark.parametrize("size", [(24, 20), (23, 21)])
def test_the_map_of_a_layer_lies_over_the_image_in_its_place(padding, layer, size):
    """Where all kernels pass on the pixel in their middle, a layer shows the image itself: a ramp, however enlarged."""
    model = UNet(1, 1, 1, 1, norm=None, padding=padding)
    for name, parameter in model.named_parameters():
        parameter.data[...] = 0
        if name.endswith("weight"):
            parameter.data[..., -2 if parameter.shape[2] == 3 else slice(None), :] = 1
            if parameter.shape[3] == 3:
                parameter.data[..., [0, 2]] = 0
    model.decoder2.__dict__["0"].weight.data[:, 0] = 0  # after the join: the skip only, which was not pooled
    for axis in (0, 1):
        ramp = 10 + np.arange(size[axis], dtype=np.float32)
        image = np.broadcast_to(ramp[:, None] if axis == 0 else ramp, size)
        if layer == "encoder2":
            model.decoder2.__dict__["0"].weight.data[:, 0, 1, 1] = 1
        map = seg_grad_cam(model, image, 1, np.ones(size, bool), layer=layer)
        middle = map[9:-9, 9:-9].mean(axis=1 - axis)
        # The largest of two neighbours is half a step above the value between them, where the pooled pixel lies.
        expected = ramp[9:-9] + (0.5 if layer == "encoder2" else 0)
        np.testing.assert_allclose(middle / middle[0], expected / expected[0], rtol=1e-4)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(1, 1), (7, 41), (33, 30)])
@pytest.mark.parametrize("channels, classes", [(1, 1), (2, 3)])
def test_any_size_gives_maps_of_that_size(padding, size, channels, classes):
    model = unet(channels, classes, 2, padding=padding)
    segmenter = Segmenter(model, Normalize("zscore"), "abc"[: max(classes, 2)], range(max(classes, 2)))
    image = RNG.integers(0, 256, (channels, *size)).astype(np.uint8)
    region = (0, size[1] - 1)
    maps = {
        "saliency": saliency(segmenter, image, 1, region),
        "occlusion": occlusion(segmenter, image, 1, region, patch=20),
        "Seg-Grad-CAM": seg_grad_cam(segmenter, image, 1, region),
    }
    for name, map in maps.items():
        assert map.shape == size and np.isfinite(map).all(), name


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_question_sees_what_the_segmenter_predicts(padding):
    segmenter = Segmenter(unet(2, 3, 2, padding=padding), Normalize("zscore"), "abc", range(3))
    image = RNG.integers(0, 256, (2, 21, 30)).astype(np.uint8)
    labels = segmenter.predict(image)
    target = int(labels[10, 10])
    question = Question(segmenter, image, target)
    np.testing.assert_array_equal(question.labels, labels)
    np.testing.assert_array_equal(question.region, labels == target)
    np.testing.assert_array_equal(question.x[0], segmenter.normalize(image))
    np.testing.assert_array_equal(
        saliency(segmenter, image, target),
        saliency(segmenter.model, segmenter.normalize(image), target, labels == target),
    )


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_score_is_the_log_odds_of_what_the_segmenter_predicts(padding, classes):
    names = "abc"[: max(classes, 2)]
    segmenter = Segmenter(unet(1, classes, 2, padding=padding), Normalize("zscore"), names, range(len(names)))
    image = RNG.integers(0, 256, (1, 21, 30)).astype(np.uint8)
    segmenter.model.decoder1.weight.data *= 0.02  # keeps probabilities away from 0 and 1
    p = segmenter.probabilities(image)
    for pixel in ((0, 0), (20, 29), (7, 11)):  # in the corners, what the image is continued with matters
        questions = [Question(segmenter, image, target, pixel) for target in range(len(names))]
        score = [float(q.score(q.x)[0]) for q in questions]
        here = p[:, *pixel].astype(float)
        np.testing.assert_allclose(score, np.log(here / (1 - here)), rtol=1e-3, atol=1e-4)


def test_a_class_that_wins_because_the_other_falls_is_explained():
    """Both scores fall where the image is bright, that of class 0 further: the bright pixel speaks for class 1."""
    image = np.zeros((1, 5, 5), np.float32)
    image[0, 2, 2] = 1
    network = conv([[[[-3.0]]], [[[-1.0]]]])
    for method, options in ((occlusion, {"patch": 1, "blank": 0.0}), (saliency, {"times_input": True})):
        np.testing.assert_allclose(method(network, image, 1, (2, 2), **options), only((5, 5), (2, 2), 2.0), atol=1e-6)


def test_nothing_is_left_behind_in_the_network():
    model = unet(dropout=0.5, depth=2)
    model.encoder1.__dict__["0"].weight.requires_grad = False  # frozen by the user
    before = {name: array.copy() for name, array in model.state_dict().items()}
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    image = RNG.random((1, 9, 9)).astype(np.float32)
    for method in (saliency, occlusion, seg_grad_cam):
        np.testing.assert_array_equal(method(model, image, 1, (4, 4)), method(model, image, 1, (4, 4)))
    assert all(module.training for _, module in model.named_modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    for name, array in model.state_dict().items():
        assert np.array_equal(array, before[name]), name


def test_occlusion_covers_every_pixel_and_overlapping_patches_are_averaged(monkeypatch):
    image = np.zeros((2, 9, 11), np.float32)
    image[0, 4, 3] = 5
    seen = []
    monkeypatch.setattr(question, "TOGETHER", 8 * image[0].size)
    map = occlusion(
        looks_left(),
        image,
        1,
        (4, 6),
        patch=4,
        stride=2,
        blank=1.0,
        progress=lambda batches: seen.extend(batches) or seen,
    )
    # Blanking puts 1 in the place of 5. The pixel lies in 2 x 2 patches; what they cover besides it shares their fall.
    expected, count = np.zeros((9, 11)), np.zeros((9, 11))
    for p in range(0, 9, 2):
        for q in range(0, 11, 2):
            expected[p : p + 4, q : q + 4] += 2 * 4 if p <= 4 < p + 4 and q <= 3 < q + 4 else 0
            count[p : p + 4, q : q + 4] += 1
    np.testing.assert_allclose(map, expected / count, rtol=1e-6)
    assert seen == list(range(0, 5 * 6, 8))  # eight patches go through the network together


def test_occlusion_blanks_with_the_mean_of_each_channel_if_not_told_otherwise():
    image = RNG.random((2, 9, 11)).astype(np.float32)
    map = occlusion(looks_left(), image, 1, (4, 6), patch=1)
    np.testing.assert_allclose(map, only((9, 11), (4, 3), 2 * (image[0, 4, 3] - image[0].mean())), rtol=1e-4, atol=1e-6)


IMAGE = np.zeros((2, 9, 11), np.float32)


@pytest.mark.parametrize(
    "target, region, text",
    [
        (2, None, "target must be a class from 0 to 1, got 2"),
        (-1, None, "from 0 to 1, got -1"),
        (1, None, "gives no pixel of this image to class 1; ask about a pixel"),
        (1, (9, 0), r"\(9, 0\) lies outside the image of 9 x 11"),
        (1, (0, -1), "lies outside"),
        (1, np.zeros((9, 11), bool), "no pixel of the region is True"),
        (1, np.ones((9, 10), bool), r"bool mask of 9 x 11.*got shape \(9, 10\) of bool"),
        (1, np.ones((9, 11), int), "of int64"),
        (1, (1.5, 2.0), "of float64"),
    ],
)
@pytest.mark.parametrize("method", [saliency, occlusion, seg_grad_cam])
def test_questions_without_sense_are_refused(method, target, region, text):
    with pytest.raises(ValueError, match=text):
        method(looks_left(), IMAGE, target, region)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: saliency(looks_left(), IMAGE, 0, samples=-1), ValueError, "at least 0, got -1"),
        (lambda: occlusion(looks_left(), IMAGE, 0, patch=3, stride=4), ValueError, "got stride=4 and patch=3"),
        (lambda: seg_grad_cam(looks_left(), IMAGE, 0), ValueError, "layer must be one of 0, 1, got None"),
        (lambda: seg_grad_cam(unet(), IMAGE[:1], 0, (0, 0), layer="encoder9"), ValueError, "got 'encoder9'"),
        (lambda: saliency(looks_left(), IMAGE[None], 0), ShapeError, r"one image \(C, H, W\), got shape"),
        (lambda: saliency(unet(), IMAGE, 0), ShapeError, "takes images with 1 channels"),
        (lambda: saliency(conv(np.ones((2, 2, 3, 3))), IMAGE, 0), ShapeError, "scores for each pixel of 9 x 11"),
        (
            lambda: saliency(Segmenter(unet(), Normalize(), "ab", (0, 1)), IMAGE[0] * np.nan, 0),
            DataError,
            "NaN or infinite",
        ),
    ],
)
def test_wrong_calls_say_what_was_expected(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_an_image_that_is_too_large_is_refused_before_memory_is_taken(monkeypatch):
    model, image = unet(depth=2), RNG.random((1, 40, 60)).astype(np.float32)
    free = 2 * question.forecast(model, 40, 60)  # enough to predict, and for gradients of two thirds of the image
    monkeypatch.setattr(question, "memory_of", lambda device: (free, free))
    assert occlusion(model, image, 1, (5, 5), patch=20).shape == (40, 60)
    with pytest.raises(MemoryError, match=r"for one of 40 x 60, and .* are free on cpu; .* at most about 40 x 40 pix"):
        saliency(model, image, 1, (5, 5))
    free = free // 3
    with pytest.raises(MemoryError, match="maps are made of whole images"):
        occlusion(model, image, 1, (5, 5))


def test_a_layer_that_no_gradient_reaches_is_named():
    model = unet(depth=2)
    model.recompute = True
    image = IMAGE[:1]
    assert saliency(model, image, 1, (4, 4)).shape == (9, 11)
    with pytest.raises(ValueError, match="no gradient reaches the layer decoder3.*recompute = False"):
        seg_grad_cam(model, image, 1, (4, 4))
    supervised = UNet(1, 2, 2, 2, deep_supervision=True)
    with pytest.raises(ValueError, match="no gradient reaches the layer head2"):
        seg_grad_cam(supervised, image, 1, (4, 4), layer="head2")


@pytest.mark.parametrize("count", [1, 4])
def test_the_figure_shows_all_side_by_side(count):
    image, labels = RNG.random((1, 12, 20)), np.zeros((12, 20), int)
    labels[3:6, 4:9] = 1
    map = RNG.normal(0, 1, (12, 20))
    maps = {
        f"map {k}{' of a method whose name is long, times the input' * (k > 1)}": [
            map,
            np.abs(map),
            np.zeros((12, 20)),
            only((12, 20), (3, 4), 7.0),
        ][k % 4]
        for k in range(count)
    }
    options = {"prediction": labels, "region": labels == 1, "class_names": ("background", "tumour")}
    for truth in (None, labels):
        figure = show_maps(image, maps, truth=truth, title="why", **options)
        titles = [
            axes.get_title().replace("\n", " ") for axes in figure.axes if axes.get_visible() and axes.get_title()
        ]
        assert titles == ["image", *["truth"] * (truth is not None), "prediction", *maps]
        shown = {axes.get_title(): axes.images[0] for axes in figure.axes if axes.images}
        assert shown["map 0"].get_clim()[0] == -shown["map 0"].get_clim()[1]  # signed: 0 in the middle of its colours
        if count == 4:
            assert shown["map 1"].get_clim()[0] == 0
            assert list(shown.values())[-1].get_clim() == (0, 7)  # one bright pixel is not clipped
        figure.draw_without_rendering()
        texts = [figure.texts[0], *(axes.title for axes in figure.axes if axes.get_visible() and axes.get_title())]
        places = [text.get_window_extent() for text in texts]
        assert not any(one.overlaps(other) for k, one in enumerate(places) for other in places[:k])


def test_maps_are_the_same_on_the_gpu(gpu):
    model, image = unet(2, 3), RNG.random((2, 9, 7)).astype(np.float32)
    with tinyunet.use_kernels("auto"):
        here = [method(model, image, 1, (4, 4)) for method in (saliency, occlusion, seg_grad_cam)]
        model.to("cuda")
        there = [method(model, image, 1, (4, 4)) for method in (saliency, occlusion, seg_grad_cam)]
    for a, b in zip(here, there, strict=True):
        assert isinstance(b, np.ndarray)
        np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-5)
