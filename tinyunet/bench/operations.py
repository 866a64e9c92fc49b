"""Single operations: each validated against the NumPy reference, then timed forward and backward, beside PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from ..nn import Parameter, UNet
from ..ops.jit import announce_compilation
from ..optim import Adam
from ..settings import use_kernels
from . import output
from .machine import Peaks
from .op_cases import Case
from .timing import OURS, Side, arrays, summarize, time_in_turn, validate

TOLERANCE = 1e-4  # relative; of float32 and of fast convolutions' rounding a tenth is seen

Rung = Callable[[], AbstractContextManager]
"""Returns the context in which our implementation runs."""


@dataclass(frozen=True)
class Work:
    """One thing to time: a direction of a case, what it costs by its formula, and who does it."""

    op: str
    detail: str
    direction: str
    flops: int
    bytes: int
    expected: list[np.ndarray]
    sides: dict[str, Side]

    def __str__(self) -> str:
        return f"{self.op} {self.detail}, {self.direction}"


def _upstream(shape) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def _ours(case: Case, rung: Rung) -> dict[str, Side]:
    """Return direction -> side of our implementation."""
    inputs = [Parameter(array) for array in case.inputs()]

    def forward():
        with rung():
            return [case.ours(*inputs)]

    y = forward()[0]
    gy = _upstream(y.shape)

    def backward():  # of this one operation; it keeps what it saved, so it can be repeated
        with rung():
            return y.creator.backward(gy)

    return {"forward": forward, "backward": backward}


def _in_torch(case: Case, torch) -> dict[str, Side]:
    """Return direction -> side of PyTorch's implementation."""
    inputs = [torch.from_numpy(array).requires_grad_() for array in case.inputs()]
    y = case.torch(torch, *inputs)
    gy = torch.from_numpy(_upstream(y.shape))
    return {
        "forward": lambda: [case.torch(torch, *inputs)],
        "backward": lambda: torch.autograd.grad(y, inputs, gy, retain_graph=True),
    }


def works_of(case: Case, rungs: dict[str, Rung], torch) -> list[Work]:
    """Return the work of each direction of a case, done by each of our rungs and by PyTorch.

    Parameters
    ----------
    case : Case
    rungs : dict
        Name -> the context in which our implementation runs.
    torch : module or None
        PyTorch, if it is to be compared with.
    """
    reference = _ours(case, lambda: use_kernels("reference"))
    sides = {name: _ours(case, rung) for name, rung in rungs.items()}
    if torch:
        sides["PyTorch"] = _in_torch(case, torch)
    return [
        Work(
            case.op,
            case.detail,
            direction,
            *case.cost(direction),
            arrays(reference[direction]()),
            {name: side[direction] for name, side in sides.items()},
        )
        for direction in ("forward", "backward")
        if case.cost(direction).bytes  # gradients that are views of the upstream gradient leave nothing to time
    ]


def adam_step(model: UNet, torch) -> Work:
    """Return Adam's step on all weights of a network: 13 operations each; w, m, v are read and written, g is read."""
    rng = np.random.default_rng(0)
    weights = [p.data for p in model.parameters()]
    gradients = [rng.standard_normal(w.shape, dtype=np.float32) for w in weights]

    def side(parameters, gradients, optimizer) -> Side:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        return lambda: optimizer.step() or parameters

    def ours(dtype) -> Side:
        parameters = [Parameter(w.astype(dtype)) for w in weights]
        return side(parameters, [g.astype(dtype) for g in gradients], Adam(parameters))

    sides = {OURS: ours(np.float32)}
    if torch:
        parameters = [torch.nn.Parameter(torch.from_numpy(w.copy())) for w in weights]
        sides["PyTorch"] = side(parameters, list(map(torch.from_numpy, gradients)), torch.optim.Adam(parameters))
    count = sum(w.size for w in weights)
    return Work("adam", f"{count} weights", "step", 13 * count, 7 * 4 * count, arrays(ours(np.float64)()), sides)


def works(cases: Iterable[Case], torch) -> Iterator[Work]:
    """Yield the work of every case, then Adam's."""
    for case in output.progress(cases):
        yield from works_of(case, {OURS: nullcontext}, torch)
    yield adam_step(UNet(1, 2, 16, 3), torch)


def measure(works: Iterable[Work], rounds: int, peaks: Peaks) -> list[dict]:
    """Validate and time each work, and hold it against the machine's peaks.

    Parameters
    ----------
    works : iterable of Work
    rounds : int
        How often each side runs.
    peaks : Peaks

    Returns
    -------
    list of dict
        "op", "case", "direction", "error" (side -> relative error), "flops", "bytes", "intensity" (FLOPs per byte),
        "gflops", "gb_per_s" (of tinyunet), "limit" ("arithmetic" or "memory"), "share" (side -> shortest possible
        time / its time), and what `timing.summarize` returns.

    Raises
    ------
    WrongResult
        If a side differs from the NumPy reference.
    """
    rows = []
    for work in works:
        with announce_compilation():
            errors = validate(str(work), work.sides, work.expected, TOLERANCE)
        times = summarize(time_in_turn(work.sides, rounds))
        seconds = times["ms"][OURS] / 1e3
        least = {"arithmetic": work.flops / peaks.gflops / 1e9, "memory": work.bytes / peaks.gb_per_s / 1e9}
        limit = max(least, key=least.get)
        row = {
            "op": work.op,
            "case": work.detail,
            "direction": work.direction,
            "error": errors,
            "flops": work.flops,
            "bytes": work.bytes,
            "intensity": work.flops / work.bytes,
            "gflops": work.flops / seconds / 1e9,
            "gb_per_s": work.bytes / seconds / 1e9,
            "limit": limit,
            "share": {name: least[limit] / (ms / 1e3) for name, ms in times["ms"].items()},
        }
        rows.append(row | times)
    return rows


def table(rows: list[dict], peaks: Peaks) -> str:
    """Return the rows as text, under the peaks that the shares refer to."""
    names = list(rows[0]["ms"])
    header = ["op", "case", "direction", *(f"{name} ms" for name in names), *(f"ratio to {n}" for n in names[1:])]
    header += ["MFLOP", "MB", "FLOP/B", "GFLOP/s", "GB/s", "limit", *(f"share, {name}" for name in names), "error"]
    lines = []
    for row in rows:
        cells = [row["op"], row["case"], row["direction"], *(f"{row['ms'][name]:.3f}" for name in names)]
        cells += [f"{row['ratio'][name]:.2f}" for name in names[1:]]
        cells += [f"{row['flops'] / 1e6:.1f}", f"{row['bytes'] / 1e6:.1f}", f"{row['intensity']:.2f}"]
        cells += [f"{row['gflops']:.1f}", f"{row['gb_per_s']:.1f}", row["limit"]]
        cells += [f"{row['share'][name]:.0%}" for name in names] + [f"{row['error'][OURS]:.0e}"]
        lines.append(cells)
    return (
        f"this machine at its best: {peaks.gflops:.0f} GFLOP/s in registers, {peaks.gb_per_s:.1f} GB/s copying memory\n"
        + output.text_table(header, lines)
    )


def figure(rows: list[dict]):
    """Draw which share of the machine's limit each direction of each operation reaches."""
    bars = {f"{row['op']} {row['case']}, {row['direction']}": row["share"] for row in rows}
    return output.grouped_bars({"shortest possible time / time": bars}, "share of the machine's limit", [1])
