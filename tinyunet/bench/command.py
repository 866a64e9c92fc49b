"""What each mode of `tinyunet bench` measures, prints and writes; the options themselves are in `cli/machine.py`."""

from __future__ import annotations

import argparse

from ..backend import choose_device
from . import ladder, machine, memory, networks, op_cases, operations, output, pytorch, scaling


def run(options: argparse.Namespace) -> int:
    """Measure what the options ask for, print the table, and write bench.json and bench.png."""
    if options.rounds < 1:
        raise ValueError(f"--rounds must be at least 1, got {options.rounds}")
    if options.ladder not in (None, *ladder.BY_OP):
        raise ValueError(f"--ladder takes one of {', '.join(ladder.BY_OP)}, got {options.ladder}")
    device, text = choose_device(options.device)
    if device != "cpu" and (options.ops or options.ladder or options.scaling):
        raise ValueError(
            "--ops, --ladder and --scaling measure the CPU: leave out --device, or give --memory or no mode"
        )
    torch = pytorch.find(device)
    machine.set_threads(options.threads, torch)
    if device != "cpu":
        print(f"on {text}; float32 on all sides")
    if torch is None:
        print(f"PyTorch is not installed{'' if device == 'cpu' else ' with CUDA'}: tinyunet alone")
    content = {"mode": "networks", "machine": machine.describe(torch, device), "rounds": options.rounds}

    if options.ops:
        peaks = machine.measure_peaks()
        cases = _some(op_cases.CASES, options.quick)
        rows = operations.measure(operations.works(cases, torch), options.rounds, peaks)
        content |= {"mode": "ops", "peaks": peaks._asdict()}
        table, figure = operations.table(rows, peaks), operations.figure(rows)
    elif options.ladder:
        rows = ladder.measure(ladder.BY_OP[options.ladder], options.rounds, torch)
        content |= {"mode": "ladder"}
        table, figure = ladder.table(rows), ladder.figure(rows)
    elif options.memory:
        rows = memory.measure(_some(networks.CASES, options.quick), options.threads, torch, device)
        content |= {"mode": "memory"}
        table, figure = memory.table(rows), memory.figure(rows)
    elif options.scaling:
        rows = scaling.measure(_some(scaling.CASES, options.quick), options.rounds, torch)
        content |= {"mode": "scaling"}
        table, figure = scaling.table(rows), scaling.figure(rows)
    else:
        rows = networks.measure(_some(networks.CASES, options.quick), options.rounds, torch, device)
        table, figure = networks.table(rows), networks.figure(rows)

    print(table)
    output.write(options.out, content | {"rows": rows}, figure)
    print(f"In {options.out}: bench.json, bench.png")
    return 0


def _some(cases: tuple, quick: bool) -> tuple:
    return (cases[0], cases[-1]) if quick else cases
