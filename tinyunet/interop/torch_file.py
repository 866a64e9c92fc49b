"""Files of weights: safetensors, and the `.pth` archives of PyTorch, read without PyTorch and without running anything.

A `.pth` file is an uncompressed zip archive: `NAME/data.pkl` describes the tensors, `NAME/data/0`, `1`, ... hold their
values. Everything that a file claims is checked against what it has before memory is taken for it.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..checkpoint import CheckpointError
from ..files import write_whole
from .torch_pickle import Storage, TensorRecord, read_pickle

_RESAVE = "re-save it with a recent PyTorch: torch.save(state, ...), or safetensors.torch.save_file(state, ...)"
_SAFETENSORS_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


class Weights(NamedTuple):
    """What a file of weights holds.

    Attributes
    ----------
    arrays : dict of arrays
        By PyTorch's names; half-precision values as float32. They cannot be written to: they show the file's bytes.
    extras : dict
        Whatever else stood beside them, such as the mask values that milesial/Pytorch-UNet saves.
    """

    arrays: dict[str, np.ndarray]
    extras: dict


def read_weights(path: str | Path) -> Weights:
    """Read a state dict from a safetensors or `.pth` file; what kind it is follows from its bytes, not from its name.

    Parameters
    ----------
    path : path
        A file with a state dict: names and tensors. If a `.pth` file holds a dict of several things, the one among
        them that holds tensors by name is taken.

    Returns
    -------
    Weights

    Raises
    ------
    CheckpointError
        If there is no such file, or it is damaged, of an old format, or holds anything that is no weights, for instance
        a call of a function. Nothing in the file is ever run.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    with path.open("rb") as file:
        start = file.read(32)
    try:
        if start.startswith(b"PK"):
            return _read_archive(path)
        if start[8:9] == b"{":
            return _read_safetensors(path)
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be used: {error}") from error
    if start.startswith(b"\x80") or b"ustar" in start:
        raise CheckpointError(f"{path} is of the format that PyTorch wrote before 1.6 (2020); {_RESAVE}")
    raise CheckpointError(
        f"{path} is neither a checkpoint of tinyunet nor weights of PyTorch (safetensors or torch.save), or is damaged"
    )


def write_weights(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a state dict that `safetensors.torch.load_file` reads and `load_state_dict(strict=True)` takes.

    Raises
    ------
    OSError
        If the file cannot be written; an older one at `path` is then unharmed.
    """
    from safetensors.numpy import save

    write_whole(path, save({name: np.asarray(a, order="C") for name, a in arrays.items()}))


def _read_safetensors(path: Path) -> Weights:
    import safetensors

    try:
        entries = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"it is damaged or no safetensors file ({error})") from error
    arrays = {}
    for name, entry in entries:
        if entry["dtype"] not in _SAFETENSORS_DTYPES:
            raise CheckpointError(f"{name} is of the type {entry['dtype']}; convert it to float32 first")
        arrays[name] = _numbers(entry["data"], _SAFETENSORS_DTYPES[entry["dtype"]], "<").reshape(entry["shape"])
    return Weights(arrays, {})


def _numbers(data: bytes, dtype: str, order: str) -> np.ndarray:
    """Return bytes in the order "<" or ">" as numbers, half precision as float32."""
    if dtype == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(data, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
    native = np.float32 if dtype == "float16" else dtype
    return np.frombuffer(data, np.dtype(dtype).newbyteorder(order)).astype(native, copy=False)


def _read_archive(path: Path) -> Weights:
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(archive, path.stat().st_size).weights()
    except CheckpointError:
        raise
    except (
        zipfile.BadZipFile,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
        OverflowError,
        struct.error,
    ) as error:  # whatever zipfile and NumPy find wrong
        raise CheckpointError(f"the archive is damaged ({error})") from error


class _Archive:
    """The members of a `.pth` archive, and the storages as they are asked for."""

    def __init__(self, archive: zipfile.ZipFile, file_size: int):
        self.archive, self.members = archive, {}
        for info in archive.infolist():
            self.check(info, file_size)
            self.members[info.filename.partition("/")[2]] = info
        if sum(info.file_size for info in self.members.values()) > file_size:
            raise CheckpointError(f"its members together claim more than the {file_size:,} bytes of the file")
        if "constants.pkl" in self.members:
            raise CheckpointError(
                "it is a TorchScript program; save the weights instead: torch.save(m.state_dict(), ...)"
            )
        if "data.pkl" not in self.members:
            raise CheckpointError("it is a zip archive without data.pkl, so not one of torch.save")
        self.order = {b"big": ">"}.get(self.read("byteorder") if "byteorder" in self.members else b"", "<")
        self.storages: dict[str, tuple[Storage, np.ndarray]] = {}

    def check(self, info: zipfile.ZipInfo, file_size: int) -> None:
        """Refuse a member that PyTorch would not have written."""
        parts = info.filename.split("/")
        what = f"its member {ascii(info.filename[:100])}"
        if ".." in parts or "" in parts or "\\" in info.filename or len(parts) == 1:
            raise CheckpointError(f"{what} would lie outside the archive's folder; torch.save writes none like it")
        if info.filename.partition("/")[2] in self.members:
            raise CheckpointError(f"{what} is there twice")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise CheckpointError(f"{what} is compressed or encrypted, which torch.save never does")
        if info.file_size != info.compress_size or info.header_offset + info.file_size > file_size:
            raise CheckpointError(
                f"{what} claims {info.file_size:,} bytes, more than there are: the file is cut or forged"
            )

    def read(self, name: str) -> bytes:
        """Return the bytes of a member; zipfile checks their sum."""
        return self.archive.read(self.members[name])

    def weights(self) -> Weights:
        """Read the description, and the storages of the tensors in it."""
        state = _state_within(read_pickle(self.read("data.pkl")))
        records = {name: value for name, value in state.items() if _is_tensor(name, value)}
        arrays = {name: self.array(record) for name, record in records.items()}
        return Weights(arrays, {name: value for name, value in state.items() if name not in records})

    def array(self, record: TensorRecord) -> np.ndarray:
        """Return a tensor as a view of its storage."""
        values = self.values(record.storage)[record.offset :]
        steps = [step * values.itemsize for step in record.strides]
        return np.lib.stride_tricks.as_strided(values, record.shape, steps, writeable=False)

    def values(self, storage: Storage) -> np.ndarray:
        """Return the numbers of a storage, read once."""
        if storage.key not in self.storages:
            name = f"data/{storage.key}"
            what = f"its member {ascii(name[:100])}, the values of a tensor,"
            if name not in self.members:
                raise CheckpointError(f"{what} is missing")
            size = storage.size * (2 if storage.dtype == "bfloat16" else np.dtype(storage.dtype).itemsize)
            if self.members[name].file_size != size:
                raise CheckpointError(f"{what} has {self.members[name].file_size:,} bytes, described as {size:,}")
            self.storages[storage.key] = storage, _numbers(self.read(name), storage.dtype, self.order)
        described, values = self.storages[storage.key]
        if described != storage:
            raise CheckpointError("it describes one storage in two ways")
        return values


def _is_tensor(name, value) -> bool:
    return type(name) is str and type(value) is TensorRecord


def _state_within(content: object) -> dict:
    """Return the dict that holds tensors by name: `content` itself, or the only such dict in it."""

    def holds_tensors(value) -> bool:
        return type(value) is dict and any(_is_tensor(*item) for item in value.items())

    if holds_tensors(content):
        return content
    inner = [(k, v) for k, v in content.items() if holds_tensors(v)] if type(content) is dict else []
    if len(inner) != 1:
        found = f"several: {', '.join(str(k)[:50] for k, _ in inner)}" if inner else "none"
        raise CheckpointError(f"expected one dict of tensors by name, as model.state_dict() returns, and found {found}")
    return inner[0][1]
