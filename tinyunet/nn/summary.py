"""A table of a network, filled by running it once: what each layer makes, costs and sees."""

from __future__ import annotations

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


def summarize(model: Module, input_shape: tuple[int, int, int, int]) -> str:
    """Return a table of the layers: name, kind, output shape, parameters, receptive field, bytes of the output.

    The receptive field is the side, in pixels of the network's image, of the square that one output value depends on,
    followed along the order in which the layers run. In a UNet that is the deepest path, so it is exact: a skip sees
    less.

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
    rows, field, distance = [("input", "", input_shape, 0, 1, int(np.prod(input_shape)) * 4)], 1.0, 1.0

    def note(name, module, y):
        nonlocal field, distance
        if any(True for _ in module.named_children()):
            return  # rows are for layers, not for the blocks that hold them
        field, distance = module.grow(field, distance)
        kind = type(module).__name__
        rows.append((name, kind, y.shape, module.parameter_count(), round(field), y.data.nbytes))

    dtype = next((p.dtype for p in model.parameters()), np.dtype(np.float32))
    with no_grad(), model.evaluating(), watching(note):
        model(np.zeros(input_shape, dtype))

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
