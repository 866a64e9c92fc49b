"""The drawing: every op once, valid XML, folding hides what is inside, and the layout keeps its promises."""

from __future__ import annotations

import argparse
import html
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tinyunet import GraphError, Tensor, UNet, use_kernels
from tinyunet import functional as F
from tinyunet.cli import look
from tinyunet.data.normalize import Normalize
from tinyunet.glass import draw_graph, trace
from tinyunet.glass.graph.layout import BAND_GAP, GAP, _apart, place
from tinyunet.inference import Segmenter

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def reference_kernels():
    with use_kernels("reference"):
        yield


def unet(depth=0, **options):
    return draw_graph(UNet(1, 2, 2, 2, **options), (1, 1, 16, 16), depth=depth)


def boxes(svg: str) -> list[list[str]]:
    """Return the lines of text of each box, after checking that the drawing is XML."""
    root = ElementTree.fromstring(svg)
    groups = [group for group in root.iter(f"{SVG}g") if group.get("class") == "box"]
    return [[text.text for text in group.findall(f"{SVG}text")] for group in groups]


def views(drawing) -> dict[str, str]:
    """Return the pictures of a page by name."""
    found = re.findall(r'data-view="(\w+)"[^>]*>(<svg.*?</svg>)', drawing._repr_html_(), re.DOTALL)
    return dict(found)


OPS = {"conv2d": 11, "batch_norm2d": 10, "relu": 10, "max_pool2d": 2, "conv_transpose2d": 2, "concat": 2}
FOLDED = ["concat", "concat", "conv2d", "conv_transpose2d", "conv_transpose2d", "decoder2 +", "decoder3 +"]
FOLDED += ["encoder1 +", "encoder2 +", "encoder3 +", "input", "max_pool2d", "max_pool2d"]


def test_unfolded_a_unet_shows_every_op_exactly_once():
    titles = Counter(lines[0] for lines in boxes(unet(depth=9)._repr_svg_()))
    assert titles == OPS | {"input": 1}


def test_folding_hides_what_is_inside():
    assert sorted(lines[0] for lines in boxes(unet()._repr_svg_())) == FOLDED
    pictures = views(unet())
    assert len(pictures) == 2 + 5  # folded, each of five blocks, all
    assert sorted(lines[0] for lines in boxes(pictures["start"])) == FOLDED
    assert Counter(lines[0] for lines in boxes(pictures["all"])) == OPS | {"input": 1}
    one = Counter(lines[0] for lines in boxes(pictures["g0"]))
    inside = Counter(conv2d=2, batch_norm2d=2, relu=2)
    assert one == Counter(FOLDED) - Counter(["encoder1 +"]) + inside


def test_a_folded_block_tells_shape_parameters_and_bytes():
    block = next(lines for lines in boxes(unet()._repr_svg_()) if lines[0] == "encoder1 +")
    # the image, the results of both convolutions and ReLUs, the second kernel, and per norm weight and mean
    kept = 4 * (256 + 4 * 512 + 2 * 2 * 9 + 2 * (2 + 2))
    assert block[1:3] == ["1 × 2 × 16 × 16", "62 parameters"]
    assert block[3] == f"keeps {kept / 1024:.1f} KiB"


@pytest.mark.parametrize("options", [{}, {"padding": "valid"}, {"up": "nearest"}, {"up": "article"}])
def test_the_u_is_one(options):
    """Each resolution is a band: encoder and decoder of a level are level, deeper ones lower; time goes right."""
    model = UNet(1, 2, 2, 2, **options)
    side = model.next_size(48)
    drawing = draw_graph(model, (1, 1, side, side))
    view = drawing._start()
    centre = {box.title: place for box, place in zip(view.boxes, view.layout.centres, strict=True)}
    level = [centre[name][1] for name in ("encoder1", "encoder2", "encoder3")]
    assert level == sorted(level) and level[2] - level[1] > 30 and level[1] - level[0] > 30
    for name, own, deeper in (("decoder2", level[0], level[1]), ("decoder3", level[1], level[2])):
        assert abs(centre[name][1] - own) < (deeper - own) / 3
    across = [centre[name][0] for name in ("input", "encoder1", "encoder2", "encoder3", "decoder3", "decoder2")]
    assert across == sorted(across)
    skips = [edge for edge, bends in view.layout.bends.items() if len(bends) > 0]
    assert len(skips) == (1 if "padding" in options else 2)  # the innermost is cropped on its short way


def test_values_gradients_and_names_of_a_small_formula():
    a, b = (Tensor(np.array(v), requires_grad=True) for v in (2.0, 3.0))
    with trace() as tape:
        y = a * b + 1
        y.backward()
    drawn = draw_graph(tape, names={"a": a, "b<": b, "y": y})
    assert sorted(boxes(drawn._repr_svg_())) == sorted(
        [
            ["a", "= 2", "gradient 3"],
            ["b<", "= 3", "gradient 2"],
            ["1"],
            ["multiply", "= 6", "keeps 16 B", "gradient 1"],
            ["y = add", "= 7", "gradient 1"],
        ]
    )
    with pytest.raises(GraphError, match="'z' is not part of this graph"):
        draw_graph(tape, names={"z": Tensor(np.zeros(1))})


def test_the_graph_of_a_tensor_needs_no_trace():
    x = Tensor(np.ones((2, 5)), requires_grad=True)
    drawn = draw_graph((x * x).sum())
    expected = [["leaf", "2 × 5"], ["multiply", "2 × 5", "keeps 80 B"], ["sum", "= 10"]]
    assert sorted(boxes(drawn._repr_svg_())) == sorted(expected)


def test_norms_of_gradients_after_backward():
    model = UNet(1, 2, 2, 1)
    with trace() as tape:
        F.cross_entropy(model(np.ones((2, 1, 8, 8), np.float32)), np.zeros((2, 8, 8), int)).backward()
    pictures = draw_graph(tape)._repr_svg_()
    by_title = {lines[0]: lines for lines in boxes(pictures)}
    assert by_title["encoder1 +"][-1].startswith("|gradient| ") and by_title["input"] == ["input", "2 × 1 × 8 × 8"]
    assert by_title["cross_entropy"][-1] == "gradient 1"
    norm = np.sqrt(np.square(model.encoder2.parameters()[0].grad).sum())
    assert f"encoder2.0.weight 4 × 2 × 3 × 3, |gradient| {norm:.3g}" in html.unescape(pictures)


@pytest.mark.parametrize("name, start", [("a.svg", "<svg"), ("a.html", "<!DOCTYPE html>")])
def test_saved_files(tmp_path, name, start):
    unet().save(tmp_path / name)
    text = (tmp_path / name).read_text("utf-8")
    assert text.startswith(start) and "encoder1" in text
    assert not re.search(r'(src|href)="', text)  # needs no other file


def test_mistakes_are_explained(tmp_path):
    model = UNet(1, 2, 2, 1)
    with pytest.raises(TypeError, match=r"for example \(1, 1, 64, 64\)"):
        draw_graph(model)
    with pytest.raises(TypeError, match="got ndarray"):
        draw_graph(np.zeros(1))
    with pytest.raises(ValueError, match="as .html or .svg, got 'a.png'"):
        unet().save(tmp_path / "a.png")
    with trace() as tape:
        pass
    with pytest.raises(ValueError, match="no operation ran"):
        draw_graph(tape)


def command(*arguments):
    parser = argparse.ArgumentParser()
    look.add(parser.add_subparsers())
    options = parser.parse_args(["graph", *arguments])
    return options.run(options)


def test_the_command_draws_a_new_network_or_a_trained_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command("--size", "5") == 0
    assert capsys.readouterr().out.endswith("In graph.html\n")
    assert "encoder4" in Path("graph.html").read_text("utf-8")
    Segmenter(UNet(1, 2, 2, 1), Normalize(), "ab", (0, 1)).save("net.safetensors")
    assert command("net.safetensors", "--out", "net.svg") == 0
    assert capsys.readouterr().out == f"{draw_graph(UNet(1, 2, 2, 1), (1, 1, 64, 64)).summary()}\nIn net.svg\n"
    with pytest.raises(ValueError, match="--size takes a positive number of pixels, got 0"):
        command("--size", "0")


# The layout


def random_graph(seed: int):
    rng = np.random.default_rng(seed)
    count = 14
    edges = sorted({(a, b) for b in range(1, count) for a in rng.integers(0, b, rng.integers(1, 3)).tolist()})
    sizes = [(float(w), float(h)) for w, h in rng.integers(20, 90, (count, 2))]
    return sizes, edges, rng.integers(0, 3, count).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_boxes_do_not_overlap_and_edges_do_not_go_back(seed):
    sizes, edges, bands = random_graph(seed)
    layout = place(sizes, edges, bands)
    rooms = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for (x, y), (w, h) in zip(layout.centres, sizes, strict=True)]
    for k, (left, top, right, bottom) in enumerate(rooms):
        assert left > -1e-6 and top > -1e-6 and right < layout.width + 1e-6 and bottom < layout.height + 1e-6
        for other in rooms[:k]:
            beside = right <= other[0] or other[2] <= left
            assert beside or bottom <= other[1] + 1e-6 or other[3] <= top + 1e-6
    for a, b in edges:
        across = [layout.centres[a][0], *(x for x, _ in layout.bends[a, b]), layout.centres[b][0]]
        assert across == sorted(across)
    for upper, lower in ((0, 1), (1, 2), (0, 2)):
        if upper in bands and lower in bands:
            ends = [room[3] for room, band in zip(rooms, bands, strict=True) if band == upper]
            starts = [room[1] for room, band in zip(rooms, bands, strict=True) if band == lower]
            assert max(ends) <= min(starts) - BAND_GAP + 1e-6


def test_the_layout_repeats():
    graph = random_graph(1)
    assert place(*graph) == place(*graph)


@pytest.mark.parametrize(
    "wanted, weights, expected",
    [
        ([0.0, 100.0], [1, 1], [0, 100]),
        ([0.0, 0.0], [1, 1], [-(10 + GAP) / 2, (10 + GAP) / 2]),
        ([0.0, 0.0], [3, 1], [-(10 + GAP) / 4, 3 * (10 + GAP) / 4]),
        ([50.0, 0.0, 200.0], [1, 1, 1], [25 - (10 + GAP) / 2, 25 + (10 + GAP) / 2, 200]),
    ],
)
def test_boxes_move_apart_as_little_as_possible(wanted, weights, expected):
    assert _apart(wanted, [10.0] * len(wanted), weights) == pytest.approx(expected)


def test_barycentres_undo_a_crossing():
    """a -> d and b -> c, with c before d: straight lines need them the other way round."""
    layout = place([(10.0, 10.0)] * 4, [(0, 3), (1, 2)], [0] * 4)
    (a, b, c, d) = (y for _, y in layout.centres)
    assert (a < b) == (d < c)
