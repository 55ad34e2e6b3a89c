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
from typing import BinaryIO

import numpy as np

from horngate.pipelines.data.reading import content
from horngate.pipelines.medical.scans.dicom import affine_of
from horngate.pipelines.medical.scans.nifti import is_nifti
from horngate.pipelines.medical.scans.nifti_planes import HEADER, Laid, laid_of, stored_planes, unzipping
from horngate.pipelines.medical.scans.reading import scan_of
from horngate.pipelines.medical.scans.scan import TAILS, Scan, Window, greys
from horngate.pipelines.medical.scans.series import Series, located
from horngate.pipelines.spec.errors import Unreadable

LOOKED_AT = 16  # planes whose values say what is black and white, where no header says it
SERIES = b'{"series"'  # how the value of a row of several DICOM files begins


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


def _nifti(opener: Callable[[], BinaryIO]) -> Volume | None:
    """Return the volume of a NIfTI file; None for a file that is none, or whose planes don't lie one behind another."""
    try:
        with opener() as file, unzipping(file) as plainer:
            beginning = plainer.read(HEADER)
            if not is_nifti(beginning):
                return None
            laid, affine = laid_of(beginning)
            if not laid.in_planes or 0 in laid.shape:
                return None
            first = next(stored_planes(laid, plainer, affine))[1]
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Unreadable("truncated or damaged NIfTI") from None
    height, width = first.pixels.shape[1:3]

    def planes() -> Iterator[tuple[int, Scan]]:
        try:
            with opener() as file, unzipping(file) as plainer:
                yield from stored_planes(laid, plainer, affine)
        except (OSError, EOFError, zlib.error):
            raise Unreadable("truncated or damaged NIfTI") from None

    return Volume((laid.count, height, width), planes, first, first.spacing, affine, laid)
