"""An explanation as HTML: the rungs side by side, and all lines of one equation together in colour under the pointer.

The style sheet alone connects the lines (`:has`), and nothing comes from outside. On a phone the columns stand below
one another, and a tap does what the pointer does.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from ...plot import INPUT, KERNEL, OUTPUT
from .code import equations_of_line, together

if TYPE_CHECKING:
    from .explanation import Explanation

_STYLE = f"""
.tinyunet-explain {{ color: #16191d; background: #fff; font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }}
.tinyunet-explain h1 {{ font-size: 1.5rem; margin: 0 0 .2rem; }}
.tinyunet-explain h2 {{ font-size: 1.1rem; margin: 1.6rem 0 .5rem; padding-top: .4rem; border-top: 2px solid #16191d; }}
.tinyunet-explain h3 {{ font-size: .85rem; margin: 0; padding: .3rem .6rem; background: #e6e9ed; }}
.tinyunet-explain p {{ max-width: 48rem; margin: .5rem 0; }}
.tinyunet-explain pre {{ font: 12.5px/1.5 ui-monospace, "DejaVu Sans Mono", Consolas, monospace; margin: 0;
  padding: .5rem .6rem; background: #f5f6f8; overflow-x: auto; tab-size: 4; }}
.tinyunet-explain .formula {{ font-size: 14px; }}
.tinyunet-explain .columns {{ display: grid; gap: .6rem; align-items: stretch;
  grid-template-columns: repeat(auto-fit, minmax(min(21rem, 100%), 1fr)); }}
.tinyunet-explain .columns > div {{ min-width: 0; background: #f5f6f8; }}
.tinyunet-explain .line {{ display: block; min-height: 1.5em; }}
.tinyunet-explain .formula .line {{ width: max-content; min-width: 100%; padding-left: .5em;
  box-sizing: border-box; }}
.tinyunet-explain .code .line {{ white-space: pre-wrap; overflow-wrap: anywhere;
  padding-left: calc(var(--inner) * 1ch); text-indent: calc(var(--inner) * -1ch); }}
.tinyunet-explain .line[data-equation] {{ box-shadow: -3px 0 0 {KERNEL}; cursor: default; }}
.tinyunet-explain .comment {{ color: #5b6670; }}
.tinyunet-explain .input {{ color: {INPUT}; }}
.tinyunet-explain .output {{ color: {OUTPUT}; }}
.tinyunet-explain .sum {{ white-space: pre-wrap; overflow-wrap: anywhere; font-size: 14px; margin-top: .4rem; }}
.tinyunet-explain table {{ border-collapse: collapse; font-size: .92rem; }}
.tinyunet-explain td {{ padding: .15rem .8rem .15rem 0; vertical-align: top; }}
"""


def _together(equations) -> str:
    """Return the rules by which a line under the pointer lights up all lines of its equation."""
    return "".join(
        f'.tinyunet-explain:has([data-equation="{k}"]:hover) [data-equation="{k}"] {{ background: #fbe3b5; }}\n'
        for k in equations
    )


def fragment(e: Explanation) -> str:
    """Return an explanation as HTML for a notebook."""
    parts = [f"<h1>{escape(e.name)}</h1>", f"<p>{escape(e.summary)}</p>"]
    if e.formula:
        lines = "".join(_line(text, number) for number, text in e.formula)
        parts.append(f'<h2>Formula</h2><pre class="formula">{lines}</pre>')
    parts += [_prose(block) for block in e.notes.split("\n\n") if block]
    parts.append(_prose(e.convention))
    parts.append(f"<h2>In numbers</h2>{_example(e)}")
    parts.append(f"<h2>Cost</h2><pre>{escape(e.cost())}</pre>")
    parts.append(f"<h2>The operation</h2><h3>{escape(e.code.file)}</h3>{_code(e.code.op, '#')}")
    for equation, columns in e.rows():
        parts.append(f"<h2>{'What these use' if equation is None else f'Equation ({equation})'}</h2>")
        lines = "".join(_line(text, k) for k, text in e.formula if k == equation and k is not None)
        parts.append(f'<pre class="formula">{lines}</pre>' if lines else "")
        cells = [
            f"<div><h3>{escape(rung.title)}</h3>{_code(together(column), rung.mark)}</div>"
            for rung, column in zip(e.code.rungs, columns, strict=True)
            if column
        ]
        parts.append(f'<div class="columns">{"".join(cells)}</div>')
    files = [(rung.title, rung.about) for rung in e.code.rungs] + e.code.others
    rows = "".join(f"<tr><td>{escape(file)}</td><td>{_paragraphs(about)}</td></tr>" for file, about in files if about)
    if rows:
        parts.append(f"<h2>What the files say about themselves</h2><table>{rows}</table>")
    known = {k for k, _ in e.formula if k} | set(e.equations)
    return f'<div class="tinyunet-explain"><style>{_STYLE}{_together(sorted(known))}</style>\n{"".join(parts)}</div>'


def _line(text: str, equation: int | None, comment: str = "") -> str:
    """Return a line; one that is too long for its column goes on below, set in by four more than it begins."""
    number = f' data-equation="{equation}"' if equation else ""
    inner = len(text) - len(text.lstrip()) + 4
    shown = escape(text) + (f'<span class="comment">{escape(comment)}</span>' if comment else "")
    return f'<span class="line" style="--inner: {inner}"{number}>{shown or " "}</span>'


def _code(text: str, mark: str) -> str:
    lines = []
    for line in text.splitlines():
        code, found, comment = line.partition(mark)
        lines.append(_line(code, next(iter(equations_of_line(line, mark)), None), found + comment))
    return f'<pre class="code">{"".join(lines)}</pre>'


def _prose(text: str) -> str:
    shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return f"<p>{shown}</p>"


def _paragraphs(text: str) -> str:
    """Return text whose indented paragraphs keep their lines."""
    blocks = text.split("\n\n")
    return "".join(f"<pre>{escape(b)}</pre>" if b.startswith("  ") else _prose(b) for b in blocks)


def _example(e: Explanation) -> str:
    example = e.example
    in_picture = {name for name, array in example.inputs.items() if array.ndim == 4} | {"y"}
    shown = [example.trace.animation().html] if example.y.ndim == 4 else []
    shown.append(_numbers(*(text for name, text in e.arrays() if name != "gy" and not (shown and name in in_picture))))
    result, gradient = e.sums()
    gy = dict(e.arrays())["gy"]
    return f"{''.join(shown)}{_numbers(result)}<p>Backward, with the upstream gradient gy:</p>{_numbers(gy, gradient)}"


def _numbers(*texts: str) -> str:
    return "".join(f'<pre class="sum">{escape(text)}</pre>' for text in texts)
