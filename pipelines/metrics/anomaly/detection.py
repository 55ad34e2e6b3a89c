"""Measures of anomaly detection: how well scores rank the anomalies, on the rows whose truth is known."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from horngate.pipelines.metrics.classification import Ranking, area_of, precision_of
from horngate.pipelines.statistics.intervals import ByRow, Measure, Spec, Uncomputable, prepared

FALSE_ALARMS = 0.01  # of `recall_at_fpr_01`
SHARES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # of rows with an alarm, in the table of thresholds


@dataclass(frozen=True)
class Outcome(ByRow):
    """What is known of rows that were scored.

    Attributes:
        scores: float64 `[n]`, higher for stranger rows.
        targets: float32 `[n]`: 1 for an anomaly, 0 for a normal row, NaN where nobody knows.
        chosen: bool `[n]`, whether an alarm was raised.
    """

    scores: np.ndarray
    targets: np.ndarray
    chosen: np.ndarray

    @cached_property
    def known(self) -> np.ndarray | None:
        """int64 places of the rows whose truth is known; None where that is all of them."""
        unknown = np.isnan(self.targets)
        return np.flatnonzero(~unknown) if unknown.any() else None

    @cached_property
    def ranking(self) -> Ranking:
        """The known rows ranked by score.

        Raises:
            Uncomputable: no row with a target, or all of one kind.
        """
        known = slice(None) if self.known is None else self.known
        targets = self.targets[known]
        if not len(targets):
            raise Uncomputable("no row has a target")
        if targets.min() == targets.max():
            raise Uncomputable("all rows with a target are anomalies" if targets[0] else "no row is a known anomaly")
        return Ranking(targets, self.scores[known])


def _ranked(value: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Outcome], Measure]:
    """Return what prepares a measure of known rows: `value` of anomalies and of all rows down to each score."""

    def prepare(outcome: Outcome) -> Measure:
        measure, known = outcome.ranking.measure(value), outcome.known
        return measure if known is None else lambda weights: measure(weights[known])

    return prepare


def _precision_at_n(hits: np.ndarray, seen: np.ndarray) -> float:
    """Share of anomalies among as many top rows as there are anomalies; rows that tie count in part."""
    return float(np.interp(hits[-1], np.append(0.0, seen), np.append(0.0, hits))) / float(hits[-1])


def _recall_at_fpr_01(hits: np.ndarray, seen: np.ndarray) -> float:
    """Share of anomalies found where 1 % of the normal rows raise an alarm; rows that tie count in part."""
    hits, misses = np.append(0.0, hits), np.append(0.0, seen - hits)
    limit = FALSE_ALARMS * misses[-1]
    place = int(np.searchsorted(misses, limit, side="right")) - 1
    found = hits[place]
    if place + 1 < len(hits):
        step = misses[place + 1] - misses[place]
        found += (hits[place + 1] - found) * (limit - misses[place]) / step
    return float(found) / float(hits[-1])


MEASURES = {
    "auroc": Spec(_ranked(area_of)),
    "average_precision": Spec(_ranked(precision_of)),
    "precision_at_n": Spec(_ranked(_precision_at_n)),
    "recall_at_fpr_01": Spec(_ranked(_recall_at_fpr_01)),
}


def measures(outcome: Outcome, names: tuple[str, ...] = tuple(MEASURES)) -> dict[str, tuple[Spec, Measure | str]]:
    """Return the named measures of an outcome, or why there is none."""
    return prepared({name: MEASURES[name] for name in names}, outcome)


def by_chance(outcome: Outcome) -> Outcome:
    """Return what one score for all rows is worth: the area .5, and the share of anomalies as precision."""
    return Outcome(np.zeros(len(outcome.scores)), outcome.targets, np.zeros(len(outcome.scores), bool))


def thresholds(outcome: Outcome, threshold: float) -> list[dict[str, Any]]:
    """Return what thresholds would say: the run's own first, then those that a share of these rows reaches.

    Each has `threshold`, `alarms` (rows), and where the truth is known `recall`, `precision`, `false_alarm_rate`, `f1`.
    """
    scores = np.sort(outcome.scores)[::-1]
    wished = [("the run's own", threshold)]
    for share in SHARES:
        rows = round(share * len(scores))
        if 0 < rows < len(scores) and share * len(scores) >= 1:
            wished.append((f"the top {100 * share:g} % of these rows", float(scores[rows - 1] + scores[rows]) / 2))
    return [{"name": name, "threshold": value} | rates_at(outcome, value) for name, value in wished]


def rates_at(outcome: Outcome, threshold: float) -> dict[str, Any]:
    """Return the alarms of a threshold and how right they are; None where nothing could be counted."""
    said = outcome.scores >= threshold
    known = ~np.isnan(outcome.targets)
    anomalous = outcome.targets == 1
    hits, alarms = int((said & anomalous).sum()), int((said & known).sum())
    there, normal = int(anomalous.sum()), int((known & ~anomalous).sum())
    return {
        "alarms": int(said.sum()),
        "recall": hits / there if there else None,
        "precision": hits / alarms if alarms and there else None,
        "false_alarm_rate": (alarms - hits) / normal if normal else None,
        "f1": 2 * hits / (alarms + there) if there else None,
    }
