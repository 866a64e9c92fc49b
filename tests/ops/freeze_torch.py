"""Write PyTorch's results and gradients for every case of the table, so that the tests need no PyTorch.

Run from the root of the repository, with PyTorch installed:  python -m tests.ops.freeze_torch
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .cases import CASES
from .makers import Case, upstream

FILE = Path(__file__).with_name("torch_numbers.npz")


def by_torch(torch, case: Case) -> list[np.ndarray]:
    """Return PyTorch's result for a case, then the gradient of each input, in float64."""
    tensors = [torch.tensor(x, requires_grad=True) for x in case.arrays()]
    y = case.torch(torch, *tensors)
    y.backward(torch.from_numpy(upstream(tuple(y.shape))))
    return [y.detach().numpy(), *(t.grad.numpy() for t in tensors)]


def main() -> None:
    """Write the file."""
    import torch

    np.savez_compressed(
        FILE, **{f"{name}/{k}": a for name, case in CASES.items() for k, a in enumerate(by_torch(torch, case))}
    )
    print(f"wrote {FILE.name}: {len(CASES)} cases, {FILE.stat().st_size / 1e3:.0f} kB, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
