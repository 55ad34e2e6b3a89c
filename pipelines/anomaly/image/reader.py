"""Pictures among which strange ones are looked for: what may be wrong with their masks, and how they become squares."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.anomaly.image import localization
from horngate.pipelines.data.checks import Finding
from horngate.pipelines.images.reader import SUFFIXES, Facts, Reader
from horngate.pipelines.images.statistics import statistics
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tasks.anomaly_detection.alarms import Alarms
from horngate.pipelines.tasks.anomaly_detection.predictor import AnomalyRows
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.parts import Fitted

SIDE = 128  # pixels, of pictures that an autoencoder sees, where the card doesn't say


class PictureRows(AnomalyRows):
    """Rows of pictures, whose masks may be wrong too."""

    suffixes = SUFFIXES

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list[Finding]:
        return super().findings(table, facts, splits) + localization.mask_findings(table, self._truth(table))

    def _truth(self, table: pa.Table) -> np.ndarray:
        targets = table["target"].to_pylist()
        try:
            return Alarms.named(targets, self.card).encode(targets)
        except UserError:
            return np.full(len(targets), np.nan, np.float32)


class PictureReader(TensorReader):
    """Reads a picture into a square of which nothing is cut off."""

    def inspect(self, data: bytes, suffix: str, *beside: str | None) -> Facts:
        return Reader(self.card.image_size or 64, self.card.resize).inspect(data, suffix)

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        return Fitted({"kind": "picture", "resize": self.card.resize, "size": self.card.image_size or SIDE})

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        return Reader(self.schema["size"], self.schema["resize"]).read(data)

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        return statistics(data, tensor)
