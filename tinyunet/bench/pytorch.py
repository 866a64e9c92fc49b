"""The other side: the same networks and steps in PyTorch. Everything here takes the module torch as an argument.

PyTorch runs as its users run it: eager, `torch.optim.Adam` with its defaults, and both memory layouts of images
("channels_last" stores the channels of a pixel side by side, which its convolutions often prefer). On a GPU it computes
in float32 as we do (its convolutions take TF32 by default), and its convolution library may try all that it has.
"""

from __future__ import annotations

import numpy as np

from ..nn import UNet
from ..ops import jit  # noqa: F401  sets how long waiting OpenMP threads spin, for both libraries: first
from .timing import Side

LAYOUTS = {"PyTorch": "contiguous_format", "PyTorch channels_last": "channels_last"}
"""Name of the side -> memory layout of images and weights."""


def find(device: str = "cpu"):
    """Return the module torch, or None where PyTorch is not installed or cannot compute on the device."""
    try:
        import torch
    except ModuleNotFoundError:
        return None
    if device != "cpu":
        if not torch.cuda.is_available():
            return None
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.benchmark = True
    return torch


def twin(torch, model: UNet, layout: str):
    """Return `model` (up="transposed", padding="same", norm=None) in PyTorch, with the same weights.

    Parameters
    ----------
    torch : module
    model : UNet
    layout : "contiguous_format" or "channels_last"
        Memory layout of the weights.
    """
    nn = torch.nn

    def block(C, O):
        return nn.Sequential(nn.Conv2d(C, O, 3, padding=1), nn.ReLU(), nn.Conv2d(O, O, 3, padding=1), nn.ReLU())

    class Twin(nn.Module):
        def __init__(self, in_channels, classes, base_channels, depth):
            super().__init__()
            self.depth, C, O = depth, in_channels, base_channels
            for level in range(1, depth + 2):
                self.add_module(f"encoder{level}", block(C, O))
                C, O = O, 2 * O
            for level in range(depth + 1, 1, -1):
                self.add_module(f"up{level}", nn.ConvTranspose2d(C, C // 2, 2, stride=2))
                self.add_module(f"decoder{level}", block(C, C // 2))
                C //= 2
            self.decoder1 = nn.Conv2d(C, classes, 1)

        def forward(self, x):
            skips = []
            for level in range(1, self.depth + 1):
                skips.append(self.get_submodule(f"encoder{level}")(x))
                x = nn.functional.max_pool2d(skips[-1], 2)
            x = self.get_submodule(f"encoder{self.depth + 1}")(x)
            for level in range(self.depth + 1, 1, -1):
                x = torch.cat([self.get_submodule(f"up{level}")(x), skips.pop()], 1)
                x = self.get_submodule(f"decoder{level}")(x)
            return self.decoder1(x)

    sizes = (model.arguments[name] for name in ("in_channels", "classes", "base_channels", "depth"))
    other = Twin(*sizes)
    other.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in model.state_dict().items()})
    return other.to(memory_format=getattr(torch, layout))


def training_step(torch, model: UNet, images: np.ndarray, masks: np.ndarray, layout: str, device: str = "cpu") -> Side:
    """Return `networks.training_step` of the twin of `model`."""
    other = twin(torch, model, layout).to(device)
    optimizer = torch.optim.Adam(other.parameters(), 1e-3)
    x, t = torch.from_numpy(images).to(device, memory_format=getattr(torch, layout)), torch.from_numpy(masks).to(device)
    names = sorted(dict(other.named_parameters()))

    def step():
        loss = torch.nn.functional.cross_entropy(other(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return [loss, *(other.get_parameter(name).grad for name in names)]

    return step


def inference(torch, model: UNet, images: np.ndarray, layout: str, device: str = "cpu") -> Side:
    """Return `networks.inference` of the twin of `model`."""
    other = twin(torch, model, layout).to(device).eval()
    x = torch.from_numpy(images).to(device, memory_format=getattr(torch, layout))

    def infer():
        with torch.inference_mode():
            return [other(x)]

    return infer


def dice_loss(torch, z, target):
    """Return `F.dice_loss` with its defaults, of two or more classes that all occur."""
    p = z.softmax(1)[:, 1:]
    y = torch.nn.functional.one_hot(target, z.shape[1]).movedim(-1, 1)[:, 1:]
    axes = (0, 2, 3)
    return (1 - (2 * (p * y).sum(axes) + 1) / (p.sum(axes) + y.sum(axes) + 1)).mean()
