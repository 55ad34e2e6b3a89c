"""What each part of a task may start from: rows from the common sources, tensors of one shape, tables, pages, models."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data import relisting
from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.splits import drawn_or_given
from horngate.pipelines.data.survey import Survey, survey
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.tasks.parts import Serving, Titles
from horngate.pipelines.tasks.task import Task


class ListedRows:
    """The rows of the common sources of data. A task adds its `suffixes`, and what may be wrong with its rows."""

    suffixes: tuple[str, ...] = ()

    def __init__(self, task: Task):
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


class TensorReader:
    """Reads rows whose tensors all have one shape. A task adds `inspect`, `fit_schema` and `read`."""

    size_of: Callable[[np.ndarray], int] | None = None

    def __init__(self, task: Task):
        self.card, self.schema = task.card, task.fitted.schema

    def collate(self, tensors: Sequence[np.ndarray | None], rows: int | None = None) -> np.ndarray:
        if rows in (None, len(tensors)) and not any(tensor is None for tensor in tensors):
            return np.stack(tensors)
        first = next(tensor for tensor in tensors if tensor is not None)
        batch = np.zeros((rows or len(tensors), *first.shape), first.dtype)
        for place, tensor in enumerate(tensors):
            if tensor is not None:
                batch[place] = tensor
        return batch

    def statistics(self, data: bytes, tensor: Any) -> dict[str, float]:
        return {}


class TableEvaluator:
    """Measures tables of answers. A task adds `outcome`, `trivial`, `metrics` and `details`."""

    def __init__(self, task: Task):
        self.task, self.card, self.fitted = task, task.card, task.fitted

    def labels_in(self, target: str | None) -> list[str] | None:
        return None

    def correct(self, answers: pa.Table) -> np.ndarray | None:
        return None

    def incomparable(self, other: Task) -> str | None:
        return None


class PageDisplay:
    """Shows a task on pages. A task adds what it draws, how its rows look, and what it says of its models."""

    titles = Titles()

    def __init__(self, task: Task):
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


class ModelExporter:
    """Hands the core model over. A task adds the `ranges` of its tensors, and how they are made without horngate."""

    unexportable: str | None = None
    ranges: dict[str, tuple[float | None, float | None]] = {"inputs": (None, None), "outputs": (None, None)}

    def __init__(self, task: Task):
        self.task, self.card, self.fitted = task, task.card, task.fitted

    def golden(self, run: Run, data: str | None, count: int, splits: tuple[str, ...]) -> np.ndarray:
        return relisting.read_again(self.task, run, data, count, splits)

    def acted_on(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        columns = [column for column in self.task.predictor.columns() if column.role == "answer"]
        kept = [column.name for column in columns if not any(word in str(column.type) for word in ("float", "double"))]
        if not kept:
            return [{} for _ in outputs]
        found = self.task.predictor.answers(None, outputs, labelled=False)
        cells = [json.loads(json.dumps(found[name], default=lambda left: left.tolist())) for name in kept]
        return [dict(zip(kept, row, strict=True)) for row in zip(*cells, strict=True)]

    def reading(self) -> str:
        return "import numpy as np\n\n\ndef read(path):\n    return np.load(path)\n"

    def answering(self) -> str:
        return 'def answer(path, outputs):\n    return [*(f"{number:.4f}" for number in np.ravel(outputs)[:8]), "…"]\n'

    def serving(self) -> Serving | None:
        return None
