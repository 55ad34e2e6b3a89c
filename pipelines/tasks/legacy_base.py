"""A pipeline is one task of one domain: it answers questions and never orchestrates. The verbs ask."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics.intervals import Measure
from horngate.pipelines.tasks.handed_over import HandedOver


def tensors_of(row: Any) -> tuple[np.ndarray, ...]:
    """Return the tensors of what `Pipeline.read` returned: several, or one."""
    return row if isinstance(row, tuple) else (row,)


class Pipeline(HandedOver, ABC):
    """The questions that every task answers.

    `Listed` adds where rows come from, `RowByRow` and `BlockByBlock` how they are answered.

    Attributes:
        card: the task's knobs.
        schema: what the reader needs to know beside the card; kept in the run's `schema.json`.
        suffixes: file suffixes (lower case) that are inputs of this task.
        batch_size: rows per forward pass of prediction.
    """

    suffixes: tuple[str, ...] = ()
    batch_size = 32

    def __init__(self, card: Data):
        self.card = card
        self.schema: dict[str, Any] = {}

    # What is a row?

    @abstractmethod
    def survey(self) -> Any:
        """Return what the first look at all rows of the card's data sees: a `Survey`."""

    def assigned(self, seen: Any, run: Run) -> tuple[np.ndarray, list[str]]:
        """Return the split of each row of a survey, and sentences on what had to be decided."""
        from horngate.pipelines.data.splits import drawn_or_given

        old = Run.open(self.card.splits, finished=False).splits if self.card.splits else None
        return drawn_or_given(seen, self.card, old, self.sort_of)

    @abstractmethod
    def own_rows(self, run: Run, split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        """Return the listed rows of one of a run's splits, for each the id of a training row that shows the same (or

        None), and numbers that are equal where rows show the same as each other.

        Raises:
            UserError: no such rows, or they can't be listed any more.
        """

    @abstractmethod
    def other_rows(self, data: str, split: str | None) -> pa.Table:
        """Return the listed rows of other labelled data, or those of one of its splits."""

    @abstractmethod
    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        """Return what is wrong with the targets of readable rows."""

    @abstractmethod
    def settle(self, facts: list[Any]) -> None:
        """Fix `schema` from the facts of the training rows, before anything is read for learning."""

    @abstractmethod
    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        """Return the tensor of one input (or several, as a tuple); `seed` asks for a random view of it.

        Raises:
            Unreadable: with the reason.
        """

    def begin(self, labelled: bool = True) -> None:
        """Forget what was counted of rows that were read before: a pass over other rows begins.

        Args:
            labelled: whether their answers will be measured.
        """

    def remarks(self) -> list[str]:
        """Return what should be told of the rows that were read since `begin`, one line each."""
        return []

    def stacked(self, tensors: Sequence[np.ndarray | None], rows: int | None = None) -> np.ndarray:
        """Return tensors as one batch of `rows` (default: as many as there are); where there is none, it is filled up."""
        if rows in (None, len(tensors)) and not any(tensor is None for tensor in tensors):
            return np.stack(tensors)
        first = next(tensor for tensor in tensors if tensor is not None)
        batch = np.zeros((rows or len(tensors), *first.shape), first.dtype)
        for place, tensor in enumerate(tensors):
            if tensor is not None:
                batch[place] = tensor
        return batch

    # How does it learn?

    def sort_of(self, target: str) -> str:
        """Return what rows are counted and stratified by."""
        return target

    @abstractmethod
    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        """Learn from the rows whose split is train, choose on validation, leave model and decisions in the run.

        Returns:
            The summary: `method`, `costs` (seconds by phase), `protocol`, `parameters`.
        """

    @abstractmethod
    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Any]) -> dict[str, dict[str, np.ndarray]]:
        """Return the answers of real rivals fitted on the training rows: name → split → what `outcome_of` takes."""

    # What does it say?

    def open(self, run: Run) -> None:
        """Take schema, decisions and model from a run.

        Raises:
            UserError: a file is missing, damaged, not to be trusted, or doesn't belong to the others.
        """
        self.recall(run.folder)
        self.load(run)

    @abstractmethod
    def recall(self, folder: Path) -> None:
        """Take schema and decisions from a run's or a bundle's folder; imports no TensorFlow."""

    @abstractmethod
    def load(self, run: Run) -> None:
        """Take the model from a run."""

    def kept_model(self, run: Run) -> Any:
        """Return the Keras model of a run.

        Raises:
            UserError: missing, damaged, or not to be trusted.
        """
        from horngate.models.saving import open_model
        from horngate.models.trust import Untrusted

        try:
            return open_model(run / "model.keras")
        except Untrusted as problem:
            raise UserError(str(problem)) from None

    @abstractmethod
    def answer_schema(self) -> pa.Schema:
        """Return the answer columns, in order."""

    carried: tuple[str, ...] = ()  # answer columns that stand in the listed rows already, such as a time

    def measured_schema(self) -> pa.Schema:
        """Return columns beside the answers that only rows get whose answers will be measured."""
        return pa.schema([])

    slicing: tuple[str, ...] = ()  # those of `measured_schema` that scores are sliced by
    timed: tuple[str, ...] = ()  # measures and columns of `measured_schema` that depend on the machine and the moment

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        """Take the task's own options of a verb; return what they changed, for the report's `protocol`.

        Raises:
            UserError: options that don't go with this run.
        """
        return {}

    # How do rows compare with those of the training?

    def statistics(self, data: bytes, tensor: Any) -> dict[str, float]:
        """Return plain numbers of one input that may drift, by name; `tensor` is what `read` made of it."""
        return {}

    def features(self, batch: np.ndarray) -> np.ndarray | None:
        """Return the features `[n, d]` of a batch of tensors by the run's own encoder; None where a task has none."""
        return None

    def label_names(self, target: str) -> list[str] | None:
        """Return the labels in a target; None where the task's targets are no labels."""
        return None

    def pictured(self, report: Any, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:
        """Write the pictures that an evaluation was asked for into its folder."""

    # How good is it?

    @abstractmethod
    def outcome(self, answers: pa.Table) -> Any:
        """Return answers and targets in the form that the measures take; it has `at(rows)` and a length.

        Where it has `units` (int64 `[n]`), a bootstrap draws those instead of rows or groups.
        """

    @abstractmethod
    def outcome_of(self, outputs: np.ndarray, targets: list[str | None]) -> Any:
        """Return the outcome of bare outputs, or of what a rival answered."""

    @abstractmethod
    def guess(self, outcome: Any) -> Any:
        """Return what a trivial guess would have said on the same rows."""

    @abstractmethod
    def measures(self, outcome: Any) -> dict[str, tuple[Any, Measure | str]]:
        """Return the measures by name: how each is read, and its function of row weights or why there is none."""

    @abstractmethod
    def details(self, answers: pa.Table, outcome: Any) -> dict[str, Any]:
        """Return what a report shows beside the scores; `mistakes`, if any, hold `id`, `target`, `label` and `score`."""

    # What does its page show?

    caution = ""  # what readers of any page of this task must know first
    mistakes_title = "Surest mistakes"
    mistakes_said = "wrong answers with the highest scores"
    heat_said = "what spoke for the answer (Grad-CAM, red for most)"

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        """Return what the page of an evaluation draws.

        Args:
            answers: readable rows, or a sample where there are very many; counts of all rows are in the report.
        """
        return []

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return rows as people look at them, one for each of the listed rows; none where a task has nothing to show.

        Args:
            rows: listed rows, as `read` gets them.
            answers: what was said of them: `id`, `target`, `label`, `score`.
        """
        return []

    def model_card(self) -> dict[str, str]:
        """Return what a task says of its models on every page: title → text."""
        return {
            "Intended use": "Rows of the kind that the training data holds, gathered in the same way. A score holds for "
            "rows like those it was measured on, and for no others.",
            "Limits": "Nothing here says how the model behaves on other sources, devices, times or groups of people than "
            "those in the data. Measure it on your own rows (horngate evaluate RUN --data …) before relying on it.",
        }

    # Which of two runs is better?

    def unlike(self, other: "Pipeline") -> str | None:
        """Return why the answers of another run of this task can't be held against this one's, or None."""
        return None

    def right(self, answers: pa.Table) -> np.ndarray | None:
        """Return bool `[n]`: which answers of a labelled table are right; None for a task without right and wrong."""
        return None
