"""How cases are read: not for the model, which takes users by their codes, but to see how other logs differ."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.parts import Fitted

if TYPE_CHECKING:
    from horngate.pipelines.tasks.task import Task


class CaseReader(TensorReader):
    """Reads JSON lists of items: float32 `[2]`, their popularity and the share of them that are known."""

    def __init__(self, task: "Task"):
        super().__init__(task)
        self.store: InteractionStore = task.fitted.decisions

    def fit_schema(self, facts: list[Any]) -> Fitted:
        return Fitted()

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        codes = self.store.items_of(pa.array(json.loads(data), pa.string()))
        counts = np.where(codes >= 0, self.store.counts[codes], 0)
        return np.array([np.log1p(counts).mean(), (counts > 0).mean()], np.float32)

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        return {"log-popularity of items": float(tensor[0]), "share of items that are known": float(tensor[1])}
