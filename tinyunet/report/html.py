"""HTML in one file: no network, no script, readable on a phone and on paper. Every text from outside is escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

# The browser itself is told to fetch nothing and to run nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light; --line: #d5d9de; --quiet: #566069; --back: #f5f6f8; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 68rem; color: #16191d; background: #fff;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-top: .5rem; border-top: 2px solid #16191d; }
p { margin: .5rem 0; max-width: 46rem; }
.quiet { color: var(--quiet); font-size: .88rem; }
.alert { border-left: .35rem solid #D55E00; background: #fdf1ea; padding: .6rem .9rem;
  margin: .7rem 0; max-width: none; }
.numbers, .pictures, .charts { display: grid; gap: .8rem; }
.numbers { grid-template-columns: repeat(auto-fit, minmax(min(11.5rem, 100%), 1fr)); }
.number { background: var(--back); border-radius: .4rem; padding: .7rem .9rem; }
.number b { display: block; font-size: 1.9rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 1fr)); }
.pictures { grid-template-columns: repeat(auto-fill, minmax(min(27rem, 100%), 1fr)); }
figure { margin: 0; break-inside: avoid; }
figcaption { font-size: .88rem; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; }
.pair img { width: 100%; display: block; image-rendering: pixelated; background: var(--back); }
svg { width: 100%; max-width: 40rem; height: auto; display: block; }
svg text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #16191d; }
svg .title { font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: .6rem 0; font-size: .92rem; }
.legend img { width: 2.4rem; height: 1.2rem; vertical-align: -.25rem; border: 1px solid #16191d;
  image-rendering: pixelated; }
.wide { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-bottom: 2px solid #16191d; vertical-align: bottom; }
td.right { text-align: right; white-space: nowrap; }
thead th.right { text-align: right; }
th[scope=row] { font-weight: 600; }
th[scope=row] span { display: inline-block; max-width: 15rem; overflow-wrap: break-word; }
.facts { width: 100%; }
.facts th[scope=row] { width: 12rem; }
.facts td { overflow-wrap: anywhere; }
pre, code { font: .82rem/1.45 ui-monospace, "DejaVu Sans Mono", Consolas, monospace; }
pre { background: var(--back); padding: .7rem .9rem; overflow-x: auto; border-radius: .4rem; }
pre.command { white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 30rem) { th, td { padding: .25rem .35rem; } }
@media print {
  body { font-size: 10.5pt; max-width: none; padding: 0; }
  .wide, pre { overflow: visible; white-space: pre-wrap; }
  .number, pre, .alert { border: 1px solid var(--line); }
  h2 { break-after: avoid; }
  tr { break-inside: avoid; }
  table { font-size: 8.5pt; }
  th, td { padding: .15rem .4rem; }
  .pictures { grid-template-columns: 1fr 1fr; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def escape(text: object) -> str:
    """Return a text that a browser shows as it is; what is no UTF-8, as in some file names, becomes a question mark."""
    return html.escape(str(text).encode("utf-8", "replace").decode())


def page(title: str, body: str) -> str:
    """Return a whole document; `body` is HTML, `title` is not."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> str:
    """Return a part of the page with a heading; `parts` are HTML."""
    return "\n".join((f"<section>\n<h2>{escape(title)}</h2>", *parts, "</section>"))


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of plain text."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def preformatted(text: str, kind: str = "") -> str:
    """Return text that keeps its lines and columns."""
    return f'<pre class="{kind}">{escape(text)}</pre>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Return a table of texts: the first column names the rows, those after the first `words` hold numbers.

    On a narrow screen the table scrolls, and the page does not.
    """

    def line(cells: Sequence[str], tag: str, first: int) -> str:
        places = enumerate(cells, first)
        return "".join(f'<{tag} class="{"right" * (k >= words)}">{escape(cell)}</{tag}>' for k, cell in places)

    lines = [f'<div class="wide"><table><thead><tr>{line(header, "th", 0)}</tr></thead><tbody>']
    for name, *cells in rows:
        lines.append(f'<tr><th scope="row"><span>{escape(name)}</span></th>{line(cells, "td", 1)}</tr>')
    return "\n".join((*lines, "</tbody></table></div>"))


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Return a table of two columns, a name and what is to be said about it."""
    rows = "\n".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in pairs)
    return f'<div class="wide"><table class="facts"><tbody>\n{rows}\n</tbody></table></div>'


def image(png: bytes, description: str) -> str:
    """Return a picture that is part of the document; `description` is read to those who cannot see it."""
    return f'<img alt="{escape(description)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
