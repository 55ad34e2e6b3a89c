"""DeLong's interval of an area under the ROC curve, for single rows and for groups of rows."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from horngate.pipelines.statistics.intervals import Uncomputable

NORMAL = 1.959964  # standard deviations on each side of 95 %


@dataclass(frozen=True)
class Area:
    """An area under the ROC curve with its standard error and 95 % interval, which is cut at 0 and 1."""

    value: float
    error: float
    low: float
    high: float


def area_of(targets: np.ndarray, scores: np.ndarray, groups: np.ndarray | None = None) -> Area:
    """Return the area with DeLong's standard error (DeLong et al. 1988), by midranks (Sun & Xu 2014).

    With groups it is the one for clustered rows (Obuchowski 1997), which equals DeLong's where each row is alone.

    Args:
        targets: bool `[n]`, whether a row is positive.
        scores: float `[n]`.
        groups: int `[n]`, numbers of the groups, or None.

    Raises:
        Uncomputable: fewer than two positives or negatives, or groups.
    """
    positives, negatives = scores[targets], scores[~targets]
    m, n = len(positives), len(negatives)
    if min(m, n) < 2:
        raise Uncomputable("fewer than two positives or two negatives")
    together = rankdata(np.concatenate([positives, negatives]))
    above = (together[:m] - rankdata(positives)) / n  # of each positive: share of the negatives below it
    below = 1 - (together[m:] - rankdata(negatives)) / m  # of each negative: share of the positives above it
    area = float(above.mean())
    parts = np.zeros(len(scores))
    parts[targets], parts[~targets] = (above - area) / m, (below - area) / n
    error = float(np.sqrt(_variance(parts, targets, np.arange(len(scores)) if groups is None else groups)))
    return Area(area, error, max(area - NORMAL * error, 0.0), min(area + NORMAL * error, 1.0))


def _variance(parts: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> float:
    """Return the variance of a sum of parts that are independent between groups, of positives and of negatives apart."""
    _, places = np.unique(groups, return_inverse=True)
    count = int(places.max()) + 1
    sums = [np.bincount(places[side], parts[side], count) for side in (targets, ~targets)]
    held = [np.bincount(places[side], minlength=count) > 0 for side in (targets, ~targets)]
    if min(there.sum() for there in held) < 2:
        raise Uncomputable("positives or negatives of one group only")
    own = sum(float(there.sum() / (there.sum() - 1) * (part**2).sum()) for part, there in zip(sums, held, strict=True))
    return max(own + 2 * count / (count - 1) * float(sums[0] @ sums[1]), 0.0)
