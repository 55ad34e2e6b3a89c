"""What `check` finds in the columns of a table: constant ones, row numbers, and those that give the answer away."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tables.columns import is_gap, number_in, text_in

LOOKED_AT = 20_000  # rows, evenly drawn from more
SURE = 0.99  # area under the ROC curve of one column alone
PURE, FEWEST = 0.9, 5  # share of anomalies among the rows with a flag, and how many such rows there are at least
RARE = 0.2  # share of rows that a flag is set in, at most


@dataclass(frozen=True)
class Sought:
    """What findings call the rows that a column could give away."""

    hits: str = "anomalies"
    rest: str = "the rest"


def column_findings(
    rows: list[dict[str, Any]], truth: np.ndarray, settling: Callable[[], list[dict[str, Any]]], sought: Sought
) -> list[Finding]:
    """Return findings on the columns of rows.

    Args:
        truth: float32 `[n]`: 1 for a row of the kind that is sought, 0 for another, NaN where nobody knows.
        settling: returns `name` and `type` of the columns of these rows; it may raise a `UserError`.
    """
    try:
        columns = settling()
    except UserError as problem:
        return [Finding("error", "columns", str(problem), len(rows))]
    cells = {column["name"]: [row.get(column["name"]) for row in rows] for column in columns}
    constant = [
        name for name, values in cells.items() if len({text_in(cell) for cell in values if not is_gap(cell)}) < 2
    ]
    found = _named(constant, "constant_columns", "are constant, so they say nothing", "warning")
    numbers = {column["name"]: _numbers(cells[column["name"]]) for column in columns if column["type"] == "number"}
    counting = [name for name, values in numbers.items() if len(values) > 20 and _counts(values)]
    found += _named(
        counting, "row_numbers", "number the rows; leave them out with --drop-column or --id-column", "warning"
    )
    numbers = {name: values for name, values in numbers.items() if name not in constant}
    return found + _leaks(numbers, cells, truth, sought)


def _leaks(numbers: dict[str, np.ndarray], cells: dict[str, list], truth: np.ndarray, sought: Sought) -> list[Finding]:
    """Return findings on columns that give the answer away."""
    known = ~np.isnan(truth)
    anomalous = truth[known] == 1
    if not 0 < anomalous.sum() < known.sum():
        return []
    sure, flags, pure = {}, [], []
    for name in cells:
        values = numbers[name] if name in numbers else _coded(cells[name], truth)
        area = _area(values[known], anomalous)
        if max(area, 1 - area) >= SURE:
            sure[name] = max(area, 1 - area)
        if name in numbers and (set_rows := _flag(values)) is not None:
            flags.append(name)
            own = set_rows[known]
            if own.sum() >= FEWEST and anomalous[own].mean() >= PURE:
                pure.append(name)
    shown = ", ".join(f"{name} (area {area:.3f})" for name, area in sure.items())
    found = []
    if sure:
        message = f"columns that part {sought.hits} from {sought.rest} alone: {shown}; a label left among the features?"
        found.append(Finding("warning", "gives_the_answer", message, len(truth)))
    if pure:
        message = (
            f"flags that hardly any but {sought.hits} have: {', '.join(pure)}; if they are known only afterwards, "
        )
        found.append(Finding("warning", "gives_the_answer", f"{message}leave them out with --drop-column", len(truth)))
    order = list(cells)
    beside = _neighbours([order.index(name) for name in pure], [order.index(name) for name in flags])
    siblings = [order[place] for place in beside if order[place] not in pure]
    if len(pure) > 1 and siblings:
        message = f"flags that stand beside those and may be of their kind: {', '.join(siblings)}"
        found.append(Finding("warning", "beside_the_answer", message, len(truth)))
    return found


def _neighbours(pure: list[int], flags: list[int]) -> list[int]:
    """Return the places of flags that touch a pure one, directly or through other flags."""
    reached, waiting = set(pure), list(pure)
    while waiting:
        place = waiting.pop()
        for other in (place - 1, place + 1):
            if other in flags and other not in reached:
                reached.add(other)
                waiting.append(other)
    return sorted(reached)


def _named(names: list[str], code: str, said: str, grade: str) -> list[Finding]:
    if not names:
        return []
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return [Finding(grade, code, f"columns that {said}: {shown}", 0)]


def _numbers(cells: list[Any]) -> np.ndarray:
    values = (number_in(cell) for cell in cells)
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _counts(values: np.ndarray) -> bool:
    if not np.isfinite(values).all():
        return False
    steps = np.diff(values)
    return bool((steps == steps[0]).all() and steps[0] != 0)


def _flag(values: np.ndarray) -> np.ndarray | None:
    """Return which rows have the rarer of a column's two values; None where it is no flag."""
    there = values[~np.isnan(values)]
    kinds, counts = np.unique(there, return_counts=True)
    if len(kinds) != 2 or counts.min() > RARE * len(there):
        return None
    return values == kinds[counts.argmin()]


def _coded(cells: list[Any], truth: np.ndarray) -> np.ndarray:
    """Return each category as its share of what is sought, learnt on one half of the rows and said of the other."""
    texts = np.array(["" if is_gap(cell) else text_in(cell) for cell in cells])
    _, codes = np.unique(texts, return_inverse=True)
    halves, values = np.arange(len(codes)) % 2, np.full(len(codes), np.nan)
    for half in (0, 1):
        learnt = (halves != half) & ~np.isnan(truth)
        rows, hits = (np.bincount(codes[learnt], weights, codes.max() + 1) for weights in (None, truth[learnt]))
        values[halves == half] = ((hits + 0.01) / (rows + 1))[codes[halves == half]]
    return values


def _area(values: np.ndarray, anomalous: np.ndarray) -> float:
    """Return the area under the ROC curve of one column, gaps left out; ties count half."""
    from scipy.stats import rankdata

    there = ~np.isnan(values)
    values, anomalous = values[there], anomalous[there]
    positives, negatives = int(anomalous.sum()), int((~anomalous).sum())
    if not positives or not negatives:
        return 0.5
    ranks = rankdata(values)[anomalous].sum()
    return float(ranks - positives * (positives + 1) / 2) / (positives * negatives)
