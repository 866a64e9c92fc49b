"""Every lesson solved, stripped and answered wrongly, and its form."""

from __future__ import annotations

import importlib
import re

import pytest

from tests.lessons.lesson import run_solved, run_stripped
from tinyunet.teaching import NotSolved
from tinyunet.teaching.notebooks import lesson_files, outline, read_lesson

matplotlib = pytest.importorskip("matplotlib")
LESSONS = lesson_files()
SECONDS = 120  # each, on two cores
WIDTH = 88  # of code, which on the site and in a notebook does not wrap


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    yield
    if "matplotlib.pyplot" in __import__("sys").modules:
        importlib.import_module("matplotlib.pyplot").close("all")


def code_and_text(source):
    cells = read_lesson(source).cells
    return [c.source for c in cells if c.cell_type == "code"], [c.source for c in cells if c.cell_type == "markdown"]


def named_checks(source) -> list[str]:
    return [f"{outline(source).topic}.{name}" for name in outline(source).checks]


@pytest.mark.parametrize("source", LESSONS, ids=lambda s: s.stem)
def test_solved(source):
    done = run_solved(source)
    assert done["checks"] == named_checks(source)
    assert 4 <= len(done["checks"]) <= 8 and 3 <= len(done["predictions"]) <= 6
    assert done["seconds"] < SECONDS


@pytest.mark.parametrize("source", LESSONS, ids=lambda s: s.stem)
def test_stripped(source):
    raised = run_stripped(source, [c.source for c in read_lesson(source).cells])
    assert len(raised) == len(named_checks(source))
    assert all(raised), "a check passes although nothing was written"
    assert all("nothing here yet" in str(hint) or len(str(hint)) > 30 for hint in raised)


def wrong_answers(source):
    topic = outline(source).topic
    return topic, importlib.import_module(f"tests.lessons.wrong.{topic}").WRONG


@pytest.mark.parametrize("source", LESSONS, ids=lambda s: s.stem)
def test_wrong_answers(source):
    """Each wrong answer meets its own hint, and every check has at least two wrong answers with different hints."""
    topic, wrong = wrong_answers(source)
    checks = importlib.import_module(f"tinyunet.teaching.checks.{topic}")
    for name, answers in wrong.items():
        hints = set()
        for words, answer in answers.items():
            with pytest.raises(NotSolved) as hint:
                getattr(checks, name)(answer)
            assert words in str(hint.value), f"{name} should have said {words!r}"
            hints.add(str(hint.value))
        assert len(hints) == len(answers) >= 2, f"{name}: two wrong answers got the same hint, or there is only one"
    assert {f"{topic}.{name}" for name in wrong} == set(named_checks(source))


@pytest.mark.parametrize("source", LESSONS, ids=lambda s: s.stem)
def test_form(source):
    code, text = code_and_text(source)
    words = sum(len(re.findall(r"\w+", t)) for t in text)
    assert 800 <= words <= 2200, f"{words} words"
    longest = max(code, key=lambda c: c.count("\n"))
    assert longest.count("\n") < 25, f"a cell of {longest.count(chr(10)) + 1} lines:\n{longest}"
    wide = [line for cell in code for line in cell.splitlines() if len(line) > WIDTH]
    assert not wide, f"lines of code of more than {WIDTH} characters:\n" + "\n".join(wide)
    for heading in ("in one picture", "goes wrong in practice", "Recap"):
        assert any(heading in t for t in text), f"no section {heading!r}"
