from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tinyunet import plot
from tinyunet.data.image_file import read_image
from tinyunet.data.sample import IGNORE


def test_painting_tints_classes_and_nothing_else():
    image = np.linspace(10, 20, 12).reshape(1, 3, 4)
    labels = np.zeros((3, 4), int)
    labels[0, 0], labels[2, 3], labels[1, 1] = 1, 2, IGNORE
    picture = plot.paint(image, labels, colours=("red", "blue"), alpha=0.25)
    grey = (image[0] - 10) / 10
    expected = np.repeat(grey[..., None], 3, axis=2)
    expected[0, 0] = 0.75 * grey[0, 0] + 0.25 * np.array([1, 0, 0])
    expected[2, 3] = 0.75 * grey[2, 3] + 0.25 * np.array([0, 0, 1])
    np.testing.assert_allclose(picture, expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_painting_shows_rgb_as_it_is_and_else_the_first_channel(channels):
    image = np.random.default_rng(0).random((channels, 5, 6)).astype(np.float32)
    picture = plot.paint(image, np.zeros((5, 6), int))
    shown = image if channels == 3 else np.repeat(image[:1], 3, axis=0)
    shown = (shown - shown.min()) / (shown.max() - shown.min())
    np.testing.assert_allclose(picture, shown.transpose(1, 2, 0), atol=1e-6)


def test_a_constant_image_and_many_classes_can_be_painted():
    labels = np.arange(20).reshape(4, 5)
    picture = plot.paint(np.full((1, 4, 5), 7.0), labels, alpha=1.0)
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[1, 3].tolist() == list(to_rgb(plot.CLASS_COLOURS[0]))  # class 8: the colours start again


def history(epochs, validated=True):
    dice = {"dice_mean": 0.5, "dice_pooled": 0.6} if validated else {}
    return [{"epoch": k + 1, "loss": 1 / (k + 1), "lr": 0.1, "seconds": 1.0} | dice for k in range(epochs)]


@pytest.mark.parametrize("epochs, validated", [(1, True), (7, False)])
def test_curves_show_every_epoch(epochs, validated):
    figure = plot.curves(history(epochs, validated))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["training loss"] + ["validation Dice"] * validated + ["learning rate, end of epoch"]
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[k + 1, 1 / (k + 1)] for k in range(epochs)]
    for axes in figure.axes:
        assert all(tick == round(tick) for tick in axes.get_xticks())


def test_curves_with_undefined_dice_can_be_drawn(tmp_path):
    rows = history(3)
    rows[1]["dice_mean"] = rows[1]["dice_pooled"] = float("nan")
    plot.save_figure(plot.curves(rows), tmp_path / "curves.png")
    assert read_image(tmp_path / "curves.png").shape[0] == 3


def test_overlays_colour_what_is_right_wrong_and_missed():
    truth = np.array([[0, 0, 1, 1, 2, IGNORE]])
    prediction = np.array([[0, 1, 1, 0, 1, 1]])
    figure = plot.overlays([("a", np.zeros((1, 1, 6)), truth, prediction)], ("background", "b", "c"))
    assert [axes.get_title() for axes in figure.axes] == ["image", "truth", "prediction", "errors"]
    errors = figure.axes[3].images[0].get_array()[0]
    strength = 0.65
    expected = [None, plot.EXTRA, plot.RIGHT, plot.MISSED, plot.EXTRA, None]
    for pixel, colour in zip(errors, expected, strict=True):
        np.testing.assert_allclose(pixel, np.zeros(3) if colour is None else strength * np.array(to_rgb(colour)))
    labels = [[text.get_text() for text in legend.get_texts()] for legend in figure.legends]
    assert labels == [["b", "c"], ["right", "predicted wrongly", "missed"]]


def test_overlays_of_many_classes_stay_inside_the_picture(tmp_path):
    labels = np.arange(32).reshape(4, 8)
    figure = plot.overlays([("name", np.zeros((3, 4, 8)), labels, labels)] * 2, [f"value {k}" for k in range(32)])
    plot.save_figure(figure, tmp_path / "o.png")
    width, height = figure.canvas.get_width_height()
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
