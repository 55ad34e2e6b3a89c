"""What predictors share: opening what a run holds, forward passes, and rows that are answered one by one."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.runs.run import Run
from horngate.pipelines.system.files import read_json
from horngate.pipelines.tasks.parts import AnswerColumn, Fitted, Said
from horngate.pipelines.tasks.row_by_row import row_by_row
from horngate.pipelines.tasks.task import Task


class ModelPredictor:
    """Answers rows one by one: each is read into tensors, the core model computes them, outputs become answers.

    A task adds its `columns` and what they hold, `answers`. One that answers whole blocks by itself has a `predict` of its
    own.

    Attributes:
        batch_size: rows per forward pass.
        raced: whether other runtimes may compute the forward pass.
    """

    batch_size = 32
    raced = True

    def __init__(self, task: Task):
        self.task, self.card, self.fitted = task, task.card, task.fitted

    @property
    def core(self) -> Any:
        return self.fitted.model

    @property
    def step(self) -> int:
        """Rows that are computed together: batches are filled up to a multiple of it."""
        if self.task.runtime is not None:
            return self.task.runtime.batch
        return self.batch_size if self.task.reader.size_of is None else min(self.batch_size, 8)

    def forward(self, batch: np.ndarray) -> np.ndarray:
        """Return outputs for a batch of tensors, from the runtime that was chosen, else from Keras."""
        if self.task.runtime is not None:
            return self.task.runtime.run(batch)
        return np.asarray(self.core.predict_on_batch(batch))

    def columns(self) -> tuple[AnswerColumn, ...]:
        raise TypeError(f"{type(self).__name__} should say its columns")

    def join(self, outputs: list[np.ndarray], tensors: list[np.ndarray]) -> Any:
        """Return what the outputs of a row's several tensors make together; both lists are in the order of the row."""
        (output,) = outputs
        return output

    def answers(self, listed: pa.Table | None, outputs: Sequence, labelled: bool) -> dict[str, Any]:
        """Return the answer columns of outputs (joined ones, of rows with several tensors).

        Args:
            listed: the listed rows, one for each output; None where nobody knows them.
            labelled: whether the columns that are measured are wanted too.
        """
        raise TypeError(f"{type(self).__name__} should say its answers")

    def load_state(self, folder: Path) -> Fitted:
        return Fitted(read_json(folder / "schema.json"))

    def load_model(self, run: Run) -> Any:
        return kept_model(run)

    def configure(self, run: Run, options: dict[str, Any]) -> tuple[Fitted, dict[str, Any]]:
        return self.fitted, {}

    def predict(self, blocks: Iterable[pa.Table], labelled: bool) -> Iterator[Said]:
        return row_by_row(self.task.reader, self, blocks, labelled)

    def features(self, batch: np.ndarray) -> np.ndarray | None:
        return None

    def remarks(self) -> list[str]:
        return []


def kept_model(run: Run) -> Any:
    """Return the Keras model of a run.

    Raises:
        UserError: missing, damaged, or not to be trusted.
    """
    from horngate.models.saving import open_model  # TensorFlow, which a bundle of another runtime does without

    return open_model(run / "model.keras")
