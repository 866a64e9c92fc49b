"""How fast is a training step, beside PyTorch's on the same machine? `python -m tinyunet.bench`.

Validates first (both sides must compute the same loss from the same weights), then times the two in turn, so that a
machine whose speed drifts is unfair to both alike. Quote the ratio; a single time says little on a shared machine.
PyTorch is optional and compared only where it is installed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from . import functional as F
from .nn import UNet
from .optim import Adam


def training_step(model: UNet, images: np.ndarray, masks: np.ndarray) -> Callable[[], float]:
    """Return a function that does one Adam step with cross-entropy and returns the loss before it."""
    optimizer = Adam(model.parameters(), 1e-3)

    def step() -> float:
        loss = F.cross_entropy(model(images), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def torch_training_step(model: UNet, images: np.ndarray, masks: np.ndarray) -> Callable[[], float]:
    """Return the same step for a PyTorch twin of `model` (up="transposed", padding="same") with the same weights."""
    import torch

    twin = _torch_twin(model)
    twin.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in model.state_dict().items()})
    optimizer = torch.optim.Adam(twin.parameters(), 1e-3)
    x, t = torch.from_numpy(images), torch.from_numpy(masks)

    def step() -> float:
        loss = torch.nn.functional.cross_entropy(twin(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _torch_twin(model: UNet):
    import torch
    from torch import nn

    class Twin(nn.Module):
        def __init__(self, arguments):
            super().__init__()
            self.depth, base = arguments["depth"], arguments["base_channels"]
            width = [base * 2**k for k in range(self.depth + 1)]
            self.pool = nn.MaxPool2d(2)
            for level in range(1, self.depth + 2):
                into = arguments["in_channels"] if level == 1 else width[level - 2]
                self.add_module(f"encoder{level}", self.block(into, width[level - 1], arguments["norm"]))
            for level in range(self.depth + 1, 1, -1):
                deep, wide = width[level - 1], width[level - 2]
                self.add_module(f"up{level}", nn.ConvTranspose2d(deep, wide, 2, 2))
                self.add_module(f"decoder{level}", self.block(2 * wide, wide, arguments["norm"]))
            self.decoder1 = nn.Conv2d(base, arguments["classes"], 1)

        def block(self, into, out, norm):
            layers = []
            for channels in (into, out):
                layers.append(nn.Conv2d(channels, out, 3, padding=1, bias=norm is None))
                layers += [nn.BatchNorm2d(out)] if norm == "batch" else []
                layers.append(nn.ReLU())
            return nn.Sequential(*layers)

        def forward(self, x):
            skips = []
            for level in range(1, self.depth + 1):
                x = getattr(self, f"encoder{level}")(x)
                skips.append(x)
                x = self.pool(x)
            x = getattr(self, f"encoder{self.depth + 1}")(x)
            for level in range(self.depth + 1, 1, -1):
                x = torch.cat([getattr(self, f"up{level}")(x), skips.pop()], dim=1)
                x = getattr(self, f"decoder{level}")(x)
            return self.decoder1(x)

    return Twin(model.arguments)


def compare(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Run every side in turn, `rounds` times, and return the median seconds of each.

    Raises
    ------
    AssertionError
        If the first losses, from the same weights, differ: what computes something else is not worth timing.
    """
    losses = {name: side() for name, side in sides.items()}
    first, *others = losses.values()
    if any(abs(other - first) > 1e-4 * abs(first) for other in others):
        raise AssertionError(f"the sides do not compute the same loss: {losses}")
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    """Print the time of a training step of a UNet, and its ratio to PyTorch's where that is installed."""
    parser = argparse.ArgumentParser(
        prog="python -m tinyunet.bench", formatter_class=argparse.ArgumentDefaultsHelpFormatter, description=__doc__
    )
    parser.add_argument("--base-channels", type=int, default=16)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--norm", choices=("batch", "none"), default="none")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2, help="of both sides")
    options = parser.parse_args()

    import numba

    numba.set_num_threads(min(options.threads, numba.config.NUMBA_NUM_THREADS))
    rng = np.random.default_rng(0)
    images = rng.standard_normal((options.batch, 1, options.size, options.size), dtype=np.float32)
    masks = rng.integers(0, 2, (options.batch, options.size, options.size))
    norm = None if options.norm == "none" else options.norm
    model = UNet(1, 2, options.base_channels, options.depth, norm=norm)
    sides = {}
    try:
        import torch

        torch.set_num_threads(options.threads)
        sides["PyTorch"] = torch_training_step(model, images, masks)
    except ModuleNotFoundError:
        print("PyTorch is not installed: times of tinyunet alone")
    sides = {"tinyunet": training_step(model, images, masks)} | sides
    medians = compare(sides, options.rounds)
    shape = f"{options.batch} x 1 x {options.size} x {options.size}"
    print(f"training step, UNet base {options.base_channels}, depth {options.depth}, {shape}, norm {options.norm}:")
    for name, value in medians.items():
        print(f"  {name:10} {value * 1e3:8.1f} ms")
    if "PyTorch" in medians:
        print(f"  tinyunet / PyTorch = {medians['tinyunet'] / medians['PyTorch']:.2f}")


if __name__ == "__main__":
    main()
