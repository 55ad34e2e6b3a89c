"""DICOM: one file's pixels in its own units, by pydicom; nothing of its header but what a scan holds gets out of here."""

import gzip
import logging
import re
import warnings
import zlib
from io import BytesIO
from typing import Any

import numpy as np

from horngate.pipelines.errors import Unreadable, UserError
from horngate.pipelines.medical.scan import Scan, Window, plain

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
    return data[:4] in (b"\x02\x00\x00\x00", b"\x08\x00\x05\x00", b"\x08\x00\x00\x00", b"\x08\x00\x08\x00")


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
    stored = _decoded(found)
    try:
        return _scan(found, stored)
    except Unreadable:
        raise
    except Exception as problem:  # as above
        raise Unreadable(f"damaged DICOM header ({type(problem).__name__})") from None


def _opened(file: Any, **wishes: Any) -> Any:
    try:
        from pydicom import config, dcmread
    except ImportError:
        raise UserError("reading DICOM needs pydicom: install horngate[medical]") from None
    config.settings.reading_validation_mode = config.IGNORE
    try:
        return dcmread(file, force=True, **wishes)
    except Exception as problem:  # as above
        raise Unreadable(f"damaged or truncated DICOM ({type(problem).__name__})") from None


def _kind_of(found: Any) -> str:
    """Return which kind of object a file without pixels is, in brackets."""
    try:
        kind = found.SOPClassUID if "SOPClassUID" in found else found.file_meta.MediaStorageSOPClassUID
        return f" ({kind.name})" if kind.is_valid and not kind.is_private and kind.name != kind else ""
    except Exception:  # as above
        return ""


def _decoded(found: Any) -> np.ndarray:
    """Return stored values, `[frames, h, w, channels]`; colours as RGB."""
    from pydicom.pixels import apply_color_lut

    syntax = getattr(getattr(found, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None:
        raise Unreadable("its transfer syntax is unknown: the file meta information is missing")
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise Unreadable("unknown transfer syntax")
    try:
        stored = found.pixel_array
        if found.PhotometricInterpretation == "PALETTE COLOR":
            stored = apply_color_lut(stored, found)
    except Exception as problem:  # as above
        raise Unreadable(_why(problem, syntax.name)) from None
    samples, frames = int(found.get("SamplesPerPixel") or 1), int(found.get("NumberOfFrames") or 1)
    samples = 3 if found.PhotometricInterpretation == "PALETTE COLOR" else samples
    if samples not in (1, 3):
        raise Unreadable(f"{samples} samples per pixel; grey or three colours can be read")
    if stored.size != frames * int(found.Rows) * int(found.Columns) * samples:
        raise Unreadable("the pixels aren't as many as the header says")
    return stored.reshape(frames, int(found.Rows), int(found.Columns), samples)


def _why(problem: Exception, syntax: str) -> str:
    text = str(problem)
    if "less than expected" in text or "unexpected end" in text.lower():
        return "truncated: fewer bytes of pixels than the header says"
    if "missing dependencies" in text or ("plugins" in text and "missing" in text):
        return f"its compression can't be decoded here ({syntax}): install horngate[medical]"
    return f"its pixels can't be decoded ({syntax})"


def _scan(found: Any, stored: np.ndarray) -> Scan:
    photometric = _code(found.get("PhotometricInterpretation"))
    colour = stored.shape[3] == 3
    if not colour and photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise Unreadable("grey pixels that are neither MONOCHROME1 nor MONOCHROME2")
    frames = [stored] if colour else _rescaled(found, stored)
    pixels = plain(frames[0] if len(frames) == 1 else np.concatenate(frames))
    patient = " ".join(str(found.get("PatientID") or "").split())
    burned = {"YES": True, "NO": False}.get(str(found.get("BurnedInAnnotation") or "").upper())
    converted = [f"{photometric} colours"] * (colour and photometric != "RGB")
    converted += ["MONOCHROME1"] * (photometric == "MONOCHROME1")
    spacing, affine = _placed(found, stored.shape[0])
    return Scan(
        pixels=pixels,
        kind="dicom",
        limits=_limits(found, pixels),
        spacing=spacing,
        affine=affine,
        window=None if colour else _window(found),
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
    return text if re.fullmatch(r"[A-Z0-9_ ]{1,16}", text) else ""


def _groups(found: Any, frame: int, name: str) -> Any:
    """Return the item of a functional group of a frame, its own or the shared one; None where there is none."""
    own = found.get("PerFrameFunctionalGroupsSequence") or ()
    for place in (own[frame : frame + 1], found.get("SharedFunctionalGroupsSequence") or ()):
        for group in place:
            if group.get(name):
                return group[name].value[0]
    return None


def _rescaled(found: Any, stored: np.ndarray) -> list[np.ndarray]:
    """Return the frames after their modality's look-up table, or slope and intercept; in one part where all are alike."""
    from pydicom.pixels import apply_modality_lut

    items = [_groups(found, frame, "PixelValueTransformationSequence") for frame in range(len(stored))]
    if not any(item is not None for item in items):
        return [apply_modality_lut(stored, found)]
    return [apply_modality_lut(part[None], item or found) for part, item in zip(stored, items, strict=True)]


def _limits(found: Any, pixels: np.ndarray) -> tuple[float, float] | None:
    """Return the range of the stored bits, where the values are those that were stored, of at most 16 bits."""
    bits = int(found.get("BitsStored") or 0)
    if not 1 <= bits <= 16 or pixels.dtype not in (np.uint8, np.uint16):
        return None
    return 0.0, float(2**bits - 1)


def _first(value: Any) -> float:
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)


def _window(found: Any) -> Window | None:
    """Return the first of the file's own windows."""
    item = _groups(found, 0, "FrameVOILUTSequence") or found
    if item.get("WindowCenter") not in (None, "") and item.get("WindowWidth") not in (None, ""):
        kind = str(item.get("VOILUTFunction") or "LINEAR").lower()
        centre, width = _first(item.WindowCenter), _first(item.WindowWidth)
        least = 1.0 if kind == "linear" else 0.0
        usable = kind in ("linear", "linear_exact", "sigmoid") and width >= least and width > 0
        return Window(centre, width, kind) if usable else None
    if item.get("VOILUTSequence"):
        table = item.VOILUTSequence[0]
        values = np.asarray(
            table.LUTData if not isinstance(table.LUTData, bytes) else memoryview(table.LUTData).cast("H")
        )
        return Window(float(table.LUTDescriptor[1]), table=values / float(2 ** int(table.LUTDescriptor[2]) - 1))
    return None


def _placed(found: Any, frames: int) -> tuple[tuple[float | None, ...], np.ndarray | None]:
    """Return mm between slices, rows and columns, and the affine of the first frame, where the header has them."""
    item = _groups(found, 0, "PixelMeasuresSequence") or found
    between = item.get("PixelSpacing") or found.get("ImagerPixelSpacing") or (None, None)
    rows, columns = (None if value is None else float(value) for value in between)
    gap = item.get("SpacingBetweenSlices") or (item.get("SliceThickness") if frames == 1 else None)
    places = found.get("GridFrameOffsetVector")
    if frames > 1 and places is not None and len(places) == frames:
        steps = np.diff(np.asarray(places, np.float64))
        gap = steps[0] if np.allclose(steps, steps[0], atol=1e-3) else None
    spacing = (None if gap in (None, "") else abs(float(gap)), rows, columns)
    position, turned = _groups(found, 0, "PlanePositionSequence"), _groups(found, 0, "PlaneOrientationSequence")
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
