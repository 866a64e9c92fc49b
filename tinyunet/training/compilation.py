"""Compiling before the first step, on two cores where there are two.

numba compiles on one core, half a minute for the kernels of a UNet on a slow machine. So there are two halves: a block
of the network, and the loss with the convolutions whose windows do not overlap. A second process compiles the second
half and keeps it on disk as always; the first process, when it is done with the first half, finds it there. Nothing
depends on the second process: what it has not done, the first does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np

from .. import functional as F
from ..autograd import Tensor
from ..backend import announce_compilation
from ..nn import UNet
from .settings import LOSSES
from .supervision import supervise
from .trainer import Trainer


def compile_gpu_kernels(trainer: Trainer) -> None:
    """Take a step on the first batch and undo it: which kernels are compiled for a GPU depends on the sizes."""
    with announce_compilation(trainer.model.device):
        arrays, progress = trainer.state()
        arrays = {name: array.copy() for name, array in arrays.items()}
        trainer.step(*next(trainer.loader.epoch(0)))
        trainer.restore(arrays, progress)
        trainer.optimizer.zero_grad()


def compile_kernels(arguments: dict, loss: str) -> None:
    """Take a step on tiny images, so that compilation has its own line and does not slow the first epoch.

    Parameters
    ----------
    arguments : dict
        Those of `UNet`.
    loss : str
        One of `training.settings.LOSSES`.
    """
    model, masks = UNet(**arguments), _masks(arguments)
    images = np.zeros((2, arguments["in_channels"], *masks.shape[1:]), np.float32)
    second = None
    with announce_compilation("cpu") as progress:
        F.relu(images)
        if progress.count and (os.cpu_count() or 1) > 1:  # the smallest kernel was not on disk, nor will the others be
            command = [sys.executable, "-m", __name__, json.dumps(arguments), loss]
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            second = subprocess.Popen(command, **quiet)
        try:
            _forward_and_backward(lambda x: model.pool(model.encoder1(x)), images)
            supervise(LOSSES[loss], model(images), masks).backward()
        finally:
            if second:
                second.kill()
                second.wait()


def _masks(arguments: dict) -> np.ndarray:
    """Return two masks of the smallest size at which every level has more than one pixel."""
    side = 2 ** (arguments["depth"] + 1)
    return np.ones((2, side, side), np.int64)


def _forward_and_backward(layer, x: np.ndarray) -> None:
    y = layer(Tensor(x, requires_grad=True))
    y.backward(np.zeros_like(y.data))


def _compile_second_half(arguments: dict, loss: str) -> None:
    model, masks = UNet(**arguments), _masks(arguments)

    def zeros(channels):
        return np.zeros((2, channels, *masks.shape[1:]), np.float32)

    _forward_and_backward(model.decoder1, zeros(arguments["base_channels"]))
    LOSSES[loss](Tensor(zeros(arguments["classes"]), requires_grad=True), masks).backward()


if __name__ == "__main__":
    _compile_second_half(json.loads(sys.argv[1]), sys.argv[2])
