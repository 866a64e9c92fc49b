"""Walking over the entries of a DICOM file, before and beside the decoder.

Before it, because a length beyond the end would make it reserve gigabytes. Beside it, because it takes the place of all
frames of an enhanced file from the first few, and says nothing of what lies in sequences.
"""

from __future__ import annotations

import struct
from pathlib import Path

from . import guard
from .sample import DataError

POSITION, AXES, SPACING = (0x0020, 0x0032), (0x0020, 0x0037), (0x0028, 0x0030)
INTERCEPT, SLOPE, FRAMES = (0x0028, 0x1052), (0x0028, 0x1053), (0x5200, 0x9230)
WANTED = (POSITION, AXES, SPACING, INTERCEPT, SLOPE)
_SEQUENCES = {  # that these lie in: of all frames and of each, pixel measures, position, orientation, scaling
    (0x5200, 0x9229), FRAMES, (0x0028, 0x9110), (0x0020, 0x9113), (0x0020, 0x9116), (0x0028, 0x9145),
}  # fmt: skip
_REFUSED = {"1.2.840.10008.1.2.1.99": "deflated", "1.2.840.10008.1.2.2": "big-endian"}
_LONG = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()  # types with lengths of four bytes

Entries = dict[tuple[int, int], list[str]]
"""By number of the entry: its texts."""


def read(path: str | Path, size: int) -> Entries:
    """Walk over a DICOM file of `size` bytes and return the texts of the entries that `WANTED` names.

    Each has as many texts as it is found: once in what all frames share, or once in each frame.

    Raises
    ------
    DataError
        If the file is no DICOM file, is deflated or big-endian, or an entry reaches beyond its end.
    """
    found: Entries = {}
    with guard.decoding(path, private=True), open(path, "rb") as file:
        file.seek(128)
        if file.read(4) != b"DICM":
            raise DataError(f"{path}: is no DICOM file, or a damaged one; copy it again or remove it")
        syntax, depth, fragments = "", 0, False
        implicit: int | None = None  # from which depth of sequences on entries do not state their type
        while len(head := file.read(8)) == 8:
            group, element, kind, short = struct.unpack("<HH2sH", head)
            (length,) = struct.unpack("<I", head[4:])
            if depth == 0 and group != 2:
                implicit = 0 if syntax == "1.2.840.10008.1.2" else None
                if syntax in _REFUSED:
                    raise DataError(
                        f"{path}: is {_REFUSED[syntax]} DICOM, which is not read; convert it, for example to "
                        "NIfTI with dcm2niix"
                    )
            if group == 0xFFFE:  # an item of a sequence or a fragment of pixels, or the end of one
                if element == 0xE0DD:
                    implicit = None if implicit == depth and depth else implicit
                    depth, fragments = depth - 1, False
                if not fragments:
                    continue
                kind = b""
            elif implicit is None or group == 2:
                length = struct.unpack("<I", file.read(4))[0] if kind in _LONG else short
            if (group, element) == FRAMES:
                found[FRAMES] = []
            if length == 2**32 - 1:  # undefined: until its end is marked
                depth, fragments = depth + 1, (group, element) == (0x7FE0, 0x10)
                implicit = depth if implicit is None and kind == b"UN" else implicit
            elif file.tell() + length > size:
                raise DataError(
                    f"{path}: an entry of {length} bytes reaches beyond the end of the file; it is incomplete or "
                    "damaged: copy or export it again"
                )
            elif (group, element) == (2, 0x10):
                syntax = file.read(length).decode("ascii").strip("\0 ")
            elif (group, element) in WANTED and length < 256:
                text = file.read(length).decode("ascii", "replace").strip("\0 ")
                found.setdefault((group, element), []).append(text)
            elif (group, element) not in _SEQUENCES and (implicit is not None or kind != b"SQ"):
                file.seek(length, 1)
    return found
