"""What stands between a file that anybody may have made and the memory of this process.

Decoders trust what a header says. These checks come before them (is it a file at all, can its pixels be afforded) and
after them (are they numbers), and turn whatever a decoder raises into one line that names the file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .sample import DataError

MAX_BYTES = 2**31
"""The largest image that is read, in bytes after decoding; raise it for data that you trust and have memory for."""

_SMALL, _RATIO = 2**26, 10_000  # no honest compressor promises more than this many bytes for one


def file_size(path: str | Path) -> int:
    """Return the size in bytes of a file that can be read.

    Raises
    ------
    DataError
        If there is none, it is empty, a folder, a pipe, a device, a link to nothing or in a circle, or not readable.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        what = "is a link to a file that is gone; restore it or remove the link"
        raise DataError(f"{path}: {what if os.path.islink(path) else 'there is no such file'}") from None
    except OSError as error:  # among them links in a circle and folders that may not be entered
        raise DataError(f"{path}: cannot be reached ({error.strerror}); put a copy of the file itself there") from error
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"{path}: is a folder, though named like an image; rename or remove it")
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: is a pipe, a socket or a device, not a file; remove it")
    if status.st_size == 0:
        raise DataError(f"{path}: is empty (0 bytes); copy or export it again")
    try:
        open(path, "rb").close()
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror}); change its permissions (chmod u+r)") from error
    return status.st_size


def check_memory(path: str | Path, needed: int, size: int) -> None:
    """Refuse pixels that would take more memory than allowed, or than a file of `size` bytes can honestly hold.

    Raises
    ------
    DataError
        If `needed` is not positive, above `MAX_BYTES`, or far beyond what compression can reach.
    """
    if needed <= 0:
        raise DataError(f"{path}: holds no pixels (one of its sides is 0); export it again")
    if needed > MAX_BYTES:
        raise DataError(
            f"{path}: would take {needed / 2**30:.1f} GiB of memory, more than the limit of {MAX_BYTES / 2**30:g} GiB. "
            "If it is genuine, cut it into parts or raise tinyunet.data.guard.MAX_BYTES; if not, remove it."
        )
    if needed > max(_SMALL, _RATIO * size):
        raise DataError(
            f"{path}: promises {needed / 2**20:.0f} MiB of pixels in a file of {size} bytes, so it is damaged or made "
            "to exhaust memory; export it again or remove it"
        )


def check_finite(path: str | Path, bad: int, count: int) -> None:
    """Refuse an image with `bad` of its `count` pixels NaN or infinite.

    Raises
    ------
    DataError
        If there are any.
    """
    if bad:
        raise DataError(
            f"{path}: {bad} of {count} pixels are NaN or infinite; replace them, for example with "
            "numpy.nan_to_num, and save the file again"
        )


@contextmanager
def decoding(path: str | Path, *, private: bool = False) -> Iterator[None]:
    """Turn whatever a decoder raises into a DataError of one line; for calls into decoders only.

    Parameters
    ----------
    path : path
    private : bool
        Leave out the decoder's own words, which may quote the file: a patient's name, for example.
    """
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"{path}: there is not enough memory to decode it; cut it into parts") from error
    except Exception as error:  # a damaged file can make a decoder fail in any way
        words = "" if private else f" ({_one_line(error)})"
        text = f"{path}: not a readable image{words}. Is it complete? Export or copy it again."
        raise DataError(text) from (None if private else error)


def _one_line(error: Exception, limit: int = 160) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else f"...{text[-limit:]}"
