"""Masks of rows: tiles of all planes through the network, put together, measured where the truth is known, and written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import in_order
from horngate.pipelines.images.statistics import LUMA
from horngate.pipelines.medical.scans.scan import window_named
from horngate.pipelines.medical.scans.volumes import Volume, volume_of
from horngate.pipelines.medical.segment.class_maps import Classes, fitting, read_mask
from horngate.pipelines.medical.segment.facts import sized
from horngate.pipelines.medical.segment.mask_files import MaskFile
from horngate.pipelines.medical.segment.tiles import Averaged, Pose, Tiler, poses
from horngate.pipelines.metrics import segmentation
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.system import progress

AHEAD = 4  # rows that are opened before the network needs them
MEASURED = pa.schema(
    [
        ("counts", pa.list_(pa.int64())),
        ("hd95", pa.list_(pa.float64())),
        ("surface_dice", pa.list_(pa.float64())),
        ("diagonal", pa.float64()),
    ]
)
UNITS = {(True, True): "mm2", (True, False): "pixels", (False, True): "mm3", (False, False): "voxels"}  # flat, known


@dataclass
class _Row:
    """A row whose planes are under way.

    Attributes:
        volume: what is answered.
        truth: class numbers, uint8 `[planes, h, w]`, or None where nothing is measured.
        said: the answer, likewise; None where it isn't needed as a whole.
        file: the mask that is written, or None.
        areas: pixels of each class so far, int64 `[classes]`.
        left: planes that it waits for.
        why: why it can't be answered, or None.
    """

    volume: Volume
    truth: np.ndarray | None
    said: np.ndarray | None
    file: MaskFile | None
    areas: np.ndarray
    left: int
    why: str | None = None


class Answering:
    """The part of a segmenting task that answers; the whole has `card`, `schema`, `classes`, `batch_size` and `forward`.

    Attributes:
        masks_to: folder that masks are written to, or None.
        tolerance: of the surface Dice coefficient, in mm where the spacing is known, else in pixels.
        averaging: whether answers are means over the poses of a tile.
    """

    card: Any
    schema: dict[str, Any]
    classes: Classes
    masks_to: str | None = None
    tolerance = 1.0
    averaging = False

    def opened(
        self, path: bytes | None, value: bytes | None, mask: str | None, labelled: bool = True, error: str | None = None
    ) -> tuple[Volume, np.ndarray | None]:
        """Return a row's volume and, where it is labelled, its class numbers uint8 `[planes, h, w]`.

        Raises:
            Unreadable: with the reason.
        """
        volume = sized(volume_of(path, value, error)).shown_by(window_named(self.schema["window"]))
        if not labelled:
            return volume, None
        if mask is None:
            raise Unreadable("no mask")
        return volume, self.classes.numbers(fitting(read_mask(mask), volume))

    def labelled(self, path: bytes | None, value: bytes | None, mask: str | None) -> tuple[np.ndarray, np.ndarray]:
        """Return all pixels of a row as the network sees them, `[planes, h, w, c]`, and its class numbers."""
        volume, truth = self.opened(path, value, mask)
        pixels = np.zeros((*volume.shape, self.schema["channels"]), self.schema["dtype"])
        for place, plane in volume.greys():
            pixels[place] = self.typed(plane)
        return pixels, truth

    def typed(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels `[…, c]` in 0…255 with the channels and the dtype that the network takes."""
        channels, dtype = self.schema["channels"], self.schema["dtype"]
        if pixels.shape[-1] == 3 and channels == 1:
            pixels = pixels.astype(np.float32) @ LUMA[:, None]
        elif pixels.shape[-1] == 1 and channels == 3:
            pixels = np.repeat(pixels, 3, axis=-1)
        if dtype == "uint8" and pixels.dtype != np.uint8:
            return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
        return pixels.astype(dtype, copy=False)

    @property
    def tiler(self) -> Tiler:
        """What answers planes of any size."""
        forward = Averaged(self.forward, self.poses) if len(self.poses) > 1 else self.forward
        return Tiler(self.schema["size"], self.schema["margin"], self.step, forward)

    @property
    def poses(self) -> list[Pose]:
        """The poses of a tile over which its answer is averaged."""
        return poses(self.card.flip, self.card.turn) if self.averaging else poses("none", turn=False)

    def said(self, block: pa.Table, labelled: bool) -> tuple[dict[str, Any] | None, list[int], list[str | None]]:
        """Return the answer columns of a block's rows, as of the core; masks are written on the way."""
        rows: dict[int, _Row] = {}
        found: dict[int, dict[str, Any]] = {}
        errors: list[str | None] = [None] * block.num_rows
        try:
            for (number, _), plane in self.tiler.answers(self._planes(block, labelled, rows, errors)):
                row = rows[number]
                self._taken(row, plane)
                if not row.left and row.why is None:
                    found[number] = self._answer(row)
                    del rows[number]
        finally:
            for number, row in rows.items():
                errors[number] = row.why
                if row.file is not None:
                    row.file.abandon()
        places = sorted(found)
        if not places:
            return None, [], errors
        return {name: [found[place][name] for place in places] for name in found[places[0]]}, places, errors

    def _planes(
        self, block: pa.Table, labelled: bool, rows: dict[int, _Row], errors: list[str | None]
    ) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
        """Yield ((row, place of the plane), pixels) of all rows; begun rows stand in `rows`, others in `errors`.

        Raises:
            KeyboardInterrupt: a signal asked to stop.
        """
        listed = block.select(["input", "value", "error"]).to_pylist()
        masks = block["mask"].to_pylist() if "mask" in block.column_names else [None] * len(listed)
        names = block["id"].to_pylist()

        def work(number: int) -> tuple[Volume, np.ndarray | None]:
            row = listed[number]
            return self.opened(row["input"], row["value"], masks[number], labelled, row["error"])

        for number, opened in enumerate(in_order(work, range(len(listed)), AHEAD)):
            if isinstance(opened, Unreadable):
                errors[number] = str(opened)
                continue
            row = rows[number] = self._begun(*opened, names[number])
            places = row.volume.greys()
            while True:
                if progress.stop.is_set():
                    raise KeyboardInterrupt
                try:
                    place, pixels = next(places)
                except StopIteration:
                    break
                except Unreadable as reason:
                    row.why = str(reason)
                    break
                yield (number, place), self.typed(pixels)

    def _begun(self, volume: Volume, truth: np.ndarray | None, name: str) -> _Row:
        file = None if self.masks_to is None else MaskFile(volume, self.classes, Path(self.masks_to), name)
        said = None if truth is None else np.zeros(volume.shape, np.uint8)
        return _Row(volume, truth, said, file, np.zeros(len(self.classes), np.int64), volume.shape[0])

    def _taken(self, row: _Row, plane: np.ndarray) -> None:
        """Take the next plane of a row, which comes in the order of its file."""
        stored = row.volume.shape[0] - row.left
        laid = row.volume.laid
        row.left -= 1
        row.areas += np.bincount(plane.ravel(), minlength=len(row.areas))
        if row.said is not None:
            row.said[stored if laid is None else laid.place(stored)] = plane
        if row.file is not None:
            row.file.put(plane)

    def _answer(self, row: _Row) -> dict[str, Any]:
        steps = row.volume.steps
        each = 1.0 if steps is None else float(np.prod(steps))
        found: dict[str, Any] = {
            "mask": None if row.file is None else row.file.finish(),
            "area": (row.areas * each).tolist(),
            "area_unit": UNITS[row.volume.flat, steps is not None],
        }
        return found if row.truth is None else found | self.compared(row.volume, row.truth, row.said)

    def compared(self, volume: Volume, truth: np.ndarray, said: np.ndarray) -> dict[str, Any]:
        """Return how an answer compares with the truth, both class numbers uint8 `[planes, h, w]`: columns of `MEASURED`."""
        steps = volume.steps
        pair = (truth[0], said[0]) if volume.flat else (truth, said)
        found = segmentation.compared(*pair, len(self.classes), steps, self.tolerance)
        plain = {name: [None if np.isnan(one) else one for one in found[name]] for name in ("hd95", "surface_dice")}
        return found | plain | {"spaced": steps is not None}


def cases_of(rows: list[dict[str, Any]], classes: int) -> segmentation.Cases:
    """Return cases from what `compared` said of them."""
    counts = np.array([row["counts"] for row in rows], np.int64).reshape(len(rows), classes, classes)
    numbers = {
        name: np.array([row[name] for row in rows], np.float64).reshape(len(rows), classes)
        for name in ("hd95", "surface_dice")
    }
    diagonals = np.array([row["diagonal"] for row in rows], np.float64)
    return segmentation.Cases(
        counts, **numbers, diagonals=diagonals, spaced=np.array([row["spaced"] for row in rows], bool)
    )
