"""A task whose rows are listed one by one, from files, folders and tables, and looked at each by itself."""

from abc import abstractmethod
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.runs.run import Run
from horngate.pipelines.tasks.legacy_base import Pipeline


class Listed(Pipeline):
    """What tasks answer whose rows come from the common sources of data."""

    # What is a row?

    def survey(self) -> Any:
        from horngate.pipelines.data.survey import survey
        from horngate.pipelines.tasks.legacy import LegacyTask

        return survey(LegacyTask(self))

    def own_rows(self, run: Run, split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        from horngate.pipelines.data.relisting import own_rows

        return own_rows(run, self.suffixes, split)

    def other_rows(self, data: str, split: str | None) -> pa.Table:
        from horngate.pipelines.data.relisting import other_rows

        return other_rows(self.card, self.suffixes, data, split)

    @abstractmethod
    def inspect(self, data: bytes, suffix: str, *beside: str | None) -> Any:
        """Return facts of one input for `check`: `converted` (texts) and `thumbnail` (uint8 [32, 32] or None).

        Args:
            suffix: of the file that held the bytes, in lower case; empty where there was none.
            beside: the row's cells of the columns that `beside` names; none for a task that names none.

        Raises:
            Unreadable: with the reason.
        """

    def input_findings(self, table: pa.Table, facts: list[Any]) -> list[Finding]:
        """Return what is wrong with the inputs of readable rows, by their facts."""
        return []

    # How is it handed over?

    def golden(self, run: Run, data: str | None, count: int, splits: tuple[str, ...]) -> np.ndarray:
        from horngate.pipelines.data.relisting import read_again
        from horngate.pipelines.tasks.legacy import LegacyTask

        return read_again(LegacyTask(self), run, data, count, splits)
