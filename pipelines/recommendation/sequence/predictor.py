"""Lists for users by models that read what the user met in its order."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from horngate.models.recommendation.interactions import Lists
from horngate.pipelines.recommendation.interactions.cases import lists_of
from horngate.pipelines.recommendation.interactions.log_update import continued
from horngate.pipelines.recommendation.retrieval.predictor import RecommenderPredictor
from horngate.pipelines.system.files import file_digest
from horngate.pipelines.tasks.parts import Fitted
from horngate.pipelines.tasks.task import Task

HELD_PAIRS = 1 << 23  # of places in lists that are looked at together


class SequencePredictor(RecommenderPredictor):
    """Scores users by what they met last."""

    def __init__(self, task: Task):
        super().__init__(task)
        self._read: tuple[csr_array, Lists] | None = None  # the last past that was asked for, and its lists

    def scores(self, users: np.ndarray, past: csr_array) -> np.ndarray:
        lists = self._histories(past)
        width = min(self.card.max_length, 1 << int(max(lists.longest, 1) - 1).bit_length())
        size = min(len(users), 1 << max(HELD_PAIRS // width**2, 1).bit_length() - 1)
        padded = lists.padded(users, width)
        parts = [self.forward(padded[at : at + size]) for at in range(0, len(users), size)]
        return np.concatenate(parts)

    def answerable(self, users: np.ndarray, past: csr_array) -> np.ndarray:
        return (users >= 0) & (np.diff(self._histories(past).offsets) > 0)[users]

    def configure(self, run: Any, options: dict[str, Any]) -> tuple[Fitted, dict[str, Any]]:
        fitted, changed = super().configure(run, options)
        if path := options.get("histories"):
            fitted = replace(fitted, decisions=continued(fitted.decisions, path, self.card))
            changed["histories"] = f"{path} ({file_digest(Path(path))})"  # a longer log answers otherwise
        return fitted, changed

    def _histories(self, past: csr_array) -> Lists:
        """Return what each user met, in its order; items that were never learnt say nothing."""
        if self._read is None or self._read[0] is not past:
            keep = self.store.rankable[past.indices]
            ends = np.concatenate([[0], np.cumsum(keep)])[past.indptr]
            learnt = csr_array((past.data[keep], past.indices[keep], ends), shape=past.shape)
            self._read = past, lists_of(learnt)
        return self._read[1]
