"""Rows that are listed one by one, from files, folders and tables, and looked at each by itself."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data import relisting
from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.splits import drawn_or_given
from horngate.pipelines.data.survey import Survey, survey
from horngate.pipelines.runs.run import Run

if TYPE_CHECKING:
    from horngate.pipelines.tasks.task import Task


class ListedRows:
    """The rows of the common sources of data. A task adds its `suffixes`, and what may be wrong with its rows."""

    suffixes: tuple[str, ...] = ()

    def __init__(self, task: "Task"):
        self.task, self.card = task, task.card

    def survey(self) -> Survey:
        return survey(self.task)

    def assign(self, seen: Survey, run: Run) -> tuple[np.ndarray, list[str]]:
        old = Run.open(self.card.splits, finished=False).splits if self.card.splits else None
        return drawn_or_given(seen, self.card, old, self.stratum)

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list[Finding]:
        return []

    def stratum(self, target: str) -> str:
        return target

    def own_rows(self, run: Run, split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        return relisting.own_rows(run, self.suffixes, split)

    def other_rows(self, data: str, split: str | None) -> pa.Table:
        return relisting.other_rows(self.card, self.suffixes, data, split)
