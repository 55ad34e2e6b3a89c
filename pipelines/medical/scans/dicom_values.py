"""What pixels of a DICOM file mean: decoded, rescaled by their own header, with the range and the window that it gives."""

from typing import Any

import numpy as np

from horngate.pipelines.medical.scans.scan import Window
from horngate.pipelines.spec.errors import Unreadable, needed


def decoded(found: Any) -> np.ndarray:
    """Return stored values, `[frames, h, w, channels]`; colours as RGB.

    Raises:
        Unreadable: an unknown transfer syntax, or pixels that can't be decoded or are too few.
    """
    syntax = getattr(getattr(found, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None:
        raise Unreadable("its transfer syntax is unknown: the file meta information is missing")
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise Unreadable("unknown transfer syntax")
    try:
        stored = found.pixel_array
        if found.PhotometricInterpretation == "PALETTE COLOR":
            stored = _pixels().apply_color_lut(stored, found)
    except Exception as problem:  # as above
        raise Unreadable(_why(problem, syntax.name)) from None
    samples, frames = int(found.get("SamplesPerPixel") or 1), int(found.get("NumberOfFrames") or 1)
    samples = 3 if found.PhotometricInterpretation == "PALETTE COLOR" else samples
    if samples not in (1, 3):
        raise Unreadable(f"{samples} samples per pixel; grey or three colours can be read")
    if stored.size != frames * int(found.Rows) * int(found.Columns) * samples:
        raise Unreadable("the pixels aren't as many as the header says")
    return stored.reshape(frames, int(found.Rows), int(found.Columns), samples)


def _pixels() -> Any:
    return needed("pydicom.pixels", "reading DICOM", "medical")


def _why(problem: Exception, syntax: str) -> str:
    text = str(problem)
    if "less than expected" in text or "unexpected end" in text.lower():
        return "truncated: fewer bytes of pixels than the header says"
    if "missing dependencies" in text or ("plugins" in text and "missing" in text):
        return f"its compression can't be decoded here ({syntax}): install horngate[medical]"
    return f"its pixels can't be decoded ({syntax})"


def group_of(found: Any, frame: int, name: str) -> Any:
    """Return the item of a functional group of a frame, its own or the shared one; None where there is none."""
    own = found.get("PerFrameFunctionalGroupsSequence") or ()
    for place in (own[frame : frame + 1], found.get("SharedFunctionalGroupsSequence") or ()):
        for group in place:
            if group.get(name):
                return group[name].value[0]
    return None


def rescaled(found: Any, stored: np.ndarray) -> list[np.ndarray]:
    """Return the frames after their modality's look-up table, or slope and intercept; in one part where all are alike."""
    apply_modality_lut = _pixels().apply_modality_lut
    items = [group_of(found, frame, "PixelValueTransformationSequence") for frame in range(len(stored))]
    if not any(item is not None for item in items):
        return [apply_modality_lut(stored, found)]
    return [apply_modality_lut(part[None], item or found) for part, item in zip(stored, items, strict=True)]


def limits_of(found: Any, pixels: np.ndarray) -> tuple[float, float] | None:
    """Return the range of the stored bits, where the values are those that were stored, of at most 16 bits.

    Of a palette it is the range of its colours.
    """
    bits = int(found.get("BitsStored") or 0)
    if found.PhotometricInterpretation == "PALETTE COLOR":
        bits = 8 * pixels.dtype.itemsize
    if not 1 <= bits <= 16 or pixels.dtype not in (np.uint8, np.uint16):
        return None
    return 0.0, float(2**bits - 1)


def _first(value: Any) -> float:
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)


def window_of(found: Any) -> Window | None:
    """Return the first of the file's own windows."""
    item = group_of(found, 0, "FrameVOILUTSequence") or found
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
