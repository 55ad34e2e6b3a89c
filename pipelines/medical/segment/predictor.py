"""Masks of rows: tiles of all planes through the network, put together, measured where the truth is known, and written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import in_order
from horngate.pipelines.medical.scans.volumes import Volume
from horngate.pipelines.medical.segment.cases import MEASURED, compared, tolerance_of, unit_of
from horngate.pipelines.medical.segment.class_maps import Classes
from horngate.pipelines.medical.segment.mask_files import MaskFile
from horngate.pipelines.medical.segment.tiles import Averaged, Pose, Tiler, poses_of
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted, Said
from horngate.pipelines.tasks.predictor import ModelPredictor

AHEAD = 4  # rows that are opened before the network needs them
READ = ("id", "input", "value", "error", "mask")  # columns of listed rows; the last one where it is there


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


class MaskPredictor(ModelPredictor):
    """Answers planes of any size by overlapping tiles of one size, plane by plane, and writes masks where wished."""

    batch_size = 8
    raced = False

    def columns(self) -> tuple[AnswerColumn, ...]:
        areas = tuple(f"area_{name}" for name in self.fitted.decisions.names)
        return (
            AnswerColumn("mask", pa.string()),
            AnswerColumn("area", pa.list_(pa.float64()), wide=areas),
            AnswerColumn("area_unit", pa.string()),
            *(AnswerColumn(name, kind, "measured") for name, kind in MEASURED.items()),
        )

    def load_state(self, folder: Path) -> Fitted:
        schema = super().load_state(folder).schema
        return Fitted(schema, decisions=Classes.of(schema["classes"]))

    def load_model(self, run: Run) -> Any:
        model = super().load_model(run)
        if model.output_shape[-1] != len(self.fitted.decisions):
            raise UserError(f"{run / 'schema.json'} doesn't belong to {run / 'model.keras'}: another number of classes")
        return model

    def configure(self, run: Run, options: dict[str, Any]) -> tuple[Fitted, dict[str, Any]]:
        changed = {}
        if options.get("tolerance") is not None:
            changed["tolerance"] = options["tolerance"]
        if options.get("tta"):
            changed["poses"] = len(poses_of(self.card, averaging=True))
        return self.fitted, changed

    def features(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self._encoded.predict_on_batch(batch))

    @cached_property
    def _encoded(self) -> Any:
        from horngate.models.vision.segmentation import Segmenter  # TensorFlow, which compare does without

        return Segmenter.within(self.core).features()

    def remarks(self) -> list[str]:
        if self.task.options.get("masks_to"):
            return []
        return ["areas alone were written; --masks-to DIR writes the masks too"]

    @property
    def poses(self) -> list[Pose]:
        """The poses of a tile over which its answer is averaged."""
        return poses_of(self.card, averaging=bool(self.card.tta or self.task.options.get("tta")))

    @property
    def tiler(self) -> Tiler:
        """What answers planes of any size."""
        poses, schema = self.poses, self.fitted.schema
        forward = Averaged(self.forward, poses) if len(poses) > 1 else self.forward
        return Tiler(schema["size"], schema["margin"], self.step, forward)

    def predict(self, blocks: Iterable[pa.Table], labelled: bool) -> Iterator[Said]:
        return (self._said(block, labelled) for block in blocks)

    def _said(self, block: pa.Table, labelled: bool) -> Said:
        """Return what is said of a block's rows; masks are written on the way."""
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
            return Said(block, None, [], errors)
        columns = {name: [found[place][name] for place in places] for name in found[places[0]]}
        return Said(block, columns, places, errors)

    def _planes(
        self, block: pa.Table, labelled: bool, rows: dict[int, _Row], errors: list[str | None]
    ) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
        """Yield ((row, place of the plane), pixels) of all rows; begun rows stand in `rows`, others in `errors`.

        Raises:
            KeyboardInterrupt: a signal asked to stop.
        """
        reader = self.task.reader
        listed = block.select([name for name in READ if name in block.column_names]).to_pylist()
        for number, opened in enumerate(in_order(lambda row: reader.opened(row, labelled), listed, AHEAD)):
            if isinstance(opened, Unreadable):
                errors[number] = str(opened)
                continue
            row = rows[number] = self._begun(*opened, listed[number]["id"])
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
                yield (number, place), reader.typed(pixels)

    def _begun(self, volume: Volume, truth: np.ndarray | None, name: str) -> _Row:
        classes, folder = self.fitted.decisions, self.task.options.get("masks_to")
        file = None if folder is None else MaskFile(volume, classes, Path(folder), name)
        said = None if truth is None else np.zeros(volume.shape, np.uint8)
        return _Row(volume, truth, said, file, np.zeros(len(classes), np.int64), volume.shape[0])

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
            "area_unit": unit_of(row.volume),
        }
        if row.truth is None:
            return found
        return found | compared(row.volume, row.truth, row.said, len(row.areas), tolerance_of(self.task))
