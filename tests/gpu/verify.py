"""T4: runs the tests of the GPU half on a real GPU and writes down which kernels they ran on, and with what result.

    python -m tests.gpu.verify                 # on a machine with an NVIDIA GPU, CuPy and pytest
    python -m tests.gpu.verify --stand-in      # to try this script: nothing is written
    python -m tests.gpu.verify --render        # writes the table anew from what was found earlier
    python -m tests.gpu.verify --speed         # times convolutions and networks (see speed.py)

The result is docs/gpu_verification.json. A kernel is named there with the SHA-256 of its source, so that it loses its
mark in the table docs/gpu_verification.md when it is edited; `test_verify.py` requires that the table is up to date.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import tinyunet
from tinyunet.backend import load_cupy
from tinyunet.ops.cuda import CudaSource

from . import speed

PACKAGE = Path(tinyunet.__file__).parent
ROOT = PACKAGE.parent
RESULTS, TABLE = ROOT / "docs" / "gpu_verification.json", ROOT / "docs" / "gpu_verification.md"
FOLDERS = {
    path.parent.relative_to(PACKAGE).as_posix().removeprefix("ops/"): path.parent
    for path in sorted(PACKAGE.glob("**/gpu.py"))
}
"""The folders with something that runs on a GPU, by the names in the table: "conv2d", "norm/coefficients", "optim"."""
BLOCKS = "tests/gpu/test_many_blocks.py"
FAST = "tests/gpu/test_conv2d_fast.py"
TABLES = ("tests/ops/test_ops.py", BLOCKS, FAST, "tests/optim/test_optim.py")
NETWORKS = ("tests/gpu/test_training.py", "tests/gpu/test_errors.py", "tests/ops/test_identities.py", "tests/nn")
TESTS = {"norm": "gpu and norm", "norm/coefficients": "gpu and norm", "optim": "cuda"}
"""Which tests of the tables are a folder's, where they are not named like it."""
TOOLS = ("memcheck", "racecheck", "synccheck")


def sha256(folder: Path) -> str:
    """Return the SHA-256 of what a folder runs on a GPU: gpu*.py, gpu*.cu with includes, and those of ops it uses."""
    text = "".join(path.read_text("utf-8") for path in sorted(folder.glob("gpu*.py")))
    text += "".join(CudaSource(path.with_suffix(".py")).text for path in sorted(folder.glob("gpu*.cu")))
    text += "".join(
        sha256(PACKAGE / "ops" / op) for op in re.findall(r"^from \.\.(\w+) import gpu", text, re.MULTILINE)
    )
    return hashlib.sha256(text.encode()).hexdigest()


def run_tests(paths, expression: str, before: tuple[str, ...] = ()) -> str:
    """Run tests; return "passed" or what pytest says at its end."""
    command = [*before, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths, "-k", expression]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode == 0:
        return "passed"
    print(run.stdout[-4000:], run.stderr[-2000:])
    return (run.stdout.strip().splitlines() or [f"exit status {run.returncode}"])[-1]


def sanitize() -> dict[str, str]:
    """Run the operations under compute-sanitizer, which finds what changes no result: hazards, stray reads."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        return dict.fromkeys(TOOLS, "compute-sanitizer not found (it comes with the CUDA toolkit)")
    wrap = (program, "--error-exitcode", "9", "--target-processes", "all", "--tool")
    return {tool: run_tests((BLOCKS,), "reference", (*wrap, tool)) for tool in TOOLS}


def verify() -> dict:
    """Run everything; return what is written down."""
    kernels = {}
    for name, folder in FOLDERS.items():
        verdict = run_tests(TABLES, TESTS.get(name, f"gpu and {name}"))
        kernels[name] = {"sha256": sha256(folder), "verdict": verdict}
        print(f"{name}: {verdict}", flush=True)
    found = {"date": datetime.date.today().isoformat(), "kernels": kernels}
    found["networks"] = run_tests(NETWORKS, "gpu")
    found["compute-sanitizer"] = sanitize()
    return found


def machine() -> dict:
    """Describe the GPU and the software."""
    cupy = load_cupy()
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(0)
    return {
        "device": properties["name"].decode(),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "driver": runtime.driverGetVersion(),
        "cuda": runtime.runtimeGetVersion(),
        "nvrtc": ".".join(map(str, cupy.cuda.nvrtc.getVersion())),
        "cupy": cupy.__version__,
    }


def render() -> str:
    """Return the table: for every folder, whether what it runs now is what ran on a GPU."""
    found = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"kernels": {}}
    where = f"{found.get('device')}, {found.get('date')}"
    lines = [
        "# Which GPU kernels have run on a GPU",
        "",
        "Made by `python -m tests.gpu.verify`; `tests/gpu/README.md` explains the tiers of tests. A kernel that was",
        'edited after its run is marked "not yet" again.',
        "",
        "| operation | on a GPU |",
        "|---|---|",
    ]
    for name, folder in FOLDERS.items():
        result = found["kernels"].get(name)
        if result is None or result["sha256"] != sha256(folder):
            mark = "not yet"
        else:
            mark = f"verified on {where}" if result["verdict"] == "passed" else f"fails on {where}: {result['verdict']}"
        lines.append(f"| {name} | {mark} |")
    if found["kernels"]:
        lines += ["", f"Whole networks on {where}: {found['networks']}."]
        lines += [f"compute-sanitizer {tool}: {verdict}." for tool, verdict in found["compute-sanitizer"].items()]
        software = {key: found[key] for key in ("compute_capability", "driver", "cuda", "nvrtc", "cupy")}
        lines += ["", "With " + ", ".join(f"{key} {value}" for key, value in software.items()) + "."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command of this file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stand-in", action="store_true", help="try this script without a GPU; writes nothing")
    parser.add_argument("--render", action="store_true", help="only write the table anew")
    parser.add_argument("--speed", action="store_true", help="only time convolutions and networks")
    chosen = parser.parse_args()
    if chosen.stand_in:
        print(json.dumps(verify(), indent=2))
        return
    if chosen.speed:
        speed.write(ROOT / "docs" / "gpu_speed.json", machine())
        return
    if not chosen.render:
        about = machine()
        RESULTS.write_text(json.dumps(about | verify(), indent=2) + "\n")
    TABLE.write_text(render())


if __name__ == "__main__":
    main()
