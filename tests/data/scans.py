"""Small volumes and DICOM series, written by SimpleITK."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

SPACING, ORIGIN = (0.7, 0.9, 2.5), (-31.5, 20.25, -100.0)
SECRET = {"0010|0010": "Winterbottom^Ada", "0010|0020": "MRN-48151623", "0010|0030": "19391207"}


def pixels(seed: int = 0, shape=(5, 12, 16)) -> np.ndarray:
    return np.random.default_rng(seed).integers(-100, 1000, shape).astype(np.int16)


def tilted() -> tuple[float, ...]:
    """Unit axes that agree with no axis of the patient."""
    return tuple(np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0].ravel().tolist())


def write(path: Path, array: np.ndarray, spacing=SPACING, origin=ORIGIN, direction=None, vector=False) -> Path:
    import SimpleITK as itk

    image = itk.GetImageFromArray(array, isVector=vector)
    n = image.GetDimension()
    if n == 3:
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        image.SetDirection(direction or np.eye(3).ravel().tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    itk.WriteImage(image, str(path))
    return path


def write_slice(path: Path, plane: np.ndarray, position, axes=(1, 0, 0, 0, 1, 0), uid="1.2.3", spacing=SPACING, **more):
    """Write one DICOM slice; `more` maps names such as "0020_0011" to text."""
    import SimpleITK as itk

    image = itk.GetImageFromArray(plane[None])
    image.SetSpacing(spacing)
    row, column = np.reshape(axes, (2, 3)).astype(float)
    image.SetOrigin([float(x) for x in position])
    image.SetDirection(np.stack([row, column, np.cross(row, column)], axis=1).ravel().tolist())
    tags = {"0008|0060": "CT", "0020|000e": uid, "0020|000d": "1.2", "0020|0011": "3", **SECRET}
    tags["0020|0032"] = "\\".join(f"{x:.6f}" for x in position)
    tags["0020|0037"] = "\\".join(f"{x:.6f}" for x in axes)
    tags["0008|0018"] = f"{uid}.{zlib.crc32(path.name.encode())}"
    tags |= {key.replace("_", "|"): value for key, value in more.items()}
    for key, value in tags.items():
        if value is not None:
            image.SetMetaData(key, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = itk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(image)


def write_series(folder: Path, array: np.ndarray, axes=(1, 0, 0, 0, 1, 0), order=None, **options) -> Path:
    """Write slice k of `array` at its place along the normal, in a file whose name follows `order`."""
    normal = np.cross(*np.reshape(axes, (2, 3)))
    for k, plane in enumerate(array):
        name = k if order is None else order[k]
        position = np.array(ORIGIN) + k * SPACING[2] * normal
        write_slice(folder / f"IM{name:04d}.dcm", plane, position, axes, **options)
    return folder


def element(tag: int, kind: str, value: str | bytes | int | list[bytes]) -> bytes:
    """Encode a DICOM entry, explicit VR, little endian; a list holds the items of a sequence."""
    if isinstance(value, list):
        value = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in value)
    elif isinstance(value, int):
        value = struct.pack("<H", value)
    elif isinstance(value, str):
        value = value.encode()
    value += (b"\0" if kind in ("UI", "OB", "OW") else b" ") * (len(value) % 2)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + kind.encode()
    return (
        head
        + struct.pack(
            "<HI" if kind in ("OW", "OB", "SQ") else "<H", *([0] if kind in ("OW", "OB", "SQ") else []), len(value)
        )
        + value
    )


def write_enhanced(
    path: Path, array: np.ndarray, positions, axes=((1, 0, 0, 0, 1, 0),), slopes=(1,), intercept=0
) -> Path:
    """Write frames (D, H, W) of uint16 as one enhanced MR file; `axes` and `slopes` are of all frames, or of each."""
    number = lambda values: "\\".join(f"{x:.6g}" for x in values)  # noqa: E731
    place = lambda k: element(0x00209116, "SQ", [element(0x00200037, "DS", number(axes[k]))])  # noqa: E731
    scale = lambda k: element(  # noqa: E731
        0x00289145, "SQ", [element(0x00281052, "DS", str(intercept)) + element(0x00281053, "DS", str(slopes[k]))]
    )
    measures = element(0x00180050, "DS", str(SPACING[2])) + element(0x00280030, "DS", f"{SPACING[1]}\\{SPACING[0]}")
    shared = place(0) * (len(axes) == 1) + element(0x00289110, "SQ", [measures]) + scale(0) * (len(slopes) == 1)
    frames = []
    for k, position in enumerate(positions):
        own = element(0x00209113, "SQ", [element(0x00200032, "DS", number(position))])
        own += place(k) if len(axes) > 1 else b""
        frames.append(own + (scale(k) if len(slopes) > 1 else b""))
    kind, uid = "1.2.840.10008.5.1.4.1.1.4.1", "1.2.3.4"
    meta = element(0x00020002, "UI", kind) + element(0x00020003, "UI", uid)
    meta += element(0x00020010, "UI", "1.2.840.10008.1.2.1")
    body = element(0x00080016, "UI", kind) + element(0x00080018, "UI", uid) + element(0x00080060, "CS", "MR")
    body += element(0x00100010, "PN", SECRET["0010|0010"]) + element(0x0020000E, "UI", "1.2.3")
    body += element(0x00280002, "US", 1) + element(0x00280004, "CS", "MONOCHROME2")
    body += element(0x00280008, "IS", str(len(array)))
    for tag, value in ((0x00280010, array.shape[1]), (0x00280011, array.shape[2]), (0x00280100, 16), (0x00280101, 16)):
        body += element(tag, "US", value)
    body += element(0x00280102, "US", 15) + element(0x00280103, "US", 0)
    body += element(0x52009229, "SQ", [shared]) + element(0x52009230, "SQ", frames)
    body += element(0x7FE00010, "OW", array.astype("<u2").tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + body)
    return path
