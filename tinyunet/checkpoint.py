"""Checkpoints: arrays in a safetensors file, everything else as JSON in the header of the same file.

One file, because two could be torn apart by a crash between them. safetensors and JSON hold data only: reading a
checkpoint never executes code from it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .files import write_whole

_KEY, _FORMAT = "tinyunet", 1
_CONVERT = "weights of PyTorch become a checkpoint with: tinyunet convert FILE OUT.safetensors"


class CheckpointError(ValueError):
    """A checkpoint cannot be read."""


def write_checkpoint(path: str | Path, arrays: dict[str, np.ndarray], description: dict) -> None:
    """Write arrays and a JSON description into one safetensors file, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written; an older one at `path` is then unharmed.
    """
    from safetensors.numpy import save

    header = {_KEY: json.dumps({"format": _FORMAT} | description)}
    write_whole(path, save({name: np.asarray(a, order="C") for name, a in arrays.items()}, metadata=header))


def is_checkpoint(path: str | Path) -> bool:
    """Tell whether `path` is a checkpoint of tinyunet, or the folder of a run, rather than weights from elsewhere."""
    from safetensors import SafetensorError, safe_open

    if Path(path).is_dir():
        return True
    try:
        with safe_open(path, framework="numpy") as file:
            return _KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read_checkpoint(path: str | Path) -> tuple[dict[str, np.ndarray], dict]:
    """Read what `write_checkpoint` wrote.

    Returns
    -------
    (dict of arrays, dict)

    Raises
    ------
    CheckpointError
        If there is no such file, it is damaged, or it was not written by tinyunet.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if path.is_dir():
        path = path / "best.safetensors"
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}; give the file or the folder of a run (best.safetensors)")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged or no safetensors file: {error}; {_CONVERT}") from error
    if _KEY not in metadata:
        raise CheckpointError(
            f"{path} holds weights but not how to use them (it was not written by tinyunet); {_CONVERT}"
        )
    try:
        description = json.loads(metadata[_KEY])
        newer = description["format"] > _FORMAT
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: its description cannot be read ({error})") from error
    if newer:
        raise CheckpointError(f"{path} was written by a newer tinyunet (format {description['format']}); upgrade")
    return arrays, description
