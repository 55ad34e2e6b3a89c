"""How the detectors of a table are fitted: one, or several whose scores are averaged."""

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from horngate.models.anomaly.detectors import Standing, axes, in_parts, neighbours
from horngate.models.anomaly.learnt_detectors import LESSONS, Fed
from horngate.models.anomaly.trees import isolation_forest
from horngate.models.training.learning import Plan
from horngate.models.training.optimizer import adamw
from horngate.pipelines.runs.run import Run
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.phases import PhaseRunner

STORED = 5_000  # rows that `knn` remembers
# Chosen on training rows of 24 public tables by benchmarks/anomaly_choices.py, which says what they give elsewhere.
NEAR = {"contaminated": 20, "one-class": 5}  # neighbours: more of them than anomalies that lie together
WEIGHTS = {
    "contaminated": {"forest": 1.0, "knn": 0.5, "pca": 0.2},
    "one-class": {"knn": 2.0, "forest": 0.5, "pca": 0.5},
}
EPOCHS = {"dte": 60}
USUAL_EPOCHS = 20
LEAST_STEPS = 25  # of an epoch: few rows are passed several times in one
SMALL = 5_000  # rows, up to which a batch holds fewer
RATE = 1e-3
HALF = 0.5  # of a batch, known anomalies


@dataclass(frozen=True)
class Examples:
    """What detectors are fitted on.

    Attributes:
        train, held: features float32 `[n, d]` of training and validation rows.
        truth: bool `[n]`, the training rows that are known anomalies and may be learnt from as such.
        sources: the column of each feature.
    """

    train: np.ndarray
    held: np.ndarray
    truth: np.ndarray
    sources: list[int]

    def of(self, rows: np.ndarray, truth: np.ndarray) -> "Examples":
        """Return some of the training rows (bool `[n]`), with what is known of all of them."""
        return replace(self, train=self.train[rows], truth=truth[rows])


class TableTraining(PhaseRunner):
    """One training of detectors of features, resumable: a finished phase is found again."""

    def __init__(self, task: Task, run: Run, examples: Examples):
        super().__init__(task, run)
        self.examples = examples

    def members(self) -> list[tuple[Any, Standing, float]]:
        """Return the fitted detectors that the card asks for, what brings each to a common scale, and their weights."""
        wished = {self.card.detector: 1.0} if self.card.detector != "auto" else WEIGHTS[self.card.protocol]
        found = []
        for name, weight in wished.items():
            with self.timed(name):
                found.append((*self._member(name), weight))
        return found

    def _member(self, name: str) -> tuple[Any, Standing]:
        train, held = self.examples.train, self.examples.held
        detector = self._detector(name)
        standing = Standing(self.examples.sources, name=f"{name}_standing")
        standing.build((None, 1 + train.shape[1]))
        standing.fit(in_parts(detector, held if len(held) else train)[:, 0])
        return detector, standing

    def _detector(self, name: str) -> Any:
        train = self.examples.train
        if name == "pca":
            return axes(train)
        if name == "knn":
            return neighbours(train, NEAR[self.card.protocol], STORED, self.card.seed)
        if name == "forest":
            return isolation_forest(train, self.card.seed)
        return self._learnt(name)

    def _learnt(self, name: str) -> keras.Model:
        card, train, held = self.card, self.examples.train, self.examples.held
        keras.utils.set_random_seed(card.seed)  # of the first weights, whatever was made before
        lesson = LESSONS[name](train.shape[1])
        size = card.batch_size or (64 if len(train) <= SMALL else 256)
        plan = Plan(name, card.epochs or EPOCHS.get(name, USUAL_EPOCHS), size, card.seed, monitor=None)
        rows = Fed(
            lesson, train, self.examples.truth, card.seed, LEAST_STEPS * size, HALF if name == "deviation" else None
        )
        unseen = Fed(lesson, held, np.zeros(len(held), bool), card.seed)
        steps = plan.epochs * plan.steps(rows.count)
        lesson.training.compile(optimizer=adamw(card.learning_rate or RATE, steps, 0.05, 1e-4), loss=lesson.loss)
        self.learn_phase(lesson.training, rows, unseen, plan)
        return lesson.scoring
