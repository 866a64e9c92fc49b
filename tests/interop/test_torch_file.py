"""Reading `.pth` and safetensors files: what PyTorch writes is read, what could do harm is refused and never run."""

from __future__ import annotations

import json
import pickle
import random
import struct
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tinyunet.checkpoint import CheckpointError
from tinyunet.interop import read_weights, write_weights

from .pth import VALUES, call, name, program, storage, tensor, value, write

# ------------------------------------------------------------------------------------------- honest files


def test_tensors_and_what_stands_beside_them(tmp_path):
    half = np.array([1, -2, 0.5, 65504, np.inf], "<f2")
    content = {
        "a": tensor(),
        "a.turned": tensor(shape=(3, 2), strides=(1, 3)),
        "a.row": tensor(offset=3, shape=(3,), strides=(1,)),
        "number": tensor(storage("1", 1, "LongStorage"), shape=(), strides=()),
        "half": tensor(storage("2", 5, "HalfStorage"), shape=(5,), strides=(1,)),
        "none": tensor(storage("3", 0), shape=(0, 3), strides=(3, 1)),
        "parameter": call(name("torch._utils", "_rebuild_parameter"), tensor(), True, None),
        "mask_values": [0, 255],
        "epoch": 7,
    }
    members = {"0": VALUES, "1": np.array([41]), "2": half, "3": b""}
    arrays, extras = read_weights(write(tmp_path / "x.pth", content, members=members))
    expected = {
        "a": VALUES.reshape(2, 3),
        "a.turned": VALUES.reshape(2, 3).T,
        "a.row": VALUES[3:],
        "number": np.array(41),
        "half": half.astype(np.float32),
        "none": np.zeros((0, 3), np.float32),
        "parameter": VALUES.reshape(2, 3),
    }
    assert extras == {"mask_values": [0, 255], "epoch": 7} and list(arrays) == list(expected)
    for key, array in expected.items():
        assert arrays[key].dtype == array.dtype and np.array_equal(arrays[key], array), key
        assert not arrays[key].flags.writeable


@pytest.mark.parametrize("key", ["state_dict", "model", "anything"])
def test_a_state_dict_within_a_training_checkpoint(tmp_path, key):
    optimizer = {"state": {0: {"momentum": tensor()}}, "lr": b"G" + struct.pack(">d", 0.1)}
    content = {"epoch": 3, key: {"w": tensor()}, "optimizer": optimizer, "best": None}
    assert list(read_weights(write(tmp_path / "x.pth", content)).arrays) == ["w"]


def test_big_endian_files(tmp_path):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", program({"w": tensor()}))
        archive.writestr("x/byteorder", "big")
        archive.writestr("x/data/0", VALUES.astype(">f4").tobytes())
    assert np.array_equal(read_weights(path).arrays["w"], VALUES.reshape(2, 3))


def test_safetensors_of_every_type_of_number(tmp_path):
    path, kinds = tmp_path / "x.safetensors", ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "?")
    arrays = {kind: np.array([[0, 1, 3]]).astype(kind) for kind in kinds}
    save_file(arrays, path)
    found = read_weights(path).arrays
    for kind, array in arrays.items():
        assert found[kind].dtype == ("f4" if kind == "f2" else kind) and np.array_equal(found[kind], array)


def test_bfloat16_is_the_upper_half_of_a_float32(tmp_path):
    numbers = np.array([1.0, -2.5, 3e38, 1e-30], np.float32)
    halves = (numbers.view(np.uint32) >> 16).astype("<u2")
    header = json.dumps({"w": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + halves.tobytes())
    content = {"w": tensor(storage("0", 4, "BFloat16Storage"), shape=(4,), strides=(1,))}
    for path in (tmp_path / "x.safetensors", write(tmp_path / "x.pth", content, members={"0": halves})):
        found = read_weights(path).arrays["w"]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, numbers, rtol=2**-7)
        assert np.array_equal(found[:2], numbers[:2])


def test_write_weights_can_be_read_by_anyone(tmp_path):
    path = tmp_path / "x.safetensors"
    write_weights(path, {"w": VALUES.reshape(2, 3).T})
    assert np.array_equal(load_file(path)["w"], VALUES.reshape(2, 3).T)


# ------------------------------------------------------------------------------------------- files of live PyTorch


def assert_like(found, tensors):
    assert found.keys() == tensors.keys()
    for key, array in found.items():
        expected = tensors[key].detach()
        expected = expected.float() if expected.element_size() == 2 else expected
        assert np.array_equal(array, expected.numpy()), key


@pytest.mark.parametrize("protocol", [2, 4])
def test_files_of_torch_save(tmp_path, protocol):
    torch = pytest.importorskip("torch")
    shared = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "whole": shared,
        "columns": shared[:, 1:3],
        "turned": shared.T,
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "double": torch.ones(2).double() / 3,
        "half": torch.ones(2).half() / 3,
        "bfloat16": torch.ones(2).bfloat16() / 3,
        "steps": torch.tensor(5),
        "flags": torch.tensor([True, False]),
        "bytes": torch.tensor([0, 255], dtype=torch.uint8),
        "empty": torch.zeros(0, 3),
    }
    path = tmp_path / "x.pth"
    torch.save(tensors, path, pickle_protocol=protocol)
    assert_like(read_weights(path).arrays, tensors)
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    torch.save(module.state_dict(), path, pickle_protocol=protocol)
    assert_like(read_weights(path).arrays, module.state_dict())
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 2, 5, 5)).sum().backward()
    optimizer.step()
    torch.save({"net": module.state_dict(), "optimizer": optimizer.state_dict(), "loss": 0.5}, path)
    assert_like(read_weights(path).arrays, module.state_dict())


def test_torch_reads_what_write_weights_wrote(tmp_path):
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    write_weights(tmp_path / "x.safetensors", {"w": VALUES})
    assert torch.equal(safetensors.load_file(tmp_path / "x.safetensors")["w"], torch.from_numpy(VALUES))


def test_other_things_that_torch_writes_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pth"
    state, network = {"w": torch.ones(2)}, torch.nn.Conv2d(1, 1, 1)
    torch.save(state, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"before 1\.6.* re-save it with a recent PyTorch.*save_file"):
        read_weights(path)
    torch.save(network, path)
    with pytest.raises(CheckpointError, match=r"it asks for torch\.nn\.modules\.conv\.Conv2d; save only the weights"):
        read_weights(path)
    torch.save({"w": torch.ones(2), "score": np.float64(0.5)}, path)
    with pytest.raises(CheckpointError, match=r"holds more than weights: it asks for numpy\..*scalar"):
        read_weights(path)


# ------------------------------------------------------------------------------------------- hostile and broken files

SENTINEL = []


def strike(*arguments):
    """What a forged file wants to have called."""
    SENTINEL.append(arguments)


class Forged:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def forged(function, *arguments, protocol=2):
    return pickle.dumps({"w": Forged(function, *arguments)}, protocol)


PROGRAMS = {  # program, what the error says
    "os.system": (
        forged(__import__("os").system, "true"),
        r"asks to import and use (posix|nt)\.system.*nothing of it was run",
    ),
    "protocol 4": (forged(__import__("os").system, "true", protocol=4), r"(posix|nt)\.system"),
    "eval": (forged(eval, "1"), r"(__builtin__|builtins)\.eval"),
    "a function of ours": (forged(strike, 1), r"test_torch_file\.strike"),
    "loading within loading": (
        program({"w": call(name("torch.storage", "_load_from_bytes"), "x")}),
        "_load_from_bytes",
    ),
    "terminal codes": (program({"w": name("os", "\x1b[2J\x07")}), r"os\.\\x1b\[2J\\x07"),
    "an endless name": (program({"w": name("os", "a" * 10**6)}), r"os\.a{97}, which"),
    "new object": (b"\x80\x02" + name("collections", "OrderedDict") + b")\x81.", "instruction NEWOBJ"),
    "instance": (b"(ios\nsystem\n.", "instruction INST"),
    "extension": (b"\x80\x02\x82\x01.", "instruction EXT1"),
    "setting attributes": (
        b"\x80\x02" + value(("a",)) + value({"__class__": 1}) + b"b.",
        "damaged .a tuple where dict",
    ),
    "calling a class": (program({"w": call(name("torch", "FloatStorage"), 10**9)}), r"FloatStorage cannot be called"),
    "calling a string": (program({"w": call(value("os.system"), "true")}), "a str where _Name belongs"),
    "tuple as name": (program({"w": call(value(("collections", "OrderedDict")))}), "a tuple where _Name belongs"),
    "too few arguments": (program({"w": call(name("torch._utils", "_rebuild_tensor_v2"), 1)}), "damaged"),
    "empty": (b"", "damaged"),
    "no end": (b"\x80\x02}", "damaged"),
    "empty stack": (b"\x80\x02u.", "damaged"),
    "no mark": (b"\x80\x02}t.", "damaged"),
    "memo": (b"\x80\x02h\x05.", "place 5 of the memo was never written"),
    "far memo": (b"\x80\x02}r\xff\xff\xff\x7f.", "expected one dict of tensors by name.* found none"),
    "endless text": (b"\x80\x02X\xff\xff\xff\x7fabc.", "damaged"),
    "endless bytes": (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7fabc.", "damaged|instruction BINBYTES8"),
    "list as key": (program(b"}]Ns."), "a list where str or int belongs"),
    "a list": (program([1, 2]), "found none"),
    "a dict in itself": (b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.", "found none"),
    "two state dicts": (program({"model": {"w": tensor()}, "ema": {"w": tensor()}}), "found several: model, ema"),
    "number of values below 0": (program({"w": tensor(storage(size=-6))}), "storage that holds -6"),
    "negative offset": (program({"w": tensor(offset=-1)}), "negative size or stride, -1"),
    "negative stride": (program({"w": tensor(strides=(-3, 1))}), "negative size or stride, -3"),
    "true as size": (program({"w": tensor(shape=(True, 3))}), "a bool where int belongs"),
    "offset out of bounds": (program({"w": tensor(offset=1)}), r"6 values, up to number 6 of a storage that holds 6"),
    "stride out of bounds": (program({"w": tensor(strides=(4, 1))}), "up to number 6"),
    "huge stride": (program({"w": tensor(strides=(2**63, 1))}), "up to number 9,223,372,036,854,775,810"),
    "huge size": (program({"w": tensor(shape=(2**40, 2**40), strides=(0, 0))}), "tensor of 1,208,925,819,614,"),
    "many axes": (program({"w": tensor(shape=(1,) * 99, strides=(1,) * 99)}), "99 sizes and 99 strides"),
    "unequal axes": (program({"w": tensor(strides=(1,))}), "2 sizes and 1 strides"),
    "storage of another size": (program({"w": tensor(storage(size=7))}), "24 bytes, described as 28"),
    "storage of a huge size": (program({"w": tensor(storage(size=2**60))}), "24 bytes, described as 4,611,686,"),
    "missing storage": (program({"w": tensor(storage("9"))}), "data/9', the values of a tensor, is missing"),
    "storage elsewhere": (program({"w": tensor(storage("../../etc/passwd"))}), "passwd', the values .* is missing"),
    "one storage, two types": (
        program({"w": tensor(), "v": tensor(storage(size=3, kind="DoubleStorage"), shape=(3,), strides=(1,))}),
        "describes one storage in two ways",
    ),
    "unknown storage": (program({"w": tensor(storage(kind="ComplexFloatStorage"))}), r"torch\.ComplexFloatStorage"),
    "no storage": (program({"w": tensor(value((1, 2)) + b"Q")}), "damaged"),
    "empty but huge": (program({"w": tensor(shape=(0, 2**62, 2**62), strides=(0, 0, 0))}), "damaged"),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_forged_description_is_refused(tmp_path, case):
    content, text = PROGRAMS[case]
    path = write(tmp_path / "x.pth", content)
    with pytest.raises(CheckpointError, match=text) as caught:
        read_weights(path)
    message = str(caught.value)
    assert message.startswith(f"{path} cannot be used: ") and len(message) < len(str(path)) + 600
    assert message.isprintable() and not SENTINEL


def test_the_forged_programs_would_have_run():
    pickle.loads(PROGRAMS["a function of ours"][0])
    assert SENTINEL.pop() == (1,)


def test_a_description_that_is_too_long_is_not_read(tmp_path):
    path = write(tmp_path / "x.pth", b"\x80\x02" + b"N0" * (9 << 20))
    with pytest.raises(CheckpointError, match="takes 18,874,370 bytes, far beyond that of any weights"):
        read_weights(path)


def archive(path, *members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for member, data in members:
            file.writestr(member, data)


def cut(path, share):
    data = write(path).read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def changed(path, old, new):
    data = write(path).read_bytes()
    assert data.count(old) >= 1
    path.write_bytes(data.replace(old, new))


def claiming_more(path):
    """Let the directory of the archive say that the storage has a terabyte."""
    data = bytearray(write(path).read_bytes())
    entry = data.index(b"archive/data/0", data.index(b"PK\x01\x02")) - 46
    data[entry + 20 : entry + 28] = struct.pack("<II", 0xFFFFFF00, 0xFFFFFF00)
    path.write_bytes(data)


def one_for_many(path):
    """Let a second member be the bytes of the first over again: how a bomb does without compression."""
    data = bytearray(write(path, members={"0": VALUES.tobytes() * 99, "1": b""}).read_bytes())
    directory = data.index(b"PK\x01\x02")
    first, second = (data.index(f"archive/data/{k}".encode(), directory) - 46 for k in (0, 1))
    for part in (slice(16, 28), slice(42, 46)):  # checksum and sizes; place
        data[second + part.start : second + part.stop] = data[first + part.start : first + part.stop]
    path.write_bytes(data)


GOOD = program({"w": tensor()})
FILES = {  # how it is made, what the error says
    "missing": (lambda path: None, "there is no file"),
    "empty": (lambda path: path.write_bytes(b""), "neither a checkpoint of tinyunet nor weights of PyTorch"),
    "text": (lambda path: path.write_text("hello"), "neither a checkpoint of tinyunet nor weights of PyTorch"),
    "bare pickle": (lambda path: path.write_bytes(GOOD), "before 1.6.*re-save"),
    "cut at the end": (lambda path: cut(path, 0.95), "the archive is damaged"),
    "cut in the middle": (lambda path: cut(path, 0.5), "the archive is damaged"),
    "changed value": (lambda path: changed(path, VALUES.tobytes(), VALUES[::-1].tobytes()), "damaged .Bad CRC-32"),
    "changed name": (
        lambda path: changed(path, b"data.pkl", b"date.pkl"),
        "without data.pkl, so not one of torch.save",
    ),
    "compressed": (lambda path: write(path, compression=zipfile.ZIP_DEFLATED), "compressed or encrypted"),
    "bomb": (
        lambda path: archive(path, ("a/data/0", b"\0" * 10**8), compression=zipfile.ZIP_DEFLATED),
        "compressed or encrypted, which torch.save never does",
    ),
    "claims more": (claiming_more, "claims 4,294,967,040 bytes, more than there are|damaged"),
    "one for many": (one_for_many, r"members together claim more than the 3,\d\d\d bytes"),
    "traversal": (lambda path: archive(path, ("a/data.pkl", GOOD), ("a/../../x", b"")), "outside the archive's folder"),
    "absolute": (lambda path: archive(path, ("/data.pkl", GOOD)), "outside the archive's folder"),
    "backslash": (lambda path: archive(path, ("a/..\\x", b"")), "outside the archive's folder"),
    "no folder": (lambda path: archive(path, ("data.pkl", GOOD)), "outside the archive's folder"),
    "two descriptions": (lambda path: archive(path, ("a/data.pkl", GOOD), ("b/data.pkl", GOOD)), "is there twice"),
    "program": (lambda path: archive(path, ("a/data.pkl", GOOD), ("a/constants.pkl", b"")), "TorchScript program"),
    "other archive": (lambda path: archive(path, ("a/word/document.xml", b"")), "without data.pkl"),
    "no weights": (lambda path: write(path, {"lr": 1}), "found none"),
    "cut safetensors": (
        lambda path: (save_file({"w": VALUES}, path), path.write_bytes(path.read_bytes()[:-3])),
        "damaged or no safetensors file",
    ),
    "safetensors of a type unknown": (
        lambda path: path.write_bytes(
            struct.pack("<Q", 60) + b'{"w":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}  ' + b"ab"
        ),
        "w is of the type F8_E4M3; convert it to float32",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_broken_file_is_refused(tmp_path, case):
    make, text = FILES[case]
    path = tmp_path / "x.pth"
    make(path)
    with pytest.raises(CheckpointError, match=text) as caught:
        read_weights(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < len(str(path)) + 300


def test_damage_anywhere_is_found_or_harmless(tmp_path):
    """Bytes changed or cut at random: an error of ours, or a file that still reads; nothing else, and nothing runs."""
    content = {"w": tensor(), "v": tensor(offset=1, shape=(2, 2), strides=(2, 1)), "mask_values": [0, 255]}
    path, source = tmp_path / "x.pth", random.Random(0)
    whole = write(path, content).read_bytes()
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(source.randint(1, 3)):
            data[source.randrange(len(data))] = source.randrange(256)
        path.write_bytes(data[: source.choice([len(data), source.randrange(len(data))])])
        try:
            arrays = read_weights(path).arrays
        except CheckpointError:
            refused += 1
        else:
            assert sum(array.size for array in arrays.values()) <= 12
    assert refused > 300 and not SENTINEL


def test_a_damaged_description_is_found_or_harmless(tmp_path):
    """The same within the description, where no checksum stands in the way."""
    path, source = tmp_path / "x.pth", random.Random(1)
    whole = program({"w": tensor(), "mask_values": [0, 255]})
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(source.randint(1, 3)):
            data[source.randrange(len(data))] = source.randrange(256)
        try:
            arrays = read_weights(write(path, bytes(data))).arrays
        except CheckpointError as error:
            assert len(str(error)) < len(str(path)) + 700
        else:
            assert sum(array.size for array in arrays.values()) <= 6
