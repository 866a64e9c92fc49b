"""Writing files whole or not at all: a crash, a full disk or Ctrl-C never leaves half a file under a good name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_DRAFT = ".part"  # the end of the name of a file that is being written


def write_whole(path: str | Path, content: bytes | str) -> None:
    """Write a file beside its place and move it there in one step, replacing what was there.

    Parameters
    ----------
    path : path
        Its folder must exist.
    content : bytes or str
        Text is written as UTF-8; what is none, as in some names of files, becomes a question mark.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; a file that was at `path` is then still there, unharmed.
    """
    with writing_whole(path) as file:
        file.write(content.encode("utf-8", "replace") if isinstance(content, str) else content)


@contextmanager
def writing_whole(path: str | Path) -> Iterator[BinaryIO]:
    """Give a file to write piece by piece; it appears at `path` when the block ends, or not at all if it raises.

    Parameters and errors as in `write_whole`.
    """
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_DRAFT)
    except OSError as error:  # it would name the draft
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except OSError as error:
        os.unlink(temporary)
        if error.filename not in (None, temporary):  # of another file that was read or written in the block
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # the error of a write names no file
    except BaseException:
        os.unlink(temporary)
        raise


def remove_drafts(folder: str | Path) -> None:
    """Delete what a killed process left half written in a folder in which no other process is writing now."""
    for draft in Path(folder).glob(f".*{_DRAFT}"):
        draft.unlink(missing_ok=True)
