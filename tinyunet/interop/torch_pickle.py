"""What `torch.save` wrote, read without running any of it.

A pickle is a program for a small stack machine, and two of its instructions, GLOBAL and REDUCE, import any function and
call it: to load a foreign `.pth` file with `pickle` or with an old PyTorch is to run a stranger's program. Here is the
machine for the few instructions that a state dict needs. It imports nothing; the six names that it knows are table
entries, every other name is refused, and tensors stay descriptions (`TensorRecord`) until `torch_file` looks them up.
"""

from __future__ import annotations

import math
import pickletools
from typing import NamedTuple

from ..checkpoint import CheckpointError

DTYPES = {  # storage class of PyTorch -> dtype, by NumPy's name where it has one
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_LARGEST_PICKLE = 16 << 20  # bytes; a tensor takes about 300, the weights themselves stand elsewhere
_MOST_AXES = 32
_MEND = "save only the weights, with torch.save(model.state_dict(), ...) or safetensors.torch.save_file"


class Storage(NamedTuple):
    """A row of numbers in a member of the archive: `data/KEY`, `size` values of `dtype`."""

    key: str
    dtype: str
    size: int


class TensorRecord(NamedTuple):
    """A view of a storage, with offset and strides in values. Within the storage: `rebuild_tensor` has checked it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Name(NamedTuple):
    """A name that the pickle asked for, and may."""

    module: str
    name: str


def read_pickle(program: bytes) -> object:
    """Run a pickle's instructions on a machine without imports, and return what is left on its stack.

    Parameters
    ----------
    program : bytes

    Returns
    -------
    object
        Of dicts, lists, tuples, strings, numbers, bools, None and `TensorRecord`.

    Raises
    ------
    CheckpointError
        If it asks for a name or an instruction that no state dict needs, describes an impossible tensor, is damaged, or
        is larger than 16 MiB.
    """
    if len(program) > _LARGEST_PICKLE:
        raise CheckpointError(f"its description takes {len(program):,} bytes, far beyond that of any weights; {_MEND}")
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(program):
            machine.do(opcode.name, argument)
        (result,) = machine.stack
    except CheckpointError:
        raise
    except (IndexError, TypeError, ValueError) as error:  # an empty stack, or something else than what belongs on it
        raise CheckpointError(f"its description is damaged ({_shown(error)})") from error
    return result


class _Machine:
    """Pickle's machine: a stack, the depths of its open marks, and a memo of what was made."""

    def __init__(self):
        self.stack, self.marks, self.memo = [], [], {}

    def do(self, name: str, argument) -> None:
        """Carry out one instruction."""
        stack = self.stack
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE" | "SHORT_BINUNICODE":
                stack.append(argument)
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
            case "MARK":
                self.marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(self.since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self.last(int(name[-1]))))
            case "APPEND" | "APPENDS":
                values = self.last(1) if name == "APPEND" else self.since_mark()
                _require(stack[-1], list).extend(values)
            case "SETITEM" | "SETITEMS":
                values = self.last(2) if name == "SETITEM" else self.since_mark()
                for key, value in zip(values[::2], values[1::2], strict=True):
                    _require(stack[-1], dict)[_require(key, str, int)] = value
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                if argument not in self.memo:
                    raise IndexError(f"place {argument} of the memo was never written")
                stack.append(self.memo[argument])
            case "GLOBAL":
                stack.append(_allowed(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                stack.append(_allowed(*self.last(2)))
            case "BINPERSID":
                stack.append(_storage(*_require(stack.pop(), tuple)))
            case "REDUCE":
                function, arguments = self.last(2)
                stack.append(_call(_require(function, _Name), _require(arguments, tuple)))
            case "BUILD":  # attributes of an OrderedDict: PyTorch's versions of the modules
                stack.pop()
                _require(stack[-1], dict)
            case _:
                raise CheckpointError(f"it holds the pickle instruction {name}, which no weights need; {_MEND}")

    def last(self, count: int) -> list:
        """Take the last `count` values off the stack."""
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def since_mark(self) -> list:
        """Take everything above the last mark off the stack."""
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken


def _shown(text) -> str:
    """Return text of the file's maker as it may go to a terminal: short, and without control characters."""
    return ascii(str(text)[:100])[1:-1]


def _require(value, *kinds: type):
    """Return `value` if it is exactly of one of the kinds: a bool is no int, a `Storage` no tuple."""
    if type(value) not in kinds:
        raise TypeError(f"a {type(value).__name__} where {' or '.join(k.__name__ for k in kinds)} belongs")
    return value


def _allowed(module: str, name: str) -> _Name:
    """Return the name if weights need it; this is where a pickle that would run something ends."""
    asked = _Name(_require(module, str), _require(name, str))
    if asked in _CALLS or (module == "torch" and name in DTYPES):
        return asked
    where = _shown(f"{module}.{name}")
    if module.partition(".")[0] in ("torch", "numpy", "collections", "argparse"):
        raise CheckpointError(f"it holds more than weights: it asks for {where}; {_MEND}")
    raise CheckpointError(
        f"it asks to import and use {where}, which weights do not need; nothing of it was run. "
        "Do not load it with PyTorch either unless you trust its maker; weights alone come from "
        "torch.save(model.state_dict(), ...) or safetensors.torch.save_file"
    )


def _call(function: _Name, arguments: tuple):
    """Do what one of the allowed functions of PyTorch would do."""
    if function not in _CALLS:
        raise TypeError(f"{function.module}.{function.name} cannot be called")
    return _CALLS[function](*arguments)


def _storage(kind, storage, key, location, size) -> Storage:
    """Describe the storage that PyTorch writes as ("storage", class, key, device, number of values)."""
    if kind != "storage" or type(storage) is not _Name or storage.name not in DTYPES:
        raise TypeError("a reference to something else than a storage")
    _require(size, int)
    return Storage(_require(key, str), DTYPES[storage.name], size)


def rebuild_tensor(storage, offset, shape, strides, *unused) -> TensorRecord:
    """Describe a tensor after checking that all its values lie within the storage, and none is used twice over.

    Raises
    ------
    CheckpointError
        If it does not fit.
    """
    _require(storage, Storage)
    for number in (_require(offset, int), *_require(shape, tuple), *_require(strides, tuple)):
        if _require(number, int) < 0:
            raise CheckpointError(f"it describes a tensor with a negative size or stride, {number}")
    if len(shape) != len(strides) or len(shape) > _MOST_AXES:
        raise CheckpointError(f"it describes a tensor with {len(shape)} sizes and {len(strides)} strides")
    count = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if count else offset - 1
    if last >= storage.size or count > storage.size:
        raise CheckpointError(
            f"it describes a tensor of {count:,} values, up to number {last:,} of a storage that holds {storage.size:,}"
        )
    return TensorRecord(storage, offset, shape, strides)


def _parameter(tensor, *unused) -> TensorRecord:
    return _require(tensor, TensorRecord)


def _ordered_dict() -> dict:
    return {}


_CALLS = {
    _Name("collections", "OrderedDict"): _ordered_dict,
    _Name("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    _Name("torch._utils", "_rebuild_parameter"): _parameter,
}
