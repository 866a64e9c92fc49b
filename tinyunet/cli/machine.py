"""`tinyunet bench` and `tinyunet doctor`: how fast this machine is, and what of it tinyunet can use."""

from __future__ import annotations

import argparse

from .common import add_device, add_out, folder_to_write


def add(commands) -> None:
    """Add the commands to the parser."""
    bench = commands.add_parser("bench", help="measure the speed on this machine, beside PyTorch's")
    bench.description = "Validate, then time: UNets of several sizes, beside PyTorch where it is installed."
    bench.set_defaults(run=_bench)
    mode = bench.add_mutually_exclusive_group()
    mode.add_argument("--ops", action="store_true", help="single operations instead of networks")
    mode.add_argument(
        "--ladder", nargs="?", const="conv2d", metavar="OP", help="one operation, rung by rung (default: conv2d)"
    )
    mode.add_argument("--memory", action="store_true", help="peak memory of a training step, also with --recompute")
    mode.add_argument("--scaling", action="store_true", help="images of 64 to 512 pixels, networks of 8 to 64 channels")
    bench.add_argument("--quick", action="store_true", help="only the first and the last case")
    bench.add_argument("--rounds", type=int, default=10, metavar="N", help="how often each side runs (default: 10)")
    bench.add_argument("--threads", type=int, metavar="N", help="of every side (default: all cores)")
    add_device(bench, "cpu")
    add_out(bench, "bench")

    doctor = commands.add_parser("doctor", help="show what this machine has, and what is broken")
    doctor.description = (
        "List Python, NumPy, numba, threads, memory, optional packages, driver, CUDA and GPUs, and for what is broken "
        "the command that mends it. Exit code 1 if something is broken; what is merely absent is not."
    )
    doctor.set_defaults(run=_doctor)


def _bench(options: argparse.Namespace) -> int:
    from ..bench import command

    folder_to_write(options.out)
    return command.run(options)


def _doctor(options: argparse.Namespace) -> int:
    from .. import doctor

    return doctor.run()
