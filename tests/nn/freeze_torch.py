"""Write PyTorch's losses over ten training steps of small UNets, so that the tests need no PyTorch.

Run from the root of the repository, with PyTorch installed:  python -m tests.nn.freeze_torch
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinyunet.nn import UNet

from . import torch_twin

FILE = Path(__file__).with_name("torch_losses.npz")
STEPS = 10


@dataclass(frozen=True)
class Run:
    """A network and the optimizer that trains it; both libraries name the optimizers' options alike."""

    up: str
    optimizer: str
    lr: float
    options: dict = field(default_factory=dict)
    norm: str | None = "batch"
    classes: int = 3

    def network(self) -> UNet:
        """Return the network in float64 with weights that are the same in every version of NumPy."""
        net = UNet(2, self.classes, 4, 2, up=self.up, norm=self.norm).astype(np.float64)
        rng = np.random.RandomState(0)
        for parameter in net.parameters():
            drawn = rng.standard_normal(parameter.shape)
            if parameter.ndim == 4:
                parameter.data[...] = drawn * np.sqrt(2 / np.prod(parameter.shape[1:]))
            else:
                parameter.data += 0.1 * drawn
        return net

    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        """Return images (2, 2, 8, 12) and labels (2, 8, 12) in which every class occurs."""
        rng = np.random.RandomState(1)
        return rng.standard_normal((2, 2, 8, 12)), rng.randint(0, max(self.classes, 2), (2, 8, 12))


OPTIMIZERS = {
    "adam": ("Adam", 1e-2, {"weight_decay": 1e-2}),
    "adamw": ("AdamW", 1e-2, {"weight_decay": 0.1}),
    "sgd": ("SGD", 1e-1, {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}),
}
RUNS = {f"{up}-{name}": Run(up, *o) for up in ("transposed", "article", "nearest") for name, o in OPTIMIZERS.items()}
RUNS["group-norm"] = Run("transposed", *OPTIMIZERS["adamw"], norm="group")
RUNS["one-class"] = Run("nearest", *OPTIMIZERS["adam"], norm=None, classes=1)


def by_torch(torch, run: Run) -> np.ndarray:
    """Return the loss before each of the steps and after the last, (STEPS + 1,)."""
    net = run.network()
    twin = torch_twin.unet(torch, 2, run.classes, 4, 2, up=run.up, norm=run.norm)
    torch_twin.load(torch, twin, net.state_dict())
    optimizer = getattr(torch.optim, run.optimizer)(twin.parameters(), lr=run.lr, **run.options)
    x, labels = map(torch.from_numpy, run.batch())
    losses = []
    for _ in range(STEPS + 1):
        loss = torch_twin.loss(torch, twin(x), labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.array(losses)


def main() -> None:
    """Write the file."""
    import torch

    np.savez_compressed(FILE, **{name: by_torch(torch, run) for name, run in RUNS.items()})
    print(f"wrote {FILE.name}: {len(RUNS)} runs, {FILE.stat().st_size / 1e3:.0f} kB, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
