"""Peak memory of a training step beyond the imports: ours, ours with `recompute`, and PyTorch's, in fresh processes.

A process measures one of them. It imports what it needs and does two tiny steps, so that machine code is loaded and
threads are started. What its resident memory grows from there to the peak of two real steps counts: weights, gradients,
Adam's moments (which the second step finds), activations and scratch. Linux only, where the kernel keeps the peak and
can be told to forget it.

On a GPU what counts is the most that a library's own pool has taken from the GPU, for both sides alike.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from ..backend import load_cupy
from . import output, pytorch
from .machine import set_threads
from .networks import RECOMPUTED, TRAINING, Case, side, side_names
from .timing import OURS

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
TINY = Case(2, 1, 16)


def measure(cases: Iterable[Case], threads: int | None, torch, device: str = "cpu") -> list[dict]:
    """Measure every side of every case.

    Parameters
    ----------
    cases : iterable of Case
    threads : int or None
        Of every side; None means one per core.
    torch : module or None
        PyTorch, if it is to be compared with.
    device : "cpu", "cuda" or "cuda:1", ...

    Returns
    -------
    list of dict
        "case" and "mb" (side -> 10^6 bytes).

    Raises
    ------
    OSError
        If the system does not keep peaks the way Linux does.
    """
    if device == "cpu" and not CLEAR_REFS.exists():
        raise OSError(f"memory is measured with {CLEAR_REFS}, which only Linux has; the other modes run everywhere")
    ours, *others = side_names(torch)
    names = [ours, RECOMPUTED, *others]
    return [
        {"case": str(case), "mb": {name: _in_fresh_process(name, case, threads, device) for name in names}}
        for case in output.progress(cases)
    ]


def _in_fresh_process(name: str, case: Case, threads: int | None, device: str = "cpu") -> float:
    command = [sys.executable, "-m", "tinyunet.bench.memory", json.dumps([name, case, threads, device])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"measuring {name}, {case} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return float(done.stdout)


def peak_of_training(name: str, case: Case, threads: int | None, device: str = "cpu") -> float:
    """Return by how many 10^6 bytes training raises this process's memory; meant for a fresh process."""
    torch = None if name in (OURS, RECOMPUTED) else pytorch.find(device)
    set_threads(threads, torch)
    if device != "cpu":
        _two_steps(name, case, torch, device)
        pool = load_cupy().get_default_memory_pool()  # it gives nothing back, so that what it holds is the most it held
        return (torch.cuda.max_memory_reserved(device) if torch else pool.total_bytes()) / 1e6
    _two_steps(name, TINY, torch)
    CLEAR_REFS.write_text("5")  # forget the peak so far
    before = _peak()
    _two_steps(name, case, torch)
    return (_peak() - before) / 1e6


def _two_steps(name: str, case: Case, torch, device: str = "cpu") -> None:
    step = side(TRAINING, name, case, torch, device)
    step()
    step()


def _peak() -> int:
    line = next(line for line in STATUS.read_text("utf-8").splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def table(rows: list[dict]) -> str:
    """Return the rows as text."""
    names = list(rows[0]["mb"])
    header = ["training step of", *(f"{name} MB" for name in names), *(f"ratio to {name}" for name in names[1:])]
    lines = []
    for row in rows:
        ratios = [f"{row['mb'][OURS] / row['mb'][name]:.2f}" for name in names[1:]]
        lines.append([row["case"], *(f"{row['mb'][name]:.0f}" for name in names), *ratios])
    return output.text_table(header, lines)


def figure(rows: list[dict]):
    """Draw the peak of every side."""
    bars = {row["case"]: row["mb"] for row in rows}
    return output.grouped_bars({"peak memory of a training step": bars}, "MB beyond the imports")


if __name__ == "__main__":
    name, case, threads, device = json.loads(sys.argv[1])
    print(peak_of_training(name, Case(*case), threads, device))
