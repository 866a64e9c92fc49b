"""DICOM series: a folder of files becomes one volume, in the order of the patient's anatomy.

The order comes from ImagePositionPatient: with the unit vectors r (along a row) and c (down a column) of
ImageOrientationPatient and n = r x c, slices are sorted by position . n. File names and instance numbers are not used,
since they follow the scanner's or the archive's habits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import dicom_entries, guard, volume
from .dicom_entries import Entries
from .sample import DataError, Geometry, Scan

if TYPE_CHECKING:
    from SimpleITK import ImageFileReader

IDENTIFYING = {
    "0010|0010": "PatientName", "0010|0020": "PatientID", "0010|0030": "PatientBirthDate",
    "0010|0032": "PatientBirthTime", "0010|1000": "OtherPatientIDs", "0010|1001": "OtherPatientNames",
    "0010|1005": "PatientBirthName", "0010|1040": "PatientAddress", "0010|1060": "PatientMotherBirthName",
    "0010|2154": "PatientTelephoneNumbers", "0010|21b0": "AdditionalPatientHistory", "0010|4000": "PatientComments",
    "0008|0050": "AccessionNumber", "0020|0010": "StudyID", "0008|0020": "StudyDate", "0008|0080": "InstitutionName",
    "0008|0081": "InstitutionAddress", "0008|0090": "ReferringPhysicianName", "0008|1048": "PhysiciansOfRecord",
    "0008|1050": "PerformingPhysicianName", "0008|1070": "OperatorsName", "0032|1032": "RequestingPhysician",
    "0018|1000": "DeviceSerialNumber",
}  # fmt: skip
"""DICOM entries that name or trace a person: tag -> name."""


class _File(NamedTuple):
    path: Path
    uid: str
    number: int | None
    modality: str
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    position: np.ndarray | None
    axes: np.ndarray | None


def is_series(folder: str | Path) -> bool:
    """Tell whether a folder directly holds DICOM files."""
    return any(_is_dicom(path) for path in _candidates(Path(folder)))


def read_series(folder: str | Path, series: int | None = None) -> Scan:
    """Read the DICOM series in a folder as one volume, with RescaleSlope and RescaleIntercept applied.

    Parameters
    ----------
    folder : path
        Sub-folders are not entered.
    series : int or None
        The SeriesNumber to take, if there are several.

    Raises
    ------
    DataError
        If there is none, or several and none is chosen; a file is damaged; slices differ in size or orientation, lack a
        position, lie twice in one place, are missing or shifted sideways.
    """
    files = _choose(Path(folder), series)
    if len(files) == 1 and (files[0].position is None or files[0].size[2] > 1):
        return read_file(files[0].path)
    files, geometry = _in_order(folder, files)
    planes = [_decode(file.path)[0].pixels for file in files]
    if len({plane.shape for plane in planes}) > 1:
        raise DataError(f"{folder}: colour and grey slices are mixed; keep one kind")
    return Scan(np.concatenate(planes, axis=1), geometry)


def read_file(path: str | Path) -> Scan:
    """Read one DICOM file; frames of an enhanced one become slices, in the order of the patient's anatomy.

    Raises
    ------
    DataError
        As `read_series` of frames; also if they differ in how they are scaled.
    """
    scan, entries = _decode(path)
    count = scan.pixels.shape[1]
    if count == 1 or dicom_entries.FRAMES not in entries:
        if scan.geometry is not None and min(scan.geometry.spacing) < 0:
            raise DataError(f"{path}: its slices have a negative distance; convert it to NIfTI with dcm2niix")
        return scan
    numbers = {tag: _per_frame(path, entries.get(tag, []), count) for tag in dicom_entries.WANTED}
    for tag in (dicom_entries.SLOPE, dicom_entries.INTERCEPT):
        if len(set(numbers[tag])) > 1:  # the decoder would scale all frames as the first
            raise DataError(f"{path}: its frames are scaled in several ways; convert it to NIfTI with dcm2niix")
    frames = []
    for k in range(count):
        position, axes, spacing = (numbers[tag][k] for tag in dicom_entries.WANTED[:3])
        frames.append(
            _File(
                path=Path(path).with_name(f"{Path(path).name} (frame {k + 1})"),
                uid="",
                number=k,
                modality="",
                size=(scan.pixels.shape[3], scan.pixels.shape[2], 1),
                spacing=(*spacing[::-1], 1.0) if len(spacing) == 2 else (1.0, 1.0, 1.0),
                position=np.array(position) if len(position) == 3 else None,
                axes=np.array(axes).reshape(2, 3) if len(axes) == 6 else None,
            )
        )
    frames, geometry = _in_order(path, frames)
    return Scan(scan.pixels[:, [frame.number for frame in frames]], geometry)


def _per_frame(path: str | Path, texts: list[str], count: int) -> list[tuple[float, ...]]:
    """Return the numbers of an entry for each frame; no numbers where it is not there."""
    if len(texts) not in (0, 1, count):
        raise DataError(
            f"{path}: has {count} frames, but places or scales {len(texts)} of them; convert it to NIfTI with dcm2niix"
        )
    with guard.decoding(path, private=True):
        found = [tuple(float(x) for x in text.split("\\")) for text in texts] or [()]
    return found * (count // len(found))


def identifying_tags(path: str | Path) -> tuple[str, ...]:
    """Name the entries of a DICOM file, or of all DICOM files in a folder, that could identify the patient.

    Names of entries only, never what they say: "PatientName", ...; "BurnedInAnnotation" if a file declares text in its
    pixels; "file name" if the name of a file or of its folder repeats a part of the patient's name or ID.
    """
    path = Path(path)
    found: set[str] = set()
    for file in _candidates(path) if path.is_dir() else [path]:
        if not _is_dicom(file):
            continue
        entries = _entries(file)
        found |= {name for tag, name in IDENTIFYING.items() if entries.get(tag)}
        if entries.get("0028|0301", "").upper() == "YES":
            found.add("BurnedInAnnotation")
        words = re.split(r"[\^\s,_=-]+", f"{entries.get('0010|0010', '')} {entries.get('0010|0020', '')}".lower())
        names = f"{file.parent.name}/{file.name}".lower()
        if any(len(word) > 3 and word in names for word in words):
            found.add("file name")
    return tuple(sorted(found))


def _candidates(folder: Path) -> list[Path]:
    try:
        files = [path for path in folder.iterdir() if path.is_file()]
    except OSError as error:
        raise DataError(f"{folder}: cannot be entered ({error.strerror}); change its permissions") from error
    return sorted(path for path in files if path.name != "DICOMDIR" and not path.name.startswith("."))


def _is_dicom(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[ImageFileReader, Entries]]:
    """A reader that knows the header, and the entries that were found on the one walk over the file before it."""
    size = guard.file_size(path)
    entries = dicom_entries.read(path, size)
    with volume.opened(path, ".dcm", size) as reader:
        yield reader, entries


def _decode(path: str | Path) -> tuple[Scan, Entries]:
    with _opened(path) as (reader, entries):
        scan, keys = volume.to_scan(reader.Execute()), reader.GetMetaDataKeys()
    if scan.pixels.shape[1] == 1 and "0028|0030" not in keys and "0018|1164" not in keys:
        scan = scan._replace(geometry=None)  # without PixelSpacing and ImagerPixelSpacing SimpleITK invents 1 mm
    return scan, entries


def _entries(path: Path) -> dict[str, str]:
    """The header's plain entries by tag."""
    with _opened(path) as (reader, _):
        return {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys()}


def _scan_headers(folder: Path) -> list[_File]:
    files = []
    for path in _candidates(folder):
        if not _is_dicom(path):
            if path.suffix.lower() in ("", ".dcm", ".ima") or path.suffix[1:].isdigit():
                dicom_entries.read(path, guard.file_size(path))  # says what is wrong
            continue
        with _opened(path) as (reader, _):
            keys = set(reader.GetMetaDataKeys())

            def text(tag: str, reader=reader, keys=keys) -> str:
                return reader.GetMetaData(tag).strip() if tag in keys else ""

            numbers = {tag: [float(x) for x in text(tag).split("\\") if x] for tag in ("0020|0032", "0020|0037")}
            position, axes = numbers["0020|0032"], numbers["0020|0037"]
            files.append(
                _File(
                    path=path,
                    uid=text("0020|000e"),
                    number=int(text("0020|0011")) if text("0020|0011").isdecimal() else None,
                    modality=text("0008|0060")[:16],
                    size=tuple(reader.GetSize()),
                    spacing=tuple(reader.GetSpacing()),
                    position=np.array(position) if len(position) == 3 else None,
                    axes=np.array(axes).reshape(2, 3) if len(axes) == 6 else None,
                )
            )
    return files


def _choose(folder: Path, series: int | None) -> list[_File]:
    """The files of the only series, or of the chosen one."""
    by_uid: dict[str, list[_File]] = {}
    for file in _scan_headers(folder):
        by_uid.setdefault(file.uid, []).append(file)
    if not by_uid:
        raise DataError(f"{folder}: holds no DICOM files; put the slices of one series directly into it")
    chosen = [files for files in by_uid.values() if series is None or files[0].number == series]
    if len(chosen) == 1:
        return chosen[0]
    found = "; ".join(
        f"series {files[0].number}: {len(files)} files of {files[0].modality}, {files[0].size[1]}x{files[0].size[0]}, "
        f"such as {files[0].path.name}"
        for files in by_uid.values()
    )
    numbers = [files[0].number for files in by_uid.values()]
    advice = "Choose one by its number, series=N (--series N), or move the others away."
    if series in numbers or len(set(numbers)) < len(numbers):
        advice = "Their numbers do not tell them apart: move all but one into folders of their own."
    wanted = "" if series is None else f" with the number {series}"
    raise DataError(f"{folder}: expected one DICOM series{wanted}, found {found}. {advice}")


def _in_order(folder: str | Path, files: list[_File]) -> tuple[list[_File], Geometry]:
    """Sort slices along the normal of their planes and derive the geometry of the volume."""
    for file in files:
        if file.position is None or file.axes is None:
            raise DataError(
                f"{file.path}: has no ImagePositionPatient or no ImageOrientationPatient, so its place among the "
                "slices is unknown; export the series again, or convert it to NIfTI with dcm2niix"
            )
    (W, H, D), spacing, axes = files[0].size, files[0].spacing, files[0].axes
    if not np.allclose(axes @ axes.T, np.eye(2), atol=1e-2):
        raise DataError(f"{files[0].path}: its ImageOrientationPatient is damaged; export the series again")
    axes = np.linalg.qr(axes.T)[0].T * np.sign(np.diag(np.linalg.qr(axes.T)[1]))[:, None]  # files round to few digits
    for file in files:
        if file.size != (W, H, 1) or not np.allclose(file.spacing[:2], spacing[:2], rtol=1e-3):
            raise DataError(
                f"{file.path}: is {'x'.join(map(str, file.size))} with pixels of {file.spacing[:2]} mm, "
                f"{files[0].path.name} is {W}x{H}x{D} with {spacing[:2]} mm; a series needs single slices of one size"
            )
        if not np.allclose(file.axes, axes, atol=1e-3):
            raise DataError(
                f"{file.path}: is oriented otherwise than {files[0].path.name}; move scouts and other views away"
            )
    normal = np.cross(*axes)
    files = sorted(files, key=lambda file: float(file.position @ normal))
    positions = np.array([file.position for file in files])
    distance = spacing[2]
    if len(files) > 1:
        gaps = np.diff(positions @ normal)
        distance = float(np.median(gaps))
        k = int(np.abs(gaps - distance).argmax())
        if gaps.min() < 0.01 or abs(gaps[k] - distance) > 0.1 * distance:
            k = int(gaps.argmin()) if gaps.min() < 0.01 else k
            what = "lie in one place: several phases, or copies" if gaps[k] < 0.01 else f"are {gaps[k]:.2f} mm apart"
            raise DataError(
                f"{folder}: {files[k].path.name} and {files[k + 1].path.name} {what}, where {distance:.2f} mm is "
                "usual; restore missing slices, or move what does not belong together into folders of its own"
            )
        distance = float(gaps.mean())
        aside = positions - positions[0] - np.outer((positions - positions[0]) @ normal, normal)
        if np.linalg.norm(aside, axis=1).max() > 0.5 * min(spacing[:2]):
            raise DataError(
                f"{folder}: the slices are shifted sideways (a tilted gantry), so they form no upright volume; convert "
                "the series to NIfTI with dcm2niix, which straightens it"
            )
    direction = np.stack([*axes, normal], axis=1)  # its columns are the axes x, y, z of the array
    where = Geometry((*spacing[:2], distance), tuple(positions[0].tolist()), tuple(direction.ravel().tolist()))
    return files, where
