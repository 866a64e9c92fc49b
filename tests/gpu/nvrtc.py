"""Compiles every kernel with NVIDIA's compiler NVRTC, which needs neither GPU nor driver: what do they use?

`python -m tests.gpu.nvrtc` prints the table. It needs CuPy and NVRTC, for example:

    pip install cupy-cuda13x "nvidia-cuda-nvrtc==13.0.*" "nvidia-cuda-runtime==13.0.*"
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import NamedTuple

import tinyunet
from tinyunet.ops.cuda import CudaSource

OPS = Path(tinyunet.__file__).parent / "ops"


def _source(path: Path) -> CudaSource:
    name = path.with_suffix("").relative_to(OPS.parent.parent).as_posix().replace("/", ".")
    return importlib.import_module(name).cu


ARCHITECTURES = (80, 90)
SOURCES = {
    path.with_suffix("").relative_to(OPS.parent).as_posix().removesuffix("/gpu"): _source(path)
    for path in sorted(OPS.parent.glob("**/gpu*.cu"))
}


class Use(NamedTuple):
    """What one kernel uses: registers per thread, bytes that did not fit into them, shared bytes per block."""

    kernel: str
    registers: int
    spills: int
    shared: int


def compile_kernels(source: CudaSource, architecture: int) -> list[Use]:
    """Compile all kernels of a source, the templates for float and double.

    Raises
    ------
    SyntaxError
        With the compiler's messages.
    """
    from cupy_backends.cuda.libs import nvrtc

    names = [*source.names("float"), *source.names("double"), *source.names(None), *source.instances]
    program = nvrtc.createProgram(source.text, f"{source.path.parent.name}/{source.path.name}", (), ())
    for name in names:
        nvrtc.addNameExpression(program, name)
    # As CuPy compiles, but without the folders of its headers: kernels do without any.
    options = ("-std=c++17", "-ftz=true", f"-arch=sm_{architecture}", "--ptxas-options=-v")
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError:
        raise SyntaxError(nvrtc.getProgramLog(program)) from None
    lowered = {nvrtc.getLoweredName(program, name): name for name in names}
    log = nvrtc.getProgramLog(program)
    nvrtc.destroyProgram(program)
    return _uses(log, lowered)


def _uses(log: str, lowered: dict[str, str]) -> list[Use]:
    """Read what `ptxas -v` says of each kernel."""
    found = []
    for part in re.split(r"(?=ptxas info\s*: Compiling entry function)", log)[1:]:
        name = re.search(r"entry function '(\w+)'", part)[1]
        spills = sum(map(int, re.findall(r"(\d+) bytes spill", part)))
        registers, shared = re.search(r"Used (\d+) registers", part), re.search(r"(\d+) bytes smem", part)
        found.append(Use(lowered[name], int(registers[1]), spills, int(shared[1]) if shared else 0))
    return sorted(found)


def table() -> str:
    """Return a table, as text, of what each kernel uses on each architecture."""
    lines = [f"{'op':24}{'kernel':32}" + "".join(f"  sm_{a}: registers spills shared" for a in ARCHITECTURES)]
    for op, source in SOURCES.items():
        for uses in zip(*(compile_kernels(source, a) for a in ARCHITECTURES), strict=True):
            numbers = "".join(f"{u.registers:18}{u.spills:7}{u.shared:7}" for u in uses)
            lines.append(f"{op:24}{uses[0].kernel:32}{numbers}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
