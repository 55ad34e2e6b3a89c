"""Measures of detecting each class by its score: every row is one trial for each class, as in keyword spotting."""

import numpy as np

from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.statistics.intervals import Measure, Uncomputable

MOST_THRESHOLDS = 4000


def eer(outcome: Outcome) -> Measure:
    """Equal error rate of all classes' trials together: where as large a share of the hits is missed as of the others taken.

    Between two thresholds both rates are interpolated linearly. Rows with an unlearnt label are trials without a hit.
    """
    edges = _thresholds(outcome)
    places = np.searchsorted(edges, outcome.scores, side="right")  # [n, classes], 0 … len(edges)
    hit = outcome.targets > 0
    rows = np.repeat(np.arange(len(hit)), hit.shape[1]).reshape(hit.shape)

    def measure(weights: np.ndarray) -> float:
        hits = np.bincount(places[hit], weights[rows[hit]], len(edges) + 1)
        others = np.bincount(places[~hit], weights[rows[~hit]], len(edges) + 1)
        if not hits.sum() or not others.sum():
            return np.nan
        missed = np.concatenate([[0.0], np.cumsum(hits)]) / hits.sum()  # below each threshold, from none to all
        taken = 1 - np.concatenate([[0.0], np.cumsum(others)]) / others.sum()
        return _crossing(missed, taken)

    return measure


def det(outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of others taken (false alarms) and of hits missed, float64, as the threshold rises.

    Raises:
        Uncomputable: no trial with a hit, or none without.
    """
    edges = _thresholds(outcome)
    hit = outcome.targets > 0
    hits, others = np.sort(outcome.scores[hit]), np.sort(outcome.scores[~hit])
    missed = np.searchsorted(hits, edges) / len(hits)
    taken = 1 - np.searchsorted(others, edges) / len(others)
    return taken, missed


def _thresholds(outcome: Outcome) -> np.ndarray:
    hit = outcome.targets > 0
    if hit.all() or not hit.any():
        raise Uncomputable("no trial with a hit, or none without")
    found = np.unique(outcome.scores)
    if len(found) <= MOST_THRESHOLDS:
        return found
    return found[np.unique(np.linspace(0, len(found) - 1, MOST_THRESHOLDS).astype(int))]


def _crossing(rising: np.ndarray, falling: np.ndarray) -> float:
    """Return the value where one curve from 0 to 1 meets another from 1 to 0."""
    gap = rising - falling
    place = int(np.argmax(gap >= 0))
    if place == 0 or gap[place] == gap[place - 1]:
        return float((rising[place] + falling[place]) / 2)
    share = -gap[place - 1] / (gap[place] - gap[place - 1])
    return float(rising[place - 1] + share * (rising[place] - rising[place - 1]))
