"""Measures of classes in order: how far off answers are, not only whether."""

import numpy as np

from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.statistics.intervals import Measure, Uncomputable


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
