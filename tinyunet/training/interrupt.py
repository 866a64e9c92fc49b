"""Ctrl-C that lets a training step finish, so that weights and position belong together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable


class stop_after_step:
    """Within the block the first Ctrl-C is remembered, and raised when the yielded function is called."""

    def __enter__(self) -> Callable[[], None]:
        self.asked = False
        # Signals reach the main thread only; elsewhere Ctrl-C is not ours to handle.
        self.previous = None
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self._remember)
        return self._check

    def _remember(self, number, frame) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def _check(self) -> None:
        if self.asked:
            raise KeyboardInterrupt

    def __exit__(self, *exception) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
