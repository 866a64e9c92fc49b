"""Typical wrong answers, each under words of the hint that it must get."""

from tinyunet import functional as F


def forward(**slip):
    """Build the repaired forward pass with one slip."""

    def repaired(net, x):
        def pool(x):
            return x if slip.get("no pooling") else F.max_pool2d(x, 2)

        def join(deep, skip):
            deep = deep if slip.get("no enlarging") else F.upsample_nearest2d(deep, scale=2)
            return F.concat([skip, deep] if slip.get("order") else [deep, skip])

        enc1 = net.encoder1(x)
        enc2 = net.encoder2(pool(enc1))
        enc3 = net.encoder3(pool(enc2))
        enc4 = net.encoder4(pool(enc3))
        if slip.get("skip after"):
            enc3 = pool(enc3)
        dec4 = net.decoder4(join(enc4, enc3))
        dec3 = net.decoder3(join(dec4, enc2))
        dec2 = net.decoder2(join(dec3, enc1))
        return dec2 if slip.get("no head") else net.decoder1(pool(dec2) if slip.get("pools again") else dec2)

    return repaired


def any_size(margins_of, mode="edge", crop=True, corner=False):
    def run_any_size(network, x, depth):
        H, W = x.shape[2:]
        margins = *margins_of(H, 2**depth), *margins_of(W, 2**depth)
        y = network(F.pad(x, margins, mode=mode))
        if corner:
            return y.numpy()[:, :, :H, :W]
        return F.crop(y, margins) if crop else y

    return run_any_size


def half(n, step):
    return (-n % step) // 2, -n % step - (-n % step) // 2


def crop_like(corner=lambda more: more // 2, channels=slice(None)):
    def crop_skip(skip, H, W):
        top, left = corner(skip.shape[2] - H), corner(skip.shape[3] - W)
        return skip[:, channels, top : top + H, left : left + W]

    return crop_skip


def height(lost=4, allow_odd=False, allow_nothing=False, bottom=True):
    def unpadded_height(H, depth):
        for _ in range(depth):
            H -= lost
            if H < 2 or (H % 2 and not allow_odd):
                return None
            H //= 2
        H -= lost if bottom or depth == 0 else 0
        for _ in range(depth):
            H = 2 * H - lost
        return H if H > 0 or allow_nothing else None

    return unpadded_height


WRONG = {
    "encoder_heights": {
        "already pooled": lambda H: [H, H // 2, H // 4, H // 8],
        "four heights": lambda H: [H // 2, H // 4, H // 8],
        "drops the remainder": lambda H: [H / 2, H / 4, H / 8, H / 16],
        "halves the height": lambda H: [H - 2, H - 4, H - 6, H - 8],
    },
    "repaired": {
        "(1, 32, 2, 3) and (1, 16, 4, 6)": forward(**{"no enlarging": True}),
        "take the skip before the pooling": forward(**{"skip after": True}),
        "decoder1 makes the scores": forward(**{"no head": True}),
        "is enc4 not pooled": forward(**{"pools again": True}),
        "in this order": forward(order=True),
        "pool before encoder2": forward(**{"no pooling": True}),
        "end with `return`": lambda net, x: None,
    },
    "run_any_size": {
        "does not divide": lambda network, x, depth: network(x),
        "crop the margins off": any_size(half, crop=False),
        "the same four margins": any_size(half, corner=True),
        "next multiples of 8": any_size(lambda n, step: (step, -n % step)),
        "black frame": any_size(half, mode="constant"),
        "1 at the top and 2": any_size(lambda n, step: (0, -n % step)),
        "needs no padding": any_size(
            lambda n, step: ((step - n % step) // 2, step - n % step - (step - n % step) // 2)
        ),
        "2**depth": any_size(lambda n, step: half(n, 8)),
    },
    "crop_skip": {
        "top left corner": crop_like(corner=lambda more: 0),
        "all channels": crop_like(channels=0),
        "middle four are 2 to 5": crop_like(corner=lambda more: more),
        "one above and two below": crop_like(corner=lambda more: -(-more // 2)),
    },
    "unpadded_height": {
        "depth 0 is two": height(lost=2),
        "28 at depth 1: 24": height(bottom=False),
        "is odd before": height(allow_odd=True),
        "nothing is left": height(allow_nothing=True),
    },
}
