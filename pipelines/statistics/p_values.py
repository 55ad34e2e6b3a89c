"""Conformal p-values of scores: how usual it would be for a normal row to score as high (Bates et al. 2023).

Bates, Candès, Lei, Romano, Sesia: Testing for outliers with conformal p-values, Annals of Statistics 51 (1).
"""

import numpy as np

from horngate.pipelines.statistics.thresholds import SAME


def p_values(scores: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return float64 `[n]`: (1 + how many held-out scores are as high or higher) / (1 + how many there are).

    A p-value of a normal row is at most u with a probability of at most u. Anomalies among the held-out rows make it
    larger, never smaller.

    Args:
        scores: float `[n]`, higher for stranger rows.
        held: float `[m]`, sorted, of rows that nothing was fitted on and that are normal or unlabelled.
    """
    below = np.searchsorted(held, np.asarray(scores, np.float64) - SAME, side="left")
    return (1.0 + len(held) - below) / (1.0 + len(held))


def threshold_at(held: np.ndarray, share: float) -> float:
    """Return the threshold that at most this share of the held-out scores reaches; it stands midway between two of them.

    Args:
        held: float `[m]`, sorted, m ≥ 1.
        share: between 0 and 1.
    """
    reaching = int(np.floor(share * len(held) + 1e-9))
    if reaching == 0:
        return float(held[-1]) + max(1e-3, 2 * SAME)
    if reaching == len(held):
        return float(held[0]) - SAME
    last = float(held[len(held) - reaching])
    below = held[held < last - SAME]
    above = held[held > last + SAME]
    if len(held) - len(below) <= reaching:
        return (last + float(below[-1])) / 2 if len(below) else last - SAME
    return (last + float(above[0])) / 2 if len(above) else last + max(1e-3, 2 * SAME)


def best_f1(targets: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Return the threshold with the greatest F1 on some rows, midway between two scores, and that F1.

    Args:
        targets: bool `[n]`, true for anomalies; both kinds are there.
        scores: float `[n]`.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.diff(ranked, append=-np.inf) < -SAME)
    hits = np.cumsum(targets[order])[ends]
    f1 = 2 * hits / (ends + 1 + targets.sum())
    best = int(f1.argmax())
    last = float(ranked[ends[best]])
    after = float(ranked[ends[best] + 1]) if ends[best] + 1 < len(ranked) else last - 2e-3
    return (last + after) / 2, float(f1[best])
