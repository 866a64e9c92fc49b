"""T4: times the fast convolutions and whole networks on a GPU, beside PyTorch where it is installed.

    python -m tests.gpu.verify --speed    # meant for under 8 minutes on an H100; writes docs/gpu_speed.json

Both libraries run at equal precision, float32 (PyTorch's TF32 is off) and TF32. Each number is the median of
rounds in which the sides alternate, by CUDA events. What is timed is validated first, where PyTorch is there to compute
layers in float64.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinyunet.bench import networks, pytorch
from tinyunet.bench.timing import OURS
from tinyunet.ops.conv2d import gpu as conv2d
from tinyunet.ops.shapes import ConvGeometry
from tinyunet.settings import matmul_precision

BASES, BATCH, SIZE, DEPTH, ROUNDS = (16, 32, 64), 8, 256, 4, 7
LARGEST_ERROR = {"float32": 1e-5, "tf32": 2e-3}  # in units of the largest result


class Layer(NamedTuple):
    """A convolution of C to O channels of SIZE x SIZE pixels: 3 x 3 with padding, or a window of K x K pixels."""

    C: int
    O: int
    size: int
    K: int = 3

    def geometry(self) -> ConvGeometry:
        """Return its sizes."""
        stride, padding = (1, 1) if self.K == 3 else (self.K, 0)
        shapes = (BATCH, self.C, self.size, self.size), (self.O, self.C, self.K, self.K)
        return ConvGeometry.of(*shapes, stride, padding)

    def flops(self) -> int:
        """Count multiplications and additions of each of its passes."""
        g = self.geometry()
        return 2 * g.N * g.O * g.OH * g.OW * g.C * g.KH * g.KW


def layers(base: int, size: int = SIZE, depth: int = DEPTH) -> list[Layer]:
    """Return the different convolutions of a UNet; an up-convolution as that whose gradient it is."""
    found = [Layer(1, base, size)]
    for level in range(depth + 1):
        C, s = base << level, size >> level
        found += [Layer(C // 2, C, s)] * (level > 0) + [Layer(C, C, s)]
        found += [Layer(2 * C, C, s), Layer(C, 2 * C, s, 2)] * (level < depth)
    return [*found, Layer(base, 2, size, 1)]


def milliseconds(cupy, sides: dict[str, Callable], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median time of each side; every round starts with the next one."""
    times, names = {name: [] for name in sides}, list(sides)
    for k in range(-2, rounds):  # the first two choose algorithms and fill memory pools
        for name in names[k % len(names) :] + names[: k % len(names)]:
            start, end = cupy.cuda.Event(), cupy.cuda.Event()
            start.record()
            sides[name]()
            end.record()
            end.synchronize()
            if k >= 0:
                times[name].append(cupy.cuda.get_elapsed_time(start, end))
    return {name: float(np.median(t)) for name, t in times.items()}


def validated(what: str, got, exact, largest_error: float) -> float:
    """Return the error of a result, a CuPy or NumPy array, where it is small enough."""
    got, exact = (a.get() if hasattr(a, "get") else np.asarray(a) for a in (got, exact))
    error = float(np.abs(got - exact).max() / np.abs(exact).max())
    if not error <= largest_error:
        raise ArithmeticError(f"{what}: error {error:.1e} is more than {largest_error:.0e}; so it is not timed")
    return error


def time_layer(cupy, torch, layer: Layer, precision: str) -> list[dict]:
    """Validate and time the three passes of a layer."""
    g, draw = layer.geometry(), np.random.default_rng(0).standard_normal
    shapes = (g.N, g.C, g.H, g.W), (g.O, g.C, g.KH, g.KW), (g.N, g.O, g.OH, g.OW)
    x, w, gy = (cupy.asarray(draw(shape, np.float32)) for shape in shapes)
    ours = {
        "y": lambda: conv2d.forward(x, w, None, g),
        "gx": lambda: conv2d.backward_input(gy, w, g),
        "gw": lambda: conv2d.backward_weight(gy, x, g),
    }
    theirs, exact = {}, {}
    if torch:

        def torch_passes(x, w, gy):
            def backward(*mask):
                sizes = [g.SH, g.SW], [g.PH, g.PW], [1, 1], False, [0, 0], 1
                return torch.ops.aten.convolution_backward(gy, x, w, None, *sizes, [*mask, False])

            return {
                "y": lambda: torch.conv2d(x, w, None, (g.SH, g.SW), (g.PH, g.PW)),
                "gx": lambda: backward(True, False)[0],
                "gw": lambda: backward(False, True)[1],
            }

        theirs = torch_passes(*(torch.from_dlpack(a) for a in (x, w, gy)))
        exact = torch_passes(*(torch.from_dlpack(a).double() for a in (x, w, gy)))
    rows = []
    for name, run in ours.items():
        what = f"{name} of {layer.K}x{layer.K} {layer.C}->{layer.O} at {layer.size}"
        row = {"what": what, "precision": precision, "GFLOP": layer.flops() / 1e9}
        if torch:
            row["error"] = validated(what, run(), exact[name]().cpu(), LARGEST_ERROR[precision])
        rows.append(row | {"ms": milliseconds(cupy, {OURS: run} | ({"PyTorch": theirs[name]} if torch else {}))})
    return rows


def time_network(cupy, torch, base: int, precision: str) -> list[dict]:
    """Time training steps and inference of a UNet, and note the most memory that each side held."""
    rows, case, pool = [], networks.Case(base, BATCH, SIZE, DEPTH), cupy.get_default_memory_pool()
    for task in (networks.TRAINING, networks.INFERENCE):
        sides, memory, first = {}, {}, {}
        for name in (OURS, *(pytorch.LAYOUTS if torch else ())):
            gc.collect()
            pool.free_all_blocks()
            if torch:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_reserved() if torch and name != OURS else pool.total_bytes()
            sides[name] = networks.side(task, name, case, torch, "cuda")
            result = sides[name]()[0]
            first[name] = (result.numpy() if name == OURS else result.detach().cpu().numpy()).astype(float)
            most = pool.total_bytes() if name == OURS else torch.cuda.max_memory_reserved()
            memory[name] = (most - before) / 2**20
        for name in list(first)[1:]:
            validated(f"{task}, base {base}", first[OURS], first[name], 10 * LARGEST_ERROR[precision])
        ms = milliseconds(cupy, sides)
        rows.append({"what": f"{task}, base {base}", "precision": precision, "ms": ms, "MiB": memory})
        del sides
    return rows


def measure(cupy, torch) -> list[dict]:
    """Time everything, printing each row."""
    rows = []
    for precision in LARGEST_ERROR:
        if torch:
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        with matmul_precision(precision):
            for base in BASES:
                for layer in (*layers(base), None):
                    timed = (time_layer, layer) if layer else (time_network, base)
                    new = timed[0](cupy, torch, timed[1], precision)
                    print(*map(line, new), sep="\n", flush=True)
                    rows += new
    return rows


def line(row: dict) -> str:
    """Return a row of the table: times, our rate, how many times PyTorch's time ours is, and memory."""
    ms = row["ms"]
    text = f"{row['what']:34}{row['precision']:9}" + "".join(f"{name} {t:.3f} ms  " for name, t in ms.items())
    if "GFLOP" in row:
        text += f"{row['GFLOP'] / ms[OURS]:.1f} TFLOP/s  "
    text += "".join(f"{ms[OURS] / t:.2f} x {name}  " for name, t in ms.items() if name != OURS)
    return text + "".join(f"{name} {m:.0f} MiB  " for name, m in row.get("MiB", {}).items())


def write(file, about: dict) -> None:
    """Measure, and write the rows to `file` with what is known `about` the machine."""
    import cupy

    torch = pytorch.find()
    torch = torch if torch and torch.cuda.is_available() else None
    about |= {"torch": torch.__version__ if torch else None}
    file.write_text(json.dumps(about | {"rows": measure(cupy, torch)}, indent=1) + "\n")
