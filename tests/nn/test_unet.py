"""The UNet: the article's and the paper's networks, sizes in and out, every option, and the errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tinyunet import Tensor, no_grad, use_kernels
from tinyunet.nn import UNet
from tinyunet.ops.shapes import ShapeError


@pytest.fixture(autouse=True)
def _numpy_kernels():
    """Most nets here are tiny or run once: NumPy is over before numba has compiled."""
    with use_kernels("reference"):
        yield


def output(net: UNet, *shape) -> np.ndarray:
    with no_grad():
        return net(Tensor(np.random.RandomState(0).rand(*shape).astype(np.float32))).data


# The article's network

# (O, C) of the two 3 x 3 convolutions of each block, "0" and "2" of its Sequential, as the listing writes them
ARTICLE_BLOCKS = {
    "encoder1": [(64, None), (64, 64)],
    "encoder2": [(128, 64), (128, 128)],
    "encoder3": [(256, 128), (256, 256)],
    "encoder4": [(512, 256), (512, 512)],
    "decoder4": [(256, 512 + 256), (256, 256)],
    "decoder3": [(128, 256 + 128), (128, 128)],
    "decoder2": [(64, 128 + 64), (64, 64)],
}


def article_state(in_channels: int, classes: int) -> list[tuple[str, tuple[int, ...]]]:
    rows = []
    for block, convolutions in ARTICLE_BLOCKS.items():
        for layer, (O, C) in zip("02", convolutions, strict=True):
            rows.append((f"{block}.{layer}.weight", (O, C or in_channels, 3, 3)))
            rows.append((f"{block}.{layer}.bias", (O,)))
    return [*rows, ("decoder1.weight", (classes, 64, 1, 1)), ("decoder1.bias", (classes,))]


def article_listing(torch, in_channels: int, out_channels: int):
    """Return the article's network in PyTorch, as its section 5 lists it (the names of its attributes, its layers)."""
    nn = torch.nn

    def block(C, O):
        first, second = nn.Conv2d(C, O, kernel_size=3, padding=1), nn.Conv2d(O, O, kernel_size=3, padding=1)
        return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2))

    class Listing(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder1 = block(in_channels, 64)
            self.encoder2 = block(64, 128)
            self.encoder3 = block(128, 256)
            self.encoder4 = block(256, 512)
            self.decoder4 = block(512 + 256, 256)
            self.decoder3 = block(256 + 128, 128)
            self.decoder2 = block(128 + 64, 64)
            self.decoder1 = nn.Conv2d(64, out_channels, kernel_size=1)

        def forward(self, x):
            enc1 = self.encoder1(x)
            enc2 = self.encoder2(enc1)
            enc3 = self.encoder3(enc2)
            enc4 = self.encoder4(enc3)
            dec4 = self.decoder4(torch.cat([enc4, enc3], dim=1))
            dec3 = self.decoder3(torch.cat([dec4, enc2], dim=1))
            dec2 = self.decoder2(torch.cat([dec3, enc1], dim=1))
            return self.decoder1(dec2)

    return Listing()


ARTICLE_COUNTS = [(1, 1, 7_781_761), (1, 2, 7_781_826), (3, 2, 7_782_978)]
every_article = pytest.mark.parametrize(("in_channels", "classes", "count"), ARTICLE_COUNTS)


@every_article
def test_article_has_the_parameters_of_the_listing(in_channels, classes, count):
    net = UNet.article(in_channels, classes)
    assert net.parameter_count() == count
    assert [(k, a.shape) for k, a in net.state_dict().items()] == article_state(in_channels, classes)


@every_article
def test_the_frozen_list_is_that_of_the_listing_in_torch(in_channels, classes, count):
    torch = pytest.importorskip("torch")
    state = article_listing(torch, in_channels, classes).state_dict()
    assert [(k, tuple(t.shape)) for k, t in state.items()] == article_state(in_channels, classes)


@pytest.mark.parametrize("size", [1, 2, 8, 15, 16, 31, 32, 48, 64])
def test_the_listing_runs_for_no_size(size):
    """It joins maps of H/16 and H/8 pixels; below 16 pixels nothing is left to pool."""
    torch = pytest.importorskip("torch")
    with torch.no_grad(), pytest.raises(RuntimeError, match="Sizes of tensors must match|Output size is too small"):
        article_listing(torch, 1, 1)(torch.zeros(1, 1, size, size))


@pytest.mark.parametrize(("H", "W"), [(8, 16), (24, 8), (1, 1), (7, 9), (13, 22)])
def test_article_runs_for_every_size(H, W):
    y = output(UNet.article(), 1, 1, H, W)
    assert y.shape == (1, 1, H, W) and np.isfinite(y).all()


# Sizes

DEPTHS = pytest.mark.parametrize("depth", [1, 2, 3, 4])


def paper_size(n: int, depth: int) -> int | None:
    """Return the output size of an unpadded UNet, layer by layer; None where a size is odd or used up."""
    for _ in range(depth):
        n -= 4
        if n < 2 or n % 2:
            return None
        n //= 2
    n -= 4
    for _ in range(depth):
        n = 2 * n - 4
    return n if n > 0 else None


def test_the_paper_makes_388_pixels_from_572():
    assert paper_size(572, depth=4) == 388
    net = UNet(1, 2, 1, 4, padding="valid")
    assert (net.border, net.next_size(572), net.next_size(571), net.next_size(573)) == (184, 572, 572, 588)


def test_paper_builds_the_papers_network():
    net = UNet.paper()
    assert net.parameter_count() == 31_030_658
    assert (net.border, net.next_size(572)) == (184, 572)
    assert net.arguments == UNet(1, 2, 1, padding="valid", norm=None, dropout=0.5).arguments | {"base_channels": 64}


@DEPTHS
def test_unpadded_sizes_follow_from_the_layers(depth):
    net = UNet(1, 2, 1, depth, padding="valid")
    fitting = [n for n in range(1, 400) if paper_size(n, depth)]
    for n in range(1, fitting[-1] + 1):
        assert net.next_size(n) == next(m for m in fitting if m >= n)
    assert all(paper_size(n, depth) == n - net.border for n in fitting)


@pytest.mark.parametrize("depth", [1, 2])
def test_unpadded_nets_run_exactly_where_next_size_says(depth):
    net = UNet(1, 1, 1, depth, padding="valid", norm=None)
    for n in range(1, net.border + 3 * 2**depth):
        if net.next_size(n) == n:
            assert output(net, 1, 1, n, n).shape == (1, 1, n - net.border, n - net.border)
        else:
            with pytest.raises(ShapeError, match=f"the next size that it takes is {net.next_size(n)} x "):
                output(net, 1, 1, n, n)


def test_an_unpadded_net_names_the_next_height_and_width():
    net = UNet(1, 1, 1, 2, padding="valid")
    with pytest.raises(ShapeError, match=r"depth 2 cannot take images of 45 x 52; .* is 48 x 52 .*padding='same'"):
        output(net, 1, 1, 45, 52)
    assert output(net, 1, 1, 48, 52).shape == (1, 1, 8, 12)


@DEPTHS
def test_padded_nets_keep_every_size(depth):
    net = UNet(1, 1, 1, depth)
    assert net.border == 0
    for n in range(1, 40):
        m = net.next_size(n)
        assert m % 2**depth == 0 and n <= m < n + 2**depth
    for size in [(1, 1), (2**depth, 3), (17, 2**depth + 1)]:
        assert output(net, 2, 1, *size).shape == (2, 1, *size)


def test_padding_to_a_fitting_size_is_padding_with_edge_pixels():
    net, x = UNet(1, 1, 2, 2).eval(), np.random.RandomState(0).rand(1, 1, 5, 8).astype(np.float32)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 0)), mode="edge")
    with no_grad():
        np.testing.assert_array_equal(net(Tensor(x)).data, net(Tensor(padded)).data[:, :, 1:-2])


# Options

OPTIONS = {
    "up": ["transposed", "article", "nearest", "bilinear"],
    "padding": ["same", "valid"],
    "norm": ["batch", "group", None],
    "dropout": [0.0, 0.3],
}


@pytest.mark.parametrize("choice", list(itertools.product(*OPTIONS.values())), ids=lambda c: "-".join(map(str, c)))
def test_every_combination_runs_and_trains_every_parameter(choice):
    options = dict(zip(OPTIONS, choice, strict=True))
    net = UNet(2, 3, 4, 2, **options)
    H, W = (9, 15) if net.padding == "same" else (44, 48)
    x = Tensor(np.random.RandomState(0).standard_normal((2, 2, H, W)).astype(np.float32), requires_grad=True)
    y = net(x)
    assert y.shape == (2, 3, H - net.border, W - net.border) and y.dtype == np.float32
    (y * y).sum().backward()
    assert x.grad.any()
    for name, parameter in net.named_parameters():
        assert parameter.grad.any(), f"no gradient reaches {name}"
    assert ("encoder1.0.bias" in dict(net.named_parameters())) == (options["norm"] is None)


def test_arguments_rebuild_the_network():
    net = UNet(2, 3, 4, 2, up="article", norm="group", dropout=0.2, init="torch", seed=3)
    again = UNet(**net.arguments, seed=3)
    assert [(k, a.tobytes()) for k, a in again.state_dict().items()] == [
        (k, a.tobytes()) for k, a in net.state_dict().items()
    ]


def test_dropout_acts_in_the_two_deepest_blocks_and_in_training_only():
    net = UNet(1, 1, 2, 3, dropout=0.5)
    names = [name for name, module in net.named_modules() if type(module).__name__ == "Dropout"]
    assert names == ["encoder3.6", "encoder4.6"]
    image = 2, 1, 8, 8
    assert (output(net, *image) != output(net, *image)).any()
    net.eval()
    np.testing.assert_array_equal(output(net, *image), output(net, *image))


@pytest.mark.parametrize(("channels", "groups"), [(4, 4), (12, 4), (24, 8), (3, 1)])
def test_group_norm_takes_up_to_8_groups_that_divide_the_channels(channels, groups):
    net = UNet(1, 1, channels, 1, norm="group")
    assert getattr(net.encoder1, "1").groups == groups


WRONG = {
    "in_channels": ({"in_channels": 0}, "in_channels must be a positive int, got 0"),
    "classes": ({"classes": 1.5}, "classes must be a positive int, got 1.5"),
    "base_channels": ({"base_channels": -1}, "base_channels must be a positive int, got -1"),
    "depth": ({"depth": 0}, "depth must be a positive int, got 0"),
    "up": ({"up": "cubic"}, "up must be one of 'transposed', 'article', 'nearest', 'bilinear', got 'cubic'"),
    "padding": ({"padding": 1}, "padding must be one of 'same', 'valid', got 1"),
    "norm": ({"norm": "layer"}, "norm must be one of 'batch', 'group', None, got 'layer'"),
    "dropout 1": ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    "dropout below 0": ({"dropout": -0.1}, "dropout must be at least 0 and below 1, got -0.1"),
    "init": ({"init": "zeros"}, "init must be 'he' or 'torch', got 'zeros'"),
}


@pytest.mark.parametrize(("options", "text"), WRONG.values(), ids=WRONG)
def test_wrong_options_name_the_choices(options, text):
    with pytest.raises(ValueError, match=text):
        UNet(**{"base_channels": 1, "depth": 1} | options)


def test_wrong_channels_say_how_to_mend_it():
    with pytest.raises(ShapeError, match=r"with 1 channels, got x of shape \(2, 3, 8, 8\).*in_channels=3"):
        output(UNet(1, 1, 1, 1), 2, 3, 8, 8)


def test_an_image_without_batch_axis_is_refused():
    with pytest.raises(ShapeError):
        UNet(1, 1, 1, 1)(Tensor(np.zeros((8, 8), np.float32)))
