"""The one door for pixels: bytes of a DICOM, NIfTI, picture or array file in, a scan out, known by what it begins with."""

from io import BytesIO
from threading import Lock

import numpy as np
from PIL import Image

from horngate.pipelines.images.reader import FORMATS, LEAST_SIDE, MOST_PIXELS, upright
from horngate.pipelines.images.reader import SUFFIXES as PICTURES
from horngate.pipelines.medical.scans.dicom import is_dicom, read_dicom, unzipped
from horngate.pipelines.medical.scans.nifti import is_nifti, read_nifti
from horngate.pipelines.medical.scans.scan import Scan, plain
from horngate.pipelines.spec.errors import Unreadable

SUFFIXES = (".dcm", ".dicom", ".dcm.gz", ".nii", ".nii.gz", *PICTURES)
MOST_BYTES = 1 << 31  # of an unzipped file
# Python before 3.11.8 may fail to parse the headers of arrays in two threads at once (CPython issue 106905).
_one_header = Lock()
ARRAY = b"\x93NUMPY"


def scan_of(data: bytes) -> Scan:
    """Return the scan that a file's bytes hold; what they are is told by how they begin, not by a name.

    Raises:
        Unreadable: with the reason, which quotes nothing of the content.
        UserError: a package for this kind of file isn't installed.
    """
    if data[:2] == b"\x1f\x8b":
        data = unzipped(data, MOST_BYTES)
    if data[:6] == ARRAY:
        return _array(data)
    if is_nifti(data):
        return read_nifti(data)
    if is_dicom(data):
        return read_dicom(data)
    return _picture(data)


def as_bytes(pixels: np.ndarray) -> bytes:
    """Return pixels `[h, w]` or `[h, w, 3]` as bytes that `scan_of` reads."""
    out = BytesIO()
    np.save(out, pixels, allow_pickle=False)
    return out.getvalue()


def _array(data: bytes) -> Scan:
    try:
        with _one_header:
            pixels = np.load(BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise Unreadable("a damaged or truncated array, or one that isn't of plain numbers") from None
    if pixels.dtype.kind not in "uifb":
        raise Unreadable("an array that isn't of plain numbers")
    if pixels.ndim == 2:
        pixels = pixels[None, :, :, None]
    elif pixels.ndim == 3:
        pixels = pixels[None] if pixels.shape[2] == 3 else pixels[..., None]
    else:
        raise Unreadable(f"an array of {pixels.ndim} dimensions; [h, w], [h, w, 3] or [slices, h, w] can be read")
    if not np.isfinite(pixels).all():
        raise Unreadable("an array with values that are no numbers")
    return _of_whole_range(plain(pixels), "array")


def _picture(data: bytes) -> Scan:
    """Return a picture of a usual format; 16-bit greys are kept, everything else is read as pictures are everywhere."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as opened:
            mode, (width, height), frames = opened.mode, opened.size, getattr(opened, "n_frames", 1)
            kept = width * height <= MOST_PIXELS and (mode.startswith("I") or mode in ("L", "1"))
            turned = opened.getexif().get(0x0112, 1) != 1
            grey = np.asarray(opened) if kept and not turned else None
    except Exception:  # decoders raise whatever their libraries do
        raise Unreadable("no readable DICOM, NIfTI or picture, or a truncated one") from None
    if min(width, height) < LEAST_SIDE:
        raise Unreadable(f"too small: {width} × {height}; each side should have at least {LEAST_SIDE} pixels")
    converted = ("animation or pages: first one",) * (frames > 1)
    if grey is None:
        return _looked_at(data, max(width, height), converted)
    if mode.startswith("I"):
        if grey.min() < 0 or grey.max() > 65535:
            raise Unreadable("its whole numbers are beyond 16 bit, without a known range")
        grey = grey.astype(np.uint16)
    pixels = grey.astype(np.uint8) * np.uint8(255) if mode == "1" else grey
    return _of_whole_range(plain(pixels)[None, :, :, None], "picture", converted)


def _looked_at(data: bytes, longest: int, converted: tuple[str, ...]) -> Scan:
    try:
        pixels = upright(data, longest)
    except Unreadable as reason:
        if str(reason).startswith(("no picture", "damaged")):
            raise Unreadable("no readable DICOM, NIfTI or picture, or a truncated one") from None
        raise
    alike = (pixels == pixels[..., :1]).all()
    return _of_whole_range(pixels[None, :, :, :1] if alike else pixels[None], "picture", converted)


def _of_whole_range(pixels: np.ndarray, kind: str, converted: tuple[str, ...] = ()) -> Scan:
    limits = {np.dtype(np.uint8): (0.0, 255.0), np.dtype(np.uint16): (0.0, 65535.0)}.get(pixels.dtype)
    return Scan(pixels, kind, limits, converted=converted)
