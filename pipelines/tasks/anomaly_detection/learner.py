"""How detectors learn in any domain: which rows they learn from, and what turns their scores into alarms."""

import time
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics.anomaly.detection import Outcome
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.system.device import Device
from horngate.pipelines.system.files import write_rows
from horngate.pipelines.tasks.anomaly_detection.alarms import Alarms
from horngate.pipelines.tasks.anomaly_detection.predictor import FILES, AnomalyPredictor
from horngate.pipelines.tasks.parts import Fitted, LearningData
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.phases import HISTORY

LEAST_ROWS = 5  # to learn from


@dataclass(frozen=True)
class DetectionRows:
    """The rows that a detector learns from, by place.

    Attributes:
        table: all usable rows.
        truth: float32 `[n]` of all rows: 1 for a known anomaly, 0 for a normal row, NaN where nobody knows.
        train: rows to learn from, int64 `[m]`; under one-class without known anomalies.
        validation: all validation rows.
        anomalies: the known anomalies of the training split, whether they are in `train` or not.
    """

    table: pa.Table
    truth: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    anomalies: np.ndarray

    @classmethod
    def of(cls, data: LearningData, truth: np.ndarray, one_class: bool) -> "DetectionRows":
        """Return the rows of a training.

        Raises:
            UserError: too few to learn from.
        """
        train = data.places("train")
        strange = truth[train] == 1
        own = train[~strange] if one_class else train
        if len(own) < LEAST_ROWS:
            raise UserError(f"{len(own)} rows to learn from are too few; at least {LEAST_ROWS} are needed")
        return cls(data.table, truth, own, data.places("validation"), train[strange])

    @property
    def usual(self) -> np.ndarray:
        """The validation rows that are no known anomalies."""
        return self.validation[self.truth[self.validation] != 1]

    def taken(self, places: np.ndarray) -> pa.Table:
        """Return the listed rows at these places."""
        return self.table.take(pa.array(places))


@dataclass(frozen=True)
class Learnt:
    """What a detector's training gave.

    Attributes:
        model: from a batch of tensors to float32 `[n, 1 + …]`: the score, higher for stranger rows, then what reasons are
            made of.
        method: what was learnt, and `why` that.
        schema: what the training added to the schema.
        costs: seconds by phase; empty where there is one phase alone.
        history: rows of history.csv.
        protocol: what else the protocol says.
    """

    model: keras.Model
    method: str
    why: str
    schema: dict[str, Any] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    protocol: dict[str, Any] = field(default_factory=dict)


class AnomalyLearner:
    """Learns a detector, then chooses p-values and threshold on validation rows. A task adds `learn` and `baselines`."""

    def __init__(self, task: Task):
        self.task, self.card = task, task.card

    def learn(self, rows: DetectionRows, run: Run) -> Learnt:
        """Fit the detector that the card asks for."""
        raise TypeError(f"{type(self).__name__} should say how it learns")

    def fit(self, data: LearningData, run: Run, device: Device) -> tuple[Fitted, dict[str, Any]]:
        targets = data.table["target"].to_pylist()
        alarms = self._named(targets)
        rows = DetectionRows.of(data, alarms.encode(targets), self.one_class)
        started = time.monotonic()
        with device.scope():
            learnt = self.learn(rows, run)
            fitted = self.task.fitted.having(schema=learnt.schema, decisions=alarms, model=learnt.model, files=FILES)
            alarms = self._decided(self.task.with_fitted(fitted).predictor, rows)
        run.keep_model(learnt.model)
        alarms.write(run / "alarms.json")
        write_rows(run / "history.csv", learnt.history, HISTORY)
        protocol = {
            "method": learnt.method,
            "chosen_because": learnt.why,
            "refit": False,
            "protocol": self.card.protocol,
            "learnt_rows": len(rows.train),
            "left_out_anomalies": len(rows.anomalies) if self.one_class else 0,
            "threshold": alarms.threshold,
            "threshold_chosen_by": alarms.chosen_by,
        }
        return fitted.having(decisions=alarms), {
            "method": learnt.method,
            "costs_seconds": learnt.costs or {learnt.method: round(time.monotonic() - started, 1)},
            "parameters": int(learnt.model.count_params()),
            "protocol": protocol | learnt.protocol,
        }

    def learnt_from(self, data: LearningData) -> np.ndarray:
        """Return bool `[n]`: the rows that baselines learn from, by the protocol."""
        learnt = data.splits == "train"
        if not self.one_class:
            return learnt
        return learnt & (self.task.fitted.decisions.encode(data.table["target"].to_pylist()) != 1)

    def outcomes(self, scores: dict[str, np.ndarray], data: LearningData) -> dict[str, Outcome]:
        """Return the outcomes of a baseline's scores `[n]` by split, alarms raised by the run's threshold."""
        evaluator = self.task.evaluator
        return {split: evaluator.scored(own, data.rows(split)["target"].to_pylist()) for split, own in scores.items()}

    @property
    def one_class(self) -> bool:
        return self.card.protocol == "one-class"

    def _named(self, targets: list[str | None]) -> Alarms:
        alarms = Alarms.named(targets, self.card)
        if alarms.knows:
            counts = [sum(target in names for target in targets) for names in (alarms.anomalous, alarms.normal)]
            sides = [", ".join(names[:5]) or "none" for names in (alarms.anomalous, alarms.normal)]
            progress.notice(f"anomalies: {sides[0]} ({counts[0]:,} rows); normal: {sides[1]} ({counts[1]:,} rows)")
        elif self.one_class:
            progress.notice("no row has a target: all training rows are taken for normal")
        return alarms

    def _decided(self, predictor: AnomalyPredictor, rows: DetectionRows) -> Alarms:
        """Choose p-values and threshold on validation rows, or for want of them on training rows, and say so."""
        places, unseen = rows.validation, True
        if not len(rows.usual):
            places, unseen = rows.train, False
            progress.notice("no validation rows: p-values and threshold come from training rows, and are too hopeful")
        table = rows.taken(places)
        scores = predictor.outputs(table, "scores on validation" if unseen else "scores on train")[:, 0]
        return predictor.decided(scores, rows.truth[places], table, self.card, unseen)
