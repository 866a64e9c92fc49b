"""Run a lesson as its reader would, but in this process: cell by cell, in one namespace.

    python -m tests.lessons.lesson lessons/02_convolution.py --out FOLDER

runs it in a real notebook kernel, prints the time of each slow cell, and writes the solved notebook, its figures as
PNG files and its page, to be looked at.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import os
import time
from pathlib import Path

from tinyunet.teaching import NotSolved, progress
from tinyunet.teaching.notebooks import make_notebook

HAS_SOLUTION, CALLS_CHECK = "### BEGIN SOLUTION", "checks."


def run_cell(code: str, names: dict, file: str):
    """Run one cell and return the value of its last expression, as a notebook would show it."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, file, "exec"), names)
    return eval(compile(ast.Expression(last.value), file, "eval"), names) if last else None


def run_solved(source: Path) -> dict:
    """Run a solved lesson; return what it did: checks passed, predictions revealed, figures shown, seconds."""
    progress._now.update(exercises={}, predictions={})
    names, shown, begin = {"__name__": "__main__"}, [], time.perf_counter()
    for k, cell in enumerate(make_notebook(source, solved=True).cells):
        if cell.cell_type == "code":
            with contextlib.redirect_stdout(io.StringIO()):
                shown.append(run_cell(cell.source, names, f"{source.name}, cell {k}"))
    revealed = [name for name, p in progress.predictions().items() if "right" in p]
    passed = [name for name, right in progress._now["exercises"].items() if right]
    return {"checks": passed, "predictions": revealed, "shown": shown, "seconds": time.perf_counter() - begin}


def run_stripped(source: Path, markers: list[str]) -> list[NotSolved | None]:
    """Run the set-up, the exercises and the checks of a to-do lesson; return what each check raised.

    Other cells may use what the learner has not written yet, so they are left out; a check takes the learner's object
    and nothing else.
    """
    names, raised = {"__name__": "__main__"}, []
    for k, (cell, marked) in enumerate(zip(make_notebook(source, solved=False).cells, markers, strict=True)):
        if cell.cell_type != "code":
            continue
        calls = [n for n in ast.parse(cell.source).body if ast.unparse(n).startswith(CALLS_CHECK)]
        if calls:
            for call in calls:
                try:
                    run_cell(ast.unparse(call), names, f"{source.name}, cell {k}")
                    raised.append(None)
                except NotSolved as hint:
                    raised.append(hint)
        elif HAS_SOLUTION in marked or "from tinyunet.teaching import" in cell.source:
            with contextlib.redirect_stdout(io.StringIO()):
                run_cell(cell.source, names, f"{source.name}, cell {k}")
    return raised


def main() -> None:
    """Run a lesson in a notebook kernel and write what it shows."""
    import base64

    import nbclient
    import nbformat

    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    notebook, times = make_notebook(options.source, solved=True), {}

    def note(cell, cell_index, **_):
        times[cell_index] = time.perf_counter() - times.get(cell_index, 0)

    client = nbclient.NotebookClient(
        notebook, timeout=600, on_cell_execute=lambda cell, cell_index: times.update({cell_index: time.perf_counter()})
    )
    client.on_cell_executed = note
    os.environ.setdefault("PYTHONPATH", os.getcwd())
    begin = time.perf_counter()
    try:
        client.execute(cwd=str(options.out))
    finally:
        nbformat.write(notebook, options.out / f"{options.source.stem}.ipynb")
        for k, cell in enumerate(notebook.cells):
            for output in cell.get("outputs", ()):
                data = output.get("data", {})
                file = options.out / f"{options.source.stem}_{k:02d}"
                if "image/png" in data:
                    file.with_suffix(".png").write_bytes(base64.b64decode(data["image/png"]))
                if "text/html" in data:
                    file.with_suffix(".html").write_text(data["text/html"])
                if output.get("output_type") == "stream":
                    print(f"cell {k}: {output['text'].rstrip()}")
    print("\n".join(f"cell {k}: {s:.1f} s" for k, s in times.items() if s > 1))
    print(f"{time.perf_counter() - begin:.1f} s in all, start of the kernel included")


if __name__ == "__main__":
    main()
