"""An explanation as text for a terminal: part below part, and the rungs side by side where it is wide enough."""

from __future__ import annotations

import itertools
import textwrap
from typing import TYPE_CHECKING

from .code import together

if TYPE_CHECKING:
    from .explanation import Explanation

NARROWEST = 56
"""Characters of a column of code, at least; in a narrower one most lines would be broken."""

GAP = " | "


def as_text(e: Explanation, width: int) -> str:
    """Return an explanation as text; see `Explanation.text`."""
    parts = [f"{e.name}: {e.summary}"]
    if e.formula:
        parts.append(_heading("Formula") + "\n" + "\n".join(f"    {line}".rstrip() for _, line in e.formula))
    if e.notes:
        parts.append(e.notes)
    parts += [e.convention, f"{_heading(f'The operation: {e.code.file}')}\n{e.code.op}"]
    for equation, columns in e.rows():
        title = "What these use" if equation is None else f"Equation ({equation})"
        lines = [f"    {line}" for number, line in e.formula if number == equation and equation is not None]
        code = [together(column) for column in columns]
        titles = [rung.title for rung in e.code.rungs]
        parts.append("\n".join([_heading(title), *lines, "", _side_by_side(titles, code, width)]))
    if e.code.others:
        size = max(len(file) for file, _ in e.code.others)
        parts.append("\n".join([_heading("More files"), *(f"{f:{size}}  {about}" for f, about in e.code.others)]))
    parts.append(f"{_heading('Cost')}\n{e.cost()}")
    parts.append(f"{_heading('In numbers')}\n{_numbers(e, width or 120)}")
    return "\n\n".join(parts)


def _heading(text: str) -> str:
    return f"{text}\n{'-' * len(text)}"


def _side_by_side(titles: list[str], texts: list[str], width: int) -> str:
    """Set texts in columns if these become wide enough, otherwise below one another."""
    column = (width - len(GAP) * (len(texts) - 1)) // len(texts)
    if column < NARROWEST:
        return "\n\n".join(f"[{title}]\n{text}" for title, text in zip(titles, texts, strict=True) if text)
    columns = [[f"[{title}]", *_broken(text, column)] for title, text in zip(titles, texts, strict=True)]
    lines = itertools.zip_longest(*columns, fillvalue="")
    return "\n".join(GAP.join(line.ljust(column) for line in row).rstrip() for row in lines)


def _broken(code: str, width: int) -> list[str]:
    """Break lines of code that are too long, and set what follows in by four more than the line."""
    lines = []
    for line in code.splitlines():
        inner = " " * (len(line) - len(line.lstrip()) + 4)
        lines += textwrap.wrap(line, width, subsequent_indent=inner, break_on_hyphens=False) or [""]
    return lines


def _numbers(e: Explanation, width: int) -> str:
    arrays = [text for _, text in e.arrays()]
    sums = [textwrap.fill(text, width, subsequent_indent="    ") for text in e.sums()]
    return "\n".join([*arrays, "", *sums])
