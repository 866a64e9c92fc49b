"""Kill runs with SIGKILL, which no program can catch, at random moments; resume them; compare with a run left alone.

    python -m tests.training.kill_nine --times 50

A run is killed and resumed again and again until it is through, then another begins. After each kill every file in its
folder must be whole; half-written drafts (hidden, `.NAME.*.part`) may lie there until the run goes on. Each finished
run must have the weights, bit for bit, and the history of the run that nobody killed. Augmentation, a schedule with
warm-up, dropout and early stopping are on. Half of the kills wait until a certain file is being written.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from tinyunet.checkpoint import read_checkpoint

from .tiny import folder

SETTINGS = {"epochs": 12, "patience": 2, "batch_size": 2, "base_channels": 4, "depth": 1, "lr": 0.4, "warm_up": 3}
SETTINGS |= {"augmentation": "strong", "dropout": 0.2, "size": 24, "device": "cpu"}
LONGEST = 120  # seconds that a process may take
WRITTEN = ("last.safetensors", "best.safetensors", "history.csv", "history.json", "curves.png", "report.html")


def command(data: Path, out: Path) -> list[str]:
    """The command that begins the run in `out` or, if a state of it was saved, continues it."""
    start = [sys.executable, "-m", "tinyunet", "train"]
    if (out / "last.safetensors").exists():
        return [*start, "--resume", str(out)]
    options = [part for name, value in SETTINGS.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return [*start, str(data), "--out", str(out), *options]


def is_draft(path: Path) -> bool:
    return path.name.startswith(".") and path.suffix == ".part"


def check_files(out: Path) -> int:
    """Read every file in a folder to its end; an error names the first that is not whole. Return how many there are."""
    paths = [path for path in out.iterdir() if not is_draft(path)] if out.exists() else []
    for path in paths:
        try:
            READERS[path.suffix](path)
        except Exception as error:
            raise AssertionError(f"{path} is not whole: {error!r}") from error
    return len(paths)


def _checkpoint(path: Path) -> None:
    load_file(path)
    read_checkpoint(path)


def _picture(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _table(path: Path) -> None:
    text = path.read_text("utf-8")
    rows = list(csv.reader(text.splitlines()))
    assert text.endswith("\n") and rows and len({len(row) for row in rows}) == 1


def _page(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>") and text.rstrip().endswith("</html>")
    HTMLParser().feed(text)


READERS = {
    ".safetensors": _checkpoint,
    ".png": _picture,
    ".csv": _table,
    ".json": lambda path: json.loads(path.read_text("utf-8")),
    ".html": _page,
}


def run_to_the_end(data: Path, out: Path) -> None:
    done = subprocess.run(command(data, out), capture_output=True, text=True, timeout=LONGEST)
    assert done.returncode == 0, done.stdout + done.stderr


def run_and_kill(data: Path, out: Path, delay: float, name: str = "") -> str:
    """Start or continue a run, kill it after so many seconds or while it writes a file; return what it was doing.

    "" if it was through before.
    """
    process = subprocess.Popen(command(data, out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        process.wait(0 if name else delay)
    except subprocess.TimeoutExpired:
        while name and process.poll() is None and not any(out.glob(f".{name}.*")):
            pass  # a draft lives for a millisecond or less
    process.kill()
    _, errors = process.communicate(timeout=LONGEST)
    if process.returncode == 0:
        return ""
    assert process.returncode == -signal.SIGKILL, errors.decode()
    if drafts := _drafts(out):
        return f"writing {drafts[0].name[1:].rsplit('.', 2)[0]}"
    return "within an epoch or the report" if (out / "last.safetensors").exists() else "before the first save"


def _drafts(out: Path) -> list[Path]:
    return [path for path in out.iterdir() if is_draft(path)] if out.exists() else []


def differences(one: Path, other: Path) -> list[str]:
    """Name what differs between two finished runs; dates and seconds aside, nothing should."""
    found = []
    for name in ("best.safetensors", "last.safetensors"):
        a, b = load_file(one / name), load_file(other / name)
        found += [
            f"{name} {key}" for key in a.keys() | b.keys() if key not in a or not np.array_equal(a[key], b.get(key))
        ]
    rows = [json.loads((run / "history.json").read_text("utf-8")) for run in (one, other)]
    untimed = [[{k: v for k, v in row.items() if k != "seconds"} for row in table] for table in rows]
    found += ["history.json"] * (untimed[0] != untimed[1])
    names = [{path.name for path in run.iterdir()} for run in (one, other)]
    return found + sorted(names[0] ^ names[1])


def kill_many(root: Path, times: int, seed: int = 0, say=lambda text: None) -> Counter:
    """Do what the head of this file says, in an empty folder; return how many kills hit what.

    Raises
    ------
    AssertionError
        If a file was not whole, a run could not be continued, or its end differs from that of the run left alone.
    """
    rng = random.Random(seed)
    data, whole = folder(root / "data", count=10, values=(0, 90, 180)), root / "whole" / "out"
    start = time.perf_counter()
    run_to_the_end(data, whole)
    seconds = time.perf_counter() - start
    check_files(whole)
    epochs = len(json.loads((whole / "history.json").read_text("utf-8")))
    say(f"a run left alone: {epochs} epochs of at most {SETTINGS['epochs']}, {seconds:.1f} s")
    hits, runs, files = Counter(), 0, 0
    while sum(hits.values()) < times:
        out, here, through = root / f"run{runs}" / "out", 0, False
        while not through and sum(hits.values()) < times:
            hit = run_and_kill(data, out, rng.uniform(0, seconds), rng.choice(WRITTEN) if rng.random() < 0.5 else "")
            files += check_files(out)
            through = not hit
            if hit:
                hits[hit], here = hits[hit] + 1, here + 1
        run_to_the_end(data, out)
        check_files(out)
        assert not (wrong := differences(whole, out)), f"{out} ended otherwise after {here} kills: {', '.join(wrong)}"
        runs += 1
        say(f"run {runs}: killed {here} times, then the same to the last bit ({sum(hits.values())} of {times} kills)")
    say(f"{files} files read after kills, all whole")
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill runs at random moments and compare what becomes of them.")
    parser.add_argument("--times", type=int, default=50, metavar="N", help="kills (default: 50)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments (default: 0)")
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as root:
        hits = kill_many(Path(root), options.times, options.seed, print)
    for what, count in hits.most_common():
        print(f"  {count:3d} {what}")
    print(f"{sum(hits.values())} kills in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
