"""Hundreds of broken and malicious files, made by systematic changes of small good ones; the same ones every time.

Run as a program, it reads every file of a folder with little memory and little time, and prints what happened.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import struct
import sys
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

MEDICAL = find_spec("SimpleITK") is not None
H, W = 24, 20


def picture(array: np.ndarray, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def good_files() -> dict[str, bytes]:
    """A small valid file of every format, by its ending (with a word before it where one format has several kinds)."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (H, W), dtype=np.uint8)
    deep, colour = grey.astype(np.uint16) * 200, rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
    volume = rng.integers(-99, 999, (4, H, W)).astype(np.int16)

    def numpy(save, array) -> bytes:
        buffer = io.BytesIO()
        save(buffer, array)
        return buffer.getvalue()

    pages = [Image.fromarray(page) for page in rng.integers(0, 256, (3, H, W), dtype=np.uint8)]
    stack = {"save_all": True, "append_images": pages}
    files = {
        "grey.png": picture(grey, "PNG"),
        "deep.png": picture(deep, "PNG"),
        "colour.png": picture(colour, "PNG"),
        "grey.jpg": picture(grey, "JPEG"),
        "colour.jpg": picture(colour, "JPEG", progressive=True),
        "colour.bmp": picture(colour, "BMP"),
        "grey.tif": picture(grey, "TIFF"),
        "float.tif": picture(grey.astype(np.float32), "TIFF"),
        "stack.tif": picture(grey, "TIFF", **stack),
        "lzw.tif": picture(grey, "TIFF", compression="tiff_lzw", **stack),
        "deflate.tif": picture(deep, "TIFF", compression="tiff_deflate"),
        "float.npy": numpy(np.save, volume.astype(np.float32)),
        "int.npy": numpy(np.save, volume),
        "packed.npz": numpy(np.savez_compressed, volume),
        "plain.npz": numpy(np.savez, volume),
    }
    if MEDICAL:
        import tempfile

        import SimpleITK as itk

        with tempfile.TemporaryDirectory() as folder:
            for name in ("v.nii", "v.nii.gz", "v.mha", "v.nrrd", "s.dcm"):
                path = f"{folder}/{name}"
                itk.WriteImage(itk.GetImageFromArray(volume[:1] if name == "s.dcm" else volume), path)
                files[name] = Path(path).read_bytes()
            itk.WriteImage(itk.GetImageFromArray(volume), f"{folder}/packed.mha", True)
            files["packed.mha"] = Path(f"{folder}/packed.mha").read_bytes()
    return files


def png(width: int, height: int, bits: int = 8, kind: int = 0, body: bytes = b"") -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    end = chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + end


def npy(shape: tuple | str, dtype: str = "<f4", body: bytes = b"") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def npz(member: bytes, claimed: int | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", member)
    data = bytearray(buffer.getvalue())
    if claimed is not None:  # lie about the size in both headers
        data[22:26] = struct.pack("<I", claimed)
        place = data.find(b"PK\x01\x02")
        data[place + 24 : place + 28] = struct.pack("<I", claimed)
    return bytes(data)


def patched(data: bytes, *changes: tuple[int, bytes]) -> bytes:
    changed = bytearray(data)
    for place, new in changes:
        changed[place : place + len(new)] = new
    return bytes(changed)


def tiff_entry(data: bytes, tag: int, value: int, count: int = 1) -> bytes:
    """A little-endian TIFF with one entry of its first directory changed."""
    (start,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, start)
    for k in range(entries):
        place = start + 2 + 12 * k
        if struct.unpack_from("<H", data, place)[0] == tag:
            return patched(data, (place + 2, struct.pack("<HII", 4, count, value)))
    raise AssertionError(f"no tag {tag}")


class _Trap:
    """Pickles to a call that would leave a mark."""

    def __reduce__(self):
        return os.mkdir, ("EXECUTED",)


def special_files(good: dict[str, bytes]) -> dict[str, bytes]:
    """Lies about size, depth and content that random changes would not find."""
    trap = npy((1,), "|O", pickle.dumps(_Trap()))
    nan = np.full((H, W), np.nan, np.float32).tobytes()
    tif = good["grey.tif"]
    (directory,) = struct.unpack_from("<I", tif, 4)
    after = directory + 2 + 12 * struct.unpack_from("<H", tif, directory)[0]
    files = {
        "zero_width.png": png(0, 8),
        "zero_height.png": png(8, 0),
        "largest.png": png(2**31 - 1, 2**31 - 1),
        "bomb_4gb.png": png(65000, 65000),
        "bomb_1gb.png": png(32000, 32000),  # below the limit of memory, but not in so few bytes
        "bomb_colour.png": png(20000, 20000, 8, 2),
        "bomb_bits.png": png(200000, 200000, 1),
        "bomb_text.png": png(8, 8)[:33] + struct.pack(">I", 2**31 - 1) + b"zTXt" + b"x\0\0" + bytes(99),
        "no_data.png": png(8, 8),
        "bits_7.png": png(8, 8, 7, 0, bytes(99)),
        "largest.bmp": patched(good["colour.bmp"], (18, struct.pack("<ii", 2**31 - 1, 2**31 - 1))),
        "zero.bmp": patched(good["colour.bmp"], (18, struct.pack("<ii", 0, 5))),
        "far.bmp": patched(good["colour.bmp"], (10, struct.pack("<I", 2**32 - 1))),
        "wide.tif": tiff_entry(tif, 256, 2**32 - 1),
        "tall.tif": tiff_entry(tif, 257, 2**31),
        "zero.tif": tiff_entry(tif, 256, 0),
        "bomb.tif": tiff_entry(tiff_entry(tif, 256, 60000), 257, 30000),
        "many_values.tif": tiff_entry(tif, 273, 8, 2**31),
        "far_strip.tif": tiff_entry(tif, 273, 2**32 - 2),
        "first_page_nowhere.tif": patched(tif, (4, struct.pack("<I", 2**32 - 9))),
        "nan.tif": picture(np.full((H, W), np.nan, np.float32), "TIFF"),
        "scalar.npy": npy("()", body=bytes(4)),
        "largest.npy": npy((2**31, 2**31)),
        "overflow.npy": npy((2**62, 8)),
        "bomb.npy": npy((4, 10000, 10000)),
        "negative.npy": npy((-4, 8), body=bytes(128)),
        "zero.npy": npy((0, 8)),
        "deeper.npy": npy((9, H, W), "<i2", bytes(4 * H * W * 2)),
        "shallower.npy": npy((2, H, W), "<i2", bytes(4 * H * W * 2)),
        "code_in_header.npy": npy("(__import__('os').mkdir('EXECUTED'), 4)", body=bytes(99)),
        "pickled.npy": trap,
        "only_a_pickle.npy": pickle.dumps(_Trap()),
        "nan.npy": npy((H, W), body=nan),
        "inf.npy": npy((2, 2), body=np.array([1, 2, 3, np.inf], np.float32).tobytes()),
        "long_header.npy": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + bytes(2000),
        "wide_header.npy": npy("(" + "1, " * 9000 + ")"),
        "text.npy": npy((2, 2), "<U500000000"),
        "pickled.npz": npz(trap),
        "nan.npz": npz(npy((H, W), body=nan)),
        "bomb.npz": npz(npy((1000, 1000, 1000)) + bytes(2**25)),
        "lying.npz": npz(npy((4, 10000, 10000)), claimed=4 * 10**8 + 128),
        "empty.npz": npz(b""),
        "no_members.npz": b"PK\x05\x06" + bytes(18),
    }
    files["circle.tif"] = patched(tif, (after, tif[4:8]))  # its second page is its first: harmless, and must end
    if MEDICAL:
        nii, mha, nrrd, dicom = good["v.nii"], good["v.mha"], good["v.nrrd"], good["s.dcm"]
        axes = {
            "largest": (3, 32767, 32767, 32767),
            "bomb": (3, 20000, 20000, 2),
            "zero": (3, W, 0, 4),
            "negative": (3, -5, H, 4),
            "deeper": (3, W, H, 9),
            "shallower": (3, W, H, 2),
            "nine_axes": (9, W, H, 4),
        }
        for name, numbers in axes.items():
            data = patched(nii, (40, struct.pack(f"<{len(numbers)}h", *numbers)))
            files[f"{name}.nii"], files[f"{name}.nii.gz"] = data, gzip.compress(data)
        floats = patched(nii[:352], (70, struct.pack("<hh", 16, 32))) + np.full((4, H, W), np.nan, np.float32).tobytes()
        files |= {
            "nan.nii": floats,
            "nan.nii.gz": gzip.compress(floats),
            "complex.nii": patched(nii, (70, struct.pack("<hh", 32, 64))),
            "no_spacing.nii": patched(nii, (80, struct.pack("<3f", np.nan, np.nan, np.nan)), (252, bytes(4))),
            "far_data.nii": patched(nii, (108, struct.pack("<f", 1e30))),
            "bomb_behind.nii.gz": gzip.compress(nii + bytes(2**26)),
            "no_magic.nii": patched(nii, (344, bytes(4))),
            "far_entry.dcm": dicom.replace(b"\x10\0\x20\0\0\0\0\0", b"\x10\0\x20\0\xfe\xff\xff\x7f"),
            "largest.mha": mha.replace(b"DimSize = 20 24 4", b"DimSize = 999999 999999 99"),
            "bomb.mha": mha.replace(b"DimSize = 20 24 4", b"DimSize = 20000 20000 2"),
            "zero.mha": mha.replace(b"DimSize = 20 24 4", b"DimSize = 20 0 4"),
            "deeper.mha": mha.replace(b"DimSize = 20 24 4", b"DimSize = 20 24 9"),
            "passwd.mha": mha.replace(b"ElementDataFile = LOCAL", b"ElementDataFile = /etc/passwd"),
            "largest.nrrd": nrrd.replace(b"sizes: 20 24 4", b"sizes: 999999 999999 99"),
            "bomb.nrrd": nrrd.replace(b"sizes: 20 24 4", b"sizes: 20000 20000 2"),
            "deeper.nrrd": nrrd.replace(b"sizes: 20 24 4", b"sizes: 20 24 9"),
            "passwd.nrrd": nrrd.replace(b"encoding:", b"data file: /etc/passwd\nencoding:"),
        }
    return files


def make(folder: Path) -> tuple[list[str], list[str]]:
    """Write all files; return the names of those that must be refused, and of those that may turn out harmless."""
    good, chance = good_files(), random.Random(5)
    bad, maybe = dict(special_files(good)), {}
    maybe["circle.tif"] = bad.pop("circle.tif")
    for kind, data in good.items():
        word, end = kind.split(".", 1)
        for percent in (3, 40, 75, 90):
            bad[f"{word}_cut{percent}.{end}"] = data[: len(data) * percent // 100]
        place = 128 if end == "dcm" else 344 if end == "nii" else 0
        (maybe if end == "mha" else bad)[f"{word}_magic.{end}"] = patched(data, (place, b"\0BAD"))
        bad[f"{word}_noise.{end}"] = chance.randbytes(len(data))
        bad[f"{word}_empty.{end}"] = b""
        bad[f"{word}_page.{end}"] = b"<!DOCTYPE html><title>404 Not Found</title>" * 20
        head = min(len(data) - 4, 900 if end == "dcm" else 340)
        for k in range(8):
            extreme = chance.choice([b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", bytes(4), chance.randbytes(1)])
            maybe[f"{word}_byte{k}.{end}"] = patched(data, (chance.randrange(head), extreme))
    for name, data in (bad | maybe).items():
        (folder / name).write_bytes(data)
    (folder / "directory.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "loop1.tif").symlink_to("loop2.tif")
    (folder / "loop2.tif").symlink_to("loop1.tif")
    (folder / "gone.npy").symlink_to("nothing.npy")
    (folder / "endless.png").symlink_to("/dev/zero")
    (folder / "above.jpg").symlink_to("..")
    special = [
        "directory.png",
        "pipe.png",
        "loop.png",
        "loop1.tif",
        "loop2.tif",
        "gone.npy",
        "endless.png",
        "above.jpg",
    ]
    return [*bad, *special], list(maybe)


def read_all(folder: Path) -> None:
    """Print a JSON line [name, outcome, message, seconds] for every file, then one for the memory used."""
    import faulthandler
    import resource
    import time

    from tinyunet.data.image_file import read_scan
    from tinyunet.data.sample import DataError

    if MEDICAL:
        import SimpleITK  # noqa: F401
    Image.init()
    in_use = int(Path("/proc/self/statm").read_text("utf-8").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + 2**29, in_use + 2**29))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for path in sorted(folder.iterdir()):
        faulthandler.dump_traceback_later(10, exit=True)  # a file that hangs ends the process
        print(f"reading {path.name}", file=sys.stderr, flush=True)
        start = time.perf_counter()
        try:
            pixels, outcome, message = read_scan(path).pixels, "read", ""
            assert pixels.ndim == 4 and pixels.size and np.isfinite(pixels).all()
        except DataError as error:
            outcome, message = "refused", str(error)
        except Exception as error:
            outcome, message = "raised", f"{type(error).__name__}: {error}"
        print(json.dumps([path.name, outcome, message, time.perf_counter() - start]), flush=True)
    faulthandler.cancel_dump_traceback_later()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(json.dumps(["memory", grown]))


if __name__ == "__main__":
    read_all(Path(sys.argv[1]))
