"""What detectors say of rows of a table: alarms, and the columns that made the score."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.tasks.anomaly_detection.predictor import REASON, AnomalyPredictor, reasons
from horngate.pipelines.tasks.parts import AnswerColumn


class CellPredictor(AnomalyPredictor):
    """Answers rows of numbers, with reasons."""

    batch_size = 1024

    def columns(self) -> tuple[AnswerColumn, ...]:
        return (*super().columns(), AnswerColumn("reasons", REASON))

    def answers(self, listed: pa.Table | None, outputs: Sequence, labelled: bool) -> dict[str, Any]:
        names = [column["name"] for column in self.fitted.schema["columns"]]
        return super().answers(listed, outputs, labelled) | {"reasons": reasons(outputs[:, 1:], names)}

    def outputs(self, table: pa.Table, label: str) -> np.ndarray:
        return self.outputs_of(self.task.reader.matrix(table, label))

    def outputs_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the core's outputs for rows float32 `[n, columns]` in memory, as the reader gives them."""
        whole = np.resize(rows, (-(-len(rows) // self.batch_size) * self.batch_size, rows.shape[1]))
        parts = np.split(whole, len(whole) // self.batch_size)
        return np.concatenate([np.asarray(self.core.predict_on_batch(part)) for part in parts])[: len(rows)]

    def features(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self.core.get_layer("columns")(batch))
