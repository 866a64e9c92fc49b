"""One thread for the trainings of the lessons, whose images are too small to be shared among several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Return a context manager, or decorator, in which the library's kernels run on one thread.

    A convolution of the toy images is done before a second thread has begun, and the threads that wait for the next
    one keep their cores busy. The results are the same to the last bit.
    """
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)
