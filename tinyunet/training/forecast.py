"""How much memory training will take, told before the first step, from the graph of a step on tiny images.

What the operations keep for backward grows with the images, and so do the gradients that pass between them; weights,
their gradients and the optimizer's moments do not. Backward goes through the graph in its order, which says when each
of them comes and goes, and the moment at which most is held is the peak.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import prod

import numpy as np

from ..autograd import Op, Tensor, ops_behind
from ..backend import memory_of
from ..nn import UNet
from ..nn.summary import readable_bytes
from ..ops.concat import Concat
from ..settings import use_kernels
from .trainer import Trainer

GAPS = 1.1
"""Main memory taken per byte in use: freed pieces are seldom as large as what is wanted next. Between 1.02 and 1.13 in
six runs of `train`, and 1.17 on average in the six networks of `tinyunet.bench.memory`, which returns freed memory."""


def describe_memory(trainer: Trainer) -> str:
    """Return a line with the memory that training will take and what is free; beyond that, what to change."""
    device = trainer.model.device
    needed, memory = bytes_of_training(trainer), memory_of(device)
    text = f"memory: training will take about {readable_bytes(needed)}"
    if memory is None:
        return text
    text += f"; {readable_bytes(memory[0])} are free on {device}"
    if needed > memory[0]:
        text += ". That is too little: lower batch_size (and raise accumulate), size or base_channels"
    return text


def bytes_of_training(trainer: Trainer) -> int:
    """Return the bytes that training takes at its peak: a step, the optimizer's arrays, and batches in waiting."""
    loader, arguments = trainer.loader, trainer.model.arguments
    first = loader.dataset[0]
    H, W = loader.size or first.mask.shape
    count = min(loader.batch_size, len(loader.dataset))
    model = UNet(**arguments)
    for own, theirs in zip(model.parameters(), trainer.model.parameters(), strict=True):
        own.requires_grad = theirs.requires_grad
    maps = 1 if loader.weights is None else 2
    part = min(count, -(-loader.batch_size // trainer.accumulate))
    with use_kernels("reference"):  # what backward needs does not depend on the kernels, and these need no compiling
        step = bytes_of_step(model, trainer.loss, (part, H, W), maps)
        trial, state = copy.copy(trainer.optimizer), {}
        trial.steps = 1
        trial.update(np.zeros(1, np.float32), np.zeros(1, np.float32), state, None)
    moments = len(state) * sum(p.data.nbytes for p in model.parameters() if p.requires_grad)
    batch = count * H * W * (4 * arguments["in_channels"] + 8 + 4 * (maps - 1))  # images, masks, weights of pixels
    batches = 1 if trainer.model.device != "cpu" else loader.prefetch + 2  # in use, waiting, and being made
    return int((step + moments + batches * batch) * (GAPS if trainer.model.device == "cpu" else 1))


def bytes_of_step(model: UNet, loss: Callable[..., Tensor], shape: tuple[int, int, int], maps: int = 1) -> float:
    """Return the bytes in use at the peak of a training step, without batch and optimizer.

        peak = weights + max over the ops of backward of (what it and all earlier ops keep + gradients under way
                                                         + gradients of weights so far + workspace of the op)

    Parameters
    ----------
    model : UNet
        In main memory. It sees tiny images, which changes its running statistics.
    loss : callable
        As in `Trainer`.
    shape : (N, H, W)
        Of the images.
    maps : int
        1, or 2 if the loss takes pixel weights beside the masks.
    """
    n, side = 3, model.next_size(2 ** (model.arguments["depth"] + 1))
    N, H, W = shape
    grow = N * model.next_size(H) * model.next_size(W) / (n * side**2)
    images = np.zeros((n, model.arguments["in_channels"], side, side), np.float32)
    logits = model(images)
    targets = [np.zeros((n, *logits.shape[2:]), dtype) for dtype in (np.int64, np.float32)]
    ops = ops_behind(loss(logits, *targets[:maps]).creator)

    def size(shape: tuple[int, ...], itemsize: int = 4) -> float:
        return prod(shape) * itemsize * (grow if len(shape) > 1 and shape[0] == n else 1)

    weights = {id(p.data): p.data.nbytes for p in model.parameters()}
    kept, until = {}, {}  # by array: its bytes, and the first op that keeps it, after which backward lets it go
    for k, op in enumerate(ops):
        for array in op.saved:
            if array is not None and id(owner := _owner(array)) not in weights:
                kept.setdefault(id(owner), size(array.shape, array.itemsize))
                until.setdefault(id(owner), k)

    held, peak, under_way = sum(kept.values()), 0.0, {ops[-1]: 4.0}
    for k, op in reversed(list(enumerate(ops))):
        gy = under_way.pop(op)
        made: dict[Op | Tensor, float] = {}
        for parent, shape in zip(op.parents, op.shapes, strict=True):
            if parent is not None:
                made[parent] = size(shape) if isinstance(parent, Op) else parent.data.nbytes
        if isinstance(op, Concat):  # its gradients are views, so that all of gy stays until the last of them is used
            made = dict.fromkeys(made, 0.0) | {min(made, key=lambda parent: parent.number): gy}
            gy = 0.0
        own = [parent.data.nbytes for parent in made if isinstance(parent, Tensor)]
        workspace = 4.0 * max(own, default=0)  # a convolution transforms its weights, and sums their gradient in parts
        peak = max(peak, held + sum(under_way.values()) + gy + sum(made.values()) + workspace)
        held += sum(own)
        under_way |= {parent: count for parent, count in made.items() if isinstance(parent, Op)}
        held -= sum(kept[key] for key, first in until.items() if first == k)
    return sum(weights.values()) + peak


def _owner(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
