"""Rows that two runs answer differently, to look at."""

import math
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.statistics.paired import sign_test
from horngate.pipelines.tasks.parts import AnswerColumn
from horngate.pipelines.tasks.task import Task

SHOWN = 20  # rows of each kind
FEW = 8  # parts of an answer


def flipped(task: Task, first: pa.Table, second: pa.Table) -> dict[str, Any]:
    """Return the rows that change sides, the most confident first: `gained` by the second, and `lost`.

    Each holds how many `rows` there are and up to 20 `shown`, with id, target and both answers. Of a task without right
    and wrong, the rows whose answers are farthest `apart`.
    """
    before, after = task.evaluator.correct(first), task.evaluator.correct(second)
    names = [column.name for column in _answers(task) if not _of_numbers(column.type)]
    names = [name for name in names if name in first.column_names and name in second.column_names]
    if before is None or after is None:
        distance = apart(task, first, second)
        return {"apart": _shown(first, second, names, np.flatnonzero(distance > 0), distance)}
    confidence = _confidence(first) + _confidence(second)
    return {
        "gained": _shown(first, second, names, np.flatnonzero(~before & after), confidence),
        "lost": _shown(first, second, names, np.flatnonzero(before & ~after), confidence),
    }


def mcnemar(
    task: Task, first: pa.Table, second: pa.Table, groups: np.ndarray | None
) -> dict[str, int | float | str] | None:
    """Return how many rows both, one or none answers right, and the exact test of the difference; None without right."""
    before, after = task.evaluator.correct(first), task.evaluator.correct(second)
    if before is None or after is None:
        return None
    return {
        "both_right": int((before & after).sum()),
        "only_a_right": int((before & ~after).sum()),
        "only_b_right": int((~before & after).sum()),
        "both_wrong": int((~before & ~after).sum()),
        "p_value": sign_test(after.astype(np.int64) - before, groups),
        "test": "exact binomial" if groups is None else "exact sign flips of groups",
    }


def _answers(task: Task) -> list[AnswerColumn]:
    return [column for column in task.predictor.columns() if column.predicted]


def apart(task: Task, first: pa.Table, second: pa.Table) -> np.ndarray:
    """Return float64 `[n]`: how far two answers to a row are apart.

    It is summed over the answer columns: the mean absolute difference of numbers, in standard deviations of the column,
    and 1 for anything else that isn't the same.
    """
    total = np.zeros(first.num_rows)
    for name in (column.name for column in _answers(task)):
        if name in first.column_names and name in second.column_names:
            total += _columns_apart(first[name].to_pylist(), second[name].to_pylist())
    return total


def _columns_apart(left: list, right: list) -> np.ndarray:
    try:
        pair = [np.array(values, np.float64).reshape(len(values), -1) for values in (left, right)]
        spread = float(np.nanstd(pair[0])) or 1.0
        return np.nan_to_num(np.abs(pair[0] - pair[1]).mean(1) / spread, nan=1.0)
    except (TypeError, ValueError):  # texts, structures, lists of unequal length
        return np.array([one != other for one, other in zip(left, right, strict=True)], np.float64)


def _confidence(answers: pa.Table) -> np.ndarray:
    if "score" not in answers.column_names:
        return np.zeros(answers.num_rows)
    return np.nan_to_num(answers["score"].to_numpy().astype(np.float64))


def _shown(first: pa.Table, second: pa.Table, names: list[str], rows: np.ndarray, order: np.ndarray) -> dict[str, Any]:
    chosen = pa.array(rows[np.argsort(-order[rows], kind="stable")[:SHOWN]], pa.int64())
    common = first.select(["id", "target"]).take(chosen).to_pylist()
    both = zip(first.select(names).take(chosen).to_pylist(), second.select(names).take(chosen).to_pylist(), strict=True)
    answers = [{"a": _finite(left), "b": _finite(right)} for left, right in both]
    return {"rows": len(rows), "shown": [row | said for row, said in zip(common, answers, strict=True)]}


def _of_numbers(kind: pa.DataType) -> bool:
    """Whether a column holds lists of numbers, such as scores of classes or an embedding."""
    return pa.types.is_list(kind) and not (pa.types.is_string(kind.value_type) or pa.types.is_nested(kind.value_type))


def _finite(answer: dict[str, Any]) -> dict[str, Any]:
    bad = {name for name, value in answer.items() if isinstance(value, float) and not math.isfinite(value)}
    return {name: None if name in bad else _in_words(value) for name, value in answer.items()}


def _in_words(value: Any) -> Any:
    """Return a list of texts or of structures as one text, the first few of them; anything else as it is."""
    if not isinstance(value, list):
        return value
    parts = [" ".join(str(cell) for cell in one.values()) if isinstance(one, dict) else str(one) for one in value[:FEW]]
    return ", ".join([*parts, *(["…"] if len(value) > FEW else [])])
