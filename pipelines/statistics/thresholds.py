"""Operating points: the threshold for a wished sensitivity or specificity, chosen on validation rows."""

import numpy as np

from horngate.pipelines.spec.errors import UserError

SAME = 1e-6  # scores that rounding alone may tell apart: another batch or runtime computes them a little differently


def threshold_for(
    targets: np.ndarray, scores: np.ndarray, sensitivity: float | None, specificity: float | None
) -> float:
    """Return the threshold on the positive class's score that reaches one of the two wishes and spares the other.

    It stands midway between two rows' scores, never on one, so that rounding can't move a row across it.

    Args:
        targets: bool `[n]`, whether a row is positive.
        scores: float `[n]`, the positive class's score; a row counts as positive from the threshold on.
        sensitivity: wished share of positives found, or None.
        specificity: wished share of negatives spared, or None.

    Raises:
        UserError: the rows lack positives or negatives.
    """
    positives, negatives = np.sort(scores[targets])[::-1], np.sort(scores[~targets])
    if not len(positives) or not len(negatives):
        raise UserError("a threshold needs validation rows of both classes; give --validation a larger share")
    if sensitivity is not None:
        needed = max(int(np.ceil(sensitivity * len(positives) - 1e-9)), 1)
        kept = float(positives[needed - 1])
        return (kept + float(scores[scores < kept - SAME].max(initial=0))) / 2
    spared = int(np.ceil(specificity * len(negatives) - 1e-9))
    if not spared:
        return 0.0
    passed = float(negatives[spared - 1])
    return (passed + float(scores[scores > passed + SAME].min(initial=1 + 2 * SAME))) / 2


def rates_at(targets: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float | None]:
    """Return sensitivity, specificity, PPV and NPV at a threshold; None where nothing could be counted."""
    said = scores >= threshold
    pairs = {
        "sensitivity": (said & targets, targets),
        "specificity": (~said & ~targets, ~targets),
        "ppv": (said & targets, said),
        "npv": (~said & ~targets, ~said),
    }
    rates = {name: float(hit.sum() / of.sum()) if of.any() else None for name, (hit, of) in pairs.items()}
    return {"threshold": float(threshold)} | rates
