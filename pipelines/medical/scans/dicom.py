"""DICOM: one file's pixels in its own units, by pydicom; nothing of its header but what a scan holds gets out of here."""

import gzip
import logging
import re
import warnings
import zlib
from io import BytesIO
from typing import Any

import numpy as np

from horngate.pipelines.medical.scans.dicom_values import decoded, group_of, limits_of, rescaled, window_of
from horngate.pipelines.medical.scans.scan import Scan, plain
from horngate.pipelines.spec.errors import Unreadable, needed

MOST_VOXELS = 500_000_000
NOBODY = ("", "anonymous", "anonymized", "anonymised", "anon", "unknown", "none", "na", "n/a", "0")
PERSONAL = (
    "PatientName",
    "PatientBirthDate",
    "PatientBirthTime",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientMotherBirthName",
    "OtherPatientIDs",
    "OtherPatientNames",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "AccessionNumber",
    "InstitutionName",
    "InstitutionAddress",
)  # beside PatientID, which data without names needs for groups
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "YBR_PARTIAL_420")
warnings.filterwarnings("ignore", module="pydicom")  # its warnings quote values of the header
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def is_dicom(data: bytes) -> bool:
    """Whether bytes begin like a DICOM file, with its 128 bytes of preamble or without."""
    if data[128:132] == b"DICM":
        return True
    if len(data) < 132 or data[:2] not in (b"\x02\x00", b"\x08\x00") or data[3] != 0:
        return False
    named = data[4:6].isalpha() and data[4:6].isupper()  # a value representation, else a length
    return named or int.from_bytes(data[4:8], "little") < 1024


def header_of(data: Any, only: tuple[str, ...] | None = None) -> Any:
    """Return the data set of a DICOM file without its pixels.

    Args:
        data: the file's bytes, or an open file.
        only: keywords of the elements that are wanted; None for all.

    Raises:
        Unreadable: no DICOM file.
        UserError: pydicom isn't installed.
    """
    return _opened(BytesIO(data) if isinstance(data, bytes) else data, stop_before_pixels=True, specific_tags=only)


def read_dicom(data: bytes) -> Scan:
    """Return the scan that a DICOM file holds: every frame of it, each rescaled by its own slope and intercept.

    Raises:
        Unreadable: no or damaged pixels, an unknown transfer syntax, too many pixels; the reason
            quotes nothing of the header.
    """
    found = _opened(BytesIO(data))
    if not any(name in found for name in PIXELS):
        raise Unreadable(f"no pixels in this DICOM file{_kind_of(found)}")
    try:
        voxels = int(found.Rows) * int(found.Columns) * int(found.get("NumberOfFrames") or 1)
    except Exception:  # whatever a header that breaks the standard makes pydicom raise
        raise Unreadable("damaged DICOM: rows, columns or the number of frames are no numbers") from None
    if voxels > MOST_VOXELS:
        raise Unreadable(f"too many pixels: {voxels:,}; at most {MOST_VOXELS:,} are decoded")
    stored = decoded(found)
    try:
        return _scan(found, stored)
    except Unreadable:
        raise
    except Exception as problem:  # as above
        raise Unreadable(f"damaged DICOM header ({type(problem).__name__})") from None


def _opened(file: Any, **wishes: Any) -> Any:
    pydicom = needed("pydicom", "reading DICOM", "medical")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        return pydicom.dcmread(file, force=True, **wishes)
    except Exception as problem:  # as above
        raise Unreadable(f"damaged or truncated DICOM ({type(problem).__name__})") from None


def _kind_of(found: Any) -> str:
    """Return which kind of object a file without pixels is, in brackets."""
    try:
        kind = found.SOPClassUID if "SOPClassUID" in found else found.file_meta.MediaStorageSOPClassUID
        return f" ({kind.name})" if kind.is_valid and not kind.is_private and kind.name != kind else ""
    except Exception:  # as above
        return ""


def _scan(found: Any, stored: np.ndarray) -> Scan:
    photometric = _code(found.get("PhotometricInterpretation"))
    colour = stored.shape[3] == 3
    if not colour and photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise Unreadable("grey pixels that are neither MONOCHROME1 nor MONOCHROME2")
    frames = [stored] if colour else rescaled(found, stored)
    pixels = plain(frames[0] if len(frames) == 1 else np.concatenate(frames))
    patient = " ".join(str(found.get("PatientID") or "").split())
    burned = {"YES": True, "NO": False}.get(str(found.get("BurnedInAnnotation") or "").upper())
    converted = [f"{photometric} colours"] * (colour and photometric != "RGB")
    converted += ["MONOCHROME1"] * (photometric == "MONOCHROME1")
    spacing, affine = _placed(found, stored.shape[0])
    return Scan(
        pixels=pixels,
        kind="dicom",
        limits=limits_of(found, pixels),
        spacing=spacing,
        affine=affine,
        window=None if colour else window_of(found),
        inverted=photometric == "MONOCHROME1",
        modality=_code(found.get("Modality")),
        photometric=photometric,
        patient=None if patient.casefold() in NOBODY else patient,
        series=str(found.get("SeriesInstanceUID") or "") or None,
        personal=tuple(name for name in PERSONAL if str(found.get(name) or "").strip()),
        burned_in=burned,
        converted=tuple(converted),
    )


def _code(value: Any) -> str:
    """Return a coded string, which is short and made of capitals; anything else says nothing."""
    text = str(value or "")
    return text if re.fullmatch(r"[A-Z]{2,8}|MONOCHROME[12]|PALETTE COLOR|YBR_[A-Z0-9_]{3,11}", text) else ""


def _placed(found: Any, frames: int) -> tuple[tuple[float | None, ...], np.ndarray | None]:
    """Return mm between slices, rows and columns, and the affine of the first frame, where the header has them."""
    item = group_of(found, 0, "PixelMeasuresSequence") or found
    between = item.get("PixelSpacing") or found.get("ImagerPixelSpacing") or (None, None)
    rows, columns = (None if value is None else float(value) for value in between)
    gap = item.get("SpacingBetweenSlices") or (item.get("SliceThickness") if frames == 1 else None)
    places = found.get("GridFrameOffsetVector")
    if frames > 1 and places is not None and len(places) == frames:
        steps = np.diff(np.asarray(places, np.float64))
        gap = steps[0] if np.allclose(steps, steps[0], atol=1e-3) else None
    spacing = (None if gap in (None, "") else abs(float(gap)), rows, columns)
    position, turned = group_of(found, 0, "PlanePositionSequence"), group_of(found, 0, "PlaneOrientationSequence")
    position = (position or found).get("ImagePositionPatient")
    turned = (turned or found).get("ImageOrientationPatient")
    if position is None or turned is None or None in spacing[1:]:
        return spacing, None
    return spacing, affine_of(
        np.asarray(position, float), np.asarray(turned, float), (spacing[0] or 1.0, rows, columns)
    )


def affine_of(position: np.ndarray, turned: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Return float64 `[4, 4]` from (column, row, slice) to LPS mm (DICOM PS3.3 C.7.6.2.1.1).

    Args:
        position: of the first pixel, mm.
        turned: direction cosines of a row and of a column.
        spacing: mm between slices, rows and columns.
    """
    affine = np.eye(4)
    along, down = turned[:3], turned[3:]
    affine[:3, 0], affine[:3, 1] = along * spacing[2], down * spacing[1]
    affine[:3, 2], affine[:3, 3] = np.cross(along, down) * spacing[0], position
    return affine


def unzipped(data: bytes, most: int) -> bytes:
    """Return what a gzip file holds.

    Raises:
        Unreadable: damaged, or more than `most` bytes.
    """
    try:
        with gzip.open(BytesIO(data)) as file:
            plainer = file.read(most + 1)
    except (OSError, EOFError, zlib.error):
        raise Unreadable("damaged or truncated gzip file") from None
    if len(plainer) > most:
        raise Unreadable(f"too large once unzipped: more than {most:,} bytes")
    return plainer
