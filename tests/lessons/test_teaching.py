"""What the lessons stand on: notebooks, exercises, predictions, progress, and the command."""

import json
import re
import sys

import numpy as np
import pytest

from tinyunet.cli import main
from tinyunet.teaching import NotSolved, one_thread, predict, progress, reveal
from tinyunet.teaching.exercise import exercise, require, require_close
from tinyunet.teaching.notebooks import lesson_files, solve, strip

CELL = """def f(x):
    y = 0
    ### BEGIN SOLUTION
    y = x
    ### END SOLUTION
    return y"""
ANSWERS = "a, b = ..., ...\n### BEGIN SOLUTION\na, b = 1, 2\n### END SOLUTION"


@pytest.mark.parametrize(
    "cell, solved, to_do",
    [
        (CELL, "    y = x\n    return y", '    raise NotImplementedError("your turn")\n    return y'),
        (ANSWERS, "a, b = 1, 2", "a, b = ..., ...\n# Your turn: replace the dots above."),
        ("x = 1", "x = 1", "x = 1"),
        (CELL + "\n\n" + CELL.replace("def f", "def g"), "    y = x\n    return y\n\ndef g", "turn"),
    ],
    ids=["function", "answers", "no exercise", "two"],
)
def test_solutions_are_kept_or_removed(cell, solved, to_do):
    for made, expected in ((solve(cell), solved), (strip(cell), to_do)):
        assert expected in made and "###" not in made
        compile(made, "cell", "exec")
    assert "a, b = 1" not in strip(cell) and "..." not in solve(cell)


@exercise
def doubling(fn):
    """Doubling a number."""
    require(fn(1) != 1, "nothing was doubled")
    require_close(fn(np.ones(2)), [2, 2], "it must work on arrays")


@pytest.fixture(autouse=True)
def nothing_yet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_now", {"exercises": {}, "predictions": {}})


def not_written(x):
    raise NotImplementedError("your turn")


def test_an_exercise_says_right_or_gives_a_hint(capsys):
    doubling(lambda x: 2 * x)
    assert capsys.readouterr().out == "Right: Doubling a number.\n"
    for wrong, words in (
        (lambda x: x, "nothing was doubled"),
        (lambda x: 3 * x, "expected [2, 2], got [3., 3.]"),
        (lambda x: [2], "expected shape (2,), got (1,)"),
        (lambda x: None, "return"),
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (not_written, "nothing here yet"),
        (..., "nothing here yet"),
    ):
        with pytest.raises(NotSolved, match=re.escape(words)):
            doubling(wrong)


def test_a_guess_comes_before_the_answer_and_is_scored(capsys):
    predict("height", ...)
    with pytest.raises(NotSolved, match="guess first"):
        reveal("height", 3)
    predict("height", 3)
    reveal("height", np.float64(3.0))
    predict("width", 10)
    reveal("width", 10.4)
    predict("name", "Max")
    reveal("name", "max")
    predict("about", 95)
    reveal("about", 100, tolerance=0.1)
    said = capsys.readouterr().out
    assert "it is 10.4. 1 of 2 predictions right" in said and said.endswith("3 of 4 predictions right so far.\n")


def test_one_thread_is_for_a_while():
    import numba

    before = numba.get_num_threads()
    with pytest.raises(KeyError), one_thread():
        assert numba.get_num_threads() == 1
        raise KeyError
    assert numba.get_num_threads() == before
    assert one_thread()(numba.get_num_threads)() == 1 and numba.get_num_threads() == before


def test_the_command_writes_notebooks_once_and_shows_progress(tmp_path, monkeypatch, capsys):
    nbformat = pytest.importorskip("nbformat")
    assert main(["lessons", "mine", "--solved"]) == 0
    said = capsys.readouterr().out
    assert f"{2 * len(lesson_files())} notebooks written to mine" in said and "jupyter lab mine" in said
    for source in lesson_files():
        to_do, solved = (nbformat.read(tmp_path / "mine" / f / f"{source.stem}.ipynb", 4) for f in ("", "solved"))
        nbformat.validate(to_do)
        text = "".join(cell.source for cell in to_do.cells)
        assert "SOLUTION" not in text and len(text) < len("".join(cell.source for cell in solved.cells))

    mine = tmp_path / "mine" / f"{lesson_files()[0].stem}.ipynb"
    mine.write_text("my work")
    assert main(["lessons", "mine"]) == 0
    assert mine.read_text() == "my work" and "stay as they are" in capsys.readouterr().out

    monkeypatch.chdir(tmp_path / "mine")
    progress.note("exercises", "convolution.output_size", True)
    progress.note("exercises", "convolution.output_size", False)  # solved once is solved
    progress.note("exercises", "convolution.conv2d_loops", False)
    monkeypatch.chdir(tmp_path)
    assert main(["lessons", "mine", "--progress"]) == 0
    assert "#x..." in capsys.readouterr().out


def test_without_jupyter_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    for name in ("jupytext", "nbformat"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["lessons", "mine"]) == 1
    assert 'pip install "tinyunet[lessons]"' in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_progress_that_cannot_be_read_is_said(tmp_path, capsys):
    assert main(["lessons", "nowhere", "--progress"]) == 1
    assert "tinyunet lessons nowhere" in capsys.readouterr().err
    (tmp_path / progress.FILE).write_text(json.dumps({"exercises": {}}))
    assert main(["lessons", ".", "--progress"]) == 1
    assert "delete it to begin again" in capsys.readouterr().err
