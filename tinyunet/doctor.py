"""`tinyunet doctor`: what of this machine tinyunet can use, what is broken, and the one command that mends it.

It has to work where nothing else does. So every check stands alone, imports what it asks about itself, and an error in
one is a finding like any other.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

OK, ABSENT, BROKEN = "ok", "absent", "BROKEN"
NEEDED = ("numpy", "numba", "llvmlite", "matplotlib", "tqdm", "pillow", "safetensors")
OPTIONAL = {  # what for, and the command
    "simpleitk": ("DICOM and NIfTI", "pip install 'tinyunet[medical]'"),
    "jupyterlab": ("the lessons", "pip install 'tinyunet[lessons]'"),
    "torch": ("tinyunet bench compares with it", "pip install torch"),
}
TOOLKIT = ("nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-cublas")


class Finding(NamedTuple):
    """A line of the report."""

    topic: str
    status: str
    text: str
    mend: str = ""  # a command


def run() -> int:
    """Print everything that was found; return 1 if something is broken, and 0 if things are merely absent."""
    findings = examine()
    for found in findings:
        print(f"{found.status:<7} {found.topic:<14} {found.text}")
        if found.mend:
            print(f"{'':<22} -> {found.mend}")
    broken = sum(found.status == BROKEN for found in findings)
    print(f"\n{broken} broken: run the commands behind the arrows" if broken else "\nnothing is broken")
    return 1 if broken else 0


def examine() -> list[Finding]:
    """Return the findings of all checks."""
    findings: list[Finding] = []
    for check in (_python, _packages, _cpu, _memory, _numba, _kernel_cache, _driver, _cuda_parts, _cupy, _device):
        try:
            findings += check()
        except Exception as error:  # whatever it is: the other checks matter all the more
            topic = check.__name__.strip("_").replace("_", " ")
            findings.append(Finding(topic, BROKEN, f"cannot be examined: {type(error).__name__}: {error}"))
    return findings


def cpu_model() -> str:
    """Return the name of the CPU."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _python() -> Iterator[Finding]:
    from . import __version__

    folder = Path(__file__).parent
    yield Finding("Python", OK, f"{platform.python_version()}, {sys.executable}")
    yield Finding("platform", OK, platform.platform())
    yield Finding("tinyunet", OK, f"{__version__}, {folder}")


def _installed() -> dict[str, str]:
    """Return the versions of all installed packages, by name in lower case."""
    return {d.metadata["Name"].lower().replace("_", "-"): d.version for d in distributions() if d.metadata["Name"]}


def _packages() -> Iterator[Finding]:
    installed = _installed()
    for topic, names in (("packages", NEEDED), ("optional", OPTIONAL)):
        if have := [f"{name} {installed[name]}" for name in names if name in installed]:
            yield Finding(topic, OK, ", ".join(have))
    for name in NEEDED:
        if name not in installed:
            yield Finding(name, BROKEN, "not installed", f"pip install {name}")
    for name, (what_for, command) in OPTIONAL.items():
        if name not in installed:
            yield Finding(name, ABSENT, f"not installed ({what_for})", command)


def _cpu() -> Iterator[Finding]:
    from llvmlite import binding

    has = binding.get_host_cpu_features()
    units = {"avx512f": "AVX-512", "avx2": "AVX2", "neon": "NEON"}
    widest = next((name for feature, name in units.items() if has.get(feature)), "")
    if not widest and platform.machine().lower() in ("arm64", "aarch64"):
        widest = "NEON"  # every such CPU has it
    yield Finding("CPU", OK, f"{cpu_model()}, {os.cpu_count()} cores, vectors: {widest or '128 bits or fewer'}")


def _memory() -> Iterator[Finding]:
    from .backend import memory_of

    memory = memory_of("cpu")
    text = f"{memory[0] / 2**30:.1f} of {memory[1] / 2**30:.1f} GiB free" if memory else "unknown on this system"
    yield Finding("memory", OK, text)


def _numba() -> Iterator[Finding]:
    try:
        import numba

        from .ops import threads  # noqa: F401  starts the threads
    except Exception as error:
        yield Finding("numba", BROKEN, f"cannot be imported ({error})", "pip install --upgrade numba numpy")
        return
    if numba.config.DISABLE_JIT:
        yield Finding("numba", OK, "switched off by NUMBA_DISABLE_JIT: kernels are slow, for a debugger")
    else:
        text = f"{numba.get_num_threads()} threads (NUMBA_NUM_THREADS), threading layer {numba.threading_layer()}"
        yield Finding("numba", OK, text)


def _kernel_cache() -> Iterator[Finding]:
    mend = _set_variable("NUMBA_CACHE_DIR")
    try:
        from .ops.relu import cpu
    except RuntimeError as error:  # numba's, where no folder at all can be written
        yield Finding("kernel cache", BROKEN, f"kernels cannot be compiled: {error}", mend)
        return
    kernels = [value.start for value in vars(cpu).values() if hasattr(getattr(value, "start", None), "stats")]
    if not kernels:
        return  # NUMBA_DISABLE_JIT
    folder, package = Path(kernels[0].stats.cache_path), Path(__file__).parent
    root = package if package in folder.parents else folder.parent
    yield _folder_finding("kernel cache", folder, root, "*.nb[ic]", mend)


def _folder_finding(topic: str, folder: Path, root: Path, pattern: str, mend: str) -> Finding:
    """Tell whether files can be written into `folder`, and what those below `root` take."""
    sizes = [path.stat().st_size for path in root.rglob(pattern)] if root.is_dir() else []
    text = f"{root}, {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB"
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            return Finding(topic, OK, text)
    except OSError as error:
        return Finding(topic, BROKEN, f"{text}, cannot be written: {error}", mend)


def _set_variable(name: str) -> str:
    if sys.platform == "win32":
        return f'setx {name} "%LOCALAPPDATA%\\tinyunet"'
    return f'export {name}="$HOME/.cache/tinyunet"'


def _driver() -> Iterator[Finding]:
    from .driver import find_driver

    driver = find_driver()
    if driver is None:
        yield Finding("NVIDIA driver", ABSENT, "none: tinyunet computes on the CPU")
        return
    serves = f"serves CUDA up to {driver.cuda[0]}.{driver.cuda[1]}"
    if driver.error:
        text = f"{serves}, but does not work: {driver.error} (if a restart does not help, install it anew)"
        yield Finding("NVIDIA driver", BROKEN, text, "shutdown /r" if sys.platform == "win32" else "sudo reboot")
        return
    yield Finding("NVIDIA driver", OK, serves)
    for number, gpu in enumerate(driver.gpus):
        yield Finding(f"GPU {number}", OK, str(gpu))
    if not driver.gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        hidden = "" if visible is None else f", or CUDA_VISIBLE_DEVICES={visible!r} hides it"
        yield Finding("GPU", ABSENT, f"the driver shows none{hidden}")


def _cuda_parts() -> Iterator[Finding]:
    parts = [f"{name} {version}" for name, version in _installed().items() if name.startswith(TOOLKIT)]
    if toolkit := os.environ.get("CUDA_PATH"):
        parts.append(f"CUDA_PATH={toolkit}")
    yield Finding("CUDA parts", OK if parts else ABSENT, ", ".join(parts) or "no wheels, no CUDA_PATH")


def _cupy() -> Iterator[Finding]:
    from .backend import DeviceError, load_cupy
    from .driver import find_driver

    installed, driver = _installed(), find_driver()
    wheels = [name for name in installed if name == "cupy" or name.startswith("cupy-")]
    extra = f"'tinyunet[gpu-cuda{13 if driver is None or driver.cuda >= (13, 0) else 12}]'"
    afresh = f"pip uninstall -y {' '.join(wheels)} && pip install {extra}"
    gpus = driver.gpus if driver else ()
    names = ", ".join(f"{name} {installed[name]}" for name in wheels)
    if len(wheels) > 1:
        yield Finding("CuPy", BROKEN, f"{names}: more than one wheel, and they share their files", afresh)
        return
    if not wheels:
        text, mend = ("not installed (the GPU needs it)", f"pip install {extra}") if gpus else ("not installed", "")
        yield Finding("CuPy", ABSENT, text, mend)
        return
    try:
        import cupy  # noqa: F401
    except Exception as error:
        yield Finding("CuPy", BROKEN, f"{names} cannot be imported: {error}", afresh)
        return
    try:
        load_cupy()
    except DeviceError as error:
        if gpus:
            yield Finding("CuPy", BROKEN, f"{names}: {error}", afresh)
        else:
            yield Finding("CuPy", OK, f"{names}, but no GPU to use")
        return
    yield Finding("CuPy", OK, names)
    folder = Path(os.environ.get("CUPY_CACHE_DIR") or Path.home() / ".cupy" / "kernel_cache")
    yield _folder_finding("CUDA cache", folder, folder, "*.cubin", _set_variable("CUPY_CACHE_DIR"))


def _device() -> Iterator[Finding]:
    from .backend import choose_device

    yield Finding("device auto", OK, choose_device("auto")[1].partition(";")[0])
