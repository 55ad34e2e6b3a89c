"""By how much two runs differ on the same rows, in every metric and slice, and what follows from it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from horngate.pipelines.comparison.shared_rows import Contender
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics.intervals import DRAWS
from horngate.pipelines.statistics.paired import Difference, differences, holm, sign_test
from horngate.pipelines.statistics.slices import slices_of, worth_slicing
from horngate.pipelines.system import progress
from horngate.pipelines.verbs.scores import DRAWS_OF_MANY, MANY, sliced_columns

SURE = 0.05  # adjusted p-values from here on are no difference
SHARE_OF_RIGHT = "accuracy"  # the measure whose difference the exact test of right and wrong answers is about


def metrics_of(
    first: Contender, second: Contender, rows: np.ndarray, groups: np.ndarray | None, only: str | None = None
) -> dict[str, dict[str, Any]]:
    """Return by metric what both runs score on some of the rows, and the difference; one metric alone where `only`."""
    parts = [replace(one, answers=one.answers.take(rows)) for one in (first, second)]
    both = [one.task.evaluator.metrics(one.task.evaluator.outcome(one.answers)) for one in parts]
    names = [name for name in both[0] if name in both[1] and only in (None, name)]
    usable = [name for name in names if not any(isinstance(found[name][1], str) for found in both)]
    measures = [{name: found[name][1] for name in usable} for found in both]
    units = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
    draws = DRAWS if only is None or first.answers.num_rows <= MANY else DRAWS_OF_MANY
    raised = tuple(name for name in usable if both[0][name][0].raised)
    found = differences(*measures, len(rows), units, draws, raised=raised)
    ones = np.ones(len(rows))
    scores = {}
    for name in names:
        spec = both[0][name][0]
        reasons = [one[name][1] for one in both if isinstance(one[name][1], str)]
        values = [_finite(one[name](ones)) if name in one else None for one in measures]
        scores[name] = dict(zip("ab", values, strict=True)) | _plain(found.get(name, Difference(None)), reasons)
        scores[name] |= {"higher_is_better": spec.higher_is_better, "unit": spec.unit}
    if scores.get(SHARE_OF_RIGHT, {}).get("p_value") is not None:
        scores[SHARE_OF_RIGHT]["p_value"] = _exact(*parts, units, scores[SHARE_OF_RIGHT]["p_value"])
    return scores


def slices_between(
    first: Contender, second: Contender, groups: np.ndarray | None, headline: str, by: tuple[str, ...] | None
) -> list[dict[str, Any]]:
    """Return the difference of the headline metric in every slice, the largest first.

    Raises:
        UserError: a column to slice by is missing.
    """
    found = []
    for column, value, rows in progress.tracked(_sliced(first, by), "comparing slices"):
        score = metrics_of(first, second, rows, groups, only=headline).get(headline)
        if score is not None:
            kept = {name: score[name] for name in ("a", "b", "difference", "low", "high", "p_value")}
            found.append({"column": column, "value": value, "rows": len(rows), "metric": headline} | kept)
    for part, p_adjusted in zip(found, holm([part["p_value"] for part in found]), strict=True):
        part["p_adjusted"] = p_adjusted
        part["moved"] = p_adjusted is not None and not _unsure(part)
    return sorted(found, key=lambda part: -abs(part["difference"] or 0.0))


def judge(found: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Add adjusted p-values and verdicts to a metric's scores in several comparisons of (a, b)."""
    for (first, second, score), p_adjusted in zip(found, holm([score["p_value"] for *_, score in found]), strict=True):
        score["p_adjusted"] = p_adjusted
        score["better"], score["verdict"] = _verdict(first, second, score)


def _verdict(first: str, second: str, score: dict[str, Any]) -> tuple[str | None, str]:
    if score["p_adjusted"] is None:
        return None, f"unknown: {score['reason']}"
    chance = "p < 0.001" if score["p_adjusted"] < 0.001 else f"p = {score['p_adjusted']:.3f}"
    low, high = score["low"], score["high"]
    if _unsure(score):
        return None, f"no difference: {score['difference']:+.4f} [{low:+.4f}, {high:+.4f}], {chance}"
    better = second if (score["difference"] > 0) == score["higher_is_better"] else first
    ends = sorted((abs(low), abs(high)))
    return better, f"{better} is better by {abs(score['difference']):.4f} [{ends[0]:.4f}, {ends[1]:.4f}], {chance}"


def _unsure(score: dict[str, Any]) -> bool:
    """Whether zero is a possible difference, by the interval or by the adjusted p-value."""
    return score["low"] <= 0 <= score["high"] or score["p_adjusted"] >= SURE


def _plain(found: Difference, reasons: list[str]) -> dict[str, Any]:
    values = {"difference": found.value, "low": found.low, "high": found.high, "p_value": found.p_value}
    if found.low is None:
        values["reason"] = reasons[0] if reasons else "no interval: too few rows or groups to draw from"
    return values


def _exact(first: Contender, second: Contender, groups: np.ndarray | None, otherwise: float) -> float:
    """Return the exact p-value of right and wrong answers, or the other one for a task without."""
    before, after = first.task.evaluator.correct(first.answers), second.task.evaluator.correct(second.answers)
    if before is None or after is None:
        return otherwise
    return sign_test(after.astype(np.int64) - before, groups)


def _sliced(one: Contender, by: tuple[str, ...] | None) -> Iterator[tuple[str, str, np.ndarray]]:
    answers = one.answers
    if by is None:
        targets = ["target"] if worth_slicing(answers["target"].to_pylist()) else []
        by = (*targets, *sliced_columns(one.task, answers))
    for column in by:
        if column not in answers.column_names:
            raise UserError(f"no column {column} to slice by. Columns: {', '.join(answers.column_names)}")
        for value, rows in slices_of(answers[column].to_pylist()):
            yield column, value, rows


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
