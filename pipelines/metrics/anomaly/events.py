"""Events of a series: labelled windows found or missed, alarms right or false, and thresholds for a budget of alarms."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from horngate.pipelines.metrics.anomaly.ranges import ranges_of
from horngate.pipelines.statistics.intervals import ByRow, Measure, Uncomputable

DAY = 86_400.0  # seconds


@dataclass(frozen=True)
class Timeline(ByRow):
    """When the rows were.

    Attributes:
        series: int64 `[n]`; rows of a series stand together, in the order in which they came.
        seconds: float64 `[n]`, time of each row.
        spans: float64 `[n]`, seconds that each row stands for.
    """

    series: np.ndarray
    seconds: np.ndarray
    spans: np.ndarray

    @classmethod
    def of(cls, series: np.ndarray, seconds: np.ndarray, gap: float = 10.0) -> "Timeline":
        """Return the timeline of rows at these seconds.

        A row stands for the time to the next one of its series. At the end of a series, before a gap of more than `gap`
        usual steps (the median of the series) and before a step back in time, it stands for one usual step.
        """
        spans = np.zeros(len(series))
        for rows in np.split(np.arange(len(series)), np.flatnonzero(np.diff(series)) + 1):
            steps = np.diff(seconds[rows])
            usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 0.0
            steps = np.append(steps, usual)
            spans[rows] = np.where((steps < 0) | (steps > gap * usual), usual, steps)
        return cls(series, seconds, spans)

    def runs(self, marked: np.ndarray) -> np.ndarray:
        """Return int64 `[runs, 2]`: first and last row of each run of marked rows of one series."""
        cuts = [0, *(np.flatnonzero(np.diff(self.series)) + 1), len(marked)]
        found = [
            (start + int(first), start + int(last))
            for start, end in pairwise(cuts)
            for first, last in ranges_of(marked[start:end])
        ]
        return np.array(found, np.int64).reshape(-1, 2)


class Events:
    """Labelled windows and alarms of the same rows, matched.

    An event is a run of labelled rows, an alarm a run of flagged rows. An event is found if any of its rows is flagged;
    an alarm is false if it touches no event (Hundman et al. 2018, arXiv 1802.04431). No label and no answer is changed.
    """

    def __init__(self, timeline: Timeline, targets: np.ndarray, flagged: np.ndarray):
        self.timeline = timeline
        self.events, self.alarms = timeline.runs(targets), timeline.runs(flagged)
        flags, labels = np.append(0, np.cumsum(flagged)), np.append(0, np.cumsum(targets))
        self.found = flags[self.events[:, 1] + 1] > flags[self.events[:, 0]]
        self.false = labels[self.alarms[:, 1] + 1] == labels[self.alarms[:, 0]]
        places = np.append(np.flatnonzero(flagged), len(flagged))
        self.first = places[np.searchsorted(places, self.events[:, 0])]

    @property
    def delays(self) -> np.ndarray:
        """float64 `[events]`: seconds from the begin of an event to its first flag; its whole length where it is missed."""
        at, seconds = np.where(self.found, self.first, self.events[:, 1]), self.timeline.seconds
        return seconds[at] - seconds[self.events[:, 0]]


def event_f1(events: Events) -> Measure:
    """Harmonic mean of the share of events that were found and the share of alarms that were right.

    With F found events, M missed ones and A false alarms it is 2F / (2F + M + A). One alarm that never ends finds every
    event: read it beside f1.
    """
    if not len(events.events):
        raise Uncomputable("the rows hold no labelled event")
    starts, alarms = events.events[:, 0], events.alarms[events.false, 0]

    def measure(weights: np.ndarray) -> float:
        found, all_events = weights[starts] @ events.found, weights[starts].sum()
        total = found + all_events + weights[alarms].sum()
        return float(2 * found / total) if all_events > 0 else np.nan

    return measure


def detection_delay(events: Events) -> Measure:
    """Mean seconds from the begin of an event to its first flagged row; a missed event counts with its whole length."""
    if not len(events.events):
        raise Uncomputable("the rows hold no labelled event")
    starts, delays = events.events[:, 0], events.delays

    def measure(weights: np.ndarray) -> float:
        total = weights[starts].sum()
        return float(weights[starts] @ delays / total) if total > 0 else np.nan

    return measure


def false_alarms_per_day(events: Events) -> Measure:
    """Alarms that touch no labelled event, by the time that the rows stand for."""
    if not events.timeline.spans.sum() > 0:
        raise Uncomputable("the rows take no time")
    alarms, days = events.alarms[events.false, 0], events.timeline.spans / DAY

    def measure(weights: np.ndarray) -> float:
        total = float(weights @ days)
        return float(weights[alarms].sum() / total) if total > 0 else np.nan

    return measure


def threshold_for_alarms(timeline: Timeline, scores: np.ndarray, per_day: float) -> float:
    """Return the lowest threshold from which on upwards no threshold raises more than `per_day` alarms a day.

    It is never below the one with most alarms: from there on down they only run together.
    It stands midway between two scores. All distinct scores are tried at once: a row begins an alarm
    at every threshold that it reaches and the row before it in its series doesn't.
    """
    same = np.append(False, timeline.series[1:] == timeline.series[:-1])
    before = np.where(same, np.append(-np.inf, scores[:-1]), -np.inf)
    cuts = np.unique(scores)
    reached = len(scores) - np.searchsorted(np.sort(scores), cuts, side="left")
    carried = len(scores) - np.searchsorted(np.sort(np.minimum(scores, before)), cuts, side="left")
    allowed = per_day * timeline.spans.sum() / DAY
    counts = reached - carried
    most = int(np.flatnonzero(counts == counts.max())[-1])
    over = np.flatnonzero(counts[most:] > allowed) + most
    edges = np.concatenate([[cuts[0] - 1e-3], (cuts[1:] + cuts[:-1]) / 2, [cuts[-1] + 1e-3]])
    return float(edges[over[-1] + 1 if len(over) else most])
