"""`tinyunet predict` and `tinyunet evaluate`: a trained network on images, without and with masks."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

import numpy as np

from .common import add_device, add_out, folder_to_write, load

_BLANK = "take cases that lack modalities, such as NAME_0001.*, as if they were blank; train with --drop-channel for it"


def add(commands) -> None:
    """Add the commands to the parser."""
    predict = commands.add_parser("predict", help="segment images with a trained network")
    predict.description = (
        "Write two files per image: labels/NAME holds the mask values of the training masks, as a PNG (it may look "
        "black in a viewer if those are small) or, for a volume, in the scan's own format and place in space; "
        "views/NAME.png is the image with the classes tinted, for looking at."
    )
    predict.set_defaults(run=_predict)
    predict.add_argument("model", help="checkpoint, or the folder of a run")
    predict.add_argument("images", nargs="+", help="image files, or folders of them")
    add_device(predict)
    add_out(predict, "predictions")
    _add_how(predict)
    predict.add_argument("--series", type=int, metavar="N", help="DICOM series to take where a folder holds several")
    predict.add_argument("--blank-missing", action="store_true", help=_BLANK)
    predict.add_argument(
        "--probabilities", action="store_true", help="also write probabilities/NAME.npy, (classes, H, W)"
    )
    predict.add_argument(
        "--uncertainty",
        action="store_true",
        help="also write uncertainty/NAME.npy, (2, H, W): how undecided the network is (entropy) and, with --tta or "
        "--passes, how much its looks disagree (mutual information), and a picture of both",
    )

    evaluate = commands.add_parser("evaluate", help="score a trained network on images with masks")
    evaluate.description = (
        "Print Dice, IoU, precision, recall, surface Dice, HD95 and objects per class; write them per image, with "
        "overlays and a report. A folder instances/ beside masks/, one value per object, tells touching objects apart."
    )
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
    evaluate.add_argument(
        "--tolerance",
        type=float,
        default=1.0,
        metavar="MM",
        help="distance within which a boundary counts as right in surface Dice, in mm, or in pixels where the spacing "
        "is not known (default: 1)",
    )
    evaluate.add_argument("--ignore", type=int, metavar="VALUE", help="value of masks that stands for 'not labelled'")
    evaluate.add_argument(
        "--patients",
        default="",
        metavar="RULE",
        help="whom an image shows, as in train: intervals are then over patients",
    )
    evaluate.add_argument("--blank-missing", action="store_true", help=_BLANK)
    add_device(evaluate)
    add_out(evaluate, "evaluation")
    _add_how(evaluate)


def _add_how(parser: argparse.ArgumentParser) -> None:
    """Add the options of how images are looked at."""
    group = parser.add_argument_group("how images are looked at")
    group.add_argument(
        "--tile",
        type=int,
        metavar="N",
        help="cut images into tiles of N x N pixels, which takes less memory; 0 is the whole image (default: whole "
        "where memory allows). Tiles overlap by as much as the network looks around, so that the result is that of the "
        "whole image; where N is too small for it, they overlap by half and are blended",
    )
    group.add_argument("--overlap", type=int, metavar="N", help="by how many pixels tiles overlap at least")
    group.add_argument(
        "--tta", type=int, choices=(4, 8), default=1, help="average over 4 mirror images, or 8 with quarter turns"
    )
    group.add_argument(
        "--passes", type=int, default=0, metavar="N", help="average over N passes with dropout (default: 0, without)"
    )
    group.add_argument("--largest", action="store_true", help="keep of every class only the largest object")
    group.add_argument(
        "--smallest", type=int, default=0, metavar="N", help="keep only objects of at least N pixels (default: all)"
    )


def _how(options: argparse.Namespace) -> tuple[dict, dict]:
    """Return what was asked for, as options of `Segmenter.probabilities` and of `tidy`."""
    unlike = {"tile": None, "overlap": None, "tta": 1, "passes": 0}, {"largest": False, "smallest": 0}
    return tuple({k: v for k in usual if (v := getattr(options, k)) != usual[k]} for usual in unlike)


def _predict(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..data.cases import find_cases, some
    from ..data.rows import open_rows
    from ..data.sample import DataError
    from ..inference import large, tidy, tiles
    from .writing import predict_large, write_case

    out = folder_to_write(options.out)
    segmenter = load(options)
    look, keep = _how(options)
    tidy(np.zeros((1, 1), np.int64), **keep)  # finds wrong options before any work is done
    channels = segmenter.model.arguments["in_channels"]
    cases = find_cases(options.images, channels, options.blank_missing)
    segmenter.compile_kernels(**look)
    kinds = ["labels", "views", *(kind for kind in ("probabilities", "uncertainty") if getattr(options, kind))]
    for kind in kinds:
        (out / kind).mkdir(parents=True, exist_ok=True)
    failed, classes = 0, []  # those of every image

    def scans():
        """Yield what fits into memory; see to the rest."""
        nonlocal failed
        for case in tqdm(cases, unit="image", disable=None):
            try:
                if len(case.images) == 1:
                    with open_rows(case.images[0], channels) as rows:
                        if rows and rows.height * rows.width > large.LARGE:
                            classes.append(predict_large(segmenter, case, rows, options, look, keep))
                            continue
                yield case, case.read(channels, options.series)
            except DataError as error:  # one bad file should not cost the others
                tqdm.write(f"tinyunet: error: {error}", file=sys.stderr)
                failed += 1

    for batch in _alike(scans()):
        images = np.concatenate([scan.pixels.swapaxes(0, 1) for _, scan in batch])  # (N, C, H, W), slice by slice
        slices = len(images) // len(batch)
        how = look | {"volume": slices > 1}
        examined = segmenter.examine(images, **how) if options.uncertainty else None
        p = examined.probabilities if examined else segmenter.probabilities(images, **how)
        for i, (case, scan) in enumerate(batch):
            part = slice(i * slices, (i + 1) * slices)
            labels = tidy(p[part].argmax(axis=1), **keep)
            classes.append(set(np.unique(labels)))
            prediction = examined and type(examined)(*(a[part] for a in examined))
            write_case(options, segmenter, case, scan, labels, p[part], prediction)
    done = len(cases) - failed
    values = ", ".join(f"{v} ({name})" for v, name in zip(segmenter.mask_values, segmenter.class_names, strict=True))
    places = f"; {out / 'labels'} holds the values {values}; look at {out / 'views'}"
    print(f"{done} of {len(cases)} images segmented{places if done else ''}")
    lacking = [case.name for case in cases if case.blank]
    if lacking:
        print(f"look at this: modalities were missing, and taken as blank, in {len(lacking)} cases: {some(lacking)}")
    one_class = sum(len(found) == 1 for found in classes)
    if one_class:
        print(f"look at this: {one_class} of {done} images were given a single class everywhere")
    if options.tile and (text := tiles.caveat(segmenter.model, options.tile, options.overlap)):
        print(f"look at this: {text}")
    return 1 if failed else 0


def _alike(scans):
    """Group images that follow one another and have one size: small ones are faster together. A volume is alone."""
    from ..inference.segmenter import TOGETHER

    batch = []
    for case, scan in scans:
        shape = scan.pixels.shape
        full = batch and (shape[1] > 1 or (len(batch) + 1) * np.prod(shape[1:]) > TOGETHER)
        if full or (batch and shape != batch[0][1].pixels.shape):
            yield batch
            batch = []
        batch.append((case, scan))
    if batch:
        yield batch


def _evaluate(options: argparse.Namespace) -> int:
    from ..data import ImageFolder
    from ..data.instances import Instances
    from ..files import write_whole
    from ..inference import tidy
    from ..report import facts_of_run, write_evaluation

    out = folder_to_write(options.out)
    segmenter = load(options)
    look, keep = _how(options)
    tidy(np.zeros((1, 1), np.int64), **keep)
    root, model = Path(options.data), Path(options.model)
    run = model if model.is_dir() else model.parent
    split = options.split or ("test" if (root / "test").is_dir() else None)
    channels = segmenter.model.arguments["in_channels"]
    data = {name: getattr(options, name) for name in ("ignore", "patients", "blank_missing")}
    dataset = ImageFolder(root, split, mask_values=segmenter.mask_values, channels=channels, **data)
    print(dataset.describe())
    segmenter.compile_kernels(**look)
    instances = Instances.of_data(root, split)
    scores = segmenter.evaluate(
        dataset,
        empty=options.empty,
        detailed=True,
        tolerance=options.tolerance,
        instances=instances,
        **look,
        **keep,
    )
    print(scores.table())
    out.mkdir(parents=True, exist_ok=True)
    scores.save_csv(out / "scores.csv")
    write_whole(out / "scores.json", json.dumps(scores.to_dict(), indent=1))
    part = ["--split", split] if split else []
    given = {name: value for name, value in data.items() if value not in (None, "", False)}
    for name, value in {**look, **keep, **given}.items():
        option = f"--{name.replace('_', '-')}"
        part += [option] if value is True else [option, str(value)]
    alerts = write_evaluation(
        out,
        segmenter,
        dataset,
        scores,
        title=f"{model} on {root}{f' ({split})' if split else ''}",
        scored="training" if split == "train" else "test",
        run=run,
        predict=lambda image, **volume: segmenter.predict(image, **look, **volume),
        finish=lambda labels: tidy(labels, **keep),
        how={**look, **keep},
        description=dataset.describe(),
        command=shlex.join(["tinyunet", "evaluate", str(model), str(root), *part]),
        **facts_of_run(run),
    )
    for alert in alerts:
        print(f"look at this: {alert}")
    print(f"In {out}: report.html, overlays.png, scores.csv, scores.json")
    return 0
