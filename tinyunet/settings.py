"""The only global state of the library: context variables, each changed for a `with` block and then restored.

Context variables rather than module globals, so that one thread (a data loader, a server request) cannot
switch off the gradients of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from .observer import Observer

Rung = Literal["auto", "reference", "plain", "cpu", "gpu"]
Precision = Literal["float32", "tf32"]

_grad_enabled: ContextVar[bool] = ContextVar("grad_enabled", default=True)
_kernels: ContextVar[Rung] = ContextVar("kernels", default="auto")
_precision: ContextVar[Precision] = ContextVar("precision", default="float32")
_debug: ContextVar[int] = ContextVar("debug", default=0)
_layer: ContextVar[str] = ContextVar("layer", default="")
_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def _set(variable: ContextVar, value) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def no_grad():
    """Return a context manager in which no graph is recorded: for inference, metrics and weight updates."""
    return _set(_grad_enabled, False)


def use_kernels(rung: Rung):
    """Return a context manager that fixes which implementation of every operation runs.

    Parameters
    ----------
    rung : "auto", "reference", "plain", "cpu" or "gpu"
        "auto" takes the fastest for the array at hand; "reference" the NumPy specification; "cpu" numba; "gpu" CUDA;
        "plain" numba or CUDA, but for convolutions the loops of the formula, without the fast kernels that stand on
        them. "reference" and "cpu" need arrays in main memory, "gpu" needs them on a GPU (`.to("cuda")`).

    Raises
    ------
    ValueError
        If `rung` is none of these.
    """
    if rung not in get_args(Rung):
        raise ValueError(f"kernels must be one of {', '.join(map(repr, get_args(Rung)))}, got {rung!r}")
    return _set(_kernels, rung)


def matmul_precision(precision: Precision):
    """Return a context manager that sets how exactly convolutions of float32 arrays multiply on a GPU.

    Parameters
    ----------
    precision : "float32" or "tf32"
        "float32" multiplies float32 numbers, which PyTorch calls "highest". "tf32" rounds both factors to 11
        significant bits (PyTorch's "high") and uses tensor cores: faster, with errors of about 3e-4 of the largest
        result instead of 3e-7. Sums stay float32. It needs an NVIDIA GPU of compute capability 8.0 (A100, RTX 30) or
        newer, and changes nothing else: neither float64, nor what runs on a CPU.

    Raises
    ------
    ValueError
        If `precision` is neither.

    Notes
    -----
    A backward pass goes by what is in force where it runs, so put the whole step into the `with` block. PyTorch's
    convolutions use TF32 unless `torch.backends.cudnn.allow_tf32 = False`: compare at equal precision.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {', '.join(map(repr, get_args(Precision)))}, got {precision!r}")
    return _set(_precision, precision)


def debug(level: int):
    """Return a context manager that sets how much the engine watches.

    Level 0 watches nothing. Level 1 remembers the line of your code that created each operation, and errors in
    backward name it. Level 2 also checks every result and every gradient for NaN and infinity and stops at the
    first one (a pass over each array: slower).

    Raises
    ------
    ValueError
        If `level` is not 0, 1 or 2.
    """
    if level not in (0, 1, 2):
        raise ValueError(f"debug level must be 0, 1 or 2, got {level!r}")
    return _set(_debug, level)


def grad_enabled() -> bool:
    """Tell whether operations record a graph here."""
    return _grad_enabled.get()


def kernel_choice() -> Rung:
    """Return the rung chosen by `use_kernels`."""
    return _kernels.get()


def chosen_precision() -> Precision:
    """Return the precision chosen by `matmul_precision`."""
    return _precision.get()


def debug_level() -> int:
    """Return the level chosen by `debug`."""
    return _debug.get()


def in_layer(name: str):
    """Return a context manager in which operations belong to the layer `name` (set by `nn.Module` when debugging)."""
    return _set(_layer, name)


def current_layer() -> str:
    """Return the name of the layer that is running, if it is known."""
    return _layer.get()


def observed_by(observer: Observer):
    """Return a context manager in which `observer` runs every operation; `observer.observing` is the one to use."""
    return _set(_observer, observer)


def observer() -> Observer | None:
    """Return who sees every operation as it runs, if anybody does."""
    return _observer.get()
