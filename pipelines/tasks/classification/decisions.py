"""How scores become answers: threshold and conformal sets, chosen on validation rows."""

from dataclasses import replace
from typing import Any

from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics import conformal, thresholds
from horngate.pipelines.tasks.classification.labels import Labels

WISHES = ("sensitivity", "specificity", "conformal")


def decided(labels: Labels, outcome: Outcome, sensitivity, specificity, coverage) -> Labels:
    """Return labels with a threshold and a conformal quantile chosen on an outcome, where wished."""
    place = labels.positive_index
    if sensitivity is not None or specificity is not None:
        positive = outcome.targets[:, place] > 0
        chosen = thresholds.threshold_for(positive, outcome.scores[:, place], sensitivity, specificity)
        labels = replace(labels, threshold=chosen)
    if coverage is not None:
        quantile = conformal.fitted_quantile(outcome.targets, outcome.scores, coverage)
        labels = replace(labels, conformal={"coverage": coverage, "quantile": quantile})
    if place is not None and len(outcome):
        threshold = 0.5 if labels.threshold is None else labels.threshold
        rates = thresholds.rates_at(outcome.targets[:, place] > 0, outcome.scores[:, place], threshold)
        labels = replace(labels, on_validation=rates)
    return labels


def wishes_of(run: Run, labels: Labels, options: dict[str, Any]) -> list[float | None]:
    """Return sensitivity, specificity and conformal coverage that a verb was asked for, each of them or None.

    Raises:
        UserError: wishes that don't go with each other, or with the run.
    """
    sensitivity, specificity, coverage = wishes = [options.get(name) for name in WISHES]
    if all(wish is None for wish in wishes):
        return wishes
    if run.card.refit:
        raise UserError(
            "a refitted run has seen its validation rows, so nothing can be chosen on them; train without --refit"
        )
    if sensitivity is not None and specificity is not None:
        raise UserError("give --sensitivity or --specificity, not both")
    if labels.positive is None and (sensitivity, specificity) != (None, None):
        raise UserError(f"--sensitivity and --specificity need two classes. Found: {len(labels.labels)}")
    if labels.several and coverage is not None:
        raise UserError("--conformal needs one label per row")
    return wishes
