"""Break each operation of the library in turn: at least one test must fail, and a lesson should notice.

    python -m tests.lessons.mutation [--lessons] [OP ...]

makes, for the forward and for the backward of every op, all numbers 5 % too large; runs the tests of the operations
until one fails; with `--lessons` also runs the lesson that teaches the op. It prints a table, and ends with 1 if the
tests did not notice something. It is a pytest plugin too: so the op is broken in the process that runs the tests.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

LESSON = {  # op -> the lesson that notices a broken forward and a broken backward
    "Add": "01",
    "AvgPool2d": "04",
    "BinaryCrossEntropy": "07",
    "Concat": "06",
    "Conv2d": "02",
    "ConvTranspose2d": "05",
    "Crop": "06",
    "CrossEntropy": "07",
    "DiceLoss": "07",
    "Divide": "01",
    "Dropout": "09",
    "Exp": "01",
    "Log": "01",
    "LogSoftmax": "07",
    "MaxPool2d": "04",
    "Multiply": "01",
    "Pad": "06",
    "Power": "01",
    "ReLU": "01",
    "Reshape": "01",
    "Sigmoid": "07",
    "Softmax": "07",
    "Subtract": "01",
    "Sum": "01",
    "UpsampleBilinear2d": "05",
    "UpsampleConv2d": "05",
    "UpsampleNearest2d": "05",
    "BatchNorm2d": "08",
    "GroupNorm": "08",
}
TESTS = ["tests/ops/test_ops.py", "tests/test_autograd.py", "tests/nn/test_unet.py", "tests/ops"]
PLANT = "TINYUNET_PLANT"


def operations() -> dict[str, type]:
    """Return every op of the library by its name."""
    from tinyunet import functional  # noqa: F401  imports every file that defines an op, but for the operators
    from tinyunet.autograd import Op
    from tinyunet.ops import arithmetic  # noqa: F401

    found, waiting = {}, [Op]
    while waiting:
        for op in waiting.pop().__subclasses__():
            waiting.append(op)
            if op.__module__.startswith("tinyunet.ops") and not op.__subclasses__() and op.__name__ != "ToDevice":
                found[op.__name__] = op
    return dict(sorted(found.items()))


def pytest_configure() -> None:
    """Break the op that the environment names, as OP.forward or OP.backward."""
    name, _, direction = os.environ[PLANT].partition(".")
    op = operations()[name]
    right = getattr(op, direction)

    def wrong(self, *arrays, **options):
        result = right(self, *arrays, **options)
        if direction == "backward":
            return tuple(None if g is None else (g * 1.05).astype(g.dtype) for g in result)
        return (result * 1.05).astype(result.dtype)

    setattr(op, direction, wrong)


def first_failure(planted: str, arguments: list[str]) -> str:
    """Run tests with a broken op and return the first that fails, or "" if all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "tests.lessons.mutation", *arguments]
    ran = subprocess.run(command, env=os.environ | {PLANT: planted}, capture_output=True, text=True)
    failed = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if ran.returncode and not failed:
        raise RuntimeError(f"{' '.join(command)} did not run:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return failed[0].split()[1] if failed else ""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ops", nargs="*", help="names of classes, such as Conv2d; default: all")
    parser.add_argument("--lessons", action="store_true", help="also run the lesson of each op")
    options = parser.parse_args()
    unnoticed = 0
    for name in options.ops or operations():
        for direction in ("forward", "backward"):
            planted = f"{name}.{direction}"
            test = first_failure(planted, TESTS)
            unnoticed += not test
            noticed = LESSON.get(name, "")
            if options.lessons and noticed:
                failed = first_failure(planted, ["tests/lessons/test_lessons.py", "-k", f"solved and {noticed}_"])
                noticed += "" if failed else " does not notice"
            print(f"{planted:28} {noticed or '-':20} {Path(test).name if test else 'NO TEST FAILS'}", flush=True)
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())
