"""`tinyunet attribute`: what in an image made the network decide as it did, and whether the answer can be trusted."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from .common import add_device, add_out, folder_to_write, load


def add(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("attribute", help="show what in an image made the network decide")
    parser.description = (
        "Draw maps of what matters for the score of a class in a region: saliency, SmoothGrad, occlusion and "
        "Seg-Grad-CAM, beside the image and the prediction; and test them by blanking what they point at. Writes "
        "NAME-maps.png, NAME-deletion.png and one NAME-METHOD.npy each."
    )
    parser.set_defaults(run=_attribute)
    parser.add_argument("model", metavar="RUN", help="checkpoint, or the folder of a run")
    parser.add_argument("image", metavar="IMAGE", help="image; of a volume, the slice with most of the class")
    parser.add_argument(
        "--class", dest="target", default="1", metavar="CLASS", help="name or index, 0 is the background (default: 1)"
    )
    parser.add_argument(
        "--pixel",
        type=_pixel,
        metavar="I,J",
        help="row and column asked about, from 0 (default: all pixels that the network gives to the class)",
    )
    parser.add_argument("--layer", metavar="NAME", help="for Seg-Grad-CAM (default: the deepest block of the decoder)")
    parser.add_argument("--patch", type=int, metavar="N", help="side of occluded patches in pixels (default: a tenth)")
    parser.add_argument(
        "--samples", type=int, default=25, metavar="N", help="noisy copies of the image for SmoothGrad (default: 25)"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="also make the maps that use gradients with weights replaced by untrained ones, block by block "
        "(NAME-weights.png): a map that does not change shows the image, not the network",
    )
    add_device(parser)
    add_out(parser, "attribution")


def _pixel(text: str) -> tuple[int, int]:
    try:
        i, j = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected row,column such as 120,85, got {text!r}") from None
    return i, j


def _attribute(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..data.write import write_array
    from ..glass.attribution.deletion import delete_pixels
    from ..glass.attribution.figures import show_deletion, show_maps
    from ..glass.attribution.occlusion import occlusion
    from ..glass.attribution.question import Question
    from ..glass.attribution.saliency import saliency
    from ..glass.attribution.seg_grad_cam import seg_grad_cam
    from ..plot import save_figure

    out = folder_to_write(options.out)
    segmenter = load(options)
    target = _class_index(options.target, segmenter.class_names)
    if options.samples < 1:
        raise ValueError(f"--samples must be at least 1, got {options.samples}")
    segmenter.compile_kernels()
    name, image = _read(segmenter, options.image, target)
    question = Question(segmenter, image, target, options.pixel)
    asked = segmenter, image, target, question.region
    methods = {
        "saliency": saliency,
        "SmoothGrad": partial(saliency, samples=options.samples),
        "occlusion": partial(occlusion, patch=options.patch, progress=partial(tqdm, leave=False, disable=None)),
        "Seg-Grad-CAM": partial(seg_grad_cam, layer=options.layer),
    }
    maps = {method: make(*asked) for method, make in methods.items()}
    deletion = delete_pixels(segmenter, image, target, maps, question.region)
    out.mkdir(parents=True, exist_ok=True)
    for method, map in maps.items():
        write_array(out / f"{name}-{method.lower()}.npy", map)
    where = f"at pixel {options.pixel}" if options.pixel else f"in the {question.region.sum()} pixels given to it"
    title = f"what matters for {segmenter.class_names[target]} {where}"
    look = {"prediction": question.labels, "region": question.region, "class_names": segmenter.class_names}
    save_figure(show_maps(image, maps, title=title, **look), out / f"{name}-maps.png")
    save_figure(show_deletion(deletion), out / f"{name}-deletion.png")
    print(title)
    if options.pixel and (given := question.labels[options.pixel]) != target:
        print(f"look at this: the network gives this pixel to {segmenter.class_names[given]}")
    for method, map in maps.items():
        effect = f"blanking what it points at lowers the score {_than_random(deletion.advantage(method))}"
        print(f"  {method:13} {effect if map.min() < map.max() else 'is the same everywhere: it points at nothing'}")
    written = ["maps.png", "deletion.png"]
    if options.check:
        _check_weights(question, segmenter, image, methods, out / f"{name}-weights.png")
        written.append("weights.png")
    print(f"In {out}: {', '.join(f'{name}-{each}' for each in written)}, and each map as .npy")
    return 0


def _check_weights(question, segmenter, image: np.ndarray, methods: dict, path: Path) -> None:
    """Make the maps with untrained weights, draw how they change, and say so."""
    from tqdm import tqdm

    from ..glass.attribution.figures import show_weights_check
    from ..glass.attribution.sanity import randomise_weights
    from ..plot import save_figure

    everywhere = np.ones_like(question.region)  # maps of a place are alike with any weights: dark far from it
    checks = {}
    for method, make in methods.items():
        if method == "occlusion":  # hundreds of passes per map
            continue
        progress = partial(tqdm, desc=method, unit="block", leave=False, disable=None)
        checks[method] = randomise_weights(
            segmenter, image, question.target, everywhere, method=make, progress=progress
        )
    save_figure(show_weights_check(checks), path)
    print("rank correlation of maps of the score over the whole image:")
    for method, check in checks.items():
        left = check.steps[-1].similarity
        text = "nothing to compare, one of the maps is empty"
        if not np.isnan(left):
            text = f"{left:.2f} between trained and untrained weights, {check.floor:.2f} between two untrained networks"
        print(f"  {method:13} {text}")


def _than_random(advantage: float) -> str:
    """Put the area between the curves of `Deletion` into words."""
    if advantage > 0:
        return f"faster than random pixels do (by {advantage:.2f} on average)"
    return f"no faster than random pixels do ({advantage:+.2f}): do not trust this map"


def _class_index(text: str, class_names: tuple[str, ...]) -> int:
    if text in class_names:
        return class_names.index(text)
    if text.isdecimal() and int(text) < len(class_names):
        return int(text)
    choices = ", ".join(f"{k} ({name})" for k, name in enumerate(class_names))
    raise ValueError(f"--class must be one of {choices}, got {text!r}")


def _read(segmenter, path: str, target: int) -> tuple[str, np.ndarray]:
    """Return the name and the image (C, H, W); of a volume the slice that shows most of a class."""
    from ..data.cases import find_cases
    from ..data.normalize import Statistics

    channels = segmenter.model.arguments["in_channels"]
    cases = find_cases([path], channels)
    if len(cases) != 1:
        raise ValueError(f"{path} holds {len(cases)} images; name one of them")
    slices = cases[0].read(channels).pixels.swapaxes(0, 1)  # (D, C, H, W)
    if len(slices) == 1:
        return cases[0].name, slices[0]
    volume = Statistics.of(slices)
    labels = segmenter.predict(slices, volume=volume)
    segmenter.normalize = partial(segmenter.normalize, volume=volume)
    return cases[0].name, slices[(labels == target).sum(axis=(1, 2)).argmax()]
