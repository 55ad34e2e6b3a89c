"""Measures of tagging: entities count as found where start, end and label are all right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from horngate.pipelines.statistics.intervals import ByRow, Measure, Spec, Uncomputable, prepared

Entity = tuple[int, int, str]


@dataclass(frozen=True)
class Entities(ByRow):
    """How many entities each row has, by type.

    Attributes:
        types: names of the types.
        correct, predicted, true: float64 `[n, types]`.
    """

    types: tuple[str, ...]
    correct: np.ndarray
    predicted: np.ndarray
    true: np.ndarray

    @classmethod
    def counted(cls, said: Sequence[Sequence[Entity]], true: Sequence[Sequence[Entity]]) -> "Entities":
        """Return the counts of answers and targets, both by row."""
        types = sorted({label for rows in (said, true) for row in rows for _, _, label in row})
        places = {name: place for place, name in enumerate(types)}
        counts = np.zeros((3, len(said), len(types)))
        for row, (left, right) in enumerate(zip(map(set, said), map(set, true), strict=True)):
            for kind, found in enumerate((left & right, left, right)):
                for _, _, label in found:
                    counts[kind, row, places[label]] += 1
        return cls(tuple(types), *counts)

    def silent(self) -> "Entities":
        """Return what would be counted if no entity were answered."""
        none = np.zeros_like(self.true)
        return Entities(self.types, none, none, self.true)


def _share(above: np.ndarray, below: np.ndarray, empty: float) -> Measure:
    def measure(weights: np.ndarray) -> float:
        total = float(weights @ below)
        return float(weights @ above) / total if total else empty

    return measure


def _known(outcome: Entities) -> None:
    if not outcome.true.any():
        raise Uncomputable("no entity among the targets")


def entity_f1(outcome: Entities) -> Measure:
    """Harmonic mean of precision and recall over all entities together (micro)."""
    _known(outcome)
    return _share(2 * outcome.correct.sum(1), (outcome.predicted + outcome.true).sum(1), np.nan)


def entity_precision(outcome: Entities) -> Measure:
    """Share of the answered entities that are right; 0 where none is answered."""
    return _share(outcome.correct.sum(1), outcome.predicted.sum(1), 0.0)


def entity_recall(outcome: Entities) -> Measure:
    """Share of the true entities that are answered."""
    _known(outcome)
    return _share(outcome.correct.sum(1), outcome.true.sum(1), np.nan)


MEASURES: dict[str, Spec] = {found.__name__: Spec(found) for found in (entity_f1, entity_precision, entity_recall)}


def measures(names: tuple[str, ...], outcome: Entities) -> dict[str, tuple[Spec, Callable | str]]:
    """Return the named measures of an outcome; a sentence in place of one that can't be computed."""
    return prepared({name: MEASURES[name] for name in names}, outcome)


def per_type(outcome: Entities) -> list[dict[str, Any]]:
    """Return for each type its entities, precision, recall and F1 (None where undefined)."""
    correct, said, true = (counts.sum(0) for counts in (outcome.correct, outcome.predicted, outcome.true))
    return [
        {
            "label": name,
            "rows": int(true[place]),
            "precision": float(correct[place] / said[place]) if said[place] else None,
            "recall": float(correct[place] / true[place]) if true[place] else None,
            "f1": float(2 * correct[place] / (said[place] + true[place])),
        }
        for place, name in enumerate(outcome.types)
    ]
