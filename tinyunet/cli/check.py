"""`tinyunet check`: what is wrong with a folder of images and masks, before hours are spent on it."""

from __future__ import annotations

import argparse
import json

from .common import add_out, folder_to_write


def add(commands) -> None:
    """Add the command to the parser."""
    check = commands.add_parser("check", help="examine a folder of images and masks before training")
    check.description = (
        "Look for what spoils training or falsifies a score: files that do not pair or cannot be read, mask values "
        "that are no classes, copies, patients on both sides, and more; say what mends it, and draw a contact sheet. "
        "The exit code is 1 if something must be mended first. Nothing in the folder is changed. Whether a network can "
        "learn the images, tinyunet train DIR --check finds out."
    )
    check.set_defaults(run=_run)
    check.add_argument("data", metavar="DIR", help="folder with images/ and masks/, or with train/ and test/")
    add_out(check, "check")
    check.add_argument("--json", metavar="FILE", help="also write the findings, with all files, as JSON")
    for name, text in (
        ("size", "squares that you will train on"),
        ("channels", "1 or 3: as what you will read the images"),
        ("series", "DICOM series to take where a folder holds several"),
        ("ignore", "value of masks that stands for 'not labelled'"),
    ):
        check.add_argument(f"--{name}", type=int, metavar="N", help=text)
    check.add_argument("--patients", default="", metavar="RULE", help="whom an image shows, as in train")
    check.add_argument("--blank-missing", action="store_true", help="take cases that lack a modality")


def _run(options: argparse.Namespace) -> int:
    from .. import plot
    from ..checkup import examine
    from ..checkup.sheet import contact_sheet
    from ..files import write_whole

    out = folder_to_write(options.out)
    for name, lowest in (("size", 1), ("channels", 1)):
        value = getattr(options, name)
        if value is not None and value < lowest:
            raise ValueError(f"--{name} must be at least {lowest}, got {value}")
    found = examine(
        options.data,
        size=options.size or 0,
        channels=options.channels,
        series=options.series,
        ignore=options.ignore,
        patients=options.patients,
        blank_missing=options.blank_missing,
        show_progress=True,
    )
    print(found.page())
    if options.json:
        write_whole(options.json, json.dumps(found.to_dict(), indent=1))
        print(f"All files of all findings: {options.json}")
    if found.cases:
        out.mkdir(parents=True, exist_ok=True)
        plot.save_figure(contact_sheet(found), out / "contact_sheet.png")
        print(f"Look at {out / 'contact_sheet.png'}")
    return 1 if found.count("error") else 0
