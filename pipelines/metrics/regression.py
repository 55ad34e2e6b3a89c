"""Metrics of numbers against numbers, functions of row weights; outcomes have `scores` and `targets`, float64 `[n]`."""

from typing import Any

import numpy as np

from horngate.pipelines.statistics.intervals import Measure


def rmse(outcome: Any) -> Measure:
    """Return the root of the mean squared error."""
    errors = np.square(outcome.scores - outcome.targets)
    return lambda weights: float(np.sqrt(weights @ errors / weights.sum()))


def mae(outcome: Any) -> Measure:
    """Return the mean absolute error."""
    errors = np.abs(outcome.scores - outcome.targets)
    return lambda weights: float(weights @ errors) / float(weights.sum())
