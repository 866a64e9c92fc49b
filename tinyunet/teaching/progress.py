"""What a learner has solved and guessed: kept in `progress.json` of the folder that `tinyunet lessons` made.

Where there is no such file (the documentation's build, a test) it is kept in memory only.
"""

from __future__ import annotations

import json
from pathlib import Path

from ..files import write_whole

FILE = "progress.json"
_now: dict[str, dict] = {"exercises": {}, "predictions": {}}


def note(kind: str, name: str, value) -> None:
    """Remember a value under a name; an exercise once solved stays solved."""
    if kind == "exercises" and _now[kind].get(name):
        return
    _now[kind][name] = value
    file = Path(FILE)
    if file.exists():
        kept = read(file)
        if not (kind == "exercises" and kept[kind].get(name)):
            kept[kind][name] = value
            write_whole(file, json.dumps(kept, indent=1))


def predictions() -> dict[str, dict]:
    """Return the predictions of this process: name -> {"guess", "right" (absent before it is revealed)}."""
    return _now["predictions"]


def start(folder: Path) -> None:
    """Begin keeping progress in a folder, unless it is kept there already."""
    if not (folder / FILE).exists():
        write_whole(folder / FILE, json.dumps({"exercises": {}, "predictions": {}}, indent=1))


def read(file: Path) -> dict[str, dict]:
    """Return the progress kept in a file.

    Raises
    ------
    ValueError
        If the file is no progress file.
    """
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {kind: dict(kept[kind]) for kind in ("exercises", "predictions")}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is not what tinyunet wrote ({error}); delete it to begin again, or restore it"
        ) from error
