"""What a training step says when it fails: where numbers ceased to be finite, and what takes less memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from ..autograd import NonFiniteError
from ..backend import memory_of
from ..nn import UNet
from ..settings import debug


def explain_loss(loss: float, step: int, model: UNet, forward: Callable, parts: Sequence[tuple]) -> None:
    """Run the parts of a batch again with every operation watched, and raise the error that names the first bad one.

    Raises
    ------
    NonFiniteError
        Always.
    """
    what = f"the loss became {loss} in step {step}"
    advice = "lower the learning rate, clip gradients (clip_norm=1.0), or check the images"
    bad = [name for name, p in model.named_parameters() if not np.isfinite(p.numpy()).all()]
    if bad:
        what += f": {bad[0]} is not finite any more, as a gradient of an earlier step was not"
    try:
        with debug(2):
            for part in parts:
                forward(*part)
    except NonFiniteError as error:
        raise NonFiniteError(f"{what}: {error}; {advice}") from None
    raise NonFiniteError(f"{what}; {advice}")


@contextmanager
def advising_on_memory(model: UNet, shape: tuple[int, ...]) -> Iterator[None]:
    """Let a MemoryError in the block say how much was free, and what to lower; `shape` is the images' (N, C, H, W)."""
    try:
        yield
    except MemoryError as error:
        device, (N, _, H, W) = model.device, shape
        memory = memory_of(device)
        free = f"; of {memory[1] / 2**30:.1f} GiB on {device!r} {memory[0] / 2**30:.1f} are free" if memory else ""
        raise MemoryError(
            f"{error}{free}. This step takes {N} images of {H} x {W} through a network with base_channels="
            f"{model.arguments['base_channels']}: lower one of batch_size, size and base_channels"
        ) from error
