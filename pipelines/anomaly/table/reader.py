"""Rows of a table among which anomalies are looked for: what may be wrong with them, how they are read, and what is said."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.tables.columns import Facts, cells_of, codes_of, filled, refuse_infinite, settled, vector_of
from horngate.pipelines.tables.inspection import LOOKED_AT, Sought, column_findings
from horngate.pipelines.tasks.anomaly_detection.alarms import Alarms
from horngate.pipelines.tasks.anomaly_detection.predictor import REASON, AnomalyPredictor, AnomalyRows, reasons
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted

WATCHED = 40  # columns whose drift is looked at one by one; wider tables are by their features alone


class CellRows(AnomalyRows):
    """Rows of tables, whose columns may be wrong too."""

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list[Finding]:
        found = super().findings(table, facts, splits)
        if any(finding.grade == "error" for finding in found):
            return found
        truth = Alarms.named(targets := table["target"].to_pylist(), self.card).encode(targets)
        chosen = np.unique(np.linspace(0, table.num_rows - 1, min(table.num_rows, LOOKED_AT)).astype(int))
        rows, truth = [cells_of(data) for data in inputs_of(table.take(pa.array(chosen)))], truth[chosen]
        return found + column_findings(rows, truth, lambda: self.task.reader.settled(rows), Sought())


class CellReader(TensorReader):
    """Reads a row of cells into one number per column."""

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The columns of the schema, in its order."""
        return self.schema["columns"]

    @property
    def sizes(self) -> list[int]:
        """How many categories each column has; 0 for numbers."""
        return [len(column.get("categories", ())) for column in self.columns]

    def inspect(self, data: bytes, suffix: str, *beside: str | None) -> Facts:
        refuse_infinite(cells_of(data))
        return Facts(data)

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        return Fitted({"kind": "table", "columns": self.settled([cells_of(fact.data) for fact in facts])})

    def settled(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the columns that are looked at, with their types, from cells by column."""
        return settled(rows, self.card.feature_column or None, self.card.drop_column or ())

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        return vector_of(cells_of(data), self.columns, self._codes)

    def matrix(self, table: pa.Table, label: str) -> np.ndarray:
        """Return all rows as float32 `[n, columns]`; one that doesn't fit the types of the training rows is all gaps."""
        found = np.empty((table.num_rows, len(self.columns)), np.float32)
        filled(self.read, table, found, label)
        return found

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        if len(self.columns) > WATCHED:
            return {}
        return {column["name"]: float(value) for column, value in zip(self.columns, tensor, strict=True)}

    @cached_property
    def _codes(self) -> list[dict[str, int]]:
        return codes_of(self.columns)


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
