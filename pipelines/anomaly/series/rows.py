"""What may be wrong with series: time that goes back, gaps, columns that never change, changes of unit."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding, findings_on
from horngate.pipelines.data.trailing import Window
from horngate.pipelines.tasks.anomaly_detection.predictor import AnomalyRows

MANY_BACK = 0.01  # share of steps back in time, above which the rows are no series
JUMP = 8.0  # factor between levels, from which on a change of unit is suspected
ALIKE = 0.3  # how much the logarithms of two factors may differ


class StepRows(AnomalyRows):
    """Rows of series, whose times and units may be wrong too."""

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list[Finding]:
        found = super().findings(table, facts, splits)
        return found + (step_findings(table, self.card.gap) if splits is None else [])


def step_findings(table: pa.Table, gap: float) -> list[Finding]:
    """Return findings on the rows of series.

    Args:
        gap: in usual steps (the median of all), how long a step begins a series anew.
    """
    ids = table["id"].to_pylist()
    windows = [Window.of(value) for value in table["value"].to_pylist()]
    before = np.array([window.ages[-2] if len(window.ages) > 1 else np.nan for window in windows])
    return [*_times(before, ids, gap), *_values(windows, table["group"].to_pylist(), ids)]


def _times(before: np.ndarray, ids: list[str], gap: float) -> list[Finding]:
    found, forward = [], before[before > 0]
    back = np.flatnonzero(before < 0)
    if len(back):
        message = (
            f"time goes back in {len(back)} rows (first: {ids[back[0]]}); they are taken in the order they stand in"
        )
        grade = "error" if len(back) > MANY_BACK * len(ids) else "warning"
        advice = ": sort the rows by time" if grade == "error" else ""
        found += findings_on(grade, "time_back", message + advice, back, ids)
    same = np.flatnonzero(before == 0)
    found += findings_on("warning", "same_time", "{} rows have the time of the row before them", same, ids)
    usual = float(np.median(forward)) if len(forward) else 0.0
    gaps = np.flatnonzero(before > gap * usual) if usual else same[:0]
    if len(gaps):
        longest = float(np.nanmax(before))
        message = f"{len(gaps)} gaps of more than {gap:g} usual steps of {usual:g} s (longest: {longest:,.0f} s; first "
        message += f"before {ids[gaps[0]]}); the series begins anew after each"
        found += findings_on("warning", "gaps", message, gaps, ids)
    return found


def _values(windows: list[Window], groups: list, ids: list[str]) -> list[Finding]:
    found, series = [], {}
    for row, (window, group) in enumerate(zip(windows, groups, strict=True)):
        series.setdefault((group, window.names), []).append(row)
    moves: dict[str, bool] = {}
    for (_, names), rows in series.items():
        values = np.stack([windows[row].values[-1] for row in rows])
        for name, column in zip(names, values.T, strict=True):
            known = column[~np.isnan(column)]
            first = windows[0].values[-1][windows[0].names.index(name)] if name in windows[0].names else np.nan
            moves[name] = moves.get(name, False) or bool((known != first).any() and len(known))
        for column, row, factor in unit_jumps(values):
            message = f"column {names[column]} seems to change its unit (about × {factor:.3g} from {ids[rows[row]]} on)"
            found.append(Finding("warning", "unit_jump", message, len(rows) - row, (ids[rows[row]],)))
    for name, moving in moves.items():
        if not moving:
            found.append(Finding("warning", "constant_column", f"column {name} never changes", len(ids)))
    return found


def unit_jumps(values: np.ndarray) -> list[tuple[int, int, float]]:
    """Return (column, row, factor) where a column of one series goes on in what looks like another unit.

    That is where level and spread both change by about the same factor of at least eight, for good.

    Args:
        values: float `[n, columns]`.
    """
    found = []
    for column, numbers in enumerate(values.T.astype(np.float64)):
        best = max(
            (_jump(numbers, cut) for cut in range(len(numbers) // 20, len(numbers), max(len(numbers) // 20, 1))),
            key=lambda jump: jump[0],
            default=(0.0, 0, 1.0),
        )
        if best[0] >= JUMP:
            found.append((column, best[1], best[2]))
    return found


def _jump(numbers: np.ndarray, cut: int) -> tuple[float, int, float]:
    """Return the size of a jump at a row (0 for none), the row, and its factor."""
    sides = [part[~np.isnan(part)] for part in (numbers[:cut], numbers[cut:])]
    if min(map(len, sides)) < 10:
        return 0.0, cut, 1.0
    levels = [abs(float(np.median(side))) for side in sides]
    spreads = [float(np.subtract(*np.quantile(side, [0.75, 0.25]))) for side in sides]
    if min(*levels, *spreads) <= 0:
        return 0.0, cut, 1.0
    by_level, by_spread = np.log(levels[1] / levels[0]), np.log(spreads[1] / spreads[0])
    if abs(by_level - by_spread) > ALIKE:
        return 0.0, cut, 1.0
    return float(np.exp(abs(by_level))), cut, float(np.exp(by_level))
