"""Split conformal sets: sets of labels that hold the true one with a wished probability (Sadinle et al. 2019)."""

import numpy as np

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics.thresholds import SAME


def fitted_quantile(targets: np.ndarray, scores: np.ndarray, coverage: float) -> float:
    """Return the quantile of 1 − score of the true class, with the correction for a finite number of rows.

    It stands midway between two rows, so that rounding can't move a row's true class out of its set.

    Args:
        targets: float32 `[n, classes]`, one-hot.
        scores: float32 `[n, classes]` of rows that the model wasn't trained on.
        coverage: wished probability that a set holds the true label.

    Raises:
        UserError: too few rows for this coverage.
    """
    count = len(targets)
    rank = int(np.ceil((count + 1) * coverage))
    if rank > count:
        needed = int(np.ceil(coverage / (1 - coverage)))
        raise UserError(f"conformal sets of {coverage:.1%} need at least {needed} validation rows. Received: {count}")
    strange = np.sort(1 - (scores * targets).sum(1))
    least = float(strange[rank - 1])
    return (least + float(strange[strange > least + SAME].min(initial=1 + 2 * SAME))) / 2


def coverage_by_class(sets: list[list[str]], targets: list[str], labels: tuple[str, ...]) -> list[dict]:
    """Return for each class its rows and how often the sets hold it (None where it has no rows).

    Sets are promised for the mix of classes that they were fitted on; in another mix the coverage moves towards that of the
    class that there is more of.
    """
    held = {
        label: [label in members for members, target in zip(sets, targets, strict=True) if target == label]
        for label in labels
    }
    return [
        {"label": label, "rows": len(rows), "coverage": float(np.mean(rows)) if rows else None}
        for label, rows in held.items()
    ]


def coverage_of(sets: list[list[str]], targets: list[str]) -> dict[str, float]:
    """Return how often the sets hold the target, with its exact binomial interval (Clopper & Pearson 1934), their mean size,

    and the share of rows to abstain on.
    """
    from scipy.stats import binomtest

    held = sum(target in members for members, target in zip(sets, targets, strict=True))
    span = binomtest(held, len(sets)).proportion_ci()
    return {
        "coverage": held / len(sets),
        "low": float(span.low),
        "high": float(span.high),
        "mean_size": float(np.mean([len(members) for members in sets])),
        "abstained": float(np.mean([len(members) != 1 for members in sets])),
    }
