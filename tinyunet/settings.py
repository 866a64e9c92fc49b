"""The only global state of the library: context variables, each changed for a `with` block and then restored.

Context variables rather than module globals, so that one thread (a data loader, a server request) cannot
switch off the gradients of another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Rung = Literal["auto", "reference", "cpu"]

_grad_enabled: ContextVar[bool] = ContextVar("grad_enabled", default=True)
_kernels: ContextVar[Rung] = ContextVar("kernels", default="auto")
_debug: ContextVar[int] = ContextVar("debug", default=0)
_layer: ContextVar[str] = ContextVar("layer", default="")


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
    rung : "auto", "reference" or "cpu"
        "auto" takes the fastest for the array at hand; "reference" the NumPy specification; "cpu" numba.

    Raises
    ------
    ValueError
        If `rung` is none of these.
    """
    if rung not in ("auto", "reference", "cpu"):
        raise ValueError(f"kernels must be 'auto', 'reference' or 'cpu', got {rung!r}")
    return _set(_kernels, rung)


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


def debug_level() -> int:
    """Return the level chosen by `debug`."""
    return _debug.get()


def in_layer(name: str):
    """Return a context manager in which operations belong to the layer `name` (set by `nn.Module` when debugging)."""
    return _set(_layer, name)


def current_layer() -> str:
    """Return the name of the layer that is running, if it is known."""
    return _layer.get()
