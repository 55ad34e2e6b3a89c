"""What is its own of sorting pictures: which files they are, how they are read, and what is said of the models."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from horngate.pipelines.images.display import ShownPictures
from horngate.pipelines.images.reader import SUFFIXES
from horngate.pipelines.report.plot import Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.classification.display import LabelDisplay
from horngate.pipelines.tasks.classification.predictor import LabelledRows


class PictureRows(LabelledRows):
    """Pictures with labels."""

    suffixes = SUFFIXES


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
