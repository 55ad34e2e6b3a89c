"""Measures of classification, each a function of row weights, so that a bootstrap needs no copy of the rows."""

import threading
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from horngate.pipelines.statistics.intervals import ByRow, Measure, Spec, Uncomputable

BINS = 15  # of the expected calibration error, of equal width (Guo et al. 2017)
LEAST = 1e-7  # scores are float32: smaller ones count as this in the log loss


@dataclass(frozen=True)
class Outcome(ByRow):
    """What is known of rows that were answered.

    Attributes:
        targets: float32 `[n, classes]`, one-hot or multi-hot.
        scores: float32 `[n, classes]`.
        chosen: int64 `[n]` or, with several labels, bool `[n, classes]`.
        positive: place of the positive class, or None.
    """

    targets: np.ndarray
    scores: np.ndarray
    chosen: np.ndarray
    positive: int | None = None

    @property
    def several(self) -> bool:
        return self.chosen.ndim == 2

    @property
    def truth(self) -> np.ndarray:
        """int64 `[n]`: the true class of each row with one label; -1 for a label that was never learnt."""
        return np.where(self.targets.any(1), self.targets.argmax(1), -1)

    @cached_property
    def ranking(self) -> "Ranking":
        """The rows ranked by the positive class's score."""
        return Ranking(self.targets[:, self.positive], self.scores[:, self.positive])


def _mean(values: np.ndarray) -> Measure:
    values = values.astype(np.float64)
    return lambda weights: float(weights @ values) / float(weights.sum())


def accuracy(outcome: Outcome) -> Measure:
    """Share of rows whose answer is the target."""
    return _mean(outcome.chosen == outcome.truth)


def macro_f1(outcome: Outcome) -> Measure:
    """F1 averaged over the classes that stand among targets or answers."""
    classes = outcome.targets.shape[1] + 1  # one more for targets that were never learnt
    cells = (outcome.truth % classes) * classes + outcome.chosen

    def measure(weights: np.ndarray) -> float:
        table = np.bincount(cells, weights, classes * classes).reshape(classes, classes)
        total = table.sum(0) + table.sum(1)
        present = total > 0
        return float((2 * table.diagonal()[present] / total[present]).mean()) if present.any() else np.nan

    return measure


def log_loss(outcome: Outcome) -> Measure:
    """Mean negative logarithm of the score of the target (natural logarithm)."""
    scores = np.clip(outcome.scores.astype(np.float64), LEAST, 1 - LEAST)
    if outcome.several:
        return _mean(-(outcome.targets * np.log(scores) + (1 - outcome.targets) * np.log1p(-scores)).mean(1))
    picked = np.take_along_axis(scores, outcome.truth[:, None], 1)[:, 0]
    return _mean(-np.log(np.where(outcome.truth < 0, LEAST, picked)))


def ece(outcome: Outcome) -> Measure:
    """Expected calibration error of the highest score: 15 bins of equal width."""
    confidence = outcome.scores.max(1).astype(np.float64)
    gap = (outcome.scores.argmax(1) == outcome.truth) - confidence
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)

    def measure(weights: np.ndarray) -> float:
        return float(np.abs(np.bincount(bins, weights * gap, BINS)).sum()) / float(weights.sum())

    return measure


def auroc(outcome: Outcome) -> Measure:
    """Area under the ROC curve of the positive class; ties count half."""
    return outcome.ranking.measure(area_of)


def average_precision(outcome: Outcome) -> Measure:
    """Average precision of the positive class: precision summed over steps of recall, without interpolation."""
    return outcome.ranking.measure(precision_of)


def brier(outcome: Outcome) -> Measure:
    """Mean squared difference of the positive class's score and 0 or 1."""
    return _mean((outcome.scores[:, outcome.positive] - outcome.targets[:, outcome.positive]) ** 2)


def macro_average_precision(outcome: Outcome) -> Measure:
    """Average precision, averaged over the labels that some row has and some row lacks."""
    usable = [
        place for place in range(outcome.targets.shape[1]) if 0 < outcome.targets[:, place].sum() < len(outcome.targets)
    ]
    if not usable:
        raise Uncomputable("no label that some rows have and others lack")
    parts = [Ranking(outcome.targets[:, place], outcome.scores[:, place]).measure(precision_of) for place in usable]
    return lambda weights: float(np.nanmean([part(weights) for part in parts]))


def mean_auroc(outcome: Outcome) -> Measure:
    """Area under the ROC curve of each class against the rest, averaged over those that some row has and some row lacks."""
    places = range(outcome.targets.shape[1])
    usable = [place for place in places if 0 < outcome.targets[:, place].sum() < len(outcome.targets)]
    if not usable:
        raise Uncomputable("no class that some rows have and others lack")
    parts = [Ranking(outcome.targets[:, place], outcome.scores[:, place]).measure(area_of) for place in usable]
    return lambda weights: float(np.nanmean([part(weights) for part in parts]))


def micro_f1(outcome: Outcome) -> Measure:
    """F1 over all (row, label) pairs together."""
    hits = (outcome.chosen & (outcome.targets > 0)).sum(1).astype(np.float64)
    total = (outcome.chosen.sum(1) + outcome.targets.sum(1)).astype(np.float64)
    return lambda weights: 2 * float(weights @ hits) / max(float(weights @ total), 1e-12)


class Ranking:
    """Rows sorted once by score; the sums that rank measures need of row weights, made once for all of them.

    Raises:
        Uncomputable: the rows hold one class only.
    """

    def __init__(self, targets: np.ndarray, scores: np.ndarray):
        if targets.min() == targets.max():
            raise Uncomputable("the rows hold one class only")
        self.order = np.argsort(-scores, kind="stable").astype(np.int32)
        self.positive = targets[self.order] > 0
        ends = np.flatnonzero(np.diff(scores[self.order], append=-np.inf))
        self.ends = slice(None) if len(ends) == len(scores) else ends
        self.kept = threading.local()

    def measure(self, area) -> Measure:
        """Return a measure of row weights: `area` of the weights of positives and of all rows down to each score."""

        def measure(weights: np.ndarray) -> float:
            hits, seen = self._sums(weights)
            return area(hits, seen) if 0 < hits[-1] < seen[-1] else np.nan

        return measure

    def _sums(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if getattr(self.kept, "weights", None) is not weights:
            sorted_weights = weights.astype(np.float32)[
                self.order
            ]  # whole numbers: exact, and half the memory to jump in
            hits = np.cumsum(sorted_weights * self.positive, dtype=np.float64)[self.ends]
            self.kept.sums = hits, np.cumsum(sorted_weights, dtype=np.float64)[self.ends]
            self.kept.weights = weights
        return self.kept.sums


def area_of(hits: np.ndarray, seen: np.ndarray) -> float:
    """Return the area under the ROC curve from the weights of positives and of all rows down to each score."""
    misses = seen - hits
    return float(np.trapezoid(hits, misses) + 0.5 * hits[0] * misses[0]) / float(hits[-1] * misses[-1])


def precision_of(hits: np.ndarray, seen: np.ndarray) -> float:
    """Return the average precision from the weights of positives and of all rows down to each score."""
    gained = np.diff(hits, prepend=0.0)
    return float((gained * hits / np.maximum(seen, 1e-12)).sum()) / float(hits[-1])


MEASURES = {
    "accuracy": Spec(accuracy),
    "macro_f1": Spec(macro_f1),
    "log_loss": Spec(log_loss, False, "nats"),
    "ece": Spec(ece, False, raised=True),
    "auroc": Spec(auroc),
    "average_precision": Spec(average_precision),
    "brier": Spec(brier, False),
    "macro_average_precision": Spec(macro_average_precision),
    "micro_f1": Spec(micro_f1),
}
TWO_CLASSES = ("auroc", "average_precision", "brier")
SEVERAL = ("macro_average_precision", "micro_f1", "log_loss")


def names_for(named: tuple[str, ...], outcome: Outcome) -> tuple[str, ...]:
    """Return the measures that fit an outcome: those a card names, and those of two classes or several labels."""
    if outcome.several:
        return SEVERAL
    if outcome.positive is None:
        return tuple(name for name in named if name not in TWO_CLASSES)
    return tuple(dict.fromkeys((*named, *TWO_CLASSES)))


def confusion(outcome: Outcome) -> np.ndarray:
    """Return int64 `[classes, classes]`: rows are targets, columns answers; rows with an unlearnt label are left out."""
    classes = outcome.targets.shape[1]
    known = outcome.truth >= 0
    cells = outcome.truth[known] * classes + outcome.chosen[known]
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def per_class(outcome: Outcome, labels: tuple[str, ...]) -> list[dict]:
    """Return for each class its rows, precision, recall and F1 (None where undefined)."""
    answered = outcome.chosen if outcome.several else np.eye(len(labels), dtype=bool)[outcome.chosen]
    true = outcome.targets > 0
    hits, said, there = (answered & true).sum(0), answered.sum(0), true.sum(0)
    return [
        {
            "label": label,
            "rows": int(there[place]),
            "precision": float(hits[place] / said[place]) if said[place] else None,
            "recall": float(hits[place] / there[place]) if there[place] else None,
            "f1": float(2 * hits[place] / (said[place] + there[place])) if said[place] + there[place] else None,
        }
        for place, label in enumerate(labels)
    ]


def quadratic_kappa(outcome: Outcome) -> Measure:
    """Cohen's kappa with weights that grow with the square of the distance between grades (Cohen 1968).

    1 for full agreement, 0 for what chance would give. Rows with a grade that was never learnt are left out.
    """
    classes = outcome.targets.shape[1]
    known = outcome.truth >= 0
    if not known.any():
        raise Uncomputable("no row has a grade that was learnt")
    cells = outcome.truth[known] * classes + outcome.chosen[known]
    grades = np.arange(classes)
    costs = (grades[:, None] - grades[None]) ** 2.0

    def measure(weights: np.ndarray) -> float:
        table = np.bincount(cells, weights[known], classes**2).reshape(classes, classes)
        chance = np.outer(table.sum(1), table.sum(0)) / max(table.sum(), 1e-12)
        worst = float((costs * chance).sum())
        return 1 - float((costs * table).sum()) / worst if worst > 0 else np.nan

    return measure
