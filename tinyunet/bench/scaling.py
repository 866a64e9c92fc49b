"""How the time grows with the size of the image and with the channels: it should follow the arithmetic of the formula.

A kernel that fits one size only shows here: the rate (multiply-adds of the formula per second, so Winograd's saving
counts as speed) falls where tiles stop fitting a cache, and where images are so small that starting kernels counts.
"""

from __future__ import annotations

from ..nn import Conv2d, ConvTranspose2d
from ..nn.module import watching
from ..settings import no_grad, use_kernels
from . import networks, output
from .networks import TRAINING, Case

CASES = (*(Case(16, 1, size) for size in (64, 128, 256, 512)), *(Case(base, 1, 128) for base in (8, 32, 64)))


def multiply_adds(case: Case) -> int:
    """Count the multiply-adds of all convolutions in one pass forward: N O OH OW C KH KW each."""
    counts = []

    def note(name, module, y):
        if isinstance(module, Conv2d):
            O, C, KH, KW = module.weight.shape
            counts.append(y.size * C * KH * KW)
        elif isinstance(module, ConvTranspose2d):  # every input pixel reaches KH KW pixels of each output channel
            C, O, KH, KW = module.weight.shape
            counts.append(y.size // (module.stride[0] * module.stride[1]) * C * KH * KW)

    with no_grad(), use_kernels("reference"), watching(note):
        case.model()(case.data()[0])
    return sum(counts)


def measure(cases, rounds: int, torch) -> list[dict]:
    """Return the rows of `networks.measure`, each with "gmacs" (10^9 multiply-adds; backward counts as two forward)."""
    rows = networks.measure(cases, rounds, torch)
    forward = {str(case): multiply_adds(case) / 1e9 for case in cases}
    return [row | {"gmacs": forward[row["case"]] * (3 if row["task"] == TRAINING else 1)} for row in rows]


def rates(row: dict) -> dict[str, float]:
    """Return 10^9 operations per second of every side; a multiply-add is two."""
    return {name: 2 * row["gmacs"] / (ms / 1e3) for name, ms in row["ms"].items()}


def table(rows: list[dict]) -> str:
    """Return the rows as text: what there is to compute, and each side's time and rate."""
    names = list(rows[0]["ms"])
    header = ["network", "task", "GFLOP", *(text for name in names for text in (f"{name} ms", "GFLOP/s"))]
    lines = []
    for row in sorted(rows, key=lambda row: row["task"] != TRAINING):
        per_side = zip(row["ms"].values(), rates(row).values(), strict=True)
        numbers = [text for ms, rate in per_side for text in (f"{ms:.1f}", f"{rate:.0f}")]
        lines.append([row["case"], row["task"], f"{2 * row['gmacs']:.2f}", *numbers])
    return output.text_table(header, lines)


def figure(rows: list[dict]):
    """Draw the rate of every side, a panel per task."""
    panels: dict[str, dict] = {}
    for row in rows:
        panels.setdefault(row["task"], {})[row["case"]] = rates(row)
    return output.grouped_bars(panels, "GFLOP/s (of the formula)")
