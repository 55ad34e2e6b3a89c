"""A task that answers rows one by one: each is read into tensors, the core model computes them, outputs become answers."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.tasks.listed import Listed


class RowByRow(Listed):
    """What tasks answer whose rows are read, computed and told one by one."""

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
        size = super().step
        return min(size, 8) if self.uneven and self.runtime is None else size

    @abstractmethod
    def rows(self, outputs: Sequence) -> dict[str, list]:
        """Return the answer columns of outputs (joined ones, where rows are parted), and those of `measured_schema`."""

    def answered(self, listed: pa.Table, outputs: np.ndarray) -> dict[str, list]:
        """Return what `rows` does, for a task whose answers need the listed rows themselves, one for each output."""
        return self.rows(outputs)
