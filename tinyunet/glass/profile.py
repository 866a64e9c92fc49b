"""Where the time goes: `with tinyunet.profile():` times every operation, forward and backward, and prints a table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from .. import settings
from ..autograd import Op
from ..backend import device_of, load_cupy
from ..nn.module import watching
from ..observer import Observer, observing
from ..tensor import Tensor
from .cost import Cost, Direction, cost_of, name_of


@dataclass
class Row:
    """Equal calls of one operation: same layer, direction, rung and shape of the result.

    `ms`, `flops` and `nbytes` are sums over the calls. `flops` are those of the formula (see `cost_of`), None where it
    is not known; `nbytes` are those of the results: forward the output, backward the gradients.
    """

    op: str
    layer: str
    direction: Direction
    rung: str
    shape: tuple[int, ...]
    calls: int = 0
    ms: float = 0.0
    flops: int | None = 0
    nbytes: int = 0

    @property
    def gflops(self) -> float | None:
        """GFLOP/s by the formula; None where there is nothing to compute or it is not known."""
        return self.flops / self.ms / 1e6 if self.flops and self.ms else None


class Profile(Observer):
    """What `profile` measured. Printed, it is the table.

    Attributes
    ----------
    rows : list of Row
        The longest first.
    total_ms : float
        Time of the whole block.
    """

    def __init__(self, longest: int):
        self.longest, self.total_ms, self._inner_ms = longest, 0.0, 0.0
        self._rows: dict[tuple, Row] = {}
        self._seen: WeakKeyDictionary[Op, tuple[str, Cost | None]] = WeakKeyDictionary()

    @property
    def rows(self) -> list[Row]:
        return sorted(self._rows.values(), key=lambda row: -row.ms)

    def forward(self, op, tensors, options):
        x = next(t.data for t in tensors if t is not None)
        out, ms = self._timed(lambda: super(Profile, self).forward(op, tensors, options), x)
        layer, shapes = settings.current_layer(), [None if t is None else t.shape for t in tensors]
        known = {"needs_grad": op.needs_grad, "itemsize": out.dtype.itemsize}
        costs = [cost_of(name_of(op), shapes, options, direction=d, **known) for d in ("forward", "backward")]
        self._seen[op] = layer, costs[1]
        self._add(op, layer, "forward", out.data, ms, costs[0], out.data.nbytes)
        return out

    def backward(self, op, gy):
        gradients, ms = self._timed(lambda: super(Profile, self).backward(op, gy), gy)
        layer, cost = self._seen.get(op, ("", None))  # forward may have run before the block
        nbytes = sum(g.nbytes for g in gradients if g is not None)
        self._add(op, layer, "backward", gy, ms, cost, nbytes)
        return gradients

    def _timed(self, run, array):
        """Return what `run` returns and its milliseconds, without those of ops that it runs (a recomputed block)."""
        before, self._inner_ms = self._inner_ms, 0.0
        start = _now(array)
        result = run()
        ms = 1e3 * (_now(result.data if isinstance(result, Tensor) else array) - start)
        own, self._inner_ms = ms - self._inner_ms, before + ms
        return result, own

    def _add(self, op, layer, direction, array, ms, cost, nbytes) -> None:
        key = name_of(op), layer, direction, rung_of(op, array), array.shape
        row = self._rows.setdefault(key, Row(*key))
        row.calls, row.ms, row.nbytes = row.calls + 1, row.ms + ms, row.nbytes + nbytes
        row.flops = None if cost is None or row.flops is None else row.flops + cost.flops

    def __str__(self) -> str:
        lines = [("op", "layer", "pass", "rung", "shape", "calls", "ms", "GFLOP/s", "MiB")]
        rows = self.rows
        for row in rows[: self.longest]:
            shape = " x ".join(map(str, row.shape)) or "1"
            speed = "" if row.gflops is None else f"{row.gflops:.1f}"
            numbers = str(row.calls), f"{row.ms:.2f}", speed, f"{row.nbytes / 2**20:.2f}"
            lines.append((row.op, row.layer, row.direction, row.rung, shape, *numbers))
        widths = [max(len(line[k]) for line in lines) for k in range(9)]
        text = [
            "  ".join(c.ljust(w) if k < 5 else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths, strict=True)))
            for line in lines
        ]
        if rest := rows[self.longest :]:
            text.append(f"... and {len(rest)} rows more, together {sum(row.ms for row in rest):.2f} ms (all: .rows)")
        return "\n".join((*text, self._totals()))

    def _totals(self) -> str:
        ms = {d: sum(r.ms for r in self._rows.values() if r.direction == d) for d in ("forward", "backward")}
        inside, flops = sum(ms.values()), sum(row.flops or 0 for row in self._rows.values())
        calls, nbytes = (sum(getattr(row, name) for row in self._rows.values()) for name in ("calls", "nbytes"))
        outside = max(self.total_ms - inside, 0.0)
        share = 100 * outside / self.total_ms if self.total_ms else 0.0
        speed = f", {flops / inside / 1e6:.1f} GFLOP/s" if flops and inside else ""
        return (
            f"{calls} calls, {inside:.2f} ms{speed}, {nbytes / 2**20:.1f} MiB of results: forward {ms['forward']:.2f} "
            f"ms, backward {ms['backward']:.2f} ms; outside of operations {outside:.2f} ms ({share:.0f} %)"
        )


def _now(array) -> float:
    """Return the time at which everything behind `array` is computed."""
    if device_of(array) != "cpu":
        load_cupy().cuda.Device().synchronize()
    return time.perf_counter()


def rung_of(op: Op, array) -> str:
    """Name the implementation that computes an op on an array.

    Returns
    -------
    str
        "reference", "cpu" or "gpu"; of convolutions "cpu fast" and "gpu fast" or "cpu plain" and "gpu plain", which
        are the loops of the formula; "numpy" or "cupy" of an op that has no kernels of its own.
    """
    kernels = getattr(op, "kernels", None)
    if kernels is None:
        return "numpy" if device_of(array) == "cpu" else "cupy"
    rung = kernels.__name__.rpartition(".")[2]
    of_conv2d = getattr(kernels, "conv2d", kernels)  # the other two convolutions are made of conv2d's kernels
    if not hasattr(of_conv2d, "special_kernels"):
        return rung
    g = op.geometry
    if name_of(op) == "upsample_conv2d":
        g = g._replace(SH=1, SW=1)  # it convolves what has been enlarged
    return f"{rung} {'fast' if of_conv2d.special_kernels(array, g) else 'plain'}"


@contextmanager
def profile(longest: int = 25) -> Iterator[Profile]:
    """Time every operation that runs in the block, forward and backward, and print a table at its end.

        with tinyunet.profile() as p:
            loss = F.cross_entropy(model(x), target)
            loss.backward()

    Run the same once before: the first run of a kernel compiles it, which counts. On a GPU, where operations otherwise
    overlap with the Python that starts the next ones, each is waited for; the times of single operations are right,
    and their sum is longer than the block would take without. The optimizer is no operation; its time is outside.

    Parameters
    ----------
    longest : int
        Rows to print; all are in `p.rows`.

    Yields
    ------
    Profile
    """
    measured = Profile(longest)
    with observing(measured), watching(lambda *_: None):  # layers have names while somebody watches them
        start = time.perf_counter()
        yield measured
        measured.total_ms = 1e3 * (time.perf_counter() - start)
    print(measured)
