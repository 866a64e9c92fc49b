"""Every error that the docstrings of the operations promise: its type, and the words that tell how to mend the call."""

from __future__ import annotations

import numpy as np
import pytest

from tinyunet import ShapeError, Tensor, debug, use_kernels
from tinyunet import functional as F
from tinyunet.backend import device_of
from tinyunet.ops.shapes import pair


def zeros(*shape, dtype=np.float64):
    return np.zeros(shape, dtype)


def batch_norm2d(x, weight=3, bias=3, running=3, training=True):
    state = {"running_mean": zeros(running), "running_var": zeros(running)}
    return F.batch_norm2d(x, zeros(weight), zeros(bias), training=training, **state)


X, W = zeros(2, 3, 5, 6), zeros(4, 3, 3, 2)  # images with 3 channels; a kernel for them, 3 -> 4
LABELS = zeros(2, 5, 6, dtype=int)
ONE = zeros(2, 1, 5, 6)

# Operations on images: a call on x, with everything else right for X.
ON_IMAGES = {
    "conv2d": lambda x: F.conv2d(x, W),
    "conv_transpose2d": lambda x: F.conv_transpose2d(x, zeros(3, 4, 2, 2)),
    "upsample_conv2d": lambda x: F.upsample_conv2d(x, W),
    "upsample_nearest2d": F.upsample_nearest2d,
    "upsample_bilinear2d": F.upsample_bilinear2d,
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
    "batch_norm2d": batch_norm2d,
    "group_norm": lambda x: F.group_norm(x, zeros(3), zeros(3), groups=1),
    "pad": lambda x: F.pad(x, (1, 1, 1, 1)),
    "crop": lambda x: F.crop(x, (1, 1, 1, 1)),
    "cross_entropy": lambda x: F.cross_entropy(x, LABELS),
    "binary_cross_entropy": lambda x: F.binary_cross_entropy(x, LABELS),
    "dice_loss": lambda x: F.dice_loss(x, LABELS),
    "cross_entropy_dice": lambda x: F.cross_entropy_dice(x, LABELS),
}

NOT_IMAGES = [
    (
        zeros(5, 6),
        r"must have 4 axes \(N, C, H, W\), got shape \(5, 6\); for one grey image \(H, W\) use x\[None, None\]",
    ),
    (zeros(3, 5, 6), r"got shape \(3, 5, 6\); for one image \(C, H, W\) use x\[None\]"),
    (zeros(5), r"got shape \(5,\); arrange the axes as image, channel, row, column"),
    (zeros(1, 2, 3, 5, 6), r"got shape \(1, 2, 3, 5, 6\); arrange the axes"),
    (zeros(0, 3, 5, 6), r"must not be empty, got shape \(0, 3, 5, 6\)"),
]


@pytest.mark.parametrize("call", ON_IMAGES.values(), ids=ON_IMAGES)
@pytest.mark.parametrize(("x", "text"), NOT_IMAGES, ids=lambda x: str(getattr(x, "shape", "")))
def test_what_is_not_a_batch_of_images(call, x, text):
    with pytest.raises(ShapeError, match=text):
        call(x)


ERRORS = {
    # conv2d
    "kernel with 3 axes": (lambda: F.conv2d(X, W[0]), ShapeError, r"w must have 4 axes .* got shape \(3, 3, 2\)"),
    "channels": (
        lambda: F.conv2d(zeros(2, 1, 5, 6), W),
        ShapeError,
        r"weight \(4, 3, 3, 2\) is made for 3 input channels, but x \(2, 1, 5, 6\) has 1; .* in_channels=1",
    ),
    "kernel above image": (
        lambda: F.conv2d(zeros(2, 3, 2, 6), W),
        ShapeError,
        r"kernel 3 x 2 is larger than the image 2 x 6 with padding 0, 0; use a larger image",
    ),
    "bias size": (
        lambda: F.conv2d(X, W, zeros(3)),
        ShapeError,
        r"one value per output channel, \(4,\), got shape \(3,\)",
    ),
    "stride 0": (lambda: F.conv2d(X, W, stride=0), ShapeError, r"stride must be an int .* at least 1, got 0"),
    "stride of three": (lambda: F.conv2d(X, W, stride=(1, 2, 3)), ShapeError, r"pair of ints.* got \(1, 2, 3\)"),
    "stride 1.5": (lambda: F.conv2d(X, W, stride=1.5), ShapeError, r"stride must be an int .* got 1\.5"),
    "negative padding": (lambda: F.conv2d(X, W, padding=(0, -1)), ShapeError, r"padding .* at least 0, got \(0, -1\)"),
    "padding by name": (lambda: F.conv2d(X, W, padding="same"), ShapeError, r"padding must be an int .* got 'same'"),
    "mixed dtypes": (
        lambda: F.conv2d(X, W.astype(np.float32)),
        TypeError,
        r"Conv2d needs all its inputs with the same dtype, got float64, float32; convert",
    ),
    "mixed dtype of the bias": (lambda: F.conv2d(X, W, zeros(4, dtype=np.float32)), TypeError, "same dtype"),
    "integer images": (lambda: F.conv2d(X.astype(int), W), TypeError, r"float32 or float64, got int64; convert first"),
    # conv_transpose2d
    "transposed kernel with 3 axes": (lambda: F.conv_transpose2d(X, W[0]), ShapeError, "w must have 4 axes"),
    "transposed channels": (
        lambda: F.conv_transpose2d(X, W),
        ShapeError,
        r"weight \(4, 3, 3, 2\) is made for 4 input channels, but x \(2, 3, 5, 6\) has 3",
    ),
    "transposed bias size": (
        lambda: F.conv_transpose2d(X, zeros(3, 4, 2, 2), zeros(3)),
        ShapeError,
        r"one value per output channel, \(4,\), got shape \(3,\)",
    ),
    "output_padding": (
        lambda: F.conv_transpose2d(X, zeros(3, 4, 2, 2), stride=2, output_padding=(0, 2)),
        ShapeError,
        "output_padding 0, 2 must be smaller than the stride 2, 2",
    ),
    "transposed padding": (
        lambda: F.conv_transpose2d(X, zeros(3, 4, 1, 1), padding=3),
        ShapeError,
        "padding 3, 3 leaves an output of -1 x 0; use less padding",
    ),
    # upsample_conv2d, to_conv_transpose, upsample_nearest2d
    "up kernel with 3 axes": (lambda: F.upsample_conv2d(X, W[0]), ShapeError, "w must have 4 axes"),
    "up channels": (lambda: F.upsample_conv2d(ONE, W), ShapeError, r"made for 3 input channels, but x .* has 1"),
    "up bias size": (lambda: F.upsample_conv2d(X, W, zeros(3)), ShapeError, "one value per output channel"),
    "up kernel above image": (
        lambda: F.upsample_conv2d(zeros(2, 3, 1, 1), W),
        ShapeError,
        "kernel 3 x 2 is larger than the up-sampled image 2 x 2; use padding='same'",
    ),
    "up padding": (
        lambda: F.upsample_conv2d(X, W, padding=1),
        ShapeError,
        "padding must be 'valid' or 'same', got 1",
    ),
    "up scale": (lambda: F.upsample_conv2d(X, W, scale=(2, 0)), ShapeError, r"scale .* at least 1, got \(2, 0\)"),
    "weights to transpose": (lambda: F.to_conv_transpose(W[0]), ShapeError, "w must have 4 axes"),
    "bilinear scale": (lambda: F.upsample_bilinear2d(X, scale=(1, 0)), ShapeError, "scale .* at least 1"),
    "nearest scale": (lambda: F.upsample_nearest2d(X, scale=0), ShapeError, "scale .* at least 1, got 0"),
    # pooling
    "window above image": (
        lambda: F.max_pool2d(X, (6, 2)),
        ShapeError,
        "window 6 x 2 is larger than the image 5 x 6 with padding 0, 0; use a larger image or fewer pooling levels",
    ),
    "padding above half a window": (
        lambda: F.max_pool2d(X, 3, padding=(1, 2)),
        ShapeError,
        "padding 1, 2 exceeds half the window 3 x 3",
    ),
    "mean: window above image": (lambda: F.avg_pool2d(X, (2, 7)), ShapeError, "window 2 x 7 is larger"),
    "mean: padding": (lambda: F.avg_pool2d(X, 2, padding=2), ShapeError, "exceeds half the window"),
    "huge window": (
        lambda: F.max_pool2d(zeros(1, 1, 257, 256), (257, 256)),
        ShapeError,
        "window of 257 x 256 exceeds 65536 pixels; pool in two steps",
    ),
    "kernel_size 0": (lambda: F.max_pool2d(X, 0), ShapeError, "kernel_size .* at least 1, got 0"),
    # normalisation
    "weight per channel": (
        lambda: batch_norm2d(X, weight=2),
        ShapeError,
        r"weight must have one value per channel, \(3,\), got shape \(2,\)",
    ),
    "bias per channel": (lambda: batch_norm2d(X, bias=1), ShapeError, r"bias must have one value per channel"),
    "running per channel": (lambda: batch_norm2d(X, running=4), ShapeError, r"running_mean must have one value"),
    "one value to train on": (
        lambda: batch_norm2d(zeros(1, 3, 1, 1)),
        ShapeError,
        r"more than one value per channel to train, got x of shape \(1, 3, 1, 1\); use larger .* or group_norm",
    ),
    "groups": (
        lambda: F.group_norm(X, zeros(3), zeros(3), groups=2),
        ShapeError,
        "groups must divide the 3 channels, got 2",
    ),
    "no groups": (lambda: F.group_norm(X, zeros(3), zeros(3), groups=0), ShapeError, "groups must divide"),
    "group weight": (lambda: F.group_norm(X, zeros(2), zeros(3), groups=1), ShapeError, "weight must have one value"),
    # softmax, concat, pad, crop, dropout
    "softmax axis": (
        lambda: F.softmax(X, axis=4),
        ShapeError,
        r"axis 4 does not exist in an array of shape \(2, 3, 5, 6\)",
    ),
    "log_softmax axis": (lambda: F.log_softmax(X, axis=-5), ShapeError, "axis -5 does not exist"),
    "concat sizes": (
        lambda: F.concat([X, zeros(2, 3, 4, 6)]),
        ShapeError,
        r"equal sizes except along axis 1, got \(2, 3, 5, 6\) and \(2, 3, 4, 6\); crop or pad the larger one",
    ),
    "concat axes": (lambda: F.concat([X, X[0]]), ShapeError, r"got \(2, 3, 5, 6\) and \(3, 5, 6\)"),
    "concat dtypes": (lambda: F.concat([X, X.astype(np.float32)]), TypeError, "same dtype, got float64, float32"),
    "margins": (
        lambda: F.pad(X, (1, 2)),
        ShapeError,
        r"four non-negative ints \(top, bottom, left, right\), got \(1, 2\)",
    ),
    "negative margin": (lambda: F.pad(X, (1, -1, 0, 0)), ShapeError, "four non-negative ints"),
    "pad mode": (lambda: F.pad(X, (1, 1, 1, 1), mode="mirror"), ShapeError, "'constant' or 'edge', got 'mirror'"),
    "crop margins": (lambda: F.crop(X, (0, 0, 0, -1)), ShapeError, "four non-negative ints"),
    "crop all": (lambda: F.crop(X, (2, 3, 0, 0)), ShapeError, r"\(2, 3, 0, 0\) .* leaves nothing of an image 5 x 6"),
    "dropout": (
        lambda: F.dropout(X, 1.0, generator=np.random.default_rng(0)),
        ValueError,
        "probability must be at least 0 and below 1, got 1.0",
    ),
    # losses
    "one class": (lambda: F.cross_entropy(ONE, LABELS), ShapeError, "two or more classes; .* use binary_cross_entropy"),
    "several channels": (
        lambda: F.binary_cross_entropy(X, LABELS),
        ShapeError,
        "one channel, got 3; use cross_entropy",
    ),
    "channel axis in labels": (
        lambda: F.cross_entropy(X, LABELS[:, None]),
        ShapeError,
        r"labels for logits \(2, 3, 5, 6\) must have shape \(2, 5, 6\), got \(2, 1, 5, 6\); .* with target\[:, 0\]",
    ),
    "labels of another size": (
        lambda: F.dice_loss(X, LABELS[:, 1:]),
        ShapeError,
        r"must have shape \(2, 5, 6\), got \(2, 4, 6\)$",
    ),
    "float labels": (
        lambda: F.cross_entropy(X, LABELS.astype(float)),
        TypeError,
        r"labels must be integers .* got float64; use target\.astype\(int\)",
    ),
    "label is no class": (
        lambda: F.cross_entropy(X, LABELS + 3),
        ValueError,
        "labels must be 0..2 or the ignore label -1, found 3; map the values",
    ),
    "label below zero": (lambda: F.dice_loss(X, LABELS - 2), ValueError, "found -2"),
    "mask values 0 and 255": (
        lambda: F.binary_cross_entropy(ONE, LABELS + 255),
        ValueError,
        "labels must be 0..1 or the ignore label -1, found 255",
    ),
    "class weights": (
        lambda: F.cross_entropy(X, LABELS, class_weights=[1, 2]),
        ShapeError,
        r"class_weights needs one value per class, \(3,\), got \(2,\)",
    ),
    "binary class weights": (
        lambda: F.binary_cross_entropy(ONE, LABELS, class_weights=[1]),
        ShapeError,
        r"one value per class, \(2,\), got \(1,\)",
    ),
    "pixel weights, rows and columns exchanged": (
        lambda: F.cross_entropy(X, LABELS, pixel_weights=zeros(2, 6, 5)),
        ShapeError,
        r"pixel_weights must have the shape of the labels, \(2, 5, 6\), got \(2, 6, 5\)",
    ),
    "empty policy": (lambda: F.dice_loss(X, LABELS, empty="zero"), ValueError, "'skip' or 'one', got 'zero'"),
    "eps": (lambda: F.dice_loss(X, LABELS, eps=0.0), ValueError, "eps must be positive, got 0.0"),
    "combined: label is no class": (lambda: F.cross_entropy_dice(ONE, LABELS + 2), ValueError, "found 2"),
    # settings
    "rung": (lambda: use_kernels("gpu2"), ValueError, "'reference', 'plain', 'cpu', 'gpu', got 'gpu2'"),
    "debug level": (lambda: debug(3), ValueError, "must be 0, 1 or 2, got 3"),
    "no array": (lambda: device_of([1.0]), TypeError, r"expected a NumPy or CuPy array, got list; use numpy\.asarray"),
}


@pytest.mark.parametrize(("call", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_errors_say_how_to_mend(call, error, text):
    with pytest.raises(error, match=text) as raised:
        call()
    assert raised.type is error


def test_errors_come_before_any_state_changes():
    mean, var = np.zeros(3), np.ones(3)
    with pytest.raises(ShapeError):
        F.batch_norm2d(X, zeros(2), zeros(3), running_mean=mean, running_var=var, training=True)
    assert mean.tolist() == [0, 0, 0] and var.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("value", "both"), [(2, (2, 2)), ((1, 3), (1, 3)), ([1, 3], (1, 3))])
def test_pairs(value, both):
    assert pair(value, "stride", 1) == both


def test_tensors_and_arrays_are_the_same_to_an_op():
    with use_kernels("reference"):
        assert np.array_equal(F.conv2d(Tensor(X + 1), W + 1).data, F.conv2d(X + 1, Tensor(W + 1)).data)
