"""A laid-out graph as SVG, and as a page in which a click on a module unfolds it. No file from elsewhere is needed.

The page holds a picture for every module unfolded, and its few lines of script only choose which is seen. Where scripts
do not run, the first picture stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from ...plot import GRADIENT, INPUT, KERNEL, OUTPUT
from .layout import Layout, Point

START, ALL = "start", "all"  # the names of the first picture and of the one with everything unfolded
LINE, PADDING, LETTER, BOLD = 16.0, 8.0, 6.7, 7.6  # pixels: height of a line, margin in a box, width of a letter
MARGIN, HEAD = 14.0, 8.0  # around the picture, and the length of an arrow's head
COLOURS = {"input": INPUT, "kernel": KERNEL, "output": OUTPUT, "plain": "#777777", "constant": "#bbbbbb"}


class Box(NamedTuple):
    """A node, or a folded group: its texts, `shade` being the last line, on the colour of gradients.

    `about` is shown under the mouse; `opens` is the picture to show at a click, "" for none.
    """

    title: str
    lines: tuple[str, ...]
    shade: str
    role: str
    about: str
    opens: str

    @property
    def texts(self) -> list[str]:
        return [text for text in (self.title, *self.lines, self.shade) if text]

    @property
    def size(self) -> Point:
        """Width and height in pixels."""
        title = (len(self.title) + (2 if self.opens else 0)) * BOLD
        widest = max((len(text) * LETTER for text in self.texts[1:]), default=0.0)
        return max(title, widest) + 2 * PADDING, len(self.texts) * LINE + PADDING


class Frame(NamedTuple):
    """The outline of an unfolded group around its boxes; a click on it shows the picture `closes`.

    `level` is 0 for an outermost group.
    """

    name: str
    level: int
    boxes: list[int]
    closes: str


class View(NamedTuple):
    """One picture."""

    boxes: Sequence[Box]
    edges: Sequence[tuple[int, int]]
    frames: Sequence[Frame]
    layout: Layout


def draw_svg(view: View) -> str:
    """Return a picture as an SVG document."""
    layout, levels = view.layout, 1 + max((frame.level for frame in view.frames), default=-1)
    top = MARGIN + LINE * levels
    width, height = layout.width + 2 * MARGIN, layout.height + 2 * top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" style="--width:{width:.0f}px" '
        'font-family="system-ui, \'DejaVu Sans\', sans-serif" font-size="12" fill="#16191d">',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<g transform="translate({MARGIN},{top})">',
        *(_frame(frame, 6 + (levels - 1 - frame.level) * LINE, view) for frame in view.frames),
        *(_edge(edge, view) for edge in view.edges),
        *(_box(box, centre) for box, centre in zip(view.boxes, layout.centres, strict=True)),
        "</g></svg>",
    ]
    return "\n".join(parts)


def _box(box: Box, centre: Point) -> str:
    (x, y), (width, height) = centre, box.size
    left, top, colour = x - width / 2, y - height / 2, COLOURS[box.role]
    place = f'x="{left:.1f}" width="{width:.1f}" rx="5"'
    parts = [_group(box.opens), f"<title>{escape(box.about)}</title>"]
    if box.opens:  # a second sheet behind it: there is more inside
        parts.append(
            f'<rect {place} y="{top:.1f}" height="{height:.1f}" fill="#ffffff" stroke="{colour}" '
            'transform="translate(4,4)"/>'
        )
    parts.append(f'<rect {place} y="{top:.1f}" height="{height:.1f}" fill="#ffffff"/>')
    parts.append(
        f'<rect {place} y="{top:.1f}" height="{height:.1f}" fill="{colour}" fill-opacity="0.14" '
        f'stroke="{colour}" stroke-width="1.5"/>'
    )
    for k, text in enumerate(box.texts):
        baseline = top + PADDING / 2 + (k + 0.75) * LINE
        if box.shade and k == len(box.texts) - 1:
            parts.append(
                f'<rect x="{left + 3:.1f}" y="{baseline - 0.72 * LINE:.1f}" width="{width - 6:.1f}" '
                f'height="{LINE - 1}" rx="3" fill="{GRADIENT}" fill-opacity="0.45"/>'
            )
        weight = ' font-weight="600"' if k == 0 else ""
        text = f"{text} +" if k == 0 and box.opens else text
        parts.append(f'<text x="{x:.1f}" y="{baseline:.1f}" text-anchor="middle"{weight}>{escape(text)}</text>')
    return "".join((*parts, "</g>"))


def _edge(edge: tuple[int, int], view: View) -> str:
    """Return the arrow of an edge: level from side to side, or upright where one box is above the other."""
    a, b = edge
    (ax, ay), (bx, by) = (view.layout.centres[k] for k in edge)
    (aw, ah), (bw, bh) = (view.boxes[k].size for k in edge)
    bends = view.layout.bends[edge]
    if abs(ax - bx) < max(aw, bw) / 2 and not bends:
        down = 1 if by > ay else -1
        tip = bx, by - down * bh / 2
        start, end = (ax, ay + down * ah / 2), (tip[0], tip[1] - down * HEAD)
        middle = (start[1] + end[1]) / 2
        path = f"M{_at(start)}C{_at((start[0], middle))} {_at((end[0], middle))} {_at(end)}"
        wings = (tip[0] - HEAD / 2, end[1]), (tip[0] + HEAD / 2, end[1])
    else:
        tip = bx - bw / 2, by
        points = [(ax + aw / 2, ay), *bends, (tip[0] - HEAD, by)]
        path = f"M{_at(points[0])}"
        for p, q in zip(points, points[1:], strict=False):
            middle = (p[0] + q[0]) / 2
            path += f"C{_at((middle, p[1]))} {_at((middle, q[1]))} {_at(q)}"
        wings = (points[-1][0], by - HEAD / 2), (points[-1][0], by + HEAD / 2)
    colour, thick = (INPUT, 2.2) if bends else ("#666666", 1.3)  # what passes columns is a skip
    return (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{thick}"/>'
        f'<path d="M{_at(tip)}L{_at(wings[0])} {_at(wings[1])}z" fill="{colour}"/>'
    )


def _frame(frame: Frame, gap: float, view: View) -> str:
    rooms = [(*view.layout.centres[k], *view.boxes[k].size) for k in frame.boxes]
    left, right = (sign * max(sign * x + w / 2 for x, _, w, _ in rooms) + sign * gap for sign in (-1, 1))
    top, bottom = (sign * max(sign * y + h / 2 for _, y, _, h in rooms) + sign * gap for sign in (-1, 1))
    return (
        f'{_group(frame.closes, "frame")}<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}" rx="8" fill="#f2f4f6" stroke="#777777" stroke-dasharray="4 3"/>'
        f'<text x="{left + 6:.1f}" y="{top - 4:.1f}" font-weight="600">{escape(frame.name)} −</text></g>'
    )


def _group(shows: str, kind: str = "box") -> str:
    """Open a group of shapes; in the page a click on it shows another picture."""
    click = f' data-show="{shows}" tabindex="0" role="button" cursor="pointer"' if shows else ""
    return f'<g class="{kind}"{click}>'


def _at(point: Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


_STYLE = """
.tinyunet-graph { font: 14px/1.4 system-ui, "DejaVu Sans", sans-serif; color: #16191d; background: #fff; }
.tinyunet-graph .view { overflow-x: auto; }
.tinyunet-graph svg { display: block; width: 100%; height: auto; max-width: var(--width);
  min-width: calc(0.65 * var(--width)); }
@media (max-width: 40rem) { .tinyunet-graph svg { min-width: calc(0.9 * var(--width)); } }
.tinyunet-graph button { font: inherit; margin: 0 .4rem .4rem 0; padding: .2rem .7rem; border: 1px solid #777;
  border-radius: .3rem; background: #f2f4f6; color: inherit; cursor: pointer; }
.tinyunet-graph p { margin: .3rem 0 .6rem; }
.tinyunet-graph .key span { display: inline-block; margin-right: 1rem; white-space: nowrap; }
.tinyunet-graph .key i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; border-radius: .15em; }
"""

_SCRIPT = """
(root => {
  const show = event => {
    const clicked = event.target.closest("[data-show]");
    if (!clicked || event.key && event.key !== "Enter") return;
    const shown = clicked.dataset.show;
    root.querySelectorAll(".view").forEach(view => { view.hidden = view.dataset.view !== shown; });
    const frames = root.querySelectorAll(`[data-view="${shown}"] .frame > text`);
    const seen = frames[shown === "all" ? 0 : frames.length - 1];
    if (seen) seen.scrollIntoView({ block: "nearest", inline: "center" });
  };
  root.addEventListener("click", show);
  root.addEventListener("keydown", show);
})(document.currentScript.parentElement);
"""


def draw_parts(summary: str, views: dict[str, View]) -> str:
    """Return the HTML of a graph, for a notebook or a page.

    Parameters
    ----------
    summary : str
        What to say about the graph.
    views : dict
        Name -> picture; the first is seen at first.
    """
    boxes = [box for view in views.values() for box in view.boxes]
    roles = {"input": "input", "kernel": "with parameters", "output": "result"}
    colours = {text: COLOURS[role] for role, text in roles.items() if role in {box.role for box in boxes}}
    colours |= {"gradient": GRADIENT} if any(box.shade for box in boxes) else {}
    key = "".join(f'<span><i style="background:{c}"></i>{text}</span>' for text, c in colours.items())
    parts = [f'<div class="tinyunet-graph"><style>{_STYLE}</style><p>{escape(summary)}</p>']
    key += "<span>+ unfolds at a click</span>" if len(views) > 1 else ""
    parts.append(f'<p class="key">{key}</p>')
    if len(views) > 1:
        buttons = {START: "fold", ALL: "unfold all"}
        parts += [f'<button data-show="{v}">{text}</button>' for v, text in buttons.items() if v in views]
    for k, (name, view) in enumerate(views.items()):
        parts.append(f'<div class="view" data-view="{name}"{" hidden" if k else ""}>{draw_svg(view)}</div>')
    return "\n".join((*parts, f"<script>{_SCRIPT}</script></div>"))
