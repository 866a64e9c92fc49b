"""Ctrl-C that lets a training step finish, so that weights and position belong together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_after_step() -> Iterator[Callable[[], None]]:
    """Within the block the first Ctrl-C is remembered, and raised when the yielded function is called."""
    asked = False

    def remember(number, frame) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals never reach it
        yield check
        return
    previous = signal.signal(signal.SIGINT, remember)
    try:
        yield check
    finally:
        if previous is not None:
            signal.signal(signal.SIGINT, previous)
