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
from ..backend import memory_of, owner_of
from ..data.sample import Dataset
from ..inference.tiles import forecast as segmenting
from ..nn import Parameter, UNet
from ..nn.recompute import Recompute
from ..nn.summary import readable_bytes
from ..ops.concat import Concat
from ..settings import use_kernels
from .supervision import supervise
from .trainer import Trainer

GAPS = 1.1
"""Main memory taken per byte in use: freed pieces are seldom as large as what is wanted next. Between 1.02 and 1.13 in
six runs of `train`, and 1.17 on average in the six networks of `tinyunet.bench.memory`, which returns freed memory. For
the pool that CuPy keeps on a GPU the same is assumed."""

SCRATCH = 20 * 2**20
"""Bytes that a convolution on a GPU takes at most for sums in parts, beside weights (`ops/conv2d/gpu_fast.py`)."""


def describe_memory(trainer: Trainer, validation: Dataset | None = None) -> str:
    """Return a line with the memory that training will take and what is free; beyond that, what to change."""
    device = trainer.model.device
    needed, memory = bytes_of_training(trainer, validation), memory_of(device)
    text = f"memory: training will take about {readable_bytes(needed)}"
    if memory is None:
        return text
    text += f"; {readable_bytes(memory[0])} are free on {device}"
    if needed > memory[0]:
        text += ". That is too little: lower batch_size (and raise accumulate), size or base_channels"
        text += "" if trainer.model.recompute else "; or choose recompute"
    return text


def bytes_of_training(trainer: Trainer, validation: Dataset | None = None) -> int:
    """Return the bytes that training takes at its peak.

    That is a step with the batches in waiting, or the segmentation of the largest validation image, whichever takes
    more; with either, weights and the optimizer's arrays. On a GPU it follows from shapes in the same way and has
    never been compared with one.

    Parameters
    ----------
    trainer : Trainer
        Left as it is.
    validation : Dataset, optional
        Its images, which are segmented whole. If they may differ in size, all of them are decoded here.
    """
    loader, arguments = trainer.loader, trainer.model.arguments
    on_cpu = trainer.model.device == "cpu"
    first = loader.dataset[0]
    H, W = loader.size or first.mask.shape
    count = min(loader.batch_size, len(loader.dataset))
    model = UNet(**arguments)
    model.recompute = trainer.model.recompute
    for own, theirs in zip(model.parameters(), trainer.model.parameters(), strict=True):
        own.requires_grad = theirs.requires_grad
    maps = 1 if loader.weights is None else 2
    part = min(count, -(-loader.batch_size // trainer.accumulate))
    with use_kernels("reference"):  # what backward needs does not depend on the kernels, and these need no compiling
        step = bytes_of_step(model, trainer.loss, (part, H, W), maps) + (0 if on_cpu else SCRATCH)
        trial, state = copy.copy(trainer.optimizer), {}
        trial.steps = 1
        trial.update(np.zeros(1, np.float32), np.zeros(1, np.float32), state, None)
    weights = sum(p.data.nbytes for p in model.parameters())
    moments = len(state) * sum(p.data.nbytes for p in model.parameters() if p.requires_grad)
    batch = count * H * W * (4 * arguments["in_channels"] + 8 + 4 * (maps - 1))  # images, masks, weights of pixels
    batches = loader.prefetch + 2 if on_cpu else 1  # in use, waiting, and being made
    seen = () if validation is None else range(len(validation) if loader.size else 1)  # whole images are of one size
    shapes = {validation[k].mask.shape for k in seen}
    validating = max((segmenting(model, *shape) for shape in shapes), default=0)
    memory = memory_of(trainer.model.device)
    if memory and validating >= memory[0]:
        validating = memory[0] // 2  # it is then cut into tiles, see `Segmenter.by_rows`
    return int((max(step + batches * batch, weights + validating) + moments) * GAPS)


def bytes_of_step(model: UNet, loss: Callable[..., Tensor], shape: tuple[int, int, int], maps: int = 1) -> float:
    """Return the bytes in use at the peak of a training step, without batch and optimizer.

        peak = weights + max over the ops of backward of (what it and all earlier ops keep + gradients under way
                                                         + gradients of weights so far + workspace of the op)

    A block that is recomputed has such a peak of its own in the place of its workspace.

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
    targets = [np.zeros((n, side, side), dtype) for dtype in (np.int64, np.float32)]
    result = supervise(loss, model(images), *targets[:maps])

    def size(shape: tuple[int, ...], itemsize: int = 4) -> float:
        return prod(shape) * itemsize * (grow if len(shape) > 1 and shape[0] == n else 1)

    weights = {id(p.data): p.data.nbytes for p in model.parameters()}
    return sum(weights.values()) + _peak(result, size, set(weights))


def _peak(result: Tensor, size: Callable[..., float], known: set[int]) -> float:
    """Return the bytes at the peak of backward from `result`, without the arrays whose ids are known."""
    ops = ops_behind(result.creator)
    kept, until = {}, {}  # by array: its bytes, and the first op that keeps it, after which backward lets it go
    for k, op in enumerate(ops):
        for array in op.saved:
            if array is not None and id(owner := owner_of(array)) not in known:
                kept.setdefault(id(owner), size(array.shape, array.itemsize))
                until.setdefault(id(owner), k)

    held, peak, under_way = sum(kept.values()), 0.0, {result.creator: 0.0}
    for k, op in reversed(list(enumerate(ops))):
        gy = under_way.pop(op)
        made: dict[Op | Tensor, float] = {}
        for parent, shape in zip(op.parents, op.shapes, strict=True):
            if parent is not None:
                made[parent] = parent.data.nbytes if isinstance(parent, Parameter) else size(shape)
        if isinstance(op, Recompute):
            again = op.again()[1]
            here = gy + _peak(again, size, known | {id(owner_of(array)) for array in op.saved})
        else:
            if isinstance(op, Concat):  # its gradients are views, so all of gy stays until the last of them is used
                made = dict.fromkeys(made, 0.0) | {min(made, key=lambda parent: getattr(parent, "number", -1)): gy}
                gy = 0.0
            weights = [count for parent, count in made.items() if isinstance(parent, Parameter)]
            workspace = 4.0 * max(weights, default=0)  # a convolution transforms them, and sums their gradient in parts
            here = gy + sum(made.values()) + workspace
        peak = max(peak, held + sum(under_way.values()) + here)
        held += sum(count for parent, count in made.items() if isinstance(parent, Tensor))
        under_way |= {parent: count for parent, count in made.items() if isinstance(parent, Op)}
        held -= sum(kept[key] for key, first in until.items() if first == k)
    return peak
