"""`.pth` files byte by byte, honest and forged: what `torch.save` writes, without PyTorch."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np

DTYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8", "LongStorage": "<i8"}


def name(module: str, attribute: str) -> bytes:
    """GLOBAL: push a function or class."""
    return f"c{module}\n{attribute}\n".encode()


def value(x) -> bytes:
    """Push an int, a string, a bool, None, or a tuple, list or dict of them; bytes are instructions already."""
    if isinstance(x, bytes):
        return x
    if x is None or isinstance(x, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[x]
    if isinstance(x, int):
        digits = x.to_bytes(x.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(digits)]) + digits
    if isinstance(x, str):
        return b"X" + struct.pack("<I", len(x.encode())) + x.encode()
    if isinstance(x, tuple):
        return b"(" + b"".join(map(value, x)) + b"t"
    if isinstance(x, list):
        return b"](" + b"".join(map(value, x)) + b"e"
    return b"}(" + b"".join(value(k) + value(v) for k, v in x.items()) + b"u"


def call(function: bytes, *arguments) -> bytes:
    """REDUCE: call a function."""
    return function + value(arguments) + b"R"


def storage(key="0", size=6, kind="FloatStorage", *, location="cpu") -> bytes:
    return value(("storage", name("torch", kind), key, location, size)) + b"Q"


def tensor(where=None, offset=0, shape=(2, 3), strides=(3, 1)) -> bytes:
    where = storage() if where is None else where
    hooks = call(name("collections", "OrderedDict"))
    return call(name("torch._utils", "_rebuild_tensor_v2"), where, offset, shape, strides, False, hooks)


def program(content) -> bytes:
    return b"\x80\x02" + value(content) + b"."


VALUES = np.arange(6, dtype="<f4")


def write(path: Path, content=None, *, members=None, compression=zipfile.ZIP_STORED, folder="archive") -> Path:
    """Write a file that describes `content` and holds the storages `members`."""
    description = {"w": tensor()} if content is None else content
    program_ = description if isinstance(description, bytes) else program(description)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", program_)
        archive.writestr(f"{folder}/byteorder", "little")
        for key, data in ({"0": VALUES} if members is None else members).items():
            archive.writestr(f"{folder}/data/{key}", data if isinstance(data, bytes) else data.tobytes())
        archive.writestr(f"{folder}/version", "3\n")
    return path
