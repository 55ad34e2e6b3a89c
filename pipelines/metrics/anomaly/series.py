"""Measures of anomaly detection in series: of rows, of labelled ranges of rows, and of alarms in time."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from horngate.pipelines.metrics.anomaly import detection, events
from horngate.pipelines.metrics.anomaly.events import Events, Timeline
from horngate.pipelines.metrics.anomaly.ranges import BUFFER, vus_pr
from horngate.pipelines.statistics.intervals import Measure, Spec, Uncomputable, prepared

SEVERAL = 10  # series, from which on a bootstrap draws them whole
BLOCKS = 20  # that a series is cut into where there are fewer
LEAST = 10  # rows of a block


@dataclass(frozen=True)
class Outcome(detection.Outcome):
    """What is known of rows of series that were scored.

    Attributes:
        series: int64 `[n]`, the number of each row's series; its rows are in the order in which they came.
        seconds: float64 `[n]`, the time of each row.
        units: int64 `[n]`, what a bootstrap draws together.
        drawn: what that is, in words.
    """

    series: np.ndarray
    seconds: np.ndarray
    units: np.ndarray
    drawn: str

    @cached_property
    def order(self) -> np.ndarray:
        """int64 `[n]`: the rows, those of a series together."""
        return np.argsort(self.series, kind="stable")

    @cached_property
    def labelled(self) -> np.ndarray:
        """bool `[n]`, in `order`: which rows are known anomalies.

        Raises:
            Uncomputable: no row has a target.
        """
        if np.isnan(self.targets).all():
            raise Uncomputable("no row has a target")
        return (self.targets == 1)[self.order]

    @cached_property
    def events(self) -> Events:
        """Labelled events and alarms."""
        timeline = Timeline.of(self.series[self.order], self.seconds[self.order])
        return Events(timeline, self.labelled, self.chosen[self.order])


def units_of(series: np.ndarray) -> tuple[np.ndarray, str]:
    """Return int64 `[n]`, what a bootstrap draws together, and what that is.

    Neighbouring rows are alike, so no row is drawn alone: whole series where there are at least ten, else blocks of
    successive rows (Künsch 1989), about twenty a series.
    """
    names, numbers = np.unique(series, return_inverse=True)
    if len(names) >= SEVERAL:
        return numbers, "series"
    units, before = np.zeros(len(series), np.int64), 0
    for number in range(len(names)):
        rows = np.flatnonzero(numbers == number)
        blocks = max(1, min(BLOCKS, len(rows) // LEAST))
        units[rows] = before + np.arange(len(rows)) * blocks // len(rows)
        before += blocks
    return units, "blocks of successive rows"


def f1(outcome: Outcome) -> Measure:
    """Harmonic mean of precision and recall of the flagged rows, row by row, without any adjustment."""
    known, true = ~np.isnan(outcome.targets), outcome.targets == 1
    if not true.any():
        raise Uncomputable("no row is a known anomaly")
    hits, said = (outcome.chosen & true).astype(np.float64), (outcome.chosen & known).astype(np.float64)
    there = true.astype(np.float64)

    def measure(weights: np.ndarray) -> float:
        total = float(weights @ said + weights @ there)
        return 2 * float(weights @ hits) / total if weights @ there > 0 else np.nan

    return measure


def _in_order(prepare: Callable[[Outcome], Measure]) -> Callable[[Outcome], Measure]:
    def prepared(outcome: Outcome) -> Measure:
        measure, order = prepare(outcome), outcome.order
        return lambda weights: measure(weights[order])

    return prepared


def _vus_pr(outcome: Outcome) -> Measure:
    order = outcome.order
    return vus_pr(outcome.labelled, outcome.scores[order], outcome.series[order], outcome.units[order], BUFFER)


MEASURES = {
    "vus_pr": Spec(_in_order(_vus_pr)),
    "average_precision": detection.MEASURES["average_precision"],
    "f1": Spec(f1),
    "event_f1": Spec(_in_order(lambda outcome: events.event_f1(outcome.events))),
    "detection_delay": Spec(_in_order(lambda outcome: events.detection_delay(outcome.events)), False, "seconds"),
    "false_alarms_per_day": Spec(
        _in_order(lambda outcome: events.false_alarms_per_day(outcome.events)), False, "per day"
    ),
}


def measures(outcome: Outcome) -> dict[str, tuple[Spec, Measure | str]]:
    """Return all measures of an outcome, or why there is none."""
    return prepared(MEASURES, outcome)


def by_chance(outcome: Outcome) -> Outcome:
    """Return the same scores and alarms in a random order: what they would be worth if they knew nothing."""
    rows = np.random.default_rng(0).permutation(len(outcome.scores))
    others = (outcome.series, outcome.seconds, outcome.units, outcome.drawn)
    return Outcome(outcome.scores[rows], outcome.targets, outcome.chosen[rows], *others)
