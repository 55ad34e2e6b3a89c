"""What readers of rows share."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from horngate.pipelines.tasks.task import Task


class TensorReader:
    """Reads rows whose tensors all have one shape. A task adds `inspect`, `fit_schema` and `read`."""

    size_of: Callable[[np.ndarray], int] | None = None

    def __init__(self, task: "Task"):
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


def tensors_of(row: Any) -> tuple[np.ndarray, ...]:
    """Return the tensors of what a reader's `read` returned: several, or one."""
    return row if isinstance(row, tuple) else (row,)
