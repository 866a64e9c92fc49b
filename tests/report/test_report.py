"""report.html: complete, self-contained, and safe whatever files are called."""

from __future__ import annotations

import re
import shlex
from dataclasses import asdict, fields
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from tinyunet import use_kernels
from tinyunet.checkpoint import CheckpointError
from tinyunet.data import Normalize
from tinyunet.data.image_file import read_image
from tinyunet.data.sample import IGNORE, Sample
from tinyunet.inference import Segmenter
from tinyunet.metrics import Scores, measure
from tinyunet.nn import UNet
from tinyunet.report import command_of, evaluation, facts_of_run, write_evaluation, write_report
from tinyunet.report.chart import Line, line_chart, strip_chart
from tinyunet.report.html import escape
from tinyunet.report.pictures import case_of, error_picture, errors_of, legend, worst_first
from tinyunet.training.settings import Settings

NASTY = "<script>alert('x')</script>&\"'$x^$\udcff.png"  # a tag, a formula for matplotlib, a byte that is no UTF-8
HISTORY = [
    {"epoch": 1, "loss": 1.5, "lr": 0.01, "dice_mean": np.nan, "dice_pooled": 0.2, "seconds": 60.0},
    {"epoch": 2, "loss": 0.5, "lr": 0.001, "dice_mean": 0.7, "dice_pooled": 0.8, "seconds": 60.0},
]


@pytest.fixture(autouse=True, scope="module")
def reference_kernels():
    with use_kernels("reference"):
        yield


@pytest.fixture(autouse=True)
def no_drawing(request, monkeypatch):
    """Overlays are drawn by matplotlib, which takes most of the time: in one test only."""
    if "overlays" not in request.node.name:
        monkeypatch.setattr(evaluation, "write_overlays", lambda path, scores, case: path.touch())


class Data:
    """Noise with names that a browser would choke on."""

    channels = 1

    def __init__(self, classes=2, count=5, size=(20, 28), patient=""):
        rng = np.random.default_rng(0)
        self.class_names = ("background", *(f"<b>{k}</b>" for k in range(1, classes)))
        self.mask_values = tuple(range(classes))
        self.samples = [
            Sample(rng.random((1, *size)).astype(np.float32), rng.integers(-1, classes, size), f"{k}{NASTY}", patient)
            for k in range(count)
        ]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        return self.samples[i]


def segmenter(data):
    model = UNet(1, len(data.class_names), 2, 1, seed=3)
    return Segmenter(model, Normalize(), data.class_names, data.mask_values)


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that what is opened is closed."""

    VOID = {"meta", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text += text


def written(tmp_path, classes=2, **options):
    data = Data(classes, **options)
    net = segmenter(data)
    scores = measure(net.predict, data, Scores(data.class_names, detailed=True))
    alerts = write_evaluation(
        tmp_path,
        net,
        data,
        scores,
        title=f"run {NASTY}",
        history=HISTORY,
        settings=asdict(Settings(data=NASTY, epochs=2)),
        data=[("images to train", "7")],
        description=f"where {NASTY}",
    )
    return (tmp_path / "report.html").read_text(encoding="utf-8"), scores, alerts


# ------------------------------------------------------------------------------------------- the page


@pytest.mark.parametrize("classes", [2, 4])
def test_page_is_whole_and_asks_for_nothing_from_outside(tmp_path, classes):
    text, scores, _ = written(tmp_path, classes)
    page = Page(text)
    assert "script" not in page.tags and "link" not in page.tags and "iframe" not in page.tags
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "data", "srcset"):
            assert value.startswith("data:image/png;base64,")
    assert re.findall(r"https?://[^\"\s]*", text.replace("http://www.w3.org/2000/svg", "")) == []
    assert "url(" not in text and "@import" not in text
    assert ("content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'") in page.attributes
    images = [value for name, value in page.attributes if name == "src"]
    assert len(images) == len(scores) * (2 if classes == 2 else 4) + 3 + (classes - 1 if classes > 2 else 0)


def test_names_are_shown_and_not_run(tmp_path):
    text, *_ = written(tmp_path)
    assert "<script" not in text and "&lt;script&gt;" in text
    assert text.count("0&lt;script") >= 2  # under its pictures and in the table
    assert escape("a\udcffb") == "a?b"


def test_page_says_what_it_must(tmp_path):
    text, scores, alerts = written(tmp_path)
    words = Page(text).text
    for part in (
        f"{scores.average(scores.mean('dice')):.3f}",
        "[{:.3f} to {:.3f}]".format(*scores.interval("dice")),
        f"{scores.mean('hd95')[1]:.2f}",
        "Mean over 5 test images",
        "With only 5 images it is too narrow",
        "Surface Dice at 1 px",
        "not for diagnosis",
        "no medical device",
        "receptive field",
        "images to train",
        "epoch 2, which had the highest mean validation Dice, 0.7000",
        "seed",
        "numpy",
        "connected parts as well",
    ):
        assert part in words, part
    for k in range(5):
        assert f"Dice {scores.per_image()[k, 1]:.3f} ·" in words
    assert alerts == []


def test_worst_cases_come_first(tmp_path):
    text, scores, _ = written(tmp_path, count=20)
    shown = [int(k) for k in re.findall(r"<figcaption>(\d+)&lt;", text)]
    order = worst_first(scores).tolist()
    assert shown == order[:10] + [order[10], order[-1]] and "the median" in text and "the best" in text


def test_without_images_to_score(tmp_path):
    write_evaluation(tmp_path, segmenter(Data()), None, None, title="x", history=HISTORY[:1])
    words = Page((tmp_path / "report.html").read_text("utf-8")).text
    assert "There are no validation or test images, so no score." in words and "Model card" in words
    assert "no validation Dice to choose by" in words and not (tmp_path / "overlays.png").exists()


def test_only_counts_without_details(tmp_path):
    data = Data()
    scores = measure(segmenter(data).predict, data, Scores(data.class_names))
    write_report(tmp_path / "r.html", title="x", segmenter=segmenter(data), scores=scores, scored="validation")
    words = Page((tmp_path / "r.html").read_text("utf-8")).text
    assert "HD95" not in words and "these scores flatter" in words


def test_alerts(tmp_path):
    data = Data(3)
    net = segmenter(data)
    blind = Scores(data.class_names, detailed=True)
    half = Scores(data.class_names, detailed=True)
    for sample in data.samples:
        blind.add(np.zeros_like(sample.mask), sample.mask, sample.name)
        half.add(np.where(sample.mask == 1, 1, 0), sample.mask, sample.name)
    (alert,) = write_evaluation(tmp_path, net, data, blind, title="x", scored="validation")
    assert "every pixel is predicted as 'background'" in alert
    assert "every pixel is predicted as" in Page((tmp_path / "report.html").read_text("utf-8")).text
    (alert,) = write_evaluation(tmp_path, net, data, half, title="x", scored="validation")
    assert "class '<b>2</b>' is in the masks but never predicted" in alert
    assert not (tmp_path / "test_uses.json").exists()
    history = [HISTORY[0] | {"alarm": ""}, HISTORY[1] | {"alarm": "all is background"}]
    alerts = write_evaluation(tmp_path, net, data, half, title="x", scored="validation", history=history)
    assert alerts == [alert, "in training, after epoch 2: all is background"]


def test_volumes_show_their_worst_slice(tmp_path):
    data = Data(count=4)
    data.samples = [s._replace(name=f"p_slice{k:03d}", patient="p", volume="p") for k, s in enumerate(data.samples)]
    net = segmenter(data)
    scores = measure(net.predict, data, Scores(data.class_names, detailed=True))
    write_evaluation(tmp_path, net, data, scores, title="x")
    wrong = [((net.predict(s.image) != s.mask) & (s.mask != IGNORE)).sum() for s in data.samples]
    assert f"slice {np.argmax(wrong) + 1} of 4" in Page((tmp_path / "report.html").read_text("utf-8")).text
    shown = case_of(data.samples, net.predict)
    assert np.array_equal(shown.truth, data[int(np.argmax(wrong))].mask)


def test_overlays_are_drawn_whatever_images_are_called(tmp_path):
    written(tmp_path)
    pixels = read_image(tmp_path / "overlays.png")
    assert min(pixels.shape[1:]) > 200 and pixels.std() > 5


# ------------------------------------------------------------------------------------------- parts


def test_errors():
    truth = np.array([0, 0, 1, 1, 1, 2, IGNORE])
    prediction = np.array([0, 1, 1, 0, 2, 2, 1])
    assert errors_of(truth, prediction).tolist() == [0, 2, 1, 3, 2, 1, 0]


def test_kinds_of_error_differ_without_colour():
    """In grey, wrong is striped, missed chequered, right plain: their patterns repeat differently."""
    image = np.full((1, 16, 16), 0.5)
    image[0, 0, :2] = 0, 1
    right, wrong, missed = ((error_picture(image, np.full((16, 16), kind)) @ [0.3, 0.6, 0.1])[1:] for kind in (1, 2, 3))
    assert np.ptp(right) < 1e-6
    assert np.ptp(wrong) > 0.1 and np.allclose(wrong[:-1, 1:], wrong[1:, :-1])  # constant along one diagonal
    assert np.ptp(missed) > 0.02 and not np.allclose(missed[:-1, 1:], missed[1:, :-1])
    assert len({png for _, png in legend(("background", "a"))}) == 3


@pytest.mark.parametrize(
    "values",
    [
        [0.5],
        [0.5, 0.5],
        [0.7, np.nextafter(0.7, 1)],
        [0.0, 0.0],
        [np.nan, 1.0],
        [np.nan],
        [*np.arange(100.0)],
        [-1e-3, 3e5],
    ],
)
def test_line_charts_are_drawn_inside_their_frame(values):
    root = ElementTree.fromstring(line_chart("loss <1>", [Line("a & b", "#000", "", values)]))
    numbers = [float(n) for path in root.findall(".//{*}path") for n in re.findall(r"-?[\d.]+", path.get("d"))]
    assert all(0 <= n <= 360 for n in numbers)
    dots = [(float(c.get("cx")), float(c.get("cy"))) for c in root.findall(".//{*}circle")]
    finite = [v for v in values if np.isfinite(v)]
    assert len(dots) == (len(finite) if len(finite) < 30 else 0)
    heights = [y for _, y in dots]
    assert heights == sorted(heights, reverse=True)  # larger values stand higher


@pytest.mark.parametrize("count", [0, 1, 40, 2000])
def test_strip_charts_have_a_dot_for_every_value(count):
    values = np.random.default_rng(0).beta(20, 2, count)
    root = ElementTree.fromstring(strip_chart("Dice", [*values, np.nan], [("mean", 0.9), ("none", np.nan)]))
    dots = [float(c.get("cx")) for c in root.findall(".//{*}circle")]
    np.testing.assert_allclose(dots, 20 + 440 * np.sort(values), atol=0.1)
    assert float(root.get("viewBox").split()[3]) < 250


COMMANDS = [
    {},
    {"data": "my scans", "epochs": 3, "augment": False, "seed": 7},
    {"normalize": "window", "window": (-100.0, 300.5), "schedule": "poly", "lr": 1e-4},
]


@pytest.mark.parametrize("given", COMMANDS)
def test_the_command_gives_the_same_settings(given):
    from tinyunet.cli import build_parser

    settings = Settings(**given)
    program, *words = shlex.split(command_of(asdict(settings)))
    options = build_parser().parse_args(words)
    again = {f.name: getattr(options, f.name) for f in fields(Settings) if f.name in options}
    if "window" in again:
        again["window"] = tuple(again["window"])
    assert program == "tinyunet" and Settings(**again) == settings


def test_facts_of_a_run(tmp_path):
    assert facts_of_run(tmp_path) == {}
    (tmp_path / "history.json").write_text('[{"epoch": 1, "dice_mean": null}]')
    assert np.isnan(facts_of_run(tmp_path)["history"][0]["dice_mean"])
    (tmp_path / "history.json").write_text("[1")
    with pytest.raises(CheckpointError, match="history.json is damaged"):
        facts_of_run(tmp_path)
