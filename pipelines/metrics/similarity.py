"""Measures of pairs: how well similarities follow scores, or how well a text finds its own second one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from horngate.pipelines.statistics.intervals import ByRow, Measure, Spec, Uncomputable, prepared

ROWS = 1024  # of a block of similarities, so that those of all rows are never held at once
EQUAL = 1e-6  # cosines that are no farther apart are ties


@dataclass(frozen=True)
class Outcome(ByRow):
    """What is known of pairs that were answered.

    Attributes:
        scores: float64 `[n]`, the similarity of each pair.
        targets: float64 `[n]`, the score that it was given; None where pairs have none.
        reciprocal: float64 `[n]`, one by the place of a row's own second text among those of all rows, or None.
        first: float64 `[n]`, whether that place is the first (a share where several tie), or None.
        candidates: how many second texts there were.
    """

    scores: np.ndarray
    targets: np.ndarray | None = None
    reciprocal: np.ndarray | None = None
    first: np.ndarray | None = None
    candidates: int = 0


def found(firsts: Any, seconds: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each row, one by the place of its own second text among all, and whether it is the first.

    Where similarities tie, both are expectations over the order of those that tie (McSherry & Najork 2008), so that an
    encoder that gives all texts one vector scores by chance.

    Args:
        firsts, seconds: `[n, d]` of length 1, arrays or sparse matrices.
    """
    count = firsts.shape[0]
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, count + 1))])
    reciprocal, first = np.zeros(count), np.zeros(count)
    for start in range(0, count, ROWS):
        rows = np.arange(start, min(start + ROWS, count))
        block = firsts[rows] @ seconds.T
        block = block.toarray() if hasattr(block, "toarray") else block
        own = block[rows - start, rows][:, None]
        above = (block > own + EQUAL).sum(1)
        alike = (np.abs(block - own) <= EQUAL).sum(1)  # itself among them
        reciprocal[rows] = (harmonic[above + alike] - harmonic[above]) / alike
        first[rows] = (above == 0) / alike
    return reciprocal, first


def by_chance(outcome: Outcome) -> Outcome:
    """Return what one similarity for all pairs scores."""
    rows, count = len(outcome.scores), max(outcome.candidates, 1)
    if outcome.targets is not None:
        return Outcome(np.zeros(rows), outcome.targets)
    chance = float(np.mean(1 / np.arange(1, count + 1)))
    return Outcome(np.zeros(rows), None, np.full(rows, chance), np.full(rows, 1 / count), count)


def ranked(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from weights to ranks, as if each value stood there as often as its weight; ties share one."""
    _, place = np.unique(values, return_inverse=True)

    def ranks(weights: np.ndarray) -> np.ndarray:
        each = np.bincount(place, weights)
        return (np.cumsum(each) - (each - 1) / 2)[place]

    return ranks


def correlation(left: np.ndarray, right: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted correlation (Pearson); 0 where `left` is all the same, NaN where `right` is."""
    total = weights.sum()
    left, right = left - weights @ left / total, right - weights @ right / total
    spread = [float(weights @ part**2) for part in (left, right)]
    least = [1e-18 * total * max(1.0, float(np.abs(part).max())) ** 2 for part in (left, right)]
    if spread[1] <= least[1]:
        return float("nan")
    return float(weights @ (left * right)) / float(np.sqrt(spread[0] * spread[1])) if spread[0] > least[0] else 0.0


def _spearman(outcome: Outcome) -> Measure:
    said, given = ranked(outcome.scores), ranked(_varied(outcome.targets))
    return lambda weights: correlation(said(weights), given(weights), weights)


def _pearson(outcome: Outcome) -> Measure:
    said, given = outcome.scores, _varied(outcome.targets)
    return lambda weights: correlation(said, given, weights)


def _varied(targets: np.ndarray) -> np.ndarray:
    if np.ptp(targets) == 0:
        raise Uncomputable("all pairs have the same score")
    return targets


def _mean(name: str) -> Callable[[Outcome], Measure]:
    def prepare(outcome: Outcome) -> Measure:
        values = getattr(outcome, name)
        return lambda weights: float(weights @ values) / float(weights.sum())

    return prepare


SCORED = {"spearman": Spec(_spearman, unit=""), "pearson": Spec(_pearson, unit="")}
BARE = {"mrr": Spec(_mean("reciprocal")), "recall_at_1": Spec(_mean("first"))}


def measures(outcome: Outcome) -> dict[str, tuple[Spec, Measure | str]]:
    """Return the measures that fit an outcome: of scores, where there are any, else of places."""
    return prepared(BARE if outcome.targets is None else SCORED, outcome)
