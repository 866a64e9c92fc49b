"""The graph of a computation as a picture: `draw_graph(loss)`, `draw_graph(model, (1, 1, 64, 64))`, `draw_graph(tape)`.

Operations that ran in one call of a module form a group, and a group can be folded to one box. It is the ops of *one
stretch of time*, so that nothing else lies between them and folding cannot make a circle; a module that runs twice, as
the pool of a UNet does, is several groups. A group of one op would only say its name twice, and is dissolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2
from pathlib import Path

import numpy as np

from ...autograd import GraphError
from ...files import write_whole
from ...nn.module import Module, Parameter
from ...nn.summary import readable_bytes
from ...settings import use_kernels
from ...tensor import Tensor
from ..page import document
from ..trace import Node, Trace, norm_of, trace
from .layout import place
from .svg import ALL, START, Box, Frame, View, draw_parts, draw_svg


@dataclass
class Group:
    """The ops of one call of a module. `key` names it in the page; `outer` is the group around it."""

    key: str
    name: str
    outer: Group | None
    members: list[int]

    @property
    def level(self) -> int:
        """How many groups are around it."""
        return self.outer.level + 1 if self.outer else 0


def draw_graph(
    what: Tensor | Module | Trace,
    shape: tuple[int, ...] | None = None,
    *,
    names: Mapping[str, Tensor] | None = None,
    depth: int = 0,
) -> Drawing:
    """Draw a computation: its operations with shapes and the bytes that they keep for backward.

    Parameters
    ----------
    what : Tensor, Module or Trace
        A tensor before `backward()`: the ops that gradients will pass. A network: what it does with zeros of `shape`.
        What `trace()` wrote down: everything that ran there, with values where they are small, and with the gradients
        (whole where they are small, otherwise their norm) if backward ran in the block too.
    shape : (N, C, H, W)
        Of the input, if `what` is a network.
    names : dict, optional
        Name -> tensor, to be written on the boxes: `names={"a": a, "loss": loss}`.
    depth : int
        How many levels of modules to unfold in the picture; in the page they unfold at a click.

    Returns
    -------
    Drawing
        Shows itself in a notebook; `.save("graph.html")` or `.save("graph.svg")` writes a file.

    Raises
    ------
    GraphError
        If nothing is linked to the tensor, or backward has cut the links.
    TypeError
        If a network comes without a shape, or `what` is none of the three.
    ValueError
        If a trace is empty.
    """
    if isinstance(what, Module):
        if shape is None:
            raise TypeError("draw_graph(model, shape) needs the shape of an input, for example (1, 1, 64, 64)")
        what = _run(what, shape)
    elif isinstance(what, Tensor):
        what = Trace.behind(what)
    if not isinstance(what, Trace):
        raise TypeError(f"draw_graph takes a Tensor, a Module or what trace() gives, got {type(what).__name__}")
    if not what.nodes:
        raise ValueError("nothing to draw: no operation ran while the trace watched")
    return Drawing(what, names or {}, depth)


def _run(model: Module, shape: tuple[int, ...]) -> Trace:
    """Run a network once on zeros, as in inference but with everything kept for backward."""
    dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
    # The graph is the same with any kernels, and the reference needs no compiling; on a GPU there is none.
    kernels = use_kernels("reference" if model.device == "cpu" else "auto")
    with kernels, model.evaluating(), trace() as tape:
        model(np.zeros(shape, dtype))
    return tape


class Drawing:
    """A graph, laid out. A notebook shows the page; where that is not possible, the picture."""

    def __init__(self, trace: Trace, names: Mapping[str, Tensor], depth: int):
        self.trace, self.depth = trace, depth
        self.names = {trace.number_of(tensor): name for name, tensor in names.items()}
        if None in self.names:
            raise GraphError(f"the tensor named {self.names[None]!r} is not part of this graph")
        self.groups, self.group_of = _groups(trace.nodes)
        self.bands = _bands(trace.nodes)

    def _repr_svg_(self) -> str:
        return draw_svg(self._start())

    def _repr_html_(self) -> str:
        views = {START: self._start()}  # what is unfolded -> how that looks
        for group in self.groups:
            views[group.key] = self._view({g.key for g in _with_outer(group)})
        if len(self.groups) > 1:
            views[ALL] = self._view({g.key for g in self.groups})
        return draw_parts(self.summary(), views)

    def save(self, path: str | Path) -> None:
        """Write the graph to a file that ends in .html or .svg.

        Raises
        ------
        ValueError
            If it ends in something else.
        OSError
            If it cannot be written.
        """
        path = Path(path)
        if path.suffix not in (".html", ".svg"):
            raise ValueError(f"a graph is written as .html or .svg, got {path.name!r}")
        content = self._repr_svg_() if path.suffix == ".svg" else document("Computation graph", self._repr_html_())
        write_whole(path, content)

    def summary(self) -> str:
        """Return a line with the number of operations and parameters and the bytes kept for backward."""
        ops = [node for node in self.trace.nodes if node.op]
        parameters = {id(p): p.size for node in ops for p in node.parameters}
        text = f"{len(ops)} operations"
        if parameters:
            text += f", {sum(parameters.values()):,} parameters"
        kept = _kept(ops)
        return text + (f"; for backward they keep {readable_bytes(kept)}, each array counted once" if kept else "")

    def _start(self) -> View:
        return self._view({g.key for g in self.groups if g.level < self.depth})

    def _view(self, unfolded: set[str]) -> View:
        """Return boxes and edges where just these groups are unfolded."""
        nodes, shown = self.trace.nodes, {}
        for i in range(len(nodes)):
            folded = next((g for g in _with_outer(self.group_of[i]) if g.key not in unfolded), None)
            shown.setdefault(folded.key if folded else i, (folded, []))[1].append(i)
        # An op comes after all that it uses; so do stretches of them, and leaves use nothing.
        shown = sorted(shown.values(), key=lambda entry: (bool(nodes[entry[1][-1]].op), entry[1][0]))
        box_of = {i: k for k, (_, members) in enumerate(shown) for i in members}
        edges = {(box_of[j], box_of[i]): None for i, node in enumerate(nodes) for j in node.inputs}
        edges = [(a, b) for a, b in edges if a != b]
        used = {a for a, _ in edges}
        boxes = [self._box(folded, members, k in used) for k, (folded, members) in enumerate(shown)]
        frames = [
            Frame(g.name, g.level, sorted({box_of[i] for i in g.members}), g.outer.key if g.outer else START)
            for g in self.groups
            if g.key in unfolded
        ]
        layout = place([box.size for box in boxes], edges, [self.bands[members[-1]] for _, members in shown])
        return View(boxes, edges, frames, layout)

    def _box(self, folded: Group | None, members: list[int], used: bool) -> Box:
        """Return the box of one node or of a folded group; `used` tells whether anything comes after it."""
        nodes, last = [self.trace.nodes[i] for i in members], self.trace.nodes[members[-1]]
        parameters = list({id(p): p for node in nodes for p in node.parameters}.values())
        lines: list[str] = []
        title = self._title(folded, members[-1], last)
        if last.value is None:
            lines.append(_times(last.shape))
        elif not last.constant:
            lines.append(f"= {_number(last.value)}")
        if parameters:
            lines.append(f"{sum(p.size for p in parameters):,} parameters")
        if kept := _kept(nodes):
            lines.append(f"keeps {readable_bytes(kept)}")
        if last.leaf is not None:
            role = "constant" if last.constant else "input"
        else:
            role = "kernel" if parameters else "plain"
            role = role if used else "output"
        shade = _gradient_text(self.trace.gradient_of(last))
        about = [".".join(last.layer) or "not in a module", f"{len(nodes)} operations" if folded else last.op]
        about += [self._about(p) for p in parameters]
        return Box(title, tuple(lines), shade, role, "\n".join(filter(None, about)), folded.key if folded else "")

    def _title(self, folded: Group | None, i: int, node: Node) -> str:
        name = self.names.get(i, "")
        if folded or node.op:
            text = folded.name if folded else node.op
            return f"{name} = {text}" if name else text
        if name or node.constant:
            return name or _number(node.value)
        return "leaf" if node.leaf.requires_grad else "input"

    def _about(self, parameter: Parameter) -> str:
        text = f"{self.trace.parameter_names.get(id(parameter), 'parameter')} {_times(parameter.shape)}"
        if parameter.grad is None:
            return text
        return f"{text}, |gradient| {norm_of(parameter.grad):.3g}"


def _groups(nodes: list[Node]) -> tuple[list[Group], list[Group | None]]:
    """Return the groups, outer ones first, and for each node the innermost that it is in."""
    found: list[Group] = []
    running: list[Group] = []
    inner: list[Group | None] = [None] * len(nodes)
    for i, node in enumerate(nodes):
        if not node.op:
            continue
        while tuple(group.name for group in running) != node.layer[: len(running)]:
            running.pop()
        for name in node.layer[len(running) :]:
            running.append(Group(f"g{len(found)}", name, running[-1] if running else None, []))
            found.append(running[-1])
        for group in running:
            group.members.append(i)
        inner[i] = running[-1] if running else None

    kept = [group for group in found if len(group.members) > 1]  # what is around one of these is kept, too
    inner = [next((g for g in reversed(_with_outer(group)) if len(g.members) > 1), None) for group in inner]
    for i, node in enumerate(nodes):  # a number in a formula goes where it is used
        users = [k for k, other in enumerate(nodes) if i in other.inputs] if node.constant else []
        if users and inner[users[0]]:
            inner[i] = inner[users[0]]
            for group in _with_outer(inner[i]):
                group.members.insert(0, i)
    return kept, inner


def _with_outer(group: Group | None) -> list[Group]:
    """Return the groups around a group and itself, the outermost first."""
    return [*_with_outer(group.outer), group] if group else []


def _bands(nodes: list[Node]) -> list[int]:
    """Return the row of each node: one down where the images get half as large, one up where they double."""
    band: dict[int, int] = {}
    for i, node in enumerate(nodes):
        before = next((j for j in node.inputs if nodes[j].op), next(iter(node.inputs), None))
        if node.op and before is not None:
            band[i] = band.get(before, 0)
            sizes = nodes[before].shape, node.shape
            if all(len(shape) == 4 for shape in sizes) and node.op not in ("crop", "pad"):
                change = log2(sizes[0][-1] / sizes[1][-1])
                band[i] += int(change + (0.2 if change > 0 else -0.2))  # 35 -> 18 halves, and a border of 4 does not
    for i, node in enumerate(nodes):
        for j in node.inputs:
            band.setdefault(j, band[i])
    top = min(band.values())
    return [band.get(i, 0) - top for i in range(len(nodes))]


def _kept(nodes: list[Node]) -> int:
    kept: dict[int, int] = {}
    for node in nodes:
        kept |= node.saved
    return sum(kept.values())


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "1 number"


def _number(value: np.ndarray) -> str:
    if value.ndim == 0:
        return f"{value.item():.4g}"
    return np.array2string(value, precision=4, separator=", ", max_line_width=1000).replace("\n", "")


def _gradient_text(gradient: np.ndarray | float | None) -> str:
    if gradient is None:
        return ""
    return f"gradient {_number(gradient)}" if isinstance(gradient, np.ndarray) else f"|gradient| {gradient:.3g}"
