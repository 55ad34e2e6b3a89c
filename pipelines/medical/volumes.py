"""Volumes plane by plane: what is segmented, one plane in memory at a time where a file allows it.

Planes lie as `scan.Scan` has them: the first is nearest to the feet, rows go to the back, columns to the left.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from horngate.pipelines.data.reading import content
from horngate.pipelines.errors import Unreadable, UserError
from horngate.pipelines.medical.dicom import MOST_VOXELS
from horngate.pipelines.medical.nifti import FLIP, is_nifti
from horngate.pipelines.medical.reading import scan_of
from horngate.pipelines.medical.scan import TAILS, Scan, Window, greys, plain
from horngate.pipelines.medical.series import Series, located

LOOKED_AT = 16  # planes whose values say what is black and white, where no header says it
SERIES = b'{"series"'  # how the value of a row of several DICOM files begins
HEADER = 540  # bytes of the larger NIfTI header


@dataclass(frozen=True)
class Laid:
    """How a NIfTI file lies: its own header, shape and turn to the planes' axes, as nibabel has it.

    Attributes:
        kind: nibabel's class of the file.
        header: its header.
        shape: of the file, with axes of length 1.
        turn: float `[3, 2]`, for each axis of the file which one it becomes, and -1 where it runs the other way.
    """

    kind: type
    header: Any
    shape: tuple[int, ...]
    turn: np.ndarray

    @property
    def in_planes(self) -> bool:
        """Whether planes lie one behind another in the file."""
        return int(self.turn[2, 0]) == 2

    @property
    def count(self) -> int:
        """How many planes it has."""
        return (*self.shape, 1, 1)[2]

    def place(self, stored: int) -> int:
        """Return which plane it is that stands in a place of the file."""
        return stored if self.turn[2, 1] > 0 else self.count - 1 - stored

    def turned(self, stored: np.ndarray) -> np.ndarray:
        """Return a plane `[rows, columns]` from one as it is stored, `[i, j]`."""
        flipped = self._flipped(stored)
        return flipped.T if self.turn[0, 0] == 0 else flipped

    def back(self, plane: np.ndarray) -> np.ndarray:
        """Return a plane as it is stored."""
        return self._flipped(plane.T if self.turn[0, 0] == 0 else plane)

    def _flipped(self, stored: np.ndarray) -> np.ndarray:
        return stored[:: int(self.turn[0, 1]), :: int(self.turn[1, 1])]


@dataclass(frozen=True)
class Volume:
    """A picture, or a volume of planes.

    Attributes:
        shape: planes, rows and columns.
        planes: a function that yields (place, scan of that plane) of all planes, in the order of the file.
        first: the scan of one plane, for what its header says; its pixels may be those of all planes.
        spacing: mm between planes, rows and columns; None where it isn't known.
        affine: float64 `[4, 4]` from (column, row, plane) to LPS mm, or None.
        laid: how the NIfTI file lies that it comes from, or None.
        window: which values become black and white, once `shown_by` has settled it.
    """

    shape: tuple[int, int, int]
    planes: Callable[[], Iterator[tuple[int, Scan]]] = field(repr=False)
    first: Scan
    spacing: tuple[float | None, float | None, float | None]
    affine: np.ndarray | None = None
    laid: Laid | None = None
    window: Window | str = "file"

    @property
    def flat(self) -> bool:
        """Whether it is one picture."""
        return self.shape[0] == 1

    @property
    def steps(self) -> tuple[float, ...] | None:
        """mm between neighbours along the axes of its mask, `[h, w]` or `[planes, h, w]`; None where some isn't known."""
        own = self.spacing[1:] if self.flat else self.spacing
        return None if None in own else own

    def shown_by(self, wish: Window | str) -> "Volume":
        """Return the volume with one window for all of its planes: the wished one, the file's own, or its own range."""
        if isinstance(wish, Window) or self.first.colour:
            return replace(self, window=wish)
        if wish == "file" and self.first.window is not None:
            return replace(self, window=self.first.window)
        if self.first.limits is not None:
            return replace(self, window="none")
        low, high = self._tails()
        return replace(self, window=Window((low + high) / 2, max(high - low, 1e-6)))

    def _tails(self) -> tuple[float, float]:
        wanted = set(np.linspace(0, self.shape[0] - 1, LOOKED_AT).astype(int).tolist())
        parts = [
            scan.pixels.ravel()[:: max(scan.pixels.size >> 16, 1)] for place, scan in self.planes() if place in wanted
        ]
        low, high = np.percentile(np.concatenate(parts), TAILS)
        return float(low), float(high)

    def greys(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (place, pixels `[h, w, c]` in 0…255, uint8 or float32) of all planes, in the order of the file.

        Raises:
            Unreadable: a plane can't be read.
        """
        for place, scan in self.planes():
            yield place, greys(scan, self.window)[0][0]


def volume_of(path: bytes | None, value: bytes | None, error: str | None = None) -> Volume:
    """Return the volume of a listed row: of one file, or of the DICOM files of a series.

    Raises:
        Unreadable: with the reason.
        UserError: a package for this kind of file isn't installed.
    """
    if error is None and value is None and path is not None:
        with _missing_told(path):
            opener = lambda: open(path, "rb")  # noqa: PTH123, SIM115, E731 - names that are no UTF-8 are bytes
            found = _nifti(opener)
            return found if found is not None else held(scan_of(content(path, None)))
    data = content(path, value, error)
    if data.startswith(SERIES):
        return _of_series(data)
    found = _nifti(lambda: BytesIO(data))
    return held(scan_of(data)) if found is None else found


def held(scan: Scan) -> Volume:
    """Return the volume of a scan that is in memory as a whole."""

    def planes() -> Iterator[tuple[int, Scan]]:
        for place in range(scan.slices):
            yield place, scan.at(slice(place, place + 1))

    return Volume((scan.slices, scan.height, scan.width), planes, scan, scan.spacing, scan.affine)


def as_series(paths: list[str]) -> bytes:
    """Return the value of a row whose volume lies in several DICOM files: their paths and sizes."""
    sizes = [Path(path).stat().st_size for path in paths]
    return json.dumps({"series": paths, "bytes": sizes}).encode("utf-8", "surrogateescape")


def _of_series(data: bytes) -> Volume:
    paths = json.loads(data.decode("utf-8", "surrogateescape"))["series"]
    series = Series(tuple(located(Path(path)) for path in paths))
    ordered, spacing = series.ordered, series.spacing
    if len(ordered) == 1:
        return held(series.scan())
    first = next(series.slices())
    count, (height, width) = len(ordered), ordered[0].shape

    def planes() -> Iterator[tuple[int, Scan]]:
        for place, scan in enumerate(series.slices()):
            if scan.pixels.shape[:3] != (1, height, width) or scan.colour != first.colour:
                raise Unreadable("two shapes in one series")
            yield place, scan

    from horngate.pipelines.medical.dicom import affine_of

    affine = affine_of(ordered[0].position, ordered[0].turned, spacing)
    return Volume((count, height, width), planes, first, spacing, affine)


@contextmanager
def _missing_told(path: bytes) -> Iterator[None]:
    """Turn what opening a file raises into the reason that every reader of files gives."""
    try:
        yield
    except OSError:
        content(path, None)
        raise Unreadable("it can't be read") from None


@contextmanager
def _unzipping(file: BinaryIO) -> Iterator[BinaryIO]:
    """Give a file as it is, or what a gzip file holds."""
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not zipped:
        yield file
        return
    with gzip.GzipFile(fileobj=file) as plainer:
        yield plainer


def _nifti(opener: Callable[[], BinaryIO]) -> Volume | None:
    """Return the volume of a NIfTI file; None for a file that is none, or whose planes don't lie one behind another."""
    try:
        with opener() as file, _unzipping(file) as plainer:
            beginning = plainer.read(HEADER)
            if not is_nifti(beginning):
                return None
            laid, affine = _laid(beginning)
            if not laid.in_planes or 0 in laid.shape:
                return None
            first = next(_stored_planes(laid, plainer, affine))[1]
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Unreadable("truncated or damaged NIfTI") from None
    height, width = first.pixels.shape[1:3]

    def planes() -> Iterator[tuple[int, Scan]]:
        try:
            with opener() as file, _unzipping(file) as plainer:
                yield from _stored_planes(laid, plainer, affine)
        except (OSError, EOFError, zlib.error):
            raise Unreadable("truncated or damaged NIfTI") from None

    return Volume((laid.count, height, width), planes, first, first.spacing, affine, laid)


def _laid(beginning: bytes) -> tuple[Laid, np.ndarray]:
    """Return how a NIfTI file lies by its first bytes, and its affine from (column, row, plane) to LPS mm.

    Raises:
        Unreadable: another number of dimensions, no plain numbers, too large, or damaged.
        UserError: nibabel isn't installed.
    """
    try:
        import nibabel
        from nibabel import orientations
    except ImportError:
        raise UserError("reading NIfTI needs nibabel: install horngate[medical]") from None
    kind = nibabel.Nifti1Image if beginning[344:348] == b"n+1\x00" else nibabel.Nifti2Image
    try:
        header = kind.header_class(beginning[: kind.header_class.template_dtype.itemsize], check=True)
        shape, dtype = tuple(int(side) for side in header.get_data_shape()), header.get_data_dtype()
        affine = np.asarray(header.get_best_affine(), np.float64)
        turn = orientations.ornt_transform(
            orientations.io_orientation(affine), orientations.axcodes2ornt(("L", "P", "S"))
        )
    except Exception as problem:  # whatever nibabel raises on a damaged header
        raise Unreadable(f"damaged NIfTI header ({type(problem).__name__})") from None
    if len(shape) < 2 or any(length != 1 for length in shape[3:]) or min(shape) < 1:
        sides = " × ".join(map(str, shape))
        raise Unreadable(f"{len(shape)} dimensions ({sides}); a plane or one volume can be read, no series of them")
    if dtype.fields is not None or dtype.kind not in "uif":
        raise Unreadable("its values are no plain numbers (colours or complex ones)")
    if np.isnan(turn).any():
        raise Unreadable("its affine is singular, so nobody knows which way it lies")
    if int(np.prod(shape, dtype=np.int64)) > MOST_VOXELS:
        raise Unreadable(f"too many pixels: {int(np.prod(shape, dtype=np.int64)):,}; at most {MOST_VOXELS:,} are read")
    whole = (*shape[:3], *(1,) * (3 - len(shape[:3])))
    return Laid(kind, header, shape, turn), FLIP @ affine @ orientations.inv_ornt_aff(turn, whole)


def _stored_planes(laid: Laid, file: BinaryIO, affine: np.ndarray) -> Iterator[tuple[int, Scan]]:
    """Yield the planes of an open NIfTI file in its own order, each read by itself."""
    proxy = laid.kind.ImageArrayProxy if hasattr(laid.kind, "ImageArrayProxy") else None
    from nibabel.arrayproxy import ArrayProxy

    values = (proxy or ArrayProxy)(file, laid.header)
    across, down, through = np.sqrt((affine[:3, :3] ** 2).sum(0)).tolist()
    rest = (0,) * max(len(laid.shape) - 3, 0)
    for stored in range(laid.count):
        try:
            part = np.asanyarray(values[(slice(None), slice(None), *((stored, *rest) if len(laid.shape) > 2 else ()))])
        except (OSError, ValueError) as problem:
            raise Unreadable(f"truncated or damaged NIfTI ({type(problem).__name__})") from None
        converted: tuple[str, ...] = ()
        if part.dtype.kind == "f" and not np.isfinite(part).all():
            finite = part[np.isfinite(part)]
            low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
            part = np.nan_to_num(part, nan=low, posinf=high, neginf=low)
            converted = ("values that are no numbers: the lowest of their plane",)
        pixels = plain(np.ascontiguousarray(laid.turned(part)))[None, ..., None]
        limits = (0.0, 255.0) if pixels.dtype == np.uint8 else None
        spacing = (through, down, across)
        yield laid.place(stored), Scan(pixels, "nifti", limits, spacing, affine, converted=converted)
