"""Write what PyTorch's optimizers and gradient clipping do, so that the tests need no PyTorch.

Run from the root of the repository, with PyTorch installed:  python -m tests.optim.freeze_torch
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("torch_steps.npz")
SHAPES = [(3, 4), (5,), (2, 1, 2, 2)]
LEARNING_RATES = [0.1, 0.1, 0.05, 0.2, 0.01, 0.1]  # of each step, as a schedule would change it

# Name of the case: class, options; both libraries name them alike.
CASES = {
    "sgd": ("SGD", {}),
    "sgd decay": ("SGD", {"weight_decay": 0.1}),
    "sgd momentum": ("SGD", {"momentum": 0.9}),
    "sgd momentum decay": ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    "sgd nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "sgd nesterov decay": ("SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    "adam": ("Adam", {}),
    "adam betas": ("Adam", {"betas": (0.5, 0.9)}),
    "adam without memory": ("Adam", {"betas": (0.0, 0.0)}),
    "adam eps": ("Adam", {"eps": 0.1}),
    "adam decay": ("Adam", {"weight_decay": 0.1}),
    "adamw default": ("AdamW", {}),
    "adamw decay": ("AdamW", {"weight_decay": 0.5, "betas": (0.8, 0.95)}),
    "adamw without decay": ("AdamW", {"weight_decay": 0.0}),
}
MAX_NORMS = [0.5, 3.0, 1e3]


def start() -> list[np.ndarray]:
    """Return the weights to start from."""
    rng = np.random.RandomState(0)
    return [rng.standard_normal(shape) for shape in SHAPES]


def gradients() -> list[list[np.ndarray]]:
    """Return the gradients of each step: of very different size, and exactly 0 in one row."""
    rng = np.random.RandomState(1)
    steps = [[rng.standard_normal(shape) * 10 ** rng.uniform(-3, 1, shape) for shape in SHAPES] for _ in LEARNING_RATES]
    for step in steps:
        step[0][0] = 0
    return steps


def flat(arrays) -> np.ndarray:
    """Return all values in one row."""
    return np.concatenate([np.ravel(a) for a in arrays])


def by_torch(torch, name: str) -> np.ndarray:
    """Return all weights after each step, (steps, values)."""
    kind, options = CASES[name]
    weights = [torch.tensor(w, requires_grad=True) for w in start()]
    optimizer = getattr(torch.optim, kind)(weights, lr=1.0, **options)
    path = []
    for lr, step in zip(LEARNING_RATES, gradients(), strict=True):
        optimizer.param_groups[0]["lr"] = lr
        for weight, gradient in zip(weights, step, strict=True):
            weight.grad = torch.tensor(gradient)
        optimizer.step()
        path.append(flat(w.detach().numpy() for w in weights))
    return np.array(path)


def clipped_by_torch(torch, max_norm: float) -> np.ndarray:
    """Return the length of the gradients of the first step, then these after clipping."""
    weights = [torch.tensor(w, requires_grad=True) for w in start()]
    for weight, gradient in zip(weights, gradients()[0], strict=True):
        weight.grad = torch.tensor(gradient)
    norm = torch.nn.utils.clip_grad_norm_(weights, max_norm)
    return np.append(norm.item(), flat(w.grad.numpy() for w in weights))


def all_by_torch(torch) -> dict[str, np.ndarray]:
    """Return everything that is frozen."""
    clipped = {f"clip {max_norm}": clipped_by_torch(torch, max_norm) for max_norm in MAX_NORMS}
    return {name: by_torch(torch, name) for name in CASES} | clipped


def main() -> None:
    """Write the file."""
    import torch

    np.savez_compressed(FILE, **all_by_torch(torch))
    print(f"wrote {FILE.name}: {len(CASES)} cases, {FILE.stat().st_size / 1e3:.0f} kB, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
