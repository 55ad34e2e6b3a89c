"""How good detectors are in any domain, and how they are shown: metrics, thresholds, top cases, plots."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics.anomaly import detection
from horngate.pipelines.metrics.anomaly.detection import Outcome
from horngate.pipelines.report import detection as drawn
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.anomaly_detection.alarms import Alarms
from horngate.pipelines.tasks.bases import ModelExporter, PageDisplay, TableEvaluator
from horngate.pipelines.tasks.parts import Titles
from horngate.pipelines.tasks.task import Task

TOP = 20  # cases in a report


class AnomalyEvaluator(TableEvaluator):
    """Measures scores and alarms against known anomalies, as far as there are any."""

    @property
    def alarms(self) -> Alarms:
        """Which targets are anomalies, and the threshold."""
        return self.fitted.decisions

    def truth(self, targets: list[str | None]) -> np.ndarray:
        """Return targets as float32 `[n]`: 1 for an anomaly, 0 for a normal row, NaN where nobody knows.

        A run whose training rows had no targets takes them by their names.
        """
        if self.alarms.knows:
            return self.alarms.encode(targets)
        positive = self.task.options.get("positive") or self.card.positive
        return Alarms.named(targets, replace(self.card, positive=positive)).encode(targets)

    def outcome(self, answers: pa.Table) -> Outcome:
        return self.plain(answers)

    def plain(self, answers: pa.Table) -> Outcome:
        """Return the outcome of rows alone, without what a task knows of their parts or their order."""
        truth = self.truth(answers["target"].to_pylist())
        return Outcome(answers["score"].to_numpy().astype(np.float64), truth, _alarms_in(answers))

    def scored(self, scores: np.ndarray, targets: list[str | None]) -> Outcome:
        """Return the outcome of bare scores `[n]`."""
        scores = np.asarray(scores, np.float64)
        return Outcome(scores, self.truth(targets), self.alarms.raised(scores))

    def trivial(self, outcome: Outcome) -> Outcome:
        return detection.by_chance(outcome)

    def metrics(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        return detection.measures(outcome)

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        known = ~np.isnan(outcome.targets)
        anomalies = int((outcome.targets == 1).sum())
        found = {
            "anomalies": anomalies,
            "labelled": int(known.sum()),
            "prevalence": anomalies / int(known.sum()) if known.any() else None,
            "threshold": self.alarms.threshold,
            "thresholds": detection.thresholds(outcome, self.alarms.threshold),
            "mistakes": self.cases(answers),
        }
        unknown = {*answers["target"].to_pylist()} - {None, *self.alarms.anomalous, *self.alarms.normal}
        return found | ({"unlearnt_labels": sorted(unknown)} if unknown and self.alarms.knows else {})

    def cases(self, answers: pa.Table) -> list[dict[str, Any]]:
        """Return the rows that are worth a look, by default those with the highest scores, each with what was said of it."""
        order = np.argsort(-answers["score"].to_numpy(), kind="stable")[:TOP]
        said = [column.name for column in self.task.predictor.columns() if column.role == "answer"]
        rows = answers.select(["id", "target", *said]).take(pa.array(order)).to_pylist()
        return [
            row | {"label": f"{'alarm' if row['anomalous'] else 'no alarm'}, p {row['p_value']:.3g}"} for row in rows
        ]

    def labels_in(self, target: str | None) -> list[str] | None:
        """Return the target; None under one-class, where later rows differ from the training rows by having anomalies."""
        if self.card.protocol == "one-class":
            return None
        return [] if target is None else [target]

    def correct(self, answers: pa.Table) -> np.ndarray | None:
        truth = self.truth(answers["target"].to_pylist())
        return None if np.isnan(truth).any() else _alarms_in(answers) == (truth == 1)

    def incomparable(self, other: Task) -> str | None:
        mine, theirs = self.alarms.anomalous, other.fitted.decisions.anomalous
        if mine and theirs and mine != theirs:
            return f"their anomalies differ: {', '.join(mine)} and {', '.join(theirs)}"
        if self.card.protocol != other.card.protocol:
            return f"one was trained on {self.card.protocol} rows and the other on {other.card.protocol} ones"
        return None


def _alarms_in(answers: pa.Table) -> np.ndarray:
    return answers["anomalous"].to_numpy(zero_copy_only=False).astype(bool)


class AnomalyDisplay(PageDisplay):
    """Draws scores and alarms. A task adds how its rows look."""

    titles = Titles(mistakes="Top cases", mistakes_said="rows with the highest scores")

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        return drawn.plots(self.task.evaluator.outcome(answers), self.fitted.decisions.threshold)

    def model_card(self) -> dict[str, str]:
        said = (
            "A score, higher for stranger rows; only its order and what is derived from it mean anything. The p-value "
            "says how often a row like the held-out ones scores as high. A strange row need not be a harmful one."
        )
        return {"Answers": said} | super().model_card()


class AnomalyExporter(ModelExporter):
    """Says of an exported model's outputs whether they raise an alarm. A task adds how its tensors are read."""

    def answering(self) -> str:
        said = f'"alarm" if outputs[0] >= {self.fitted.decisions.threshold!r} else "no alarm"'
        return f'def answer(path, outputs):\n    return [{said}, f"{{outputs[0]:.4f}}"]\n'
