"""What this site asks of Sphinx beyond the usual.

- Formulas in docstrings become mathematics with their equation numbers (`formulas.py` reads them).
- Mathematics is drawn by the browser itself, as MathML: no script, no font and nothing from the internet.
- A page for every operation, with its formula and the source of every rung, and one for every lesson, are written
  before Sphinx looks for pages.
"""

from __future__ import annotations

import argparse
import html
import importlib
import os
import re
from pathlib import Path

import formulas
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.errors import ExtensionError
from sphinx.util import logging

from tinyunet import functional
from tinyunet.cli import build_parser
from tinyunet.teaching.notebooks import lesson_files, outline, write_notebook

DOCS = Path(__file__).parents[1]
REPOSITORY = DOCS.parent
log = logging.getLogger(__name__)

SECTION = re.compile(r"-{3,}\s*")
FREE_TEXT = ("", "Notes", "References", "Examples")
"""Sections of a numpydoc docstring in which an indented block is a formula; elsewhere it describes a parameter."""

MARKS = re.compile(r"(?P<emphasis>(?<![\w*])\*\w[^*,()]*\*(?![\w*]))|[|*]")
"""The bars of |x| and the stars of *args, which reStructuredText would take for marks of its own."""

OPERATION = re.compile(r"^`functional\.(\w+)`$")


def formulas_in_docstring(app, what, name, obj, options, lines: list[str]) -> None:
    """Put the indented blocks of a docstring under the directive `formula`."""
    section, block, done = "", [], []

    def flush():
        while block and not block[-1].strip():
            block.pop()
        if block:
            done.extend(["", ".. formula::", "", *(f"   {line}" for line in block), ""])
            block.clear()

    for k, line in enumerate(lines):
        if k + 1 < len(lines) and line.strip() and SECTION.fullmatch(lines[k + 1]):
            flush()
            section = line.strip()
        if section in FREE_TEXT and (line.startswith("    ") or (block and not line.strip())):
            block.append(line)
        elif line.startswith(" " * 8) and not lines[k - 1].strip() and (rows := formulas.translate(line)):
            done.append(" " * 8 + ":math:`" + r" \qquad ".join(rows[0].parts) + "`")  # describes a parameter
        else:
            flush()
            done.append(line if line.lstrip().startswith((">>>", "...")) else escape(line))
    flush()
    # The comment keeps napoleon from taking 'a: b' in the docstring of a property for a type and a text.
    lines[:] = ["..", "", *done] if what in ("property", "attribute") else done


def escape(line: str) -> str:
    """Protect what reStructuredText would misread, and link operations; what stands between backticks is safe."""
    line = re.sub(r"^(\s*)([A-Z]\.|\(\d\))(?=\s|$)", r"\1\\\2", line)  # "C." and "(1)" are no items of a list
    parts = re.split(r"(`+[^`]*`+)", line)
    parts[::2] = [re.sub(r"(?<=\w):(?=\w)", r"\:", text) for text in parts[::2]]  # no links to "file:line"
    parts[::2] = [MARKS.sub(lambda found: found["emphasis"] or f"\\{found[0]}", text) for text in parts[::2]]
    parts[1::2] = [OPERATION.sub(r":py:func:`~tinyunet.functional.\1`", code) for code in parts[1::2]]
    return "".join(parts)


def skip_constants_and_fields(app, what, name, obj, skip, options) -> bool | None:
    """Leave out constants, and the fields of named tuples, which "Attributes" describes already."""
    is_field = (getattr(obj, "__doc__", None) or "").startswith("Alias for field number")
    return True if is_field or isinstance(obj, (int, float, str)) else None


class Formula(Directive):
    """A block of a docstring: numbered equations, or the text as it stands where it is something else."""

    has_content = True

    def run(self):
        text = "\n".join(self.content)
        rows = formulas.translate(text)
        if rows is None:
            return [nodes.literal_block(text, text, language="text")]
        block = nodes.container(classes=["formula"])
        for row in rows:
            line = nodes.container(classes=["equation"])
            for part in row.parts:
                line += nodes.inline("", "", nodes.math(part, part, classes=["display"]), classes=["part"])
            if row.number:
                line += nodes.inline("", f"({row.number})", classes=["number"])
            block += line
        return [block]


# What lessons may write and docutils does not know: MathJax, which draws them in Jupyter, knows more.
ALIASES = {
    r"\dots": r"\ldots",
    r"\tfrac": r"\frac",
    r"\dfrac": r"\frac",
    r"\iff": r"\Leftrightarrow",
    r"\stackrel": r"\overset",
    r"\textbf": r"\mathbf",
    r"\argmax": r"\operatorname{argmax}",
    **{rf"\{size}": rf"\{size}l" for size in ("big", "Big", "bigg", "Bigg")},
}
REWRITTEN = {
    r"\\frac(\d)(\d)": r"\\frac{\1}{\2}",
    r"\\tag\{(\w+)\}": r"\\qquad (\1)",
    r"\\substack\{(.*?)\}(?=\})": r"\\begin{smallmatrix}\1\\end{smallmatrix}",
    r"\\begin\{array\}(\{[lcr|]*\})?": r"\\begin{matrix}",
    r"\\end\{array\}": r"\\end{matrix}",
}
ITALIC = {chr(0x1D434 + k): chr(65 + k) for k in range(26)} | {chr(0x1D44E + k): chr(97 + k) for k in range(26)}
ITALIC["\u210e"] = "h"


def to_mathml(latex: str, block: bool, where=None) -> str:
    """Return MathML for LaTeX; what is not understood is a warning, and so stops the build."""
    latex = re.sub(r"\\[A-Za-z]+", lambda found: ALIASES.get(found[0], found[0]), latex)
    for pattern, replacement in REWRITTEN.items():
        latex = re.sub(pattern, replacement, latex)
    try:
        mathml = tex2mathml(latex, as_block=block)
    except MathError as error:
        log.warning("formula not understood (%s): %s", error, latex, location=where)
        return f"<code>{html.escape(latex)}</code>"
    mathml = re.sub(r"<mi>(?=[a-z]{2})", '<mi mathvariant="normal">', mathml)  # exp, log: upright
    # A name of several letters is one identifier: without this its letters are set apart, as a product.
    letters = "".join(ITALIC)
    return re.sub(
        rf"<mrow>\s*((?:<mi>[{letters}]</mi>\s*)+)</mrow>",
        lambda found: f'<mi class="name">{"".join(ITALIC.get(c, "") for c in found[1])}</mi>',
        mathml,
    )


def visit_inline_math(writer, node) -> None:
    """Write an inline formula; those of docstrings are set as displayed ones are."""
    mathml = to_mathml(node.astext(), False, node)
    if "display" in node.get("classes", ()):
        mathml = mathml.replace("<math ", '<math displaystyle="true" ', 1)
    writer.body.append(mathml)
    raise nodes.SkipNode


def visit_math_block(writer, node) -> None:
    """Write a displayed formula."""
    writer.body.append(f'<div class="math-block">{to_mathml(node.astext(), True, node)}</div>')
    raise nodes.SkipNode


RUNGS = {
    "op.py": "the formula and its autograd bookkeeping",
    "reference.py": "NumPy, the specification",
    "cpu.py": "numba",
    "gpu.py": "launches of the CUDA kernels",
    "gpu.cu": "CUDA",
}


def op_page(name: str) -> str:
    """Return the page of an operation."""
    source = Path(REPOSITORY, *getattr(functional, name).__module__.split(".")).with_suffix(".py")
    files = [source.with_name(file) for file in RUNGS] if source.name == "op.py" else [source]
    page = [name, "=" * len(name), "", f".. autofunction:: tinyunet.functional.{name}", "", "The code", "--------", ""]
    folder = source.parent.relative_to(REPOSITORY)
    page += [f"In ``{folder}/``. The numbers ``# (1)`` are those of the formulas above.", ""]
    for file in files:
        if not file.exists():
            continue
        language = "cuda" if file.suffix == ".cu" else "python"
        remark = f": {RUNGS[file.name]}" if file.name in RUNGS else ""
        page += [
            ".. raw:: html",
            "",
            f'   <details class="rung"{" open" if file.name == "reference.py" or len(files) == 1 else ""}>'
            f"<summary><code>{file.name}</code>{remark}</summary>",
            "",
            f".. literalinclude:: /../{file.relative_to(REPOSITORY)}",
            f"   :language: {language}",
            "",
            ".. raw:: html",
            "",
            "   </details>",
            "",
        ]
    return "\n".join(page)


def command_page() -> str:
    """Return the page of the command: what `--help` of every part of it prints."""
    os.environ["COLUMNS"] = "100"  # argparse asks for the width of the terminal
    parser = build_parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction)).choices
    page = ["The command", "===========", "", "What ``--help`` prints.", ""]
    for name, sub in commands.items():
        title = f"tinyunet {name}"
        page += [title, "-" * len(title), "", ".. code-block:: text", ""]
        page += [f"   {line}".rstrip() for line in sub.format_help().splitlines()] + [""]
    return "\n".join(page)


def exercises_page() -> str:
    """Return the list of all exercises, lesson by lesson, in the order in which they come."""
    page = ["The exercises", "=============", "", "Each takes what you wrote, and answers with a hint.", ""]
    for source in lesson_files():
        _, topic, names = outline(source)
        module = importlib.import_module(f"tinyunet.teaching.checks.{topic}")
        page += [f":doc:`lessons/{source.stem}`", ""]
        page += [f"- {getattr(module, name).__doc__.strip().splitlines()[0]}" for name in names] + [""]
    return "\n".join(page)


def write_if_changed(path: Path, text: str) -> None:
    """Write a page unless it is as it should be already, so that Sphinx does not read it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def write_pages(app) -> None:
    """Write the pages that are made from the code, and remove those whose operation or lesson is gone."""
    made = set()
    write_if_changed(DOCS / "command.rst", command_page())
    write_if_changed(DOCS / "exercises.rst", exercises_page())
    for name in functional.__all__:
        made.add(DOCS / "ops" / f"{name}.rst")
        write_if_changed(DOCS / "ops" / f"{name}.rst", op_page(name))
    for source in lesson_files():
        page = DOCS / "lessons" / f"{source.stem}.ipynb"
        made.add(page)
        fresh = page.with_suffix(".new")
        write_notebook(source, fresh, solved=True)
        write_if_changed(page, fresh.read_text("utf-8"))
        fresh.unlink()
    for page in (*DOCS.glob("ops/*.rst"), *DOCS.glob("lessons/*.ipynb")):
        if page not in made:
            page.unlink()


def stop_if_a_lesson_fails(app, env) -> None:
    """Stop the build when all lessons were executed and some of their cells failed; the log has said where."""
    run = {name: NbMetadataCollector.get_exec_data(env, name) for name in sorted(env.found_docs)}
    failed = [name for name, data in run.items() if data and not data["succeeded"]]
    if failed:
        raise ExtensionError(f"cells failed, see above, in: {', '.join(failed)}")


def setup(app):
    """Register all of it."""
    if not (REPOSITORY / "tinyunet").is_dir():
        raise ExtensionError(f"{REPOSITORY} is not the repository of tinyunet")
    app.add_directive("formula", Formula)
    app.connect("autodoc-process-docstring", formulas_in_docstring, priority=400)  # before napoleon, at 500
    app.connect("autodoc-skip-member", skip_constants_and_fields)
    app.connect("env-check-consistency", stop_if_a_lesson_fails)
    app.connect("builder-inited", write_pages, priority=100)
    nothing = (lambda writer, node: None,)
    app.add_html_math_renderer("mathml", (visit_inline_math, *nothing), (visit_math_block, *nothing))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
