"""`tinyunet lessons`: the lessons as notebooks in a folder of the reader's, and how far they are."""

from __future__ import annotations

import argparse
from pathlib import Path

from .common import folder_to_write


def add(commands) -> None:
    """Add the command to the parser."""
    lessons = commands.add_parser("lessons", help="write the lesson notebooks into a folder, or show your progress")
    lessons.description = (
        "Write the notebooks of the lessons, with the exercises left open, into a folder of yours. Notebooks that are "
        "there already stay as they are."
    )
    lessons.set_defaults(run=_run)
    lessons.add_argument("folder", nargs="?", default="tinyunet-lessons", metavar="DIR", help="default: %(default)s")
    lessons.add_argument("--solved", action="store_true", help="write the solved notebooks too, into DIR/solved")
    lessons.add_argument("--progress", action="store_true", help="show which exercises of DIR are solved")


def _run(options: argparse.Namespace) -> int:
    folder = folder_to_write(options.folder)
    return _show_progress(folder) if options.progress else _write(folder, options.solved)


def _write(folder: Path, solved: bool) -> int:
    from ..teaching import progress
    from ..teaching.notebooks import lesson_files, write_notebook

    made, kept = [], []
    for target_folder, with_solutions in ((folder, False), (folder / "solved", True))[: 1 + solved]:
        for source in lesson_files():
            target = target_folder / f"{source.stem}.ipynb"
            if target.exists():
                kept.append(target)
            else:
                write_notebook(source, target, with_solutions)
                made.append(target)
    progress.start(folder)
    if kept:
        print(f"{len(kept)} notebooks were there and stay as they are; delete one to get it anew.")
    print(f"{len(made)} notebooks written to {folder}. Open them with\n")
    print(f"    jupyter lab {folder}\n")
    print("and begin with the first. How far you are:\n")
    print(f"    tinyunet lessons {folder} --progress")
    return 0


def _show_progress(folder: Path) -> int:
    from ..teaching import progress
    from ..teaching.notebooks import lesson_files, outline

    file = folder / progress.FILE
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing: write the notebooks first with `tinyunet lessons {folder}`")
    kept = progress.read(file)
    solved_in_all = asked_in_all = 0
    for source in lesson_files():
        title, topic, names = outline(source)
        solved = [kept["exercises"].get(f"{topic}.{name}") for name in names]
        bar = "".join("#" if s else "." if s is None else "x" for s in solved)
        print(f"{source.stem[:2]}  {bar:8}  {sum(map(bool, solved))} of {len(names)}  {title}")
        solved_in_all, asked_in_all = solved_in_all + sum(map(bool, solved)), asked_in_all + len(names)
    revealed = [p["right"] for p in kept["predictions"].values() if "right" in p]
    print(f"\n{solved_in_all} of {asked_in_all} exercises solved (x: tried)")
    print(f"{sum(revealed)} of {len(revealed)} predictions right")
    return 0
