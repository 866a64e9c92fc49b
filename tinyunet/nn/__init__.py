"""Layers and networks: `Module` and `Parameter`, the layers, and the UNet."""

from .layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    GroupNorm,
    MaxPool2d,
    ReLU,
    UpsampleBilinear2d,
    UpsampleConv2d,
    UpsampleNearest2d,
)
from .module import Module, Parameter, Sequential
from .summary import summarize
from .unet import UNet

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "GroupNorm",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "UNet",
    "UpsampleBilinear2d",
    "UpsampleConv2d",
    "UpsampleNearest2d",
    "summarize",
]
