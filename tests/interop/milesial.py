"""The network of milesial/Pytorch-UNet in PyTorch, written from its description, with its names; for any sizes."""

from __future__ import annotations


def unet(torch, in_channels, classes, *, bilinear, bias=False, base=64):
    """Return the network with drawn running statistics, so that a test can see where they went.

    Parameters
    ----------
    bilinear : bool
        Enlarge by straight lines instead of transposed convolutions; the deepest level is then half as wide.
    bias : bool
        Whether convolutions before batch normalisation have biases, as in its versions before 3.
    base : int
        Channels of the first level; 64 in the original.
    """
    nn = torch.nn

    def named(**children):
        module = nn.Module()
        for name, child in children.items():
            setattr(module, name, child)
        return module

    def double_conv(C, O, middle=None):
        layers = []
        for a, b in ((C, middle or O), (middle or O, O)):
            layers += [nn.Conv2d(a, b, 3, padding=1, bias=bias), nn.BatchNorm2d(b), nn.ReLU()]
        return named(double_conv=nn.Sequential(*layers))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            width = [base, 2 * base, 4 * base, 8 * base, 16 * base]
            factor = 2 if bilinear else 1
            self.inc = double_conv(in_channels, base)
            for k in range(1, 5):
                wide = width[k] // (factor if k == 4 else 1)
                setattr(
                    self,
                    f"down{k}",
                    named(maxpool_conv=nn.Sequential(nn.MaxPool2d(2), double_conv(width[k - 1], wide))),
                )
            for k in range(1, 5):
                joined = width[5 - k]
                narrow = joined // 2 // (factor if k < 4 else 1)
                if bilinear:
                    larger = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
                    conv = double_conv(joined, narrow, joined // 2)
                else:
                    larger, conv = nn.ConvTranspose2d(joined, joined // 2, 2, stride=2), double_conv(joined, narrow)
                setattr(self, f"up{k}", named(up=larger, conv=conv))
            self.outc = named(conv=nn.Conv2d(base, classes, 1))

        def forward(self, x):
            x = self.inc.double_conv(x)
            skips = []
            for down in (self.down1, self.down2, self.down3, self.down4):
                skips.append(x)
                pool, block = down.maxpool_conv
                x = block.double_conv(pool(x))
            for up in (self.up1, self.up2, self.up3, self.up4):
                x = up.conv.double_conv(torch.cat([skips.pop(), up.up(x)], dim=1))
            return self.outc.conv(x)

    torch.manual_seed(0)
    network = Network()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for array, (low, high) in {
                module.weight: (0.5, 1.5),
                module.bias: (-0.5, 0.5),
                module.running_mean: (-0.5, 0.5),
                module.running_var: (0.5, 1.5),
            }.items():
                nn.init.uniform_(array, low, high)
    return network.eval()
