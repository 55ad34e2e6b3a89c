"""A pipeline is one task of one domain: it answers questions and never orchestrates. The verbs ask."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.card import Data
from horngate.pipelines.data.checks import Finding
from horngate.pipelines.measure.intervals import Measure
from horngate.pipelines.run import Run


class Pipeline(ABC):
    """The questions that every task answers.

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
    def inspect(self, data: bytes, suffix: str) -> Any:
        """Return facts of one input for `check`: `converted` (texts) and `thumbnail` (uint8 [32, 32] or None).

        Args:
            suffix: of the file that held the bytes, in lower case; empty where there was none.

        Raises:
            Unreadable: with the reason.
        """

    @abstractmethod
    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        """Return what is wrong with the targets of readable rows."""

    @abstractmethod
    def settle(self, facts: list[Any]) -> None:
        """Fix `schema` from the facts of the training rows, before anything is read for learning."""

    @abstractmethod
    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        """Return the tensor of one input; `seed` asks for a random view of it.

        Raises:
            Unreadable: with the reason.
        """

    # How does it learn?

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
        """Return the answers of real rivals fitted on the training rows: name → split → outputs as of `forward`."""

    # What does it say?

    @abstractmethod
    def open(self, run: Run) -> None:
        """Take model, schema and decisions from a run."""

    @abstractmethod
    def forward(self, batch: np.ndarray) -> np.ndarray:
        """Return the model's outputs for a batch of tensors."""

    @abstractmethod
    def answer_schema(self) -> pa.Schema:
        """Return the answer columns, in order."""

    @abstractmethod
    def rows(self, outputs: np.ndarray) -> dict[str, list]:
        """Return the answer columns of outputs."""

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

    def pictured(self, report: Any, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:  # noqa: B027
        """Write the pictures that an evaluation was asked for into its folder."""

    # How good is it?

    @abstractmethod
    def outcome(self, answers: pa.Table) -> Any:
        """Return answers and targets in the form that the measures take; it has `at(rows)`."""

    @abstractmethod
    def outcome_of(self, outputs: np.ndarray, targets: list[str | None]) -> Any:
        """Return the outcome of bare outputs."""

    @abstractmethod
    def guess(self, outcome: Any) -> Any:
        """Return what a trivial guess would have said on the same rows."""

    @abstractmethod
    def measures(self, outcome: Any) -> dict[str, tuple[Any, Measure | str]]:
        """Return the measures by name: how each is read, and its function of row weights or why there is none."""

    @abstractmethod
    def details(self, answers: pa.Table, outcome: Any) -> dict[str, Any]:
        """Return what a report shows beside the scores."""
