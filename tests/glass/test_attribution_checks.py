from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tinyunet
from tinyunet import functional as F
from tinyunet.cli import attribute
from tinyunet.data import Normalize
from tinyunet.data.image_file import read_image
from tinyunet.data.normalize import Statistics
from tinyunet.glass.attribution import question
from tinyunet.glass.attribution.deletion import delete_pixels
from tinyunet.glass.attribution.figures import show_deletion, show_weights_check
from tinyunet.glass.attribution.occlusion import occlusion
from tinyunet.glass.attribution.question import Question
from tinyunet.glass.attribution.saliency import saliency
from tinyunet.glass.attribution.sanity import randomise_weights, rank_correlation
from tinyunet.glass.attribution.seg_grad_cam import seg_grad_cam
from tinyunet.inference import Segmenter
from tinyunet.nn import UNet
from tinyunet.optim import Adam

from .hand_made import conv, looks_left

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with tinyunet.use_kernels("reference"):
        yield


def scene(rng):
    """A bright disc on noise, which is the class, and two bright lines, which are not."""
    p, q = np.mgrid[:24, :24]
    i, j = rng.integers(5, 19, 2)
    mask = (p - i) ** 2 + (q - j) ** 2 <= 9
    image = rng.normal(0, 0.15, (24, 24)) + mask
    image[rng.integers(24)] += 1
    image[:, rng.integers(24)] += 1
    return 50 + 100 * image[None].astype(np.float32), mask.astype(np.int64)


@pytest.fixture(scope="module")
def trained():
    """A tiny network that has learned to find discs, and scenes that it was not trained with."""
    rng = np.random.default_rng(0)
    scenes = [scene(rng) for _ in range(12)]
    segmenter = Segmenter(UNet(1, 2, 4, 1), Normalize("zscore"), ("background", "disc"), (0, 1))
    optimizer = Adam(segmenter.model.parameters(), lr=0.02)
    for k in range(60):
        batch = [scenes[(4 * k + n) % 8] for n in range(4)]
        segmenter.model.zero_grad()
        y = segmenter.model(np.stack([segmenter.normalize(image) for image, _ in batch]))
        F.cross_entropy_dice(y, np.stack([mask for _, mask in batch])).backward()
        optimizer.step()
    return segmenter, scenes[8:]


def edges(model, image, target, region):
    """What looks like an explanation but never asks the network."""
    return np.hypot(*np.gradient(image[0]))


def test_maps_of_a_trained_network_fall_apart_with_its_weights(trained):
    segmenter, scenes = trained
    image, mask = scenes[0]
    before = {name: array.copy() for name, array in segmenter.model.state_dict().items()}
    found = segmenter.predict(image) == 1
    assert 2 * (found & (mask == 1)).sum() / (found.sum() + mask.sum()) > 0.8
    everywhere = np.ones(mask.shape, bool)
    for method in (saliency, partial(occlusion, patch=3, stride=3)):
        check = randomise_weights(segmenter, image, 1, everywhere, method=method)
        similarity = [step.similarity for step in check.steps]
        assert similarity[0] == 1 and abs(similarity[-1]) < 0.4 and abs(check.floor) < 0.4
    for name, array in segmenter.model.state_dict().items():
        assert np.array_equal(array, before[name]), name


def test_a_region_gives_its_place_away_and_the_floor_shows_it(trained):
    segmenter, scenes = trained
    at_a_place = randomise_weights(segmenter, scenes[0][0], 1)
    assert at_a_place.floor > 0.6 and at_a_place.steps[-1].similarity > 0.6


def test_a_picture_of_edges_never_changes(trained):
    segmenter, scenes = trained
    check = randomise_weights(segmenter, scenes[0][0], 1, method=edges)
    assert [step.similarity for step in check.steps] == pytest.approx([1] * len(check.steps))
    assert check.floor == pytest.approx(1)


@pytest.mark.parametrize("options", [{}, {"deep_supervision": True, "up": "nearest"}])
def test_blocks_forget_from_the_last_to_the_first(options):
    segmenter = Segmenter(UNet(1, 2, 2, 2, **options), Normalize(), "ab", (0, 1))
    seen = []

    def note(model, image, target, region):
        seen.append({name: array.copy() for name, array in model.model.state_dict().items()})
        return RNG.random(region.shape)

    check = randomise_weights(segmenter, RNG.random((16, 16)), 1, (8, 8), method=note, seed=5)
    blocks = [step.block for step in check.steps]
    ups = [] if options else ["up2", "up3"]  # blocks without weights have nothing to forget, heads do not run
    assert set(blocks) == {"", "encoder1", "encoder2", "encoder3", "decoder3", "decoder2", "decoder1", *ups}
    assert blocks[:3] == ["", "decoder1", "decoder2"] and blocks[-3:] == ["encoder3", "encoder2", "encoder1"]
    trained, fresh = segmenter.model.state_dict(), UNet(1, 2, 2, 2, seed=5, **options).state_dict()
    for k, state in enumerate(seen[:-1]):
        for name in state:
            source = fresh if name.partition(".")[0] in blocks[1 : k + 1] else trained
            assert np.array_equal(state[name], source[name]), (k, name)
    other = UNet(1, 2, 2, 2, seed=6, **options).state_dict()
    assert all(np.array_equal(seen[-1][name], other[name]) for name in other)


def test_the_region_stays_what_the_trained_network_gave_to_the_class(trained):
    segmenter, [(image, _), *_] = trained
    regions = []
    labels = segmenter.predict(image)
    randomise_weights(segmenter, image, 1, method=lambda m, i, t, r: regions.append(r) or np.zeros(r.shape))
    assert len(regions) == 7 and all(np.array_equal(region, labels == 1) for region in regions)


def test_a_network_that_is_no_unet_brings_its_own_fresh_weights():
    def build(seed):
        rng = np.random.default_rng(seed)
        network = looks_left()
        for parameter in network.parameters():
            parameter.data[...] = rng.normal(0, 1, parameter.shape)
        return network

    image = RNG.random((2, 9, 11)).astype(np.float32)
    with pytest.raises(ValueError, match="only a UNet.*untrained="):
        randomise_weights(looks_left(), image, 1, (4, 6))
    with pytest.raises(KeyError, match="do not belong to this network"):
        randomise_weights(looks_left(), image, 1, (4, 6), untrained=lambda seed: conv(np.ones((1, 2, 1, 1))))
    check = randomise_weights(looks_left(), image, 1, (4, 6), untrained=build)
    assert [step.block for step in check.steps] == ["", "1", "0"]
    assert check.steps[1].map.any() and check.steps[-1].similarity < 1


@pytest.mark.parametrize(
    "a, b, rho",
    [
        ([1, 2, 3], [10, 20, 21], 1),
        ([1, 2, 3], [3, 2, -9], -1),
        ([1, 2, 3], [4, 4, 4], np.nan),
        ([1, 2, 2, 3], [1, 3, 2, 2], np.corrcoef([0, 1.5, 1.5, 3], [0, 3, 1.5, 1.5])[0, 1]),
        ([[1, 5], [4, 2]], [[1, 5], [2, 4]], 1 - 6 * 2 / (4 * 15)),  # without ties: 1 - 6 sum d^2 / (n (n^2 - 1))
    ],
)
def test_rank_correlation(a, b, rho):
    np.testing.assert_allclose(rank_correlation(np.array(a), np.array(b)), rho, rtol=1e-12)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=30))
def test_rank_correlation_knows_only_order(pairs):
    a, b = np.array(pairs, float).T
    rho = rank_correlation(a, b)
    np.testing.assert_allclose(rank_correlation(b, a), rho, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(rank_correlation(np.exp(a), 3 * b - 7), rho, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(rank_correlation(a, -b), -rho, rtol=1e-9, atol=1e-12)


def test_blanking_what_matters_lowers_the_score_faster_than_random(monkeypatch):
    image = RNG.uniform(1, 2, (2, 9, 11)).astype(np.float32)
    monkeypatch.setattr(question, "TOGETHER", 5 * image[0].size)
    region = np.zeros((9, 11), bool)
    region[3:6, 5:8] = True
    right = np.roll(region, -3, axis=1).astype(float)
    maps = {"right": right, "wrong": -right}
    found = delete_pixels(looks_left(), image, 1, maps, region, blank=0.0, steps=11)
    whole = 2 * image[0, 3:6, 2:5].mean()
    np.testing.assert_allclose(found.fraction, np.arange(12) / 11)
    for curve in (*found.scores.values(), *found.random):
        np.testing.assert_allclose([curve[0], curve[-1]], [whole, 0], rtol=1e-6, atol=1e-6)
        assert (np.diff(curve) <= 1e-6).all()  # a linear network of positive weights only loses
    np.testing.assert_allclose(found.scores["right"][1:], 0, atol=1e-6)  # 9 pixels matter, the first step blanks 9
    np.testing.assert_allclose(found.scores["wrong"][:-1], whole, rtol=1e-6)
    assert found.advantage("right") > 0.3 > -0.3 > found.advantage("wrong")
    assert found.random.shape == (3, 12)


def test_pixels_of_equal_relevance_are_blanked_in_random_order():
    region = np.zeros((9, 11), bool)
    region[0, 3:] = True  # it depends on the first row, which would be first
    found = delete_pixels(looks_left(), np.ones((2, 9, 11)), 1, {"none": np.zeros((9, 11))}, region, blank=0.0, steps=9)
    assert found.scores["none"][0] == 2 and 1 < found.scores["none"][1] < 2


def test_the_advantage_is_the_area_between_the_curves():
    image = np.ones((2, 1, 4), np.float32)
    relevance = {"first": np.array([[1.0, 0, 0, 0]])}
    found = delete_pixels(looks_left(), image, 1, relevance, (0, 3), blank=0.0, steps=4)
    np.testing.assert_allclose(found.scores["first"], [2, 0, 0, 0, 0])
    expected = (found.random.mean(axis=0)[:-1].sum() - 1 - 1) / 4  # trapezoids: the first and the last count half
    np.testing.assert_allclose(found.advantage("first"), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"maps": {"a": np.zeros((9, 10))}}, r"the map 'a' is \(9, 10\), the image \(9, 11\)"),
        ({"steps": 0}, "at least 1, got 0 and 3"),
        ({"orders": 0}, "at least 1"),
    ],
)
def test_wrong_deletions_say_what_was_expected(options, text):
    options = {"maps": {"a": np.zeros((9, 11))}} | options
    with pytest.raises(ValueError, match=text):
        delete_pixels(looks_left(), np.zeros((2, 9, 11)), 1, region=(4, 6), **options)


def test_figures_of_the_checks_show_every_method_and_block(trained):
    segmenter, [(image, _), *_] = trained
    methods = {"saliency": saliency, "Seg-Grad-CAM": seg_grad_cam, "edges": edges}
    checks = {name: randomise_weights(segmenter, image, 1, method=each) for name, each in methods.items()}
    figure = show_weights_check(checks, columns=3)
    *panels, curves = sorted(figure.axes, key=lambda axes: bool(axes.lines))
    assert len(panels) == 3 * 3
    assert [text.get_text() for text in curves.get_legend().get_texts()] == list(methods)
    assert [tick.get_text() for tick in curves.get_xticklabels()][:2] == ["trained", "decoder1"]
    saliency_line = curves.lines[0].get_ydata()
    assert list(saliency_line) == [step.similarity for step in checks["saliency"].steps]
    maps = {name: check.steps[0].map for name, check in checks.items()}
    figure = show_deletion(delete_pixels(segmenter, image, 1, maps))
    assert len(figure.axes[0].lines) == 3
    figure.savefig("/dev/null", format="png")


@pytest.fixture
def command(capsys):
    """Run the command and return what it printed."""

    def run(*arguments):
        parser = argparse.ArgumentParser()
        attribute.add(parser.add_subparsers())
        options = parser.parse_args(["attribute", *map(str, arguments)])
        code = options.run(options)
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def files(trained, tmp_path):
    segmenter, [(image, _), *_] = trained
    segmenter.save(tmp_path / "run.safetensors")
    np.save(tmp_path / "a.npy", image[0])
    return tmp_path


def test_the_command_writes_maps_and_checks(trained, files, command):
    segmenter, [(image, _), *_] = trained
    code, said = command(
        *(files / "run.safetensors", files / "a.npy", "--class", "disc", "--out", files / "out", "--check"),
        *("--samples", 2, "--patch", 8),
    )
    assert code == 0
    names = {path.name for path in (files / "out").iterdir()}
    methods = ["saliency", "smoothgrad", "occlusion", "seg-grad-cam"]
    pictures = {"a-maps.png", "a-deletion.png", "a-weights.png"}
    assert names == {f"a-{method}.npy" for method in methods} | pictures
    np.testing.assert_allclose(np.load(files / "out" / "a-saliency.npy"), saliency(segmenter, image, 1))
    for picture in pictures:
        assert read_image(files / "out" / picture).shape[0] == 3
    given = Question(segmenter, image, 1).region.sum()
    assert f"what matters for disc in the {given} pixels given to it" in said
    assert said.count("blanking what it points at") == 4 and said.partition("rank correlation")[2].count("\n  ") == 3


def test_the_command_asks_about_a_pixel(trained, files, command):
    segmenter, [(image, _), *_] = trained
    options = "--pixel", "0,3", "--samples", 1, "--patch", 8, "--out", files / "out"
    code, said = command(files / "run.safetensors", files / "a.npy", *options)
    assert "what matters for disc at pixel (0, 3)" in said and "gives this pixel to background" in said
    expected = saliency(segmenter, image, 1, (0, 3))
    np.testing.assert_allclose(np.load(files / "out" / "a-saliency.npy"), expected)


def test_of_a_volume_the_command_takes_the_slice_that_shows_most(trained, files, command):
    segmenter, scenes = trained
    slices = np.stack([image for image, _ in scenes])
    slices[1] *= 2
    pages = [Image.fromarray(page[0]) for page in slices]
    pages[0].save(files / "v.tif", save_all=True, append_images=pages[1:])
    command(files / "run.safetensors", files / "v.tif", "--samples", 1, "--patch", 8, "--out", files / "out")
    volume = Statistics.of(slices)
    labels = segmenter.predict(slices, volume=volume)
    k = (labels == 1).sum(axis=(1, 2)).argmax()
    expected = saliency(segmenter.model, segmenter.normalize(slices[k], volume=volume), 1)
    np.testing.assert_allclose(np.load(files / "out" / "v-saliency.npy"), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "options, text",
    [
        (["--class", "2"], r"--class must be one of 0 \(background\), 1 \(disc\), got '2'"),
        (["--class", "nose"], "got 'nose'"),
        (["--pixel", "99,0"], "lies outside the image of 24 x 24"),
        (["--samples", "0"], "--samples must be at least 1"),
        (["--layer", "encoder9", "--samples", "1", "--patch", "8"], "layer must be one of"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(files, command, options, text):
    with pytest.raises(ValueError, match=text):
        command(files / "run.safetensors", files / "a.npy", "--out", files / "out", *options)
    assert not (files / "out").exists()


def test_the_command_wants_a_pixel_as_two_numbers(files, command, capsys):
    with pytest.raises(SystemExit):
        command(files / "run.safetensors", files / "a.npy", "--pixel", "12x7")
    assert "expected row,column such as 120,85, got '12x7'" in capsys.readouterr().err
