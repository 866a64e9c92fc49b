"""The rungs of one operation: NumPy, plain loops in numba, fast kernels, and PyTorch to look up to.

NumPy's matrix products use as many threads as its BLAS likes, the other rungs those of `--threads`.
"""

from __future__ import annotations

from contextlib import nullcontext

from .. import plot
from ..ops.jit import announce_compilation
from ..settings import use_kernels
from . import output
from .op_cases import CASES, Case
from .operations import TOLERANCE, Rung, works_of
from .timing import summarize, time_in_turn, validate

REFERENCE, PLAIN, FAST = "reference (NumPy)", "numba, plain loops", "numba, fast kernels"
BY_OP = {case.op: case for case in reversed(CASES) if case.op != "concat"}  # the first of each; concat has no rungs


def rungs(op: str) -> dict[str, Rung]:
    """Return the rungs of an operation; only convolutions have kernels beyond the plain loops."""
    reference = {REFERENCE: lambda: use_kernels("reference")}
    if op.startswith("conv"):
        return reference | {PLAIN: lambda: use_kernels("plain"), FAST: nullcontext}
    return reference | {"numba": nullcontext}


def measure(case: Case, rounds: int, torch) -> list[dict]:
    """Validate and time all rungs of a case.

    Parameters
    ----------
    case : Case
    rounds : int
        How often each rung runs.
    torch : module or None
        PyTorch, if it is to be compared with.

    Returns
    -------
    list of dict
        A row per direction: "op", "case", "direction", "error", "ms" and "speed_up" (rung -> median over the rounds
        of the reference's time / its time in the same round).

    Raises
    ------
    WrongResult
        If a rung differs from the reference.
    """
    rows = []
    for work in output.progress(works_of(case, rungs(case.op), torch)):
        with announce_compilation():
            errors = validate(str(work), work.sides, work.expected, TOLERANCE)
        times = summarize(time_in_turn(work.sides, rounds), REFERENCE)
        row = {"op": work.op, "case": work.detail, "direction": work.direction, "error": errors, "ms": times["ms"]}
        rows.append(row | {"speed_up": {REFERENCE: 1.0} | times["ratio"]})
    return rows


def table(rows: list[dict]) -> str:
    """Return a table of rungs, with time and speed-up of each direction."""
    header = ["rung"]
    for row in rows:
        header += [f"{row['direction']} ms", "speed-up"]
    lines = []
    for name in rows[0]["ms"]:
        cells = [name]
        for row in rows:
            cells += [f"{row['ms'][name]:.2f}", f"{row['speed_up'][name]:.1f}"]
        lines.append(cells)
    return f"{rows[0]['op']} {rows[0]['case']}\n" + output.text_table(header, lines)


def figure(rows: list[dict]):
    """Draw the rungs as bars, from the reference to PyTorch: how many times faster, and in how many milliseconds."""
    figure = plot.new_figure(9, 1.2 + 0.9 * len(rows) + 0.2 * len(rows) * len(rows[0]["ms"]))
    for axes, row in zip(figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0], rows, strict=True):
        names, factors = list(row["speed_up"]), list(row["speed_up"].values())
        bars = axes.barh(names, factors, color=[output.COLOURS[name] for name in names])
        texts = [f"{f:.{0 if f >= 10 else 1}f}x, {row['ms'][n]:.2f} ms" for n, f in zip(names, factors, strict=True)]
        axes.bar_label(bars, texts, padding=4, fontsize=9)
        axes.set_title(f"{row['op']} {row['case']}, {row['direction']}", loc="left")
        axes.invert_yaxis()
        axes.margins(x=0.16)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[-1].set_xlabel("times faster than NumPy on this machine")
    return figure
