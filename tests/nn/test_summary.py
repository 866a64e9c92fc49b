"""The table of a network: what it counts, and that its receptive field is what a gradient sees."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tinyunet import Tensor, use_kernels
from tinyunet.nn import AvgPool2d, UNet
from tinyunet.nn.summary import readable_bytes


def rows(net: UNet, *size: int) -> dict[str, list[str]]:
    """Return the cells of the table by layer name."""
    with use_kernels("reference"):
        lines = net.summary(*size).splitlines()
    return {cells[0]: cells[1:] for cells in (re.split(r"  +", line.strip()) for line in lines[2:])}


def stated_field(net: UNet, size: int) -> int:
    with use_kernels("reference"):
        return int(re.search(r"receptive field (\d+) pixels", net.summary(size)).group(1))


def measured_field(net: UNet, image: int, width: int) -> int:
    """Return the most image rows that any one output pixel depends on, from gradients of central output pixels.

    With every weight 1 nothing cancels. The mean stands for the maximum, whose gradient shows one pixel of four.
    """
    net.astype(np.float64).eval().pool = AvgPool2d(2)
    for parameter in net.parameters():
        parameter.data[...] = parameter.ndim == 4
    period, most = 2**net.depth, 0  # how the pools cut the image repeats after so many rows
    for phase in range(period):
        x = Tensor(np.ones((1, 1, image, width)), requires_grad=True)
        y = net(x)
        centre = y.shape[2] // 2 // period * period + phase
        gradient = np.zeros(y.shape)
        gradient[0, 0, centre, y.shape[3] // 2] = 1
        y.backward(gradient)
        seen = np.flatnonzero(x.grad.any(axis=(0, 1, 3)))
        assert len(seen) == seen[-1] - seen[0] + 1  # no holes
        assert 0 < seen[0] and seen[-1] < image - 1  # not cut by the border
        most = max(most, len(seen))
    return most


FIELDS = [
    ("transposed", 1, 18),
    ("transposed", 2, 44),
    ("transposed", 3, 100),
    ("transposed", 4, 204),
    ("nearest", 1, 18),
    ("nearest", 2, 44),
    ("nearest", 3, 100),
    ("bilinear", 1, 20),
    ("bilinear", 2, 52),
    ("bilinear", 3, 116),
    ("article", 1, 20),
    ("article", 2, 52),
    ("article", 3, 116),
]


@pytest.mark.parametrize(("up", "depth", "field"), FIELDS)
def test_receptive_field_is_what_the_gradient_sees(up, depth, field):
    net = UNet(1, 1, 1, depth, up=up, norm=None)
    period = 2**depth
    with use_kernels("reference"):
        assert measured_field(net, (2 * field // period + 4) * period, period) == field
    assert stated_field(net, period) == field


def test_receptive_field_of_an_unpadded_net():
    net = UNet(1, 1, 1, 2, padding="valid", norm=None)
    assert stated_field(net, 44) == 44
    with use_kernels("reference"):
        assert measured_field(net, 60, 44) == 44


def test_rows_follow_the_order_in_which_layers_run():
    net = UNet(2, 3, 4, 1, up="transposed")
    table = rows(net, 8, 6)
    assert table["input"][0] == "1 x 2 x 8 x 6"
    assert table["encoder1.0"] == ["Conv2d", "1 x 4 x 8 x 6", "72", "3", "768 B"]
    assert table["encoder1.1"] == ["BatchNorm2d", "1 x 4 x 8 x 6", "8", "3", "768 B"]
    assert table["encoder1.3"] == ["Conv2d", "1 x 4 x 8 x 6", "144", "5", "768 B"]
    assert table["pool"] == ["MaxPool2d", "1 x 4 x 4 x 3", "0", "6", "192 B"]
    assert table["encoder2.0"] == ["Conv2d", "1 x 8 x 4 x 3", "288", "10", "384 B"]
    assert table["up2"] == ["ConvTranspose2d", "1 x 4 x 8 x 6", "132", "14", "768 B"]
    assert table["decoder1"] == ["Conv2d", "1 x 3 x 8 x 6", "15", "18", "576 B"]
    assert list(table)[:2] == ["input", "encoder1.0"] and list(table)[-2] == "decoder1"


@pytest.mark.parametrize("options", [{}, {"norm": None, "up": "nearest"}, {"norm": "group", "dropout": 0.1}])
def test_parameters_of_the_rows_add_up(options):
    net = UNet(1, 2, 4, 2, **options)
    table = rows(net, 8)
    total = list(table)[-1]
    layers = [int(cells[2].replace(",", "")) for name, cells in table.items() if name not in ("input", total)]
    assert sum(layers) == net.parameter_count()
    assert total.startswith(f"{net.parameter_count():,} parameters ({readable_bytes(4 * net.parameter_count())})")


def test_summary_leaves_the_network_as_it_was():
    net = UNet(1, 1, 2, 2, dropout=0.5)
    before = {name: array.copy() for name, array in net.state_dict().items()}
    rows(net, 8)
    assert net.training and all(module.training for _, module in net.named_modules())
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (2**20, "1.0 MiB"), (5 * 2**30, "5.00 GiB")],
)
def test_bytes_have_binary_units(count, text):
    assert readable_bytes(count) == text
