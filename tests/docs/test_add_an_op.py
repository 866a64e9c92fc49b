"""The operation of docs/add_an_op.md, written to a folder as the page says, passes what every operation must pass."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import tinyunet.ops
from tinyunet import check_adjoint, check_gradients, use_kernels
from tinyunet import functional as F

from ..ops import makers
from ..ops.test_ops import TOLERANCE, assert_close, results
from .pages import DOCS, blocks

PAGE = DOCS / "add_an_op.md"
BLOCKS = {block.caption: block.text for block in blocks(PAGE) if block.caption}
NAME = "depthwise_conv2d"


@pytest.fixture
def added(tmp_path, monkeypatch):
    """Add the operation to the library for one test; yield its row of the table of cases."""
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for caption, text in BLOCKS.items():
        if Path(caption).parent.name == NAME:
            (folder / Path(caption).name).write_text(text, "utf-8")
    shutil.copy(Path(tinyunet.ops.__path__[0], "block.cuh"), tmp_path)
    monkeypatch.setattr(tinyunet.ops, "__path__", [*tinyunet.ops.__path__, str(tmp_path)])
    for attribute in ("__all__", NAME):
        monkeypatch.setattr(F, attribute, list(F.__all__) if attribute == "__all__" else None, raising=False)
    exec(BLOCKS["tinyunet/functional.py"], vars(F))
    table = {"CASES": {}, "Case": makers.Case, "F": F}
    exec(BLOCKS["tests/ops/cases.py"], table)
    yield table["CASES"][NAME]
    for module in [m for m in sys.modules if m.startswith(f"tinyunet.ops.{NAME}")]:
        del sys.modules[module]
    monkeypatch.delattr(tinyunet.ops, NAME, raising=False)


def test_the_page_names_every_file_that_it_shows():
    text = PAGE.read_text("utf-8")
    table = text[text.index("Six files") : text.index("## The formula")]
    for caption in set(BLOCKS) - {"try it"}:
        assert f"`{caption}`" in table or f"`{Path(caption).name}`" in table, caption


def test_what_is_tried_on_the_page_runs(added, capsys):
    exec(BLOCKS["try it"], {NAME: F.depthwise_conv2d})
    assert "(2, 3, 5, 5)" in (printed := capsys.readouterr().out)
    assert "one kernel per channel, (3, 1, KH, KW), got shape (2, 1, 3, 2)" in printed


def test_it_is_a_convolution_whose_kernels_do_not_mix_channels(added):
    x, w = added.arrays()
    full = np.zeros((3, 3, *w.shape[2:]))
    full[np.arange(3), np.arange(3)] = w[:, 0]
    with use_kernels("reference"):
        assert_close(results(added, [x, w])[:2], results(makers.conv2d(x, full, padding=(1, 2)), [x, full])[:2], 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rungs_agree_with_its_reference(added, rung, dtype):
    arrays = added.arrays(dtype)
    with use_kernels("reference"):
        exact = results(added, [x.astype(np.float64) for x in arrays])
    assert_close(results(added, arrays), exact, TOLERANCE[dtype])


@pytest.mark.parametrize("rung", ["reference", "cpu"], indirect=True)
def test_its_gradients(added, rung):
    check_gradients(added.run, *added.arrays())
    x, w = added.arrays()
    check_adjoint(lambda x: added.run(x, w), x)
    check_adjoint(lambda w: added.run(x, w), w)


def test_the_mistake_that_the_page_proposes_is_found(added):
    import tinyunet.ops.depthwise_conv2d.reference as reference

    wrong = BLOCKS["tinyunet/ops/depthwise_conv2d/reference.py"].replace("g.PH : g.PH + g.H", "g.PW : g.PW + g.H")
    exec(wrong, vars(reference))
    x, w = added.arrays()
    with use_kernels("reference"), pytest.raises((AssertionError, ValueError, RuntimeError)):
        check_gradients(added.run, x, w)
