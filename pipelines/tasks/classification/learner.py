"""How classifiers learn: labels from the training rows, a network around an encoder, and the ladder of transfer learning."""

from collections.abc import Callable
from typing import Any

import numpy as np

from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.runs.run import Run
from horngate.pipelines.tasks.classification.labels import Labels
from horngate.pipelines.tasks.parts import Fitted, LearningData
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.transfer import TransferLearning


class LabelLearner:
    """Learns labels. A task adds how its network is built, and its baselines.

    Attributes:
        views: of each training row, that a probe sees: the plain one and random others.
        variation: names how random views are drawn.
        finetune_epochs, scratch_rate: of these phases, where the card doesn't say.
    """

    views, variation = 1, ""
    finetune_epochs = 10
    scratch_rate = 2e-3

    def __init__(self, task: Task):
        self.task, self.card = task, task.card

    @property
    def pretrained(self) -> bool:
        """Whether the encoder starts from pretrained weights."""
        return self.card.backbone is not None and self.card.weights != "none"

    def build(self, fitted: Fitted) -> Fitted:
        """Return what is fitted with the untrained network, pretrained weights in its encoder where wished."""
        raise TypeError(f"{type(self).__name__} should say how its network is built")

    def scratch_epochs(self, rows: int) -> int:
        """Return the epochs of learning from a random start by so many training rows, where the card doesn't say."""
        return 30

    def fit(self, data: LearningData, run: Run, device: Any) -> tuple[Fitted, dict[str, Any]]:
        labels = Labels.learnt(data.rows("train")["target"].to_pylist(), self.card)
        with device.scope():
            fitted = self.build(self.task.fitted.having(decisions=labels, files=self._files()))
        fitted, summary = TransferLearning(self, self.task.with_fitted(fitted), data, run, device).learn()
        fitted.decisions.write(run / "labels.json")
        return fitted, summary | {"parameters": int(fitted.model.answers.count_params())}

    def _files(self) -> tuple[str, ...]:
        return ("labels.json", *self.task.fitted.files)

    def outcome_of(self, scores: np.ndarray, targets: list[str | None]) -> Outcome:
        """Return the outcome of scores float32 `[n, classes]`."""
        labels = self.task.fitted.decisions
        return Outcome(labels.encode(targets), scores, labels.chosen(scores), labels.positive_index)

    def scored_by(self, data: LearningData, known: np.ndarray, score: Callable) -> dict[str, Outcome]:
        """Return the outcome of a baseline by split.

        Args:
            known: places of the classes that it learnt; others get 0.
            score: returns its scores of these for rows, given by place.
        """
        found = {}
        for split, places in data.held_out.items():
            scores = np.zeros((len(places), len(self.task.fitted.decisions.labels)), np.float32)
            scores[:, known] = score(places)
            found[split] = self.outcome_of(scores, data.rows(split)["target"].to_pylist())
        return found
