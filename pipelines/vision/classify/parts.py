"""What is its own of sorting pictures: which files they are, how they are read, and what is said of the models."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.images.display import ShownPictures
from horngate.pipelines.images.reader import SUFFIXES, Change, Facts, Reader, small_size
from horngate.pipelines.images.statistics import statistics
from horngate.pipelines.report.plot import Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.classification.display import LabelDisplay
from horngate.pipelines.tasks.classification.predictor import LabelledRows
from horngate.pipelines.tasks.parts import Fitted


class PictureRows(LabelledRows):
    """Pictures with labels."""

    suffixes = SUFFIXES


class PictureReader(TensorReader):
    """Reads pictures of any kind as squares of uint8 `[size, size, 3]`."""

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return Reader(self.card.image_size or 64, self.card.resize).inspect(data, suffix)

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        small = small_size([min(fact.width, fact.height) for fact in facts])
        return Fitted({"kind": "picture", "resize": self.card.resize, "small_size": small})

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        reader = Reader(self.schema["size"], self.schema["resize"])
        return reader.read(data, None if seed is None else Change(self.card.augment, self.card.flip, seed))

    def statistics(self, data: bytes, tensor: Any) -> dict[str, float]:
        return statistics(data, tensor)


class PictureDisplay(LabelDisplay):
    """Shows pictures with what spoke for their labels, and says where a sorter of pictures ends."""

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        return ShownPictures(self.task).rows(rows, answers)

    def files(self, report: Report, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:
        ShownPictures(self.task).files(report, table, folder, options)

    def model_card(self) -> dict[str, str]:
        limits = (
            " A picture of something else gets a label too; conformal sets or a threshold help to abstain. An exported"
            " SavedModel decodes JPEG, PNG, GIF and BMP: no EXIF rotation, no TIFF or WebP, transparency is dropped."
        )
        card = super().model_card()
        return card | {"Limits": card["Limits"] + limits}
