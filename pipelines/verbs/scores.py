"""From a table of answers to a report: scores with interval, baseline and references, slices, leaks."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.runs.report import Report, Score
from horngate.pipelines.spec.card import task_name
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics.intervals import DRAWS, bootstrap, flawless, numbered
from horngate.pipelines.statistics.slices import slices_of, worth_slicing
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.verbs.answering import TRUTH

MANY = 100_000  # rows; slices of more are drawn less often, since each column costs as much as the whole
DRAWS_OF_MANY = 200
NAMED = 20  # rows that show the same as a training row, in a report


def measured(
    task: Task,
    answers: pa.Table,
    run: str,
    split: str,
    protocol: dict[str, Any],
    by: tuple[str, ...] | None = None,
    references: dict | None = None,
    leaking: np.ndarray | None = None,
) -> Report:
    """Return the report of a labelled table of answers.

    Args:
        by: columns to slice by; None for all kept columns with 2 to 20 values.
        references: scores of rivals on the same rows, as `references.json` holds them.
        leaking: object `[rows]`, for each row the id of a training row that shows the same, or None; the report names
            some of them and adds the scores without them.

    Raises:
        UserError: no row could be answered, or a column to slice by is missing.
    """
    good = answers.filter(pc.is_null(answers["error"]))
    if good.num_rows == 0:
        raise UserError(f"none of the {answers.num_rows} rows of {split} could be read and measured")
    outcome, named = task.evaluator.outcome(good), numbered(good["group"].to_pylist())
    groups, drawn = drawn_together(outcome, named, task.card.rows.unit)
    seed = task.card.seed
    metrics = scores_of(task, outcome, groups, seed)
    details = task.evaluator.details(good, outcome)
    twins = [] if leaking is None else leaking[np.array(answers["error"].is_null())]
    known = np.array([twin is not None for twin in twins], bool)
    if known.any():
        protocol = protocol | _without(task, outcome, groups, known, seed)
        pairs = zip(good["id"].to_pylist(), twins, strict=True)
        details["leaks"] = [[row, twin] for row, twin in pairs if twin is not None][:NAMED]
    domain, name = task_name(task.card)
    return Report(
        domain=domain,
        task=name,
        run=run,
        split=split,
        rows=good.num_rows,
        groups=None if named is None else int(named.max()) + 1,
        quarantined=answers.num_rows - good.num_rows,
        metrics=metrics,
        references=references or {},
        slices=_slices(task, good, outcome, groups, by, seed),
        protocol=protocol | {"interval": f"95 % bootstrap over {drawn}, {DRAWS} draws"},
        details=details,
    )


def drawn_together(outcome: Any, groups: np.ndarray | None, unit: str = "group") -> tuple[np.ndarray | None, str]:
    """Return int64 `[n]`, what a bootstrap draws together (None for single rows), and what that is in words.

    Args:
        groups: numbers of the groups of the rows, or None.
        unit: what a group is, in one word.
    """
    if getattr(outcome, "units", None) is not None:
        return outcome.units, outcome.drawn
    return groups, "rows" if groups is None else f"{unit}s"


def scores_of(
    task: Task, outcome: Any, groups: np.ndarray | None, seed: int, trivial: bool = True, draws: int = DRAWS
) -> dict[str, Score]:
    """Return all measures of an outcome, each with its interval and, where `trivial`, the trivial guess beside it."""
    measures = task.evaluator.metrics(outcome)
    usable = {name: measure for name, (_, measure) in measures.items() if not isinstance(measure, str)}
    rows = len(outcome)
    ones = np.ones(rows)
    values = {name: measure(ones) for name, measure in usable.items()}
    raised = {name: values[name] for name in usable if measures[name][0].raised}
    intervals = bootstrap(usable, rows, groups, draws, seed, raised)
    guessed = task.evaluator.metrics(task.evaluator.trivial(outcome)) if trivial else {}
    scores = {}
    for name, (spec, measure) in measures.items():
        base = guessed.get(name, (None, ""))[1]
        baseline = None if isinstance(base, str) else _finite(base(ones))
        common = {"baseline": baseline, "higher_is_better": spec.higher_is_better, "unit": spec.unit}
        if isinstance(measure, str):
            scores[name] = Score(None, **common, reason=measure)
            continue
        value = _finite(values[name])
        low, high = intervals[name] or (None, None)
        if low == high and value in (0.0, 1.0) and spec.unit == "share":
            low, high = flawless(value, rows if groups is None else int(groups.max()) + 1)
        reason = None if intervals[name] else "no interval: too few rows or groups to draw from"
        scores[name] = Score(value, low, high, **common, reason=reason)
    return scores


def reference_scores(task: Task, outcomes: dict[str, Any], groups: dict[str, list]) -> dict[str, dict]:
    """Return a baseline's scores by split: metric → value, low, high; intervals are over groups where rows have them."""
    found = {}
    for split, outcome in outcomes.items():
        named = numbered(groups[split]) if len(groups[split]) == len(outcome) else None
        units, _ = drawn_together(outcome, named, task.card.rows.unit)
        measures = scores_of(task, outcome, units, task.card.seed, trivial=False)
        found[split] = {
            name: {"value": score.value, "low": score.low, "high": score.high} for name, score in measures.items()
        }
    return found


def _slices(task: Task, answers: pa.Table, outcome, groups, by, seed: int) -> list[dict[str, Any]]:
    columns = sliced_columns(task, answers) if by is None else by
    found = []
    for column in columns:
        if column not in answers.column_names:
            raise UserError(f"no column {column} to slice by. Columns: {', '.join(answers.column_names)}")
        for value, rows in slices_of(answers[column].to_pylist()):
            part = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
            draws = DRAWS if answers.num_rows <= MANY else DRAWS_OF_MANY
            scores = scores_of(task, outcome.at(rows), part, seed, draws=draws)
            metrics = {name: score.plain() for name, score in scores.items()}
            found.append({"column": column, "value": value, "rows": len(rows), "metrics": metrics})
    return found


def sliced_columns(task: Task, answers: pa.Table) -> list[str]:
    """Return the kept columns of a table of answers that part its rows into 2 to 20 slices."""
    own = {"id", "error", *TRUTH, *(column.name for column in task.predictor.columns() if column.role != "slice")}
    return [name for name in answers.column_names if name not in own and worth_slicing(answers[name].to_pylist())]


def _without(task: Task, outcome, groups, leaking: np.ndarray, seed: int) -> dict[str, Any]:
    rows = np.flatnonzero(~leaking)
    if not len(rows):
        return {"leaking_rows": int(leaking.sum()), "without_leaks": None}
    part = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
    scores = scores_of(task, outcome.at(rows), part, seed)
    return {
        "leaking_rows": int(leaking.sum()),
        "without_leaks": {
            name: {"value": score.value, "low": score.low, "high": score.high} for name, score in scores.items()
        },
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
