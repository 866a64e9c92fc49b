"""The `tinyunet` command: train, predict, evaluate, summary, bench.

Exit codes: 0 done, 1 it could not be done (one line says why and what to change), 2 the command line is wrong,
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path

from . import __version__
from .backend import keep_freed_memory


def main(arguments: list[str] | None = None) -> int:
    """Run the command with `arguments` (default: those of the process) and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.command:
        parser.print_help()
        return 2
    keep_freed_memory()
    try:
        return options.run(options)
    except KeyboardInterrupt as stop:
        print(f"\n{stop}" if stop.args else "\nstopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, ArithmeticError, MemoryError) as error:
        # What the library raises about data, settings, files and training; anything else is a bug and shows its trace.
        if options.traceback:
            raise
        print(f"tinyunet: error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinyunet",
        description="Segment medical images with a UNet that is readable down to its last loop.",
        epilog="Start with:  tinyunet train         (toy tumours, about a minute)\nThen:        tinyunet train FOLDER",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tinyunet {__version__}")
    parser.add_argument("--traceback", action="store_true", help="on an error, show where in the code it arose")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    train = commands.add_parser("train", help="train on toy data or on a folder of images")
    train.description = "Train a UNet; write checkpoints, curves, overlays and a report."
    train.set_defaults(run=_train)
    _add_settings(train)

    predict = commands.add_parser("predict", help="segment images with a trained network")
    predict.description = (
        "Write two files per image: labels/NAME.png holds the mask values of the training masks (it may look black in "
        "a viewer if those are small), views/NAME.png the image with the classes tinted, for looking at."
    )
    predict.set_defaults(run=_predict)
    predict.add_argument("model", help="checkpoint, or the folder of a run")
    predict.add_argument("images", nargs="+", help="image files, or folders of them")
    _add_out(predict, "predictions")
    predict.add_argument(
        "--probabilities", action="store_true", help="also write probabilities/NAME.npy, (classes, H, W)"
    )

    evaluate = commands.add_parser("evaluate", help="score a trained network on images with masks")
    evaluate.description = "Print Dice, IoU, precision and recall per class; write them per image, with overlays."
    evaluate.set_defaults(run=_evaluate)
    evaluate.add_argument("model", help="checkpoint, or the folder of a run")
    evaluate.add_argument("data", help="folder with images/ and masks/, or with test/ that holds them")
    evaluate.add_argument("--split", choices=("train", "test"), help="which part of a divided folder (default: test)")
    evaluate.add_argument(
        "--empty",
        choices=("skip", "one", "zero"),
        default="skip",
        help="what the score of a class that is neither there nor predicted counts as (default: skip)",
    )
    _add_out(evaluate, "evaluation")

    summary = commands.add_parser("summary", help="show the layers of a network")
    summary.description = "Show output shape, parameters, receptive field and bytes of every layer."
    summary.set_defaults(run=_summary)
    summary.add_argument(
        "model", nargs="?", help="checkpoint, folder of a run, 'article' or 'paper'; default: a new UNet"
    )
    summary.add_argument(
        "--size", type=int, nargs="+", default=[256], metavar="PIXELS", help="height and width (default: 256)"
    )
    for name, default in (("in-channels", 1), ("classes", 2), ("base-channels", 16), ("depth", 3)):
        text = f"of a new UNet (default: {default})"
        summary.add_argument(f"--{name}", type=int, default=default, metavar="N", help=text)

    bench = commands.add_parser("bench", help="measure the speed on this machine, beside PyTorch's")
    bench.description = "Validate, then time: UNets of several sizes, beside PyTorch where it is installed."
    bench.set_defaults(run=_bench)
    mode = bench.add_mutually_exclusive_group()
    mode.add_argument("--ops", action="store_true", help="single operations instead of networks")
    mode.add_argument(
        "--ladder", nargs="?", const="conv2d", metavar="OP", help="one operation, rung by rung (default: conv2d)"
    )
    mode.add_argument("--memory", action="store_true", help="peak memory of a training step")
    mode.add_argument("--scaling", action="store_true", help="images of 64 to 512 pixels, networks of 8 to 64 channels")
    bench.add_argument("--quick", action="store_true", help="only the first and the last case")
    bench.add_argument("--rounds", type=int, default=10, metavar="N", help="how often each side runs (default: 10)")
    bench.add_argument("--threads", type=int, metavar="N", help="of every side (default: all cores)")
    _add_out(bench, "bench")
    return parser


def _add_out(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--out", default=default, metavar="DIR", help=f"folder for the results (default: {default})")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add an option for every field of Settings; only what the user gave is passed on."""
    from .training import Settings

    parser.add_argument("--resume", metavar="DIR", help="continue the run in this folder with its own settings")
    for f in fields(Settings):
        text, choices, default = f.metadata["help"], f.metadata["choices"], f.default
        text += "" if default in ("", None) else f" (default: {default})"
        option = f"--{f.name.replace('_', '-')}"
        common = {"dest": f.name, "default": argparse.SUPPRESS, "help": text}
        if f.name == "data":
            parser.add_argument("data", nargs="?", default=argparse.SUPPRESS, help=text)
        elif isinstance(default, bool):
            parser.add_argument(option, action=argparse.BooleanOptionalAction, **common)
        elif f.name == "window":
            parser.add_argument(option, type=float, nargs=2, metavar=("LOW", "HIGH"), **common)
        else:
            metavar = None if choices else {int: "N", float: "X", str: "DIR"}[type(default)]
            parser.add_argument(option, type=type(default), choices=choices, metavar=metavar, **common)


def _train(options: argparse.Namespace) -> int:
    from .training import Settings, resume, train

    given = {f.name: getattr(options, f.name) for f in fields(Settings) if f.name in options}
    if options.resume:
        if given:
            names = ", ".join(given)
            raise ValueError(f"--resume continues with the settings of the run; leave out: {names}")
        resume(options.resume)
        return 0
    if given.get("window"):
        given = {"normalize": "window"} | given | {"window": tuple(given["window"])}
    train(**given)
    return 0


def _predict(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from . import plot
    from .data.image_file import read_image
    from .data.sample import DataError
    from .data.write import write_array, write_labels, write_picture
    from .inference import Segmenter

    segmenter = Segmenter.load(options.model)
    paths = _image_paths(options.images)
    segmenter.compile_kernels()
    out = Path(options.out)
    kinds = ["labels", "views"] + ["probabilities"] * options.probabilities
    for kind in kinds:
        (out / kind).mkdir(parents=True, exist_ok=True)
    failed, one_class = 0, 0
    for path in tqdm(paths, unit="image", disable=None):
        try:
            image = read_image(path, segmenter.model.arguments["in_channels"])
        except DataError as error:  # one bad file should not cost the others
            tqdm.write(f"tinyunet: error: {error}", file=sys.stderr)
            failed += 1
            continue
        probabilities = segmenter.probabilities(image)
        labels = probabilities.argmax(axis=0)
        one_class += labels.min() == labels.max()
        write_labels(out / "labels" / f"{path.stem}.png", labels, segmenter.mask_values)
        write_picture(out / "views" / f"{path.stem}.png", plot.paint(image, labels))
        if options.probabilities:
            write_array(out / "probabilities" / f"{path.stem}.npy", probabilities)
    done = len(paths) - failed
    pairs = zip(segmenter.mask_values, segmenter.class_names, strict=True)
    print(
        f"{done} of {len(paths)} images segmented; {out / 'labels'} holds the values "
        f"{', '.join(f'{value} ({name})' for value, name in pairs)}; look at {out / 'views'}"
    )
    if one_class:
        print(f"look at this: {one_class} of {done} images were given a single class everywhere")
    return 1 if failed else 0


def _image_paths(names: list[str]) -> list[Path]:
    """Return the image files behind names of files and folders, each stem once."""
    from .data.image_file import SUFFIXES
    from .data.sample import DataError

    paths: list[Path] = []
    for path in map(Path, names):
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
            if not found:
                raise DataError(f"{path} holds no images; expected files ending in {', '.join(SUFFIXES)}")
            paths += found
        elif path.is_file():
            paths.append(path)
        else:
            raise DataError(f"there is no file or folder {path}")
    stems: dict[str, Path] = {}
    for path in paths:
        if path.stem in stems:
            raise DataError(f"{stems[path.stem]} and {path} would be written to one name; predict them in two calls")
        stems[path.stem] = path
    return paths


def _evaluate(options: argparse.Namespace) -> int:
    from .data import ImageFolder
    from .files import write_whole
    from .inference import Segmenter
    from .training import report

    segmenter = Segmenter.load(options.model)
    root = Path(options.data)
    split = options.split or ("test" if (root / "test").is_dir() else None)
    channels = segmenter.model.arguments["in_channels"]
    dataset = ImageFolder(
        root, split, mask_values=segmenter.mask_values, channels=channels if channels in (1, 3) else None
    )
    print(dataset.describe())
    segmenter.compile_kernels()
    scores = segmenter.evaluate(dataset, empty=options.empty)
    print(scores.table())
    for warning in report.warnings_about(scores, segmenter.class_names):
        print(f"look at this: {warning}")
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    scores.save_csv(out / "scores.csv")
    write_whole(out / "scores.json", json.dumps(scores.to_dict(), indent=1))
    report.write_overlays(out / "overlays.png", segmenter, dataset, scores)
    print(f"In {out}: scores.csv, scores.json, overlays.png")
    return 0


def _summary(options: argparse.Namespace) -> int:
    from .inference import Segmenter
    from .nn import UNet

    size = options.size if len(options.size) == 2 else options.size * 2
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"--size takes one or two positive numbers, got {options.size}")
    sizes = {name: getattr(options, name) for name in ("in_channels", "classes")}
    if options.model in ("article", "paper"):
        model = getattr(UNet, options.model)(**sizes)
    elif options.model:
        model = Segmenter.load(options.model).model
    else:
        model = UNet(**sizes, base_channels=options.base_channels, depth=options.depth)
    print(model.summary(*(model.next_size(side) for side in size)))
    return 0


def _bench(options: argparse.Namespace) -> int:
    from .bench import command

    return command.run(options)
