"""A task that answers rows one by one: each is read into tensors, the core model computes them, outputs become answers."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.base import Pipeline
from horngate.pipelines.run import Run


class RowByRow(Pipeline):
    """What tasks answer whose rows are read, computed and told one by one."""

    # What is a row?

    def survey(self) -> Any:
        from horngate.pipelines.data.survey import survey

        return survey(self)

    def own_rows(self, run: Run, split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        from horngate.pipelines.data.listed_again import own_rows

        return own_rows(run, self.suffixes, split)

    def other_rows(self, data: str, split: str | None) -> pa.Table:
        from horngate.pipelines.data.listed_again import other_rows

        return other_rows(self.card, self.suffixes, data, split)

    @abstractmethod
    def inspect(self, data: bytes, suffix: str) -> Any:
        """Return facts of one input for `check`: `converted` (texts) and `thumbnail` (uint8 [32, 32] or None).

        Args:
            suffix: of the file that held the bytes, in lower case; empty where there was none.

        Raises:
            Unreadable: with the reason.
        """

    # A row may hold several tensors (two texts that are compared, windows of a long one): `read` returns a tuple of them
    # then. Each is computed by itself, and the outputs of a row are joined; `rows` takes a list of what they make.
    parted = False

    def joined(self, outputs: list[np.ndarray], tensors: list[np.ndarray]) -> Any:
        """Return what one row's outputs make together; both lists hold one entry per tensor of the row, in its order."""
        (output,) = outputs
        return output

    # Tensors whose first axis differs in length (texts, sounds) are batched with others that are filled up as far.
    uneven = False

    def size_of(self, tensor: np.ndarray) -> int:
        """Return the length that an uneven tensor is filled up to."""
        return len(tensor)

    # What does it say?

    @property
    def step(self) -> int:
        """Rows that are computed together: batches are filled up to a multiple of it."""
        if self.runtime is not None:
            return self.runtime.batch
        return min(self.batch_size, 8) if self.uneven else self.batch_size

    @abstractmethod
    def rows(self, outputs: Sequence) -> dict[str, list]:
        """Return the answer columns of outputs (joined ones, where rows are parted), and those of `measured_schema`."""

    def answered(self, listed: pa.Table, outputs: np.ndarray) -> dict[str, list]:
        """Return what `rows` does, for a task whose answers need the listed rows themselves, one for each output."""
        return self.rows(outputs)

    # How is it handed over?

    def golden(self, run: Run, data: str | None, count: int, splits: tuple[str, ...]) -> np.ndarray:
        from horngate.pipelines.data.listed_again import read_again

        return read_again(self, run, data, count, splits)
