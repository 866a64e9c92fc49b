"""Small volumes and DICOM series, written by SimpleITK."""

from __future__ import annotations

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
