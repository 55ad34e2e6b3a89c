"""What evaluators share."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from horngate.pipelines.tasks.task import Task


class TableEvaluator:
    """Measures tables of answers. A task adds `outcome`, `trivial`, `metrics` and `details`."""

    def __init__(self, task: "Task"):
        self.task, self.card, self.fitted = task, task.card, task.fitted

    def labels_in(self, target: str | None) -> list[str] | None:
        return None

    def correct(self, answers: pa.Table) -> np.ndarray | None:
        return None

    def incomparable(self, other: "Task") -> str | None:
        return None
