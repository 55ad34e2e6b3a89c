"""Rows of users and items with their clicks or ratings, and what is wrong with them."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.recommendation.interactions.side_files import ROLES
from horngate.pipelines.recommendation.rank import features
from horngate.pipelines.recommendation.rank.reader import AN
from horngate.pipelines.recommendation.rank.target_encoder import TargetEncoder
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tables.columns import LARGEST, is_gap, number_in
from horngate.pipelines.tables.inspection import LOOKED_AT, Sought, column_findings
from horngate.pipelines.tasks.bases import ListedRows
from horngate.pipelines.tasks.task import Task


class RankRows(ListedRows):
    """The rows of a table."""

    def __init__(self, task: Task):
        super().__init__(task)
        self._found: tuple[pa.Table | None, list[Finding]] = (None, [])  # of the table that was looked at last

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list[Finding]:
        if self._found[0] is not table:
            self._found = (table, self._findings(table))
        return self._found[1]

    def _findings(self, table: pa.Table) -> list[Finding]:
        targets = table["target"].to_pylist()
        try:
            encoder = TargetEncoder.of(targets, self.card)
            truth = encoder.encode(targets, table["id"].to_pylist())
        except UserError as problem:
            return [Finding("error", "targets", str(problem), len(targets))]
        said = f"{encoder.said}; mean {truth.mean():.4g}"
        found = [Finding("note", "kind", said, len(targets))]
        chosen = np.unique(np.linspace(0, table.num_rows - 1, min(table.num_rows, LOOKED_AT)).astype(int))
        reader = self.task.reader
        rows = [reader.whole_cells(data) for data in inputs_of(table.take(pa.array(chosen)))]
        names = reader.names_in(rows[0])
        above = (truth > truth.mean()).astype(np.float32)[chosen]
        sought = Sought("clicks" if encoder.clicks else "ratings above the mean")
        found += column_findings(rows, above, lambda: features.settled(rows, self.card, names), sought)
        return found + reader.tables.findings + self._lacking(rows, names)

    def _lacking(self, rows: list[dict[str, Any]], names: dict[str, str | None]) -> list[Finding]:
        """Return findings on ids that their side table doesn't hold."""
        found, tables = [], self.task.reader.tables
        for role in tables.rows:
            lacking = [cells.get(names[role]) for cells in rows if role in tables.lacks(cells, names)]
            if lacking:
                message = (
                    f"{len(lacking):,} of {len(rows):,} rows have {AN[role]} that --{ROLES[role]} doesn't hold, such "
                )
                message += f"as {lacking[0]}; what it says of others is missing for these"
                found.append(Finding("warning", f"missing_{ROLES[role]}", message, len(lacking)))
        return found


def checked(block: pa.Table) -> pa.Table:
    """Return a labelled block; rows whose target is a gap, infinite or too large have the reason as `error`."""
    targets, errors = block["target"].to_pylist(), block["error"].to_pylist()
    errors = [error or _wrong(target) for target, error in zip(targets, errors, strict=True)]
    return block.set_column(block.column_names.index("error"), "error", pa.array(errors, pa.string()))


def _wrong(target: str | None) -> str | None:
    if is_gap(target):
        return "no target"
    value = number_in(target)
    if value is not None and not abs(value) <= LARGEST:
        return f"its target is infinite, or too large ({target[:20]})"
    return None
