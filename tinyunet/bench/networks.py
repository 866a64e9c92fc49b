"""Whole networks: a training step and an inference of UNets of several sizes, beside PyTorch's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .. import functional as F
from ..backend import announce_compilation, gpu_number, load_cupy, to_device
from ..nn import UNet
from ..optim import Adam
from ..settings import no_grad, use_kernels
from . import output, pytorch
from .timing import OURS, Side, summarize, time_in_turn, validate

TRAINING, INFERENCE = "training step", "inference"
RECOMPUTED = "tinyunet, recompute"  # a side whose blocks are recomputed in backward, for `memory`
WARM_UP = 3  # rounds before the clock on a GPU, where libraries choose their algorithms and fill their memory pools
TOLERANCE = 1e-4  # relative, of the loss and of the scores
TOLERANCE_OF_GRADIENTS = 3e-3  # they jump where the input of a rectifier or a maximum rounds to the other side


class Case(NamedTuple):
    """A UNet and a batch of random images of one channel; two classes, no normalisation."""

    base: int
    batch: int
    size: int
    depth: int = 3

    def __str__(self) -> str:
        return f"base {self.base}, {self.batch}x1x{self.size}x{self.size}"

    def model(self) -> UNet:
        """Build the network, always with the same weights."""
        return UNet(1, 2, self.base, self.depth, norm=None, seed=0)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return images (N, 1, H, W) and masks (N, H, W), always the same."""
        rng = np.random.default_rng(0)
        images = rng.standard_normal((self.batch, 1, self.size, self.size), dtype=np.float32)
        return images, rng.integers(0, 2, (self.batch, self.size, self.size))


CASES = (Case(16, 4, 128), Case(32, 4, 128), Case(64, 1, 256), Case(8, 8, 64))


def training_step(model: UNet, images: np.ndarray, masks: np.ndarray) -> Side:
    """Return a side that does one Adam step with cross-entropy and returns the loss and all gradients before it."""
    optimizer = Adam(model.parameters(), 1e-3)
    parameters = [parameter for _, parameter in sorted(model.named_parameters())]

    def step():
        loss = F.cross_entropy(model(images), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return [loss, *(parameter.grad for parameter in parameters)]

    return step


def inference(model: UNet, images: np.ndarray) -> Side:
    """Return a side that returns the scores of the images, without a graph."""
    model.eval()

    def infer():
        with no_grad():
            return [model(images)]

    return infer


def side(task: str, name: str, case: Case, torch=None, device: str = "cpu") -> Side:
    """Return one side of a task, with a network of its own; all start with the same weights and images."""
    model, (images, masks) = case.model(), case.data()
    if name in (OURS, RECOMPUTED):
        model.recompute = name == RECOMPUTED
        model, images, masks = model.to(device), to_device(images, device), to_device(masks, device)
        return training_step(model, images, masks) if task == TRAINING else inference(model, images)
    layout = pytorch.LAYOUTS[name]
    if task == TRAINING:
        return pytorch.training_step(torch, model, images, masks, layout, device)
    return pytorch.inference(torch, model, images, layout, device)


def side_names(torch) -> list[str]:
    """Return the names of the sides that can be measured."""
    return [OURS, *(pytorch.LAYOUTS if torch else ())]


def measure(cases: Iterable[Case], rounds: int, torch, device: str = "cpu") -> list[dict]:
    """Validate and time the tasks of every case.

    Parameters
    ----------
    cases : iterable of Case
    rounds : int
        How often each side runs.
    torch : module or None
        PyTorch, if it is to be compared with.
    device : "cpu", "cuda" or "cuda:1", ...
        Of every side; the reference is computed on the CPU.

    Returns
    -------
    list of dict
        "case", "task", "error" (side -> relative error) and what `timing.summarize` returns.

    Raises
    ------
    WrongResult
        If the loss, a gradient or the scores of a side differ from the reference's.
    """
    rows = []
    on_gpu = device != "cpu"
    finish = load_cupy().cuda.Device(gpu_number(device)).synchronize if on_gpu else (lambda: None)
    for case in output.progress(cases):
        for task in (TRAINING, INFERENCE):
            with use_kernels("reference"):
                expected = side(task, OURS, case)()
            sides = {name: side(task, name, case, torch, device) for name in side_names(torch)}
            with announce_compilation(device):
                tolerances = [TOLERANCE] + [TOLERANCE_OF_GRADIENTS] * (len(expected) - 1)
                errors = validate(f"{task}, {case}", sides, expected, tolerances)
            time_in_turn(sides, WARM_UP if on_gpu else 0, finish)
            seconds = time_in_turn(sides, rounds, finish)
            rows.append({"case": str(case), "task": task, "error": errors} | summarize(seconds))
    return rows


def table(rows: list[dict]) -> str:
    """Return the rows as text: milliseconds of each side, and the ratios with their quartiles."""
    names = list(rows[0]["ms"])
    header = ["network", "task", *(f"{name} ms" for name in names), *(f"ratio to {name}" for name in names[1:])]
    lines = []
    for row in rows:
        cells = [row["case"], row["task"], *(f"{row['ms'][name]:.1f}" for name in names)]
        for name in names[1:]:
            low, high = row["ratio_quartiles"][name]
            cells.append(f"{row['ratio'][name]:.2f} ({low:.2f}-{high:.2f})")
        lines.append(cells)
    return output.text_table(header, lines)


def figure(rows: list[dict]):
    """Draw our time in units of each other side's, a panel per task; without others, our time."""
    compared = bool(rows[0]["ratio"])
    panels: dict[str, dict] = {TRAINING: {}, INFERENCE: {}}
    for row in rows:
        panels[row["task"]][row["case"]] = row["ratio" if compared else "ms"]
    if compared:
        return output.grouped_bars(panels, "tinyunet's time / that of ... (below 1: tinyunet is faster)", [1, 1])
    return output.grouped_bars(panels, "ms")
