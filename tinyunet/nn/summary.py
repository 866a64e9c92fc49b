"""A table of a network, filled by running it once: what each layer makes, costs and sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..settings import no_grad
from .module import Module, watching


def readable_bytes(count: float) -> str:
    """Return a number of bytes as text with a binary unit."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


class Ran(NamedTuple):
    """A layer that has run: its name, itself, the shape of its output and the bytes of that."""

    name: str
    layer: Module
    shape: tuple[int, ...]
    nbytes: int


def run_layers(model: Module, input_shape: tuple[int, int, int, int]) -> list[Ran]:
    """Run a network once on zeros in inference mode and return its layers in the order in which they ran."""
    ran = []

    def note(name, module, y):
        if not any(True for _ in module.named_children()):  # layers, not the blocks that hold them
            ran.append(Ran(name, module, y.shape, y.data.nbytes))

    dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
    with no_grad(), model.evaluating(), watching(note):
        model(np.zeros(input_shape, dtype))
    return ran


def seen_rows(ran: Sequence[Ran], first, last):
    """Return the first and last row of the image behind the output rows `first` to `last` of the last layer that ran.

    They are followed back through the layers in the order in which these ran, as if the image went on for ever. In a
    UNet that is the deepest path, so it is exact: a skip sees less.
    """
    for _, layer, _, _ in reversed(ran):
        first, last = layer.sees(first, last)
    return first, last


def summarize(model: Module, input_shape: tuple[int, int, int, int]) -> str:
    """Return a table of the layers: name, kind, output shape, parameters, receptive field, bytes of the output.

    The receptive field is the height, in pixels of the network's image, that one output value can depend on, see
    `seen_rows`. It is the largest over the rows, for behind pools and enlargements some rows see more than others.

    Parameters
    ----------
    model : Module
    input_shape : (N, C, H, W)
        Shape of the images to run, once, in inference mode.

    Returns
    -------
    str
        Ready to print.
    """
    ran, rows = run_layers(model, input_shape), [("input", "", input_shape, 0, 1, int(np.prod(input_shape)) * 4)]
    for k, (name, layer, shape, nbytes) in enumerate(ran, 1):
        out = np.arange(shape[2])
        first, last = seen_rows(ran[:k], out, out)
        field = int((last - first).max()) + 1
        rows.append((name, type(layer).__name__, shape, layer.parameter_count(), field, nbytes))

    table = [("layer", "kind", "output", "parameters", "field", "bytes")]
    table += [(n, k, " x ".join(map(str, s)), f"{p:,}", str(f), readable_bytes(b)) for n, k, s, p, f, b in rows]
    widths = [max(len(row[i]) for row in table) for i in range(6)]
    lines = [
        "  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True)))
        for r in table
    ]
    lines.insert(1, "-" * len(lines[0]))
    weights = sum(p.data.nbytes for p in model.parameters())
    lines.append(
        f"{model.parameter_count():,} parameters ({readable_bytes(weights)}); outputs of one pass "
        f"{readable_bytes(sum(row[5] for row in rows))}; receptive field {rows[-1][4]} pixels"
    )
    return "\n".join(lines)
