"""NIfTI plane by plane: how a file lies by its header alone, and its planes, each read by itself."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from horngate.pipelines.medical.scans.nifti import kind_of, placing, whole_shape
from horngate.pipelines.medical.scans.scan import Scan, plain
from horngate.pipelines.spec.errors import Unreadable

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


@contextmanager
def unzipping(file: BinaryIO) -> Iterator[BinaryIO]:
    """Give a file as it is, or what a gzip file holds."""
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not zipped:
        yield file
        return
    with gzip.GzipFile(fileobj=file) as plainer:
        yield plainer


def laid_of(beginning: bytes) -> tuple[Laid, np.ndarray]:
    """Return how a NIfTI file lies by its first bytes, and its affine from (column, row, plane) to LPS mm.

    Raises:
        Unreadable: another number of dimensions, no plain numbers, too large, or damaged.
        UserError: nibabel isn't installed.
    """
    kind = kind_of(beginning)
    try:
        header = kind.header_class(beginning[: kind.header_class.template_dtype.itemsize], check=True)
        shape, dtype = tuple(int(side) for side in header.get_data_shape()), header.get_data_dtype()
        affine = np.asarray(header.get_best_affine(), np.float64)
    except Exception as problem:  # whatever nibabel raises on a damaged header
        raise Unreadable(f"damaged NIfTI header ({type(problem).__name__})") from None
    turn, placed = placing(affine, whole_shape(shape, dtype))
    return Laid(kind, header, shape, turn), placed


def stored_planes(laid: Laid, file: BinaryIO, affine: np.ndarray) -> Iterator[tuple[int, Scan]]:
    """Yield the planes of an open NIfTI file in its own order, each read by itself."""
    values = laid.kind.ImageArrayProxy(file, laid.header)
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
