"""The same network and loss written in PyTorch, independently of tinyunet; only the names of the state agree."""

from __future__ import annotations


def unet(torch, in_channels, classes, base_channels, depth, *, up, padding="same", norm=None):
    """Return the twin of `tinyunet.nn.UNet` without dropout, in float64, for sizes that need no padding."""
    nn = torch.nn

    def block(C, O):
        layers = []
        for channels in (C, O):
            layers.append(nn.Conv2d(channels, O, 3, padding=1 if padding == "same" else 0, bias=norm is None))
            if norm == "batch":
                layers.append(nn.BatchNorm2d(O))
            elif norm == "group":
                layers.append(nn.GroupNorm(max(g for g in (8, 4, 2, 1) if O % g == 0), O))
            layers.append(nn.ReLU())
        return nn.Sequential(*layers)

    class Enlarged(nn.Conv2d):
        def forward(self, x):
            return super().forward(nn.functional.interpolate(x, scale_factor=2, mode="nearest"))

    ups = {
        "transposed": lambda C, O: nn.ConvTranspose2d(C, O, 2, stride=2),
        "article": lambda C, O: Enlarged(C, O, 3, padding=1),
        "nearest": lambda C, O: nn.Upsample(scale_factor=2, mode="nearest"),
    }

    class Twin(nn.Module):
        def __init__(self):
            super().__init__()
            C, O = in_channels, base_channels
            for level in range(1, depth + 2):
                setattr(self, f"encoder{level}", block(C, O))
                C, O = O, 2 * O
            for level in range(depth + 1, 1, -1):
                skip = C // 2
                setattr(self, f"up{level}", ups[up](C, skip))
                setattr(self, f"decoder{level}", block(C + skip if up == "nearest" else 2 * skip, skip))
                C = skip
            self.decoder1 = nn.Conv2d(C, classes, 1)

        def forward(self, x):
            skips = []
            for level in range(1, depth + 2):
                x = getattr(self, f"encoder{level}")(x if level == 1 else nn.functional.max_pool2d(x, 2))
                skips.append(x)
            for level in range(depth + 1, 1, -1):
                x = getattr(self, f"up{level}")(x)
                top, left = ((a - b) // 2 for a, b in zip(skips[level - 2].shape[2:], x.shape[2:], strict=True))
                skip = skips[level - 2][:, :, top : top + x.shape[2], left : left + x.shape[3]]
                x = getattr(self, f"decoder{level}")(torch.cat([x, skip], 1))
            return self.decoder1(x)

    return Twin().double()


def load(torch, twin, state):
    """Copy a tinyunet state (a dict of arrays) into the twin; every name must be there."""
    twin.load_state_dict({name: torch.tensor(array) for name, array in state.items()}, strict=True)


def loss(torch, logits, labels):
    """Cross-entropy plus soft Dice of the whole batch; one channel means sigmoid, otherwise class 0 is left out."""
    functional = torch.nn.functional
    if logits.shape[1] == 1:
        truth = labels[:, None].to(logits.dtype)
        entropy = functional.binary_cross_entropy_with_logits(logits, truth)
        share = torch.sigmoid(logits)
    else:
        truth = functional.one_hot(labels, logits.shape[1]).movedim(-1, 1).to(logits.dtype)[:, 1:]
        entropy = functional.cross_entropy(logits, labels)
        share = torch.softmax(logits, 1)[:, 1:]
    axes = (0, 2, 3)
    dice = (2 * (share * truth).sum(axes) + 1) / (share.sum(axes) + truth.sum(axes) + 1)
    return entropy + (1 - dice).mean()
