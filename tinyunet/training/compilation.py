"""Compiling before the first step, on two cores where there are two.

numba compiles on one core, half a minute for the kernels of a UNet on a slow machine. So a second process compiles what
the step needs late, the loss and the convolutions whose windows do not overlap, and keeps it on disk as always; the
first process, when it gets there, finds it. Nothing depends on the second: what it has not done, the first does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np

from .. import functional as F
from ..autograd import Tensor
from ..nn import UNet
from .settings import LOSSES


def compile_kernels(arguments: dict, loss: str) -> None:
    """Take a step on tiny images, so that compilation has its own line and does not slow the first epoch.

    Parameters
    ----------
    arguments : dict
        Those of `UNet`.
    loss : str
        One of `training.settings.LOSSES`.
    """
    from ..ops.jit import announce_compilation  # imports numba, which `tinyunet train --help` can do without

    model, masks = UNet(**arguments), _masks(arguments)
    images = np.zeros((2, arguments["in_channels"], *masks.shape[1:]), np.float32)
    second = None
    with announce_compilation() as progress:
        F.relu(images)
        if progress.count and (os.cpu_count() or 1) > 1:  # the smallest kernel was not on disk, nor will the others be
            command = [sys.executable, "-m", __name__, json.dumps(arguments), loss]
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            second = subprocess.Popen(command, **quiet)
        try:
            LOSSES[loss](model(images), masks).backward()
        finally:
            if second:
                second.kill()
                second.wait()


def _masks(arguments: dict) -> np.ndarray:
    """Return two masks of the smallest size at which every level has more than one pixel."""
    side = 2 ** (arguments["depth"] + 1)
    return np.ones((2, side, side), np.int64)


def _compile_what_comes_late(arguments: dict, loss: str) -> None:
    model, masks = UNet(**arguments), _masks(arguments)
    base = arguments["base_channels"]

    def zeros(channels):
        return Tensor(np.zeros((2, channels, *masks.shape[1:]), np.float32), requires_grad=True)

    LOSSES[loss](zeros(arguments["classes"]), masks).backward()
    for layer, channels in ((model.decoder1, base), (model.up2, 2 * base)):
        y = layer(zeros(channels))
        y.backward(np.zeros_like(y.data))


if __name__ == "__main__":
    _compile_what_comes_late(json.loads(sys.argv[1]), sys.argv[2])
