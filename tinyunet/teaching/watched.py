"""Which iteration of a parallel loop writes where: a numba kernel, run in plain Python on an array that takes notes.

Two iterations that write the same element race: on threads, one may read the element before the other has stored it.
Whether that happens in a given run is chance. Here it is seen in every run, because it need not happen.
"""

from __future__ import annotations

from types import FunctionType

import numpy as np

SERIAL = -1
"""The iteration of what is written outside of every parallel loop."""


class Writes(list):
    """(iteration, position) of every element written, in order; the position is that in the flattened array."""

    def __init__(self):
        super().__init__()
        self.iteration = SERIAL

    def prange(self, *bounds):
        """Stand in for numba's `prange`; of nested ones numba, too, runs only the outermost in parallel."""
        outermost = self.iteration == SERIAL
        for k in range(*bounds):
            if outermost:
                self.iteration = k
            yield k
        if outermost:
            self.iteration = SERIAL

    def raced(self) -> list[int]:
        """Return the positions that more than one iteration wrote."""
        first = {}
        return sorted({at for iteration, at in self if first.setdefault(at, iteration) != iteration})

    def writers(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return for each element how many iterations wrote it."""
        counts = np.zeros(int(np.prod(shape)), int)
        for _, at in set(self):
            counts[at] += 1
        return counts.reshape(shape)


class _Noting:
    """An array, or a part of one, that notes what is written into it."""

    def __init__(self, values: np.ndarray, positions: np.ndarray, writes: Writes):
        self.values, self.positions, self.writes = values, positions, writes
        self.shape, self.ndim, self.size, self.dtype = values.shape, values.ndim, values.size, values.dtype

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)

    def __getitem__(self, index):
        found = self.values[index]
        return _Noting(found, self.positions[index], self.writes) if isinstance(found, np.ndarray) else found

    def __setitem__(self, index, value):
        self.values[index] = value
        self.writes.extend((self.writes.iteration, int(at)) for at in np.ravel(self.positions[index]))


def watch(kernel, *arrays: np.ndarray) -> Writes:
    """Run a kernel in plain Python and return what it wrote into its last array.

    Parameters
    ----------
    kernel : function, as numba returned it or plain
        It uses `prange` by that name.
    arrays : arrays
        Its arguments; the last is what it fills.

    Returns
    -------
    Writes
    """
    function, writes = getattr(kernel, "py_func", kernel), Writes()
    spied = FunctionType(
        function.__code__,
        {**function.__globals__, "prange": writes.prange},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    *inputs, filled = arrays
    spied(*inputs, _Noting(filled, np.arange(filled.size).reshape(filled.shape), writes))
    return writes
