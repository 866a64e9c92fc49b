"""Provenance as a moving picture: one element after another, with the inputs and weights that made it.

One SVG, whose squares a few lines of JavaScript colour: some kilobytes instead of a film. Where scripts do not run, the
picture stands still at the element that was asked for; where HTML is not shown at all, a notebook takes the figure.
"""

from __future__ import annotations

import hashlib
import io
import json
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...plot import INPUT, KERNEL, OUTPUT
from .figures import SHOWN, planes, sentence

if TYPE_CHECKING:
    from .answer import Provenance

LARGEST = 32
"""Rows and columns of a plane, at most: every pixel is a square of its own."""

SQUARE = 30

_STYLE = f"""
.tinyunet-provenance {{ background: #fff; color: #16191d; font: 14px/1.4 system-ui, sans-serif; padding: .5rem;
  max-width: 60rem; }}
.tinyunet-provenance svg {{ width: 100%; height: auto; display: block; }}
.tinyunet-provenance rect {{ fill: #f2f3f5; stroke: #fff; stroke-width: 1.5; }}
.tinyunet-provenance text {{ font: 12px system-ui, sans-serif; fill: #6d757d; text-anchor: middle; }}
.tinyunet-provenance .small {{ font-size: 9px; }}
.tinyunet-provenance .name {{ font-size: 14px; text-anchor: start; fill: #16191d; }}
.tinyunet-provenance .on + text {{ fill: #000; }}
.tinyunet-provenance .x.on {{ fill: {INPUT}; fill-opacity: .45; }}
.tinyunet-provenance .w.on {{ fill: {KERNEL}; fill-opacity: .5; }}
.tinyunet-provenance .y.on {{ fill: {OUTPUT}; fill-opacity: .45; }}
.tinyunet-provenance p {{ margin: .4rem 0; min-height: 2.8em; font-family: ui-monospace, monospace; font-size: 13px;
  overflow-wrap: anywhere; }}
.tinyunet-provenance .control {{ display: none; gap: .6rem; }}
.tinyunet-provenance input {{ flex: 1; max-width: 24rem; }}
"""

_SCRIPT = """
document.querySelectorAll('[data-provenance="NAME"]:not([data-started])').forEach(box => {
  box.dataset.started = "yes";
  const frames = FRAMES, squares = box.querySelectorAll("rect"), words = box.querySelector("p");
  const slider = box.querySelector("input"), button = box.querySelector("button");
  let timer = null;
  const show = k => {
    squares.forEach(square => square.classList.remove("on"));
    frames[k].on.forEach(number => squares[number].classList.add("on"));
    words.textContent = frames[k].text;
    slider.value = k;
  };
  const play = () => {
    timer = setInterval(() => show((+slider.value + 1) % frames.length), 700);
    button.textContent = "pause";
  };
  const pause = () => { clearInterval(timer); timer = null; button.textContent = "play"; };
  slider.oninput = () => { pause(); show(+slider.value); };
  button.onclick = () => timer ? pause() : play();
  box.querySelector(".control").style.display = "flex";
  show(START);
  if (matchMedia("(prefers-reduced-motion: no-preference)").matches) play(); else pause();
});
"""


class Animation(NamedTuple):
    """A moving picture. A notebook shows it when it is the last value of a cell.

    Attributes
    ----------
    html : str
        A fragment with everything that it needs, for a page or a notebook.
    still : Provenance
        What is shown where it cannot move.
    """

    html: str
    still: Provenance

    @classmethod
    def of(cls, p: Provenance, most: int) -> Animation:
        """Make the animation of `Provenance.animation`."""
        if p.result.ndim < 2:
            raise ValueError(f"an animation walks over rows and columns, but the result has shape {p.result.shape}")
        steps = [p.moved((*p.at[:-2], i, j)) for i, j in _spread(p.result.shape[-2:], most, p.at[-2:])]
        start = [step.at for step in steps].index(p.at)
        squares, frames, width, height = _picture(steps, start)
        name = hashlib.sha256(json.dumps([squares, frames]).encode()).hexdigest()[:12]
        data = json.dumps(frames).replace("<", "\\u003c")  # no tag may begin within a script
        script = _SCRIPT.replace("NAME", name).replace("FRAMES", data).replace("START", str(start))
        html = (
            f'<div class="tinyunet-provenance" data-provenance="{name}"><style>{_STYLE}</style>\n'
            f'<svg viewBox="0 0 {width} {height}" style="max-width: {1.4 * width:.0f}px" role="img">\n{squares}\n</svg>'
            f"<p>{escape(frames[start]['text'])}</p>"
            '<div class="control"><button type="button">pause</button>'
            f'<input type="range" min="0" max="{len(frames) - 1}" aria-label="element"></div>\n</div>'
            f"<script>{script}</script>"
        )
        return cls(html, p)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        buffer = io.BytesIO()
        self.still.figure().savefig(buffer, format="png", dpi=110)
        return {"text/html": self.html, "image/png": buffer.getvalue(), "text/plain": str(self.still)}


def _spread(shape: tuple[int, int], most: int, always: tuple[int, int]) -> list[tuple[int, int]]:
    """Return elements of a plane in the order of reading: all, or about `most` evenly spaced ones, and `always`."""
    step = int(np.ceil(np.sqrt(np.prod(shape) / most)))
    return sorted({(i, j) for i in range(0, shape[0], step) for j in range(0, shape[1], step)} | {always})


def _picture(steps: list[Provenance], start: int) -> tuple[str, list[dict], int, int]:
    """Return the squares as SVG, which of them each step colours and what it says, and the width and height."""
    kernels = [name for name, w in steps[0].weights.items() if w.values.ndim == 4]
    groups = [("x", "x", [(s.inputs.values, s.inputs.mask) for s in steps])]
    groups += [("w", name, [(s.weights[name].values, s.weights[name].mask) for s in steps]) for name in kernels[:1]]
    elements = np.arange(steps[0].result.size).reshape(steps[0].result.shape)
    groups.append(("y", "y", [(s.result, elements == elements[s.at]) for s in steps]))
    svg, frames, left, bottom, count = [], [{"on": [], "text": sentence(s)} for s in steps], 0.0, 0.0, 0
    for role, name, seen in groups:
        values, masks = seen[0][0], [mask for _, mask in seen]
        top, widest = 0.0, 0.0
        everywhere = np.arange(values.size).reshape(values.shape)
        for title, where, _ in planes(name, everywhere, np.any(masks, axis=0))[:SHOWN]:
            H, W = where.shape
            if max(H, W) > LARGEST:
                raise ValueError(
                    f"an animation draws every pixel as a square, at most {LARGEST} x {LARGEST}, but {title} has "
                    f"{H} x {W}; use a smaller input, or receptive_field()"
                )
            svg.append(f'<text class="name" x="{left:g}" y="{top + 18:g}">{escape(title)}</text>')
            for k, mask in enumerate(masks):
                frames[k]["on"] += (count + np.flatnonzero(mask.ravel()[where])).tolist()
            for (i, j), number in np.ndenumerate(where):
                state = " on" if masks[start].ravel()[number] else ""
                x, y = left + SQUARE * j, top + 26 + SQUARE * i
                text = f"{values.ravel()[number]:.3g}"
                small = ' class="small"' if len(text) > 4 else ""
                svg.append(
                    f'<rect class="{role}{state}" x="{x:g}" y="{y:g}" width="{SQUARE}" height="{SQUARE}"/>'
                    f'<text{small} x="{x + SQUARE / 2:g}" y="{y + SQUARE / 2 + 4:g}">{text}</text>'
                )
            count += where.size
            top, widest = top + 26 + SQUARE * H + 14, max(widest, SQUARE * W, 8 * len(title))
        left, bottom = left + widest + SQUARE, max(bottom, top)
    return "\n".join(svg), frames, int(left - SQUARE), int(bottom - 12)
