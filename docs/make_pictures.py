"""Draw docs/images/landing.png: `python docs/make_pictures.py`, about two minutes.

A small UNet learns the toy tumours. What it computes for an image that it has not seen is the U of the picture; below
it stand the lines of the library's own files that carry the number (1) of convolution. Nothing is drawn by hand.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import numpy as np

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

import tinyunet  # noqa: E402
from tinyunet.data import Toy  # noqa: E402
from tinyunet.nn.module import watching  # noqa: E402
from tinyunet.plot import INPUT, KERNEL, OUTPUT, new_figure, save_figure  # noqa: E402

SIZE, GREY, INK = 96, "#8a8f98", "#16191d"
WIDTH, HEIGHT = 16.0, 9.6  # inches, at 100 dots each
BLOCKS = {  # name -> centre of its pictures, side of each, in inches
    "input": ((1.05, 8.35), 1.45),
    "encoder1": ((3.1, 8.35), 1.45),
    "encoder2": ((4.55, 6.55), 1.2),
    "encoder3": ((5.85, 5.0), 1.0),
    "encoder4": ((8.0, 3.85), 0.85),
    "decoder4": ((10.15, 5.0), 1.0),
    "decoder3": ((11.45, 6.55), 1.2),
    "decoder2": ((12.9, 8.35), 1.45),
    "output": ((14.95, 8.35), 1.45),
}


def train():
    """Return a trained network and an image that it has not seen."""
    with tempfile.TemporaryDirectory() as folder:
        result = tinyunet.train("tumour", epochs=16, base_channels=8, out=f"{folder}/run", seed=0)
    return result.segmenter, Toy("tumour", count=12, size=(SIZE, SIZE), seed=123)[2]


def feature_maps(segmenter, image: np.ndarray) -> dict[str, np.ndarray]:
    """Return what every block computes for an image: name -> (C, H, W)."""
    maps = {}

    def note(name, module, y):
        if name in BLOCKS:
            maps[name] = y.data[0]

    x = segmenter.normalize(image)
    with tinyunet.no_grad(), segmenter.model.evaluating(), watching(note):
        segmenter.model(x[None])
    return maps | {"input": x, "output": segmenter.probabilities(image)[1:2]}


def most_varied(maps: np.ndarray, count: int = 3) -> np.ndarray:
    """Return the channels that show most of the head's inside, each scaled to 0..1, the best last."""
    low, high = (np.percentile(maps, q, axis=(1, 2), keepdims=True) for q in (1, 99))
    scaled = np.clip((maps - low) / np.maximum(high - low, 1e-6), 0, 1)
    quarter = maps.shape[1] // 4
    inside = scaled[:, quarter:-quarter, quarter:-quarter]
    return scaled[np.argsort(inside.std(axis=(1, 2)))[-count:]]


def lines_of_conv2d() -> dict[str, str]:
    """Return equation (1) of convolution on every rung, cut from its file."""
    folder = DOCS.parent / "tinyunet" / "ops" / "conv2d"

    def cut(file: str, pattern: str) -> str:
        found = re.search(rf"^ *({pattern})", (folder / file).read_text("utf-8"), re.MULTILINE)
        if not found:
            raise SystemExit(f"{file} has no line like {pattern!r} any more; change lines_of_conv2d")
        return re.sub(r"\s+(#|//) \(1\)$|(?<= ) +", "", found[1])

    return {
        "formula": cut("op.py", r"y\[n,o,i,j\].*?w\[o,c,u,v\]"),
        "NumPy": cut("reference.py", r"y \+= .*# \(1\)$"),
        "numba": cut("cpu.py", r"_add\(row, w.*$"),
        "CUDA": cut("gpu.cu", r"if .*// \(1\)$"),
    }


def draw(maps: dict[str, np.ndarray], mask: np.ndarray):
    """Return the picture as a matplotlib figure."""
    figure = new_figure(WIDTH, HEIGHT)
    figure.set_layout_engine("none")
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    canvas.axis("off")

    def arrow(start, end, colour, style="-"):
        properties = {"arrowstyle": "-|>", "color": colour, "linewidth": 2.2, "linestyle": style, "mutation_scale": 16}
        canvas.annotate("", end, start, arrowprops=properties)

    places = {name: (np.array(centre), side) for name, (centre, side) in BLOCKS.items()}
    for first, second, colour in (
        *(("input encoder1".split() + [GREY], "decoder2 output".split() + [GREY])),
        *((f"encoder{k}", f"encoder{k + 1}", KERNEL) for k in (1, 2, 3)),
        *((f"decoder{k + 1}" if k < 4 else "encoder4", f"decoder{k}", OUTPUT) for k in (4, 3, 2)),
    ):
        (a, side_a), (b, side_b) = places[first], places[second]
        if a[1] == b[1]:
            arrow(a + (side_a / 2 + 0.22, 0), b - (side_b / 2 + 0.06, 0), colour)
        elif a[1] > b[1]:
            arrow(a + (0.1, -side_a / 2 - 0.32), b + (-side_b / 2 - 0.06, 0.15), colour)
        else:
            arrow(a + (side_a / 2 + 0.22, 0), b + (-0.1, -side_b / 2 - 0.32), colour)
    for k in (1, 2, 3):
        (a, side_a), (b, side_b) = places[f"encoder{k}"], places[f"decoder{k + 1}"]
        arrow(a + (side_a / 2 + 0.3, 0), b - (side_b / 2 + 0.08, 0), INPUT, (0, (4, 3)))
        middle = (a + b) / 2 + (0, 0.12)
        canvas.text(*middle, "skip: concatenate", color=INPUT, fontsize=12, ha="center", va="bottom")
    canvas.text(3.35, 6.85, "max-pool", color="#a86f00", fontsize=12, ha="right")
    canvas.text(12.75, 6.75, "up-convolution", color=OUTPUT, fontsize=12, ha="left")

    for name, ((x, y), side) in BLOCKS.items():
        pictures = most_varied(maps[name]) if len(maps[name]) > 1 else maps[name]
        for depth, picture in zip(range(len(pictures) - 1, -1, -1), pictures, strict=True):
            shift = 0.09 * depth
            box = ((x - side / 2 + shift) / WIDTH, (y - side / 2 + shift) / HEIGHT, side / WIDTH, side / HEIGHT)
            axes = figure.add_axes(box)
            axes.imshow(picture, cmap="gray" if name == "input" else "magma", interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(color="white", linewidth=1.2)
        if name == "output":
            axes.contour(mask, levels=[0.5], colors="white", linewidths=1.4)
        C, H, W = maps[name].shape
        title = {"input": "scan", "output": "tumour? (truth outlined)"}.get(name, f"{C} x {H} x {W}")
        canvas.text(x, y - side / 2 - 0.07, title, fontsize=11, ha="center", va="top", color=INK)

    y = 2.55
    canvas.plot([0.5, WIDTH - 0.5], [y + 0.42] * 2, color="#d5d9de", linewidth=1.2)
    for (name, line), colour in zip(lines_of_conv2d().items(), (INK, INPUT, "#a86f00", OUTPUT), strict=True):
        canvas.text(0.5, y, name, fontsize=15, color=colour, weight="bold", va="center")
        canvas.text(1.9, y, line, fontsize=16.5, color=INK, family="DejaVu Sans Mono", va="center")
        y -= 0.62
    return figure


def main() -> None:
    """Train, draw and write the picture with as few colours as it needs."""
    from PIL import Image

    segmenter, sample = train()
    figure = draw(feature_maps(segmenter, sample.image), sample.mask == 1)
    target = DOCS / "images" / "landing.png"
    save_figure(figure, target)
    with Image.open(target) as picture:
        picture.convert("RGB").quantize(200).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
