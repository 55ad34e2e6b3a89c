"""How the detectors of a table are fitted: one, or several whose scores are averaged."""

import time
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from horngate.models.anomaly.detectors import Standing, axes, in_parts, neighbours
from horngate.models.anomaly.learnt_detectors import LESSONS, Fed
from horngate.models.anomaly.trees import isolation_forest
from horngate.models.training.learning import Plan, learn
from horngate.models.training.optimizer import adamw
from horngate.pipelines.runs.run import Run
from horngate.pipelines.tasks.detector import HISTORY
from horngate.pipelines.training.phases import told

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


@dataclass
class Fitting:
    """What one training fits detectors on, resumable: a finished phase is found again.

    Attributes:
        train, held: features float32 `[n, d]` of training and validation rows.
        truth: bool `[n]`, the training rows that are known anomalies and may be learnt from as such.
        sources: the column of each feature.
        history: rows of history.csv so far, with these `columns`.
        costs: seconds by detector.
    """

    card: Any
    run: Run
    train: np.ndarray
    held: np.ndarray
    truth: np.ndarray
    sources: list[int]
    columns: list[str] = field(default_factory=lambda: HISTORY)
    history: list[dict[str, Any]] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)

    def members(self) -> list[tuple[Any, Standing, float]]:
        """Return the fitted detectors that the card asks for, what brings each to a common scale, and their weights."""
        wished = {self.card.detector: 1.0} if self.card.detector != "auto" else WEIGHTS[self.card.protocol]
        return [(*self._member(name), weight) for name, weight in wished.items()]

    def _member(self, name: str) -> tuple[Any, Standing]:
        started = time.monotonic()
        detector = self._detector(name)
        standing = Standing(self.sources, name=f"{name}_standing")
        standing.build((None, 1 + self.train.shape[1]))
        standing.fit(in_parts(detector, self.held if len(self.held) else self.train)[:, 0])
        self.costs[name] = round(time.monotonic() - started, 1)
        return detector, standing

    def _detector(self, name: str) -> Any:
        if name == "pca":
            return axes(self.train)
        if name == "knn":
            return neighbours(self.train, NEAR[self.card.protocol], STORED, self.card.seed)
        if name == "forest":
            return isolation_forest(self.train, self.card.seed)
        return self._learnt(name)

    def _learnt(self, name: str) -> keras.Model:
        card = self.card
        keras.utils.set_random_seed(card.seed)  # of the first weights, whatever was made before
        lesson = LESSONS[name](self.train.shape[1])
        size = card.batch_size or (64 if len(self.train) <= SMALL else 256)
        plan = Plan(name, card.epochs or EPOCHS.get(name, USUAL_EPOCHS), size, card.seed, monitor=None)
        rows = Fed(lesson, self.train, self.truth, card.seed, LEAST_STEPS * size, HALF if name == "deviation" else None)
        held = Fed(lesson, self.held, np.zeros(len(self.held), bool), card.seed)
        steps = plan.epochs * plan.steps(rows.count)
        lesson.training.compile(optimizer=adamw(card.learning_rate or RATE, steps, 0.05, 1e-4), loss=lesson.loss)
        with told(self, at_least=0.0) as keeper:
            self.history += learn(lesson.training, rows, held, plan, keeper)
        return lesson.scoring
