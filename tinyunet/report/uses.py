"""How often was this test set looked at? A small record in the folder of the run, and a warning that blocks nothing.

A test set gives an honest score once. Whoever looks at it, changes something, and looks again, chooses by it: the best
of ten networks on forty images is partly the luckiest. So every evaluation leaves a line in `test_uses.json` in the
folder of its run, with fingerprints of the images, and the next one, of this run or of one in a folder beside it, is
told how often these images were used before. Evaluating the same weights in the same way gives the same numbers and
teaches nothing new: that is no second use.

The record holds no image and no name of one. It is as honest as its owner: deleting the folder deletes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from ..data.sample import Dataset
from ..files import write_whole

RECORD = "test_uses.json"


def fingerprints(dataset: Dataset) -> list[str]:
    """Return 16 hexadecimal digits for every image, which change with any of its pixels."""
    return [fingerprint([dataset[i].image]) for i in range(len(dataset))]


def fingerprint(arrays: Iterable[np.ndarray]) -> str:
    """Return 16 hexadecimal digits for some arrays: their shapes, dtypes and values."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def note_test_use(
    run: Path, weights: Mapping[str, np.ndarray], images: Sequence[str], score: float, how: Mapping[str, object] = {}
) -> str:
    """Record that a test set was used, and say whether it had been before.

    Parameters
    ----------
    run : path
        The folder of the run, or of the checkpoint; its neighbours are asked as well.
    weights : dict of arrays
        Of the network.
    images : sequence of str
        From `fingerprints`.
    score : float
        Mean Dice.
    how : dict of JSON types
        What changes predictions beside the weights, such as test-time augmentation.

    Returns
    -------
    str
        A warning for people; empty on the first use of these images, and where nothing has changed since.
    """
    names = sorted(weights)
    use = {
        "date": date.today().isoformat(),
        "run": run.resolve().name,
        "weights": fingerprint(weights[name] for name in names),
        "how": dict(how),
        "dice": None if np.isnan(score) else round(score, 4),
        "images": list(images),
    }
    problems: list[str] = []
    own = _read(run / RECORD, problems)
    readable = not problems
    others = [path for path in sorted(run.resolve().parent.glob(f"*/{RECORD}")) if path != run.resolve() / RECORD]
    before = own + [earlier for path in others for earlier in _read(path, problems)]
    same = [earlier for earlier in before if _evaluation(earlier) == _evaluation(use)]
    if not same and readable:
        try:
            write_whole(run / RECORD, json.dumps({"format": 1, "uses": [*own, use]}))
        except OSError as error:
            problems.append(f"this use of the test set could not be recorded: {error}")
    if same:
        return " ".join(problems)
    known = set(images)
    uses = [earlier for earlier in before if known & set(earlier["images"])]
    if not uses:
        return " ".join(problems)
    shared = len(known & {name for earlier in uses for name in earlier["images"]})
    times = "once before" if len(uses) == 1 else f"{len(uses)} times before"
    last = max(uses, key=lambda earlier: earlier["date"])
    value = "" if last["dice"] is None else f", Dice {last['dice']:.4f}"
    warning = (
        f"{shared} of these {len(images)} test images were scored {times} with other weights or in another way (last "
        f"on {last['date']} in {last['run']}{value}). A choice made by looking at test scores makes the next ones too "
        "good. Choose by the validation images, and say how often the test set was used."
    )
    return " ".join((warning, *problems))


def _evaluation(use: dict) -> tuple:
    """What makes an evaluation new."""
    return use["weights"], json.dumps(use["how"], sort_keys=True), sorted(use["images"])


def _read(path: Path, problems: list[str]) -> list[dict]:
    """The uses in a record; one that cannot be read is left as it is and named."""
    if not path.is_file():
        return []
    try:
        uses = json.loads(path.read_text(encoding="utf-8"))["uses"]
        for use in uses:
            _evaluation(use), use["date"] + use["run"], use["dice"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        problems.append(f"{path} cannot be read, so earlier uses of the test set are unknown ({error}).")
        return []
    return uses
