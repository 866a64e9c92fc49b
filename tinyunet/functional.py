"""Every operation as a function on tensors: `from tinyunet import functional as F`.

Each is defined, with its formula, in the file it comes from: `help(F.conv2d)`, or open `ops/conv2d/op.py`.
"""

from .ops.avg_pool2d.op import avg_pool2d
from .ops.binary_cross_entropy.op import binary_cross_entropy
from .ops.concat import concat
from .ops.conv2d.op import conv2d
from .ops.conv_transpose2d.op import conv_transpose2d
from .ops.cross_entropy.op import cross_entropy
from .ops.dice.op import dice_loss
from .ops.dropout import dropout
from .ops.elementwise import exp, log
from .ops.losses import cross_entropy_dice
from .ops.max_pool2d.op import max_pool2d
from .ops.norm.op import batch_norm2d, group_norm
from .ops.pad import crop, pad
from .ops.relu.op import relu
from .ops.sigmoid.op import sigmoid
from .ops.softmax.op import log_softmax, softmax
from .ops.upsample_bilinear2d.op import upsample_bilinear2d
from .ops.upsample_conv2d.op import to_conv_transpose, upsample_conv2d
from .ops.upsample_nearest2d.op import upsample_nearest2d

__all__ = [
    "avg_pool2d",
    "batch_norm2d",
    "binary_cross_entropy",
    "concat",
    "conv2d",
    "conv_transpose2d",
    "crop",
    "cross_entropy",
    "cross_entropy_dice",
    "dice_loss",
    "dropout",
    "exp",
    "group_norm",
    "log",
    "log_softmax",
    "max_pool2d",
    "pad",
    "relu",
    "sigmoid",
    "softmax",
    "to_conv_transpose",
    "upsample_bilinear2d",
    "upsample_conv2d",
    "upsample_nearest2d",
]
