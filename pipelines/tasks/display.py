"""What displays share."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.parts import Titles

if TYPE_CHECKING:
    from horngate.pipelines.tasks.task import Task


class PageDisplay:
    """Shows a task on pages. A task adds what it draws, how its rows look, and what it says of its models."""

    titles = Titles()

    def __init__(self, task: "Task"):
        self.task, self.card, self.fitted = task, task.card, task.fitted

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        return []

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        return []

    def files(self, report: Report, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:
        pass

    def model_card(self) -> dict[str, str]:
        return {
            "Intended use": "Rows of the kind that the training data holds, gathered in the same way. A score holds for "
            "rows like those it was measured on, and for no others.",
            "Limits": "Nothing here says how the model behaves on other sources, devices, times or groups of people than "
            "those in the data. Measure it on your own rows (horngate evaluate RUN --data …) before relying on it.",
        }
