"""How detectors of rows of a table learn: on which rows, which detectors, and whether from known anomalies too."""

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import pyarrow as pa

from horngate.models.anomaly.detectors import Standing, axes, in_parts, instructed, joined, neighbours, opinions
from horngate.models.anomaly.learnt_detectors import LESSONS, Fed
from horngate.models.anomaly.trees import isolation_forest, labelled_forest
from horngate.models.columns import columns_layer
from horngate.models.training.learning import Plan
from horngate.models.training.optimizer import adamw
from horngate.pipelines.anomaly.table.baselines import fitted_baselines
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tasks.anomaly_detection.learner import AnomalyLearner, DetectionRows, Learnt
from horngate.pipelines.tasks.parts import LearningData
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


class CellLearner(AnomalyLearner):
    """Fits the detector that the card asks for, or several whose scores are averaged."""

    def learn(self, rows: DetectionRows, run: Run) -> Learnt:
        card, reader = self.card, self.task.reader
        knowing = self._knowing(rows)
        own = np.union1d(rows.train, rows.anomalies) if knowing else rows.train
        truth = np.isin(own, rows.anomalies) & knowing
        train = reader.matrix(rows.taken(own), "reading the training rows")
        usual = rows.validation if card.protocol == "contaminated" else rows.usual
        held = reader.matrix(rows.taken(usual), "reading the validation rows")
        columns = columns_layer(train.astype(np.float64), reader.sizes)
        features = in_parts(columns, train)
        examples = Examples(features, in_parts(columns, held) if len(held) else features[:0], truth, columns.sources)
        model, training = self._fitted(columns, train.shape[1], examples, run)
        learnt = int(truth.sum())
        why = "asked for" if card.detector != "auto" else f"the average of {', '.join(training.costs)}"
        why += f"; {learnt} known anomalies were learnt from" if learnt else ""
        protocol = {"learnt_anomalies": learnt}
        return Learnt(model, card.detector, why, costs=training.costs, history=training.history, protocol=protocol)

    def baselines(self, data: LearningData) -> dict[str, dict[str, Any]]:
        """Return isolation forest, ECOD, nearest neighbours and principal components on the same training rows."""
        reader, learnt = self.task.reader, data.table.filter(pa.array(self.learnt_from(data)))
        train = reader.matrix(learnt, "fitting references")
        scorers = fitted_baselines(train, reader.sizes, self.card.seed)
        rows = {split: reader.matrix(data.rows(split), f"references on {split}") for split in data.held_out}
        return {
            name: self.outcomes({split: score(own) for split, own in rows.items()}, data)
            for name, score in scorers.items()
        }

    def _knowing(self, rows: DetectionRows) -> bool:
        """Return whether known anomalies are learnt from as such.

        Raises:
            UserError: they should be, and there are none.
        """
        card = self.card
        if card.labelled and card.detector not in ("auto", "deviation"):
            raise UserError(f"--labelled is for auto and deviation; {card.detector} can't learn from known anomalies")
        wished = card.labelled or card.detector == "deviation"
        if wished and not len(rows.anomalies):
            what = "--labelled" if card.labelled else f"--detector {card.detector}"
            raise UserError(f"{what} learns from known anomalies, and no training row is one")
        return wished

    def _fitted(self, columns: Any, width: int, examples: Examples, run: Run) -> tuple[Any, TableTraining]:
        """Return the model of rows of `width` columns, and the training of its members."""
        card, truth = self.card, examples.truth
        left_out = truth & (card.protocol == "one-class") & (card.detector == "auto")
        known = truth if card.detector == "deviation" else np.zeros_like(truth)
        training = TableTraining(self.task, run, examples.of(~left_out, known))
        members = training.members()
        if card.detector != "auto" or not truth.any():
            return joined(columns, width, members), training
        seen = opinions(examples.train, members)
        return instructed(columns, width, members, labelled_forest(seen, truth, card.seed)), training
