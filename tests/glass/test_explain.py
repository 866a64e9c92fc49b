"""Explanations: complete, read from the library itself, and with numbers that are right."""

from __future__ import annotations

import argparse
import inspect
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import tinyunet
from tinyunet import functional as F
from tinyunet.cli import look
from tinyunet.glass.cost import cost_of
from tinyunet.glass.explain.code import code_of
from tinyunet.glass.explain.explanation import explain, list_operations, operations

OPS = Path(tinyunet.__file__).parent / "ops"
FOLDERS = sorted(path.parent for path in OPS.glob("*/op.py"))
NAMES = {"exp": math.exp, "log": math.log, "sqrt": math.sqrt, "max": max, "abs": abs}

every_operation = pytest.mark.parametrize("name", operations())


def test_every_operation_can_be_explained():
    assert set(operations()) >= set(F.__all__) - {"to_conv_transpose"}  # which is no operation: it makes a weight
    assert {"add", "subtract", "multiply", "divide", "power", "sum", "reshape"} <= set(operations())
    explained = {Path(inspect.getfile(function)).parent for function in operations().values()}
    assert explained >= set(FOLDERS)


@every_operation
def test_numbers_are_the_operation_s(name):
    example = explain(name).example
    assert eval(example.result(), NAMES) == pytest.approx(example.y[example.at], rel=1e-4, abs=1e-5)
    assert eval(example.gradient(), NAMES) == pytest.approx(example.gx[example.source], rel=1e-4, abs=1e-5)
    assert all((array == np.rint(array)).all() for array in example.inputs.values())


@every_operation
def test_text_and_page_say_the_same(name):
    e = explain(name)
    text = str(e)
    for part in (name, e.summary, e.notes, e.cost(), e.code.op, e.convention, *(line for _, line in e.formula)):
        assert part in text
    assert all(" ".join(line.split()) in " ".join(text.split()) for line in e.sums())

    page = Page(e.page())
    shown = " ".join(page.text.split())
    for line in (*(line for _, line in e.formula), *e.cost().splitlines(), *e.sums(), *e.code.op.splitlines()):
        assert " ".join(line.split()) in shown
    assert page.open == [] and not page.addresses


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_rung_of_a_folder_is_shown_whole(folder):
    """Each function of reference.py, cpu.py and gpu.cu appears, unless the other operation of the folder owns it."""
    names = [name for name, function in operations().items() if Path(inspect.getfile(function)).parent == folder]
    texts = [str(explain(name)) for name in names]
    assert texts
    for file in ("reference.py", "cpu.py", "gpu.cu"):
        path = folder / file
        if not path.exists():  # made of other operations' kernels
            continue
        pattern = r"__global__ void (\w+)" if file == "gpu.cu" else r"^def (\w+)"
        for function in re.findall(pattern, path.read_text("utf-8"), re.MULTILINE):
            assert any(re.search(rf"\b{function}\(", text) for text in texts), f"{file}: {function}"
    for text in texts:
        titles = set(re.findall(r"\[([^]]*)\]\n", text))
        assert any("reference.py" in title for title in titles)
        for rung in ("cpu.py", "gpu.cu"):
            assert any(rung in t or "for CPU and GPU" in t for t in titles), rung


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_numbered_equation_has_code(folder):
    for name, function in operations().items():
        if Path(inspect.getfile(function)).parent == folder:
            e = explain(name)
            numbers = {k for k, _ in e.formula if k}
            numbered_in_op = set(map(int, re.findall(r"# .*?\((\d)\)", e.code.op)))
            assert numbers and numbers <= set(e.equations) | numbered_in_op


def test_equations_are_matched_across_the_rungs():
    rows = dict(explain("conv2d").rows())
    heads = [[d.text.splitlines()[0] for d in column] for column in rows[2]]
    assert heads == [
        ["def backward_input(gy, w, g):"],
        ["def backward_input(gy, w, g):", "@kernel", "@serial"],
        ["template <typename T>"],
    ]
    assert "gx[k] = sum;" in rows[2][2][0].text
    assert [d.text.splitlines()[0] for d in rows[None][0]] == ["def _pad(x, g):", "def _reached(padded, u, v, g):"]


def test_two_operations_that_share_files_are_told_apart():
    texts = {name: str(explain(name)) for name in ("softmax", "log_softmax")}
    for name, other in (("softmax", "log_softmax"), ("log_softmax", "softmax")):
        assert f"Compute y by {name}'s equation (1)" in texts[name]
        assert f"Compute y by {other}'s equation (1)" not in texts[name]
    assert [line for k, line in explain("group_norm").formula] == [line for k, line in explain("batch_norm2d").formula]


def test_one_file_for_all_devices_is_one_column():
    code = code_of("conv_transpose2d", F.conv_transpose2d)
    assert [rung.title for rung in code.rungs] == ["reference.py", "adjoint.py, for CPU and GPU"]
    assert [d.equations for d in code.rungs[1].definitions] == [(), (1,), (2,), (3,), (4,)]


def test_faster_kernels_are_named():
    files = dict(explain("conv2d").code.others)
    assert {"cpu_fast.py", "cpu_patch.py", "gpu_fast.cu"} <= set(files)
    assert files["cpu_fast.py"].startswith("3 x 3 convolution with stride 1")


def test_cost_is_that_of_the_shape_asked_for():
    forward, backward = explain("conv2d", (1, 2, 4, 8)).costs
    assert forward.flops == 2 * 2 * 2 * 9 * 4 * 8 and backward.flops == 2 * forward.flops
    assert "x (1, 2, 4, 8), w (2, 2, 3, 3), b (2,), padding=1, float32" in explain("conv2d", (1, 2, 4, 8)).cost()
    assert "forward   2.3 kFLOP" in explain("conv2d", (1, 2, 4, 8)).cost()
    assert explain("relu", (1, 2, 4, 8)).costs[0] == cost_of("relu", [(1, 2, 4, 8)])


def test_labels_are_shown_with_the_scores():
    text = str(explain("cross_entropy"))
    assert "x[0,0] = 1  2  0\nx[0,1] = 0  0  3\ntarget[0] = 1  0  1\n" in text


def test_a_wide_terminal_shows_the_rungs_side_by_side():
    e = explain("relu")
    assert "[reference.py]\n" in e.text(100) and max(map(len, e.text(100).splitlines())) <= 120
    (titles,) = {line for line in e.text(200).splitlines() if "[reference.py]" in line and "cpu.py" in line}
    assert re.fullmatch(r"\[reference.py\] +\| \[cpu.py\] +\| \[gpu.cu\]", titles)
    broken = explain("conv2d").text(180)
    assert max(len(line) for line in broken.splitlines() if " | " in line) <= 180
    last_column = " ".join(line.split(" | ")[-1].strip() for line in broken.splitlines() if line.count(" | ") == 2)
    assert "if (q >= 0 && q < W) sum += image[(long long)p * W + q] * kernel[u * KW + v]; // (1)" in last_column


def test_pointing_at_a_line_lights_up_its_equation_everywhere():
    html = explain("max_pool2d").page()
    assert ':has([data-equation="2"]:hover) [data-equation="2"]' in html
    lines = re.findall(r'<span class="line"[^>]*data-equation="1"[^>]*>(.*?)</span>', html)
    assert len(lines) >= 5  # the formula, twice, and a line of the operation and of each rung
    assert "<script" in html and html.count("http") == 0


@pytest.mark.parametrize(
    "name, near",
    [
        ("conv", "conv2d"),
        ("norm", "batch_norm2d, group_norm"),
        ("dice", "dice_loss"),
        ("maxpool2d", "max_pool2d"),
        ("pool", "max_pool2d, avg_pool2d"),
    ],
)
def test_an_unknown_operation_is_answered_with_the_near_ones(name, near):
    with pytest.raises(ValueError, match=f"no operation '{name}'; near it: .*{near}"):
        explain(name)


def test_an_operation_like_no_other():
    with pytest.raises(ValueError, match="no operation 'xyzzy'; `tinyunet explain` lists them all"):
        explain("xyzzy")
    with pytest.raises(ValueError, match=r"four positive numbers N C H W, got \(1, 0, 2, 2\)"):
        explain("relu", (1, 0, 2, 2))


@pytest.fixture
def command(capsys):
    parser = argparse.ArgumentParser()
    look.add(parser.add_subparsers())

    def run(*arguments):
        options = parser.parse_args(["explain", *map(str, arguments)])
        assert options.run(options) == 0
        return capsys.readouterr().out

    return run


def test_command(command, tmp_path):
    assert command() == list_operations() + "\n"
    assert len(command().splitlines()) == len(operations())
    assert command("sigmoid", "--shape", 1, 2, 3, 4) == explain("sigmoid", (1, 2, 3, 4)).text() + "\n"
    file = tmp_path / "page.html"
    assert str(file) in command("sigmoid", "--html", file)
    assert file.read_text("utf-8") == explain("sigmoid").page()


class Page(HTMLParser):
    """The text of a page, the tags left open, and what it would fetch."""

    def __init__(self, html):
        super().__init__()
        self.text, self.open, self.addresses = "", [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "input", "rect", "br", "img"):
            self.open.append(tag)
        self.addresses += [value for key, value in attributes if key in ("src", "href")]

    def handle_endtag(self, tag):
        if tag not in ("rect",):
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data if self.open and self.open[-1] in ("span", "pre") else f"{data} "
