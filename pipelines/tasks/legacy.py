"""Tasks that are still one class, asked as tasks of parts are. Goes when the last of them is gone."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.discovery import pipeline_of
from horngate.pipelines.tasks.legacy_row_by_row import RowByRow
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted, LearningData, Said, Titles
from horngate.pipelines.tasks.row_by_row import row_by_row


class LegacyTask:
    """A `Pipeline` as a `Task`: it changes itself where a task gives another one."""

    def __init__(self, pipeline: Any):
        self.pipeline, self.options = pipeline, {}
        parts = LegacyParts(pipeline)
        self.rows = self.reader = self.learner = self.predictor = self.evaluator = self.display = self.exporter = parts

    @property
    def card(self) -> Any:
        return self.pipeline.card

    @property
    def unexportable(self) -> str | None:
        return self.pipeline.unexportable

    @property
    def runtime(self) -> Any:
        return self.pipeline.runtime

    @property
    def fitted(self) -> Fitted:
        return Fitted(self.pipeline.schema, files=tuple(self.pipeline.handed_over))

    def with_fitted(self, fitted: Fitted) -> "LegacyTask":
        return self

    def recalled(self, folder: Path) -> "LegacyTask":
        self.pipeline.recall(folder)
        return self

    def opened(self, run: Run) -> "LegacyTask":
        self.pipeline.open(run)
        return self

    def configured(self, run: Run, options: dict[str, Any]) -> tuple["LegacyTask", dict[str, Any]]:
        before = dict(options)
        changed = self.pipeline.adjust(run, options)
        self.options = options
        marked = {name: value for name, value in options.items() if before.get(name) != value}
        return self, marked | changed

    def computing_with(self, runtime: Any) -> "LegacyTask":
        self.pipeline.runtime = runtime
        return self


class LegacyParts:
    """All seven parts of a `Pipeline`."""

    def __init__(self, pipeline: Any):
        self.pipeline = pipeline
        self.size_of = pipeline.size_of if getattr(pipeline, "uneven", False) else None
        self.raced = isinstance(pipeline, RowByRow)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pipeline, name)

    @property
    def task(self) -> Any:
        return self.pipeline

    # rows

    def assign(self, seen: Any, run: Run) -> Any:
        return self.pipeline.assigned(seen, run)

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list:
        own = getattr(self.pipeline, "input_findings", lambda table, facts: [])
        return self.pipeline.findings(table, splits) + (own(table, facts) if facts else [])

    def stratum(self, target: str) -> str:
        return self.pipeline.sort_of(target)

    # reader

    def fit_schema(self, facts: list[Any]) -> Fitted:
        self.pipeline.settle(facts)
        return Fitted(self.pipeline.schema)

    def collate(self, tensors: Any, rows: int | None = None) -> np.ndarray:
        return self.pipeline.stacked(tensors, rows)

    # learner

    def fit(self, data: LearningData, run: Run, device: Any) -> tuple[Fitted, dict[str, Any]]:
        summary = self.pipeline.fit(data.table, data.splits, data.seen.fingerprints, run, device)
        return Fitted(self.pipeline.schema, files=tuple(self.pipeline.handed_over)), summary

    def baselines(self, data: LearningData) -> dict[str, dict[str, Any]]:
        found = self.pipeline.references(data.table, data.splits, data.facts)
        return {
            name: {
                split: self.pipeline.outcome_of(outputs, data.rows(split)["target"].to_pylist())
                for split, outputs in by_split.items()
            }
            for name, by_split in found.items()
        }

    # predictor

    def columns(self) -> tuple[AnswerColumn, ...]:
        pipeline, wide = self.pipeline, {}
        if hasattr(pipeline, "labels"):
            wide = {"scores": tuple(f"score_{name}" for name in pipeline.labels.labels)}
        column = partial(self._column, wide)
        own = [
            column(field, "carried" if field.name in pipeline.carried else "answer")
            for field in pipeline.answer_schema()
        ]
        sliced = pipeline.slicing
        return (
            *own,
            *(column(field, "slice" if field.name in sliced else "measured") for field in pipeline.measured_schema()),
        )

    def _column(self, wide: dict, field: pa.Field, role: str) -> AnswerColumn:
        return AnswerColumn(field.name, field.type, role, field.name in self.pipeline.timed, wide.get(field.name, ()))

    def answers(self, listed: Any, outputs: Any, labelled: bool) -> dict[str, Any]:
        return self.pipeline.rows(outputs) if listed is None else self.pipeline.answered(listed, outputs)

    def join(self, outputs: Any, tensors: Any) -> Any:
        return self.pipeline.joined(outputs, tensors)

    def predict(self, blocks: Iterable[pa.Table], labelled: bool) -> Iterator[Said]:
        self.pipeline.begin(labelled)
        if self.raced:
            yield from row_by_row(self, self, blocks, labelled)
        else:
            yield from (Said(block, *self.pipeline.said(block, labelled)) for block in blocks)

    # evaluator

    def trivial(self, outcome: Any) -> Any:
        return self.pipeline.guess(outcome)

    def metrics(self, outcome: Any) -> dict:
        return self.pipeline.measures(outcome)

    def labels_in(self, target: str | None) -> list[str] | None:
        return self.pipeline.label_names(target)

    def correct(self, answers: pa.Table) -> Any:
        return self.pipeline.right(answers)

    def incomparable(self, other: Any) -> str | None:
        return self.pipeline.unlike(other.pipeline)

    # display

    @property
    def titles(self) -> Titles:
        pipeline = self.pipeline
        return Titles(pipeline.caution, pipeline.mistakes_title, pipeline.mistakes_said, pipeline.heat_said)

    def rows(self, rows: pa.Table, answers: list) -> list:
        return self.pipeline.shown(rows, answers)

    def files(self, report: Any, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:
        self.pipeline.pictured(report, table, folder, options)

    # exporter

    def reading(self) -> str:
        return self.pipeline.example()

    def answering(self) -> str:
        return self.pipeline.saying()


def legacy_task(card: Any) -> LegacyTask:
    """Return the task of a card whose task is still one class."""
    return LegacyTask(pipeline_of(card))
