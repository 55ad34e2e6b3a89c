"""Calibration: whether scores mean what they say, and the one temperature that mends most of it."""

import numpy as np
from scipy.optimize import minimize_scalar

from horngate.pipelines.metrics.classification import BINS, LEAST, Outcome

LEAST_ROWS = 30  # a temperature fitted on fewer says nothing


def fitted_temperature(outcome: Outcome) -> float:
    """Return the temperature with the lowest log loss on these rows (Guo et al. 2017, arXiv 1706.04599).

    The scores should come from temperature 1. Fewer than 30 rows give 1. Targets are smoothed as if one more row had come
    out wrong (after Platt 1999): rows that are all right would otherwise ask for scores of 1.
    """
    if len(outcome.scores) < LEAST_ROWS:
        return 1.0
    targets = _smoothed(outcome)
    found = minimize_scalar(
        lambda power: _loss(at_temperature(outcome.scores, np.exp(power), outcome.several), targets, outcome.several),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
    )
    return float(np.exp(found.x))


def _smoothed(outcome: Outcome) -> np.ndarray:
    """Return targets `[n, classes]` of which 1 / (n + 2) is moved to the other classes."""
    rows, classes = outcome.targets.shape
    moved = 1 / (rows + 2)
    if outcome.several:
        return moved + (1 - 2 * moved) * outcome.targets
    known = outcome.targets.any(1, keepdims=True)  # a label that was never learnt says nothing
    return (1 - moved) * outcome.targets + known * moved * (1 - outcome.targets) / max(classes - 1, 1)


def at_temperature(scores: np.ndarray, temperature: float, several: bool) -> np.ndarray:
    """Return what scores of temperature 1 would be at another, from `[n, classes]` to the same shape."""
    scores = np.clip(scores.astype(np.float64), LEAST, 1 - LEAST)
    if several:
        return 1 / (1 + ((1 - scores) / scores) ** (1 / temperature))
    logits = np.log(scores) / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def reliability(outcome: Outcome) -> list[dict]:
    """Return the reliability diagram's bins: rows, mean confidence and accuracy of the highest score."""
    confidence = outcome.scores.max(1)
    right = outcome.scores.argmax(1) == outcome.truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {
            "low": place / BINS,
            "high": (place + 1) / BINS,
            "rows": int((bins == place).sum()),
            "confidence": float(confidence[bins == place].mean()),
            "accuracy": float(right[bins == place].mean()),
        }
        for place in range(BINS)
        if (bins == place).any()
    ]


def _loss(scores: np.ndarray, targets: np.ndarray, several: bool) -> float:
    scores = np.clip(scores, LEAST, 1 - LEAST)
    loss = targets * np.log(scores)
    if several:
        loss = loss + (1 - targets) * np.log1p(-scores)
    return float(-loss.sum(1).mean())
