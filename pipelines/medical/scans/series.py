"""Series: DICOM files of one volume, told by SeriesInstanceUID and put in order by where they lie in the patient."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from horngate.pipelines.medical.scans.dicom import MOST_VOXELS, affine_of, header_of, is_dicom, read_dicom
from horngate.pipelines.medical.scans.scan import Scan
from horngate.pipelines.spec.errors import Unreadable

PLACE = ("SeriesInstanceUID", "PatientID", "Rows", "Columns", "PixelSpacing", "ImagePositionPatient")
PLACE += ("ImageOrientationPatient", "NumberOfFrames")
UNEVEN = 0.02  # of the mean gap, by which gaps between slices may differ
APART = 1e-3  # mm, or of a cosine, by which spacings and orientations of one series may differ


@dataclass(frozen=True)
class Slice:
    """Where one file of a series lies: its path, patient and series (personal), and what its header says of the place."""

    path: Path
    series: str | None
    patient: str | None
    frames: int
    shape: tuple[int, int] | None
    spacing: tuple[float, float] | None
    position: np.ndarray | None
    turned: np.ndarray | None


@dataclass(frozen=True)
class Series:
    """The files of one series, in no order yet."""

    members: tuple[Slice, ...]

    @property
    def patient(self) -> str | None:
        """As the header has it. Personal: never to be written anywhere."""
        return self.members[0].patient

    @cached_property
    def ordered(self) -> tuple[Slice, ...]:
        """The files along the normal of their planes, the way its cross product points (for axial ones from the feet on).

        Raises:
            Unreadable: they make no volume: two shapes, spacings or orientations, no position, uneven gaps.
        """
        members = self.members
        if len(members) == 1:
            return members
        if any(one.frames > 1 for one in members):
            raise Unreadable(f"a series of {len(members)} files with several frames each")
        if any(None in (one.shape, one.spacing) or one.position is None or one.turned is None for one in members):
            raise Unreadable(f"a series of {len(members)} files without shape, spacing, position or orientation")
        if len({one.shape for one in members}) > 1:
            raise Unreadable("two shapes in one series")
        for name, said in (("spacing", "spacings"), ("turned", "orientations")):
            values = np.array([getattr(one, name) for one in members], float)
            if np.abs(values - values[0]).max() > APART:
                raise Unreadable(f"two {said} in one series")
        depths = self._depths(members)
        order = np.argsort(depths, kind="stable")
        gaps = np.diff(depths[order])
        if gaps.min() < APART:
            raise Unreadable("two slices of one series lie in the same place")
        if gaps.max() - gaps.min() > UNEVEN * gaps.mean():
            raise Unreadable(
                f"two spacings in one series: gaps between slices from {gaps.min():.3g} to {gaps.max():.3g} mm"
            )
        return tuple(members[place] for place in order)

    @property
    def spacing(self) -> tuple[float | None, float | None, float | None]:
        """mm between slices, rows and columns.

        Raises:
            Unreadable: as `ordered`.
        """
        rows, columns = self.ordered[0].spacing or (None, None)
        gap = float(np.diff(self._depths(self.ordered[:2]))[0]) if len(self.ordered) > 1 else None
        return gap, rows, columns

    def slices(self) -> Iterator[Scan]:
        """Yield the scans of the files in their order, one in memory at a time.

        Raises:
            Unreadable: as `ordered`, or a file can't be read.
        """
        spacing = self.spacing
        for one in self.ordered:
            scan = read_dicom(one.path.read_bytes())
            yield scan if len(self.ordered) == 1 else replace(scan, spacing=spacing)

    def scan(self) -> Scan:
        """Return the whole volume.

        Raises:
            Unreadable: as `slices`, or too large.
        """
        first = self.ordered[0]
        if first.shape is not None and len(self.ordered) * first.shape[0] * first.shape[1] > MOST_VOXELS:
            raise Unreadable(f"too many pixels: more than {MOST_VOXELS:,}")
        parts = list(self.slices())
        if len(parts) == 1:
            return parts[0]
        pixels = np.concatenate([part.pixels for part in parts])
        affine = affine_of(first.position, first.turned, self.spacing)
        limits = parts[0].limits if all(part.limits == parts[0].limits for part in parts) else None
        return replace(parts[0], pixels=pixels, affine=affine, limits=limits)

    @staticmethod
    def _depths(members: tuple[Slice, ...]) -> np.ndarray:
        normal = np.cross(members[0].turned[:3], members[0].turned[3:])
        return np.array([one.position @ normal for one in members])


def series_in(paths: Iterable[Path]) -> list[Series]:
    """Return the series among DICOM files, in the order of their first files; one without a UID is a series by itself.

    Raises:
        Unreadable: a file's header can't be read.
    """
    found = defaultdict(list)
    for path in paths:
        one = located(path)
        found[one.series or f"only {path}"].append(one)
    return [Series(tuple(members)) for members in found.values()]


def located(path: Path) -> Slice:
    """Return where one DICOM file lies, from its header alone.

    Raises:
        Unreadable: its header can't be read.
    """
    try:
        with path.open("rb") as file:
            header = header_of(file, PLACE)
        return _located(path, header)
    except (OSError, TypeError, ValueError):
        raise Unreadable("its DICOM header can't be read") from None


def _located(path: Path, header) -> Slice:
    position, turned, spacing = (
        header.get(name) for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    )
    shape = (int(header.Rows), int(header.Columns)) if "Rows" in header and "Columns" in header else None
    return Slice(
        path=path,
        series=str(header.get("SeriesInstanceUID") or "") or None,
        patient=str(header.get("PatientID") or "").strip() or None,
        frames=int(header.get("NumberOfFrames") or 1),
        shape=shape,
        spacing=(float(spacing[0]), float(spacing[1])) if spacing else None,
        position=np.asarray(position, float) if position else None,
        turned=np.asarray(turned, float) if turned else None,
    )


def dicom_below(folder: Path) -> list[Path]:
    """Return the DICOM files below a folder, told by how they begin, sorted by name; no hidden ones, no DICOMDIRs."""
    found = []
    for place, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if not name.startswith((".", "DICOMDIR")) and is_dicom(_beginning(path)):
                found.append(path)
    return found


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(132)
    except OSError:
        return b""
