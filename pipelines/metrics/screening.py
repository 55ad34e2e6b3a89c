"""Measures of two classes at a threshold, as screening reports them: rates, predictive values, net benefit."""

from typing import Any

import numpy as np

from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.statistics.intervals import Measure, Spec, Uncomputable

THRESHOLDS = np.round(np.arange(0.01, 1.0, 0.01), 2)  # of a decision curve


class Chance(Outcome):
    """Answers that know nothing of the rows: among those said positive, the share of positives is that of all."""


def _share(hit: np.ndarray, of: np.ndarray, lacking: str) -> Measure:
    """Return the weight of `hit` among that of `of`."""
    if not of.any():
        raise Uncomputable(lacking)
    hit, of = (hit & of).astype(np.float64), of.astype(np.float64)

    def measure(weights: np.ndarray) -> float:
        total = float(weights @ of)
        return float(weights @ hit) / total if total > 0 else np.nan

    return measure


def _said(outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
    """Return bool `[n]`: what was answered positive, and what is."""
    return outcome.chosen == outcome.positive, outcome.targets[:, outcome.positive] > 0


def sensitivity(outcome: Outcome) -> Measure:
    """Share of the positives that are answered positive."""
    said, true = _said(outcome)
    return _share(said, true, "no row is positive")


def specificity(outcome: Outcome) -> Measure:
    """Share of the negatives that are answered negative."""
    said, true = _said(outcome)
    return _share(~said, ~true, "no row is negative")


def ppv(outcome: Outcome) -> Measure:
    """Positive predictive value: share of the positive answers that are right."""
    said, true = _said(outcome)
    return _share(true, said | isinstance(outcome, Chance), "no answer is positive")


def npv(outcome: Outcome) -> Measure:
    """Negative predictive value: share of the negative answers that are right."""
    said, true = _said(outcome)
    return _share(~true, ~said | isinstance(outcome, Chance), "no answer is negative")


RATES = {
    "sensitivity": Spec(sensitivity),
    "specificity": Spec(specificity),
    "ppv": Spec(ppv),
    "npv": Spec(npv),
}


def at_prevalence(share: float) -> dict[str, Spec]:
    """Return PPV and NPV as they would be where `share` of all people is positive: Bayes' rule on both rates."""

    def prepared(positive: bool):
        def prepare(outcome: Outcome) -> Measure:
            if isinstance(outcome, Chance):
                return lambda weights: share if positive else 1 - share
            found, spared = sensitivity(outcome), specificity(outcome)

            def measure(weights: np.ndarray) -> float:
                true, false = found(weights) * share, (1 - spared(weights)) * (1 - share)
                if not positive:
                    true, false = spared(weights) * (1 - share), (1 - found(weights)) * share
                return true / (true + false) if true + false > 0 else np.nan

            return measure

        return prepare

    return {"ppv_at_prevalence": Spec(prepared(True)), "npv_at_prevalence": Spec(prepared(False))}


def decision_curve(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the net benefit of acting on scores from each threshold on, and of acting on all (Vickers & Elkin 2006).

    The threshold is the chance at which acting and not acting weigh the same: at 0.1, a missed case counts as nine needless
    actions. Of the positive class; acting on none has a net benefit of 0.
    """
    scores, true = outcome.scores[:, outcome.positive], outcome.targets[:, outcome.positive] > 0
    count, share = len(true), float(true.mean())
    found = []
    for threshold in THRESHOLDS.tolist():
        said, odds = scores >= threshold, threshold / (1 - threshold)
        benefit = float((said & true).sum() - odds * (said & ~true).sum()) / count
        found.append({"threshold": threshold, "net_benefit": benefit, "act_on_all": share - odds * (1 - share)})
    return found
