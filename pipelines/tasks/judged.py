"""What a detecting task says of its answers: measures, thresholds, top cases, plots, and how runs are compared."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics import detection
from horngate.pipelines.metrics.detection import Outcome
from horngate.pipelines.report import detection as drawn
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.alarms import Alarms

TOP = 20  # cases in a report


class Judged:
    """A part of a detecting pipeline; the whole has `alarms` and says its `reason_fields`."""

    alarms: Alarms
    card: Any
    mistakes_title = "Top cases"
    mistakes_said = "rows with the highest scores"

    def truth(self, targets: list[str | None]) -> np.ndarray:
        """Return targets as float32 `[n]`: 1 for an anomaly, 0 for a normal row, NaN where nobody knows.

        A run whose training rows had no targets takes them by their names.
        """
        return (self.alarms if self.alarms.knows else Alarms.named(targets, self.card)).encode(targets)

    def outcome(self, answers: pa.Table) -> Outcome:
        truth = self.truth(answers["target"].to_pylist())
        chosen = answers["anomalous"].to_numpy(zero_copy_only=False).astype(bool)
        return Outcome(answers["score"].to_numpy().astype(np.float64), truth, chosen)

    def outcome_of(self, outputs: np.ndarray, targets: list[str | None]) -> Outcome:
        scores = np.asarray(outputs, np.float64).reshape(len(outputs), -1)[:, 0]
        return Outcome(scores, self.truth(targets), self.alarms.raised(scores))

    def guess(self, outcome: Outcome) -> Outcome:
        """Say the same of every row."""
        return detection.by_chance(outcome)

    def measures(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
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
            "mistakes": self._top(answers),
        }
        unknown = {*answers["target"].to_pylist()} - {None, *self.alarms.anomalous, *self.alarms.normal}
        return found | ({"unlearnt_labels": sorted(unknown)} if unknown and self.alarms.knows else {})

    def _top(self, answers: pa.Table) -> list[dict[str, Any]]:
        """Return the rows with the highest scores, each with what was said of it."""
        order = np.argsort(-answers["score"].to_numpy(), kind="stable")[:TOP]
        names = ["id", "target", "score", "p_value", "anomalous", *(name for name, _ in self.reason_fields())]
        rows = answers.select(names).take(pa.array(order)).to_pylist()
        return [
            row | {"label": f"{'alarm' if row['anomalous'] else 'no alarm'}, p {row['p_value']:.3g}"} for row in rows
        ]

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        return drawn.plots(self.outcome(answers), self.alarms.threshold)

    def model_card(self) -> dict[str, str]:
        said = (
            "A score, higher for stranger rows; only its order and what is derived from it mean anything. The p-value "
        )
        said += "says how often a row like the held-out ones scores as high. A strange row need not be a harmful one."
        return {"Answers": said} | super().model_card()

    def unlike(self, other: Any) -> str | None:
        if self.alarms.anomalous and other.alarms.anomalous and self.alarms.anomalous != other.alarms.anomalous:
            mine, theirs = (", ".join(names) for names in (self.alarms.anomalous, other.alarms.anomalous))
            return f"their anomalies differ: {mine} and {theirs}"
        if self.card.protocol != other.card.protocol:
            return f"one was trained on {self.card.protocol} rows and the other on {other.card.protocol} ones"
        return None

    def right(self, answers: pa.Table) -> np.ndarray | None:
        truth = self.truth(answers["target"].to_pylist())
        if np.isnan(truth).any():
            return None
        return answers["anomalous"].to_numpy(zero_copy_only=False).astype(bool) == (truth == 1)
