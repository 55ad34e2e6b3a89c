"""The one reader of time steps: a row of a series with the rows before it in, a window of numbers out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from horngate.pipelines.data.trailing import Window
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system import progress

MANY_BACK = 0.01  # share of steps back in time, above which the rows are no series
JUMP = 8.0  # factor between levels, from which on a change of unit is suspected
ALIKE = 0.3  # how much the logarithms of two factors may differ


@dataclass(frozen=True)
class Facts:
    """What was seen of one row.

    Attributes:
        names: of the columns.
        before: seconds since the row before it in its series; NaN for the first one.
        values: float32 `[columns]`.
    """

    names: tuple[str, ...]
    before: float
    values: np.ndarray
    converted: tuple[str, ...] = ()
    thumbnail: None = None


def facts_of(data: bytes) -> Facts:
    """Return the facts of one row.

    Raises:
        Unreadable: a cell that holds no finite number, or no value at all.
    """
    window = Window.of(data)
    _refuse(window.names, window.values[-1])
    before = float(window.ages[-2]) if len(window.ages) > 1 else float("nan")
    return Facts(window.names, before, window.values[-1])


def settled(facts: list[Facts], window: int, smooth: int, gap: float) -> dict[str, Any]:
    """Return what the reader needs to know, from the facts of the training rows.

    Columns that never change there are left out, and told.

    Raises:
        UserError: tables with different columns, or nothing that varies.
    """
    names = facts[0].names
    for fact in facts:
        if fact.names != names and set(fact.names) != set(names):
            odd = sorted(set(names) ^ set(fact.names))
            raise UserError(f"not all tables have the column {odd[0]}; name the ones to look at with --feature-column")
    values = np.stack([_of_names(fact.values, fact.names, names) for fact in facts])
    low, high = (np.where(np.isnan(values), empty, values) for empty in (np.inf, -np.inf))
    varies = low.min(0) < high.max(0)
    still = [name for name, moves in zip(names, varies, strict=True) if not moves]
    if not varies.any():
        raise UserError("no column changes in the training rows, so there is nothing to learn from them")
    if still:
        progress.notice(f"left out, since they never change in the training rows: {', '.join(still)}")
    steps = np.array([fact.before for fact in facts], np.float64)
    steps = steps[steps > 0]
    columns = [name for name, moves in zip(names, varies, strict=True) if moves]
    usual = float(np.median(steps)) if len(steps) else 1.0
    return {"kind": "series", "columns": columns, "window": window, "smooth": smooth, "step": usual, "gap": gap}


def tensor_of(data: bytes, schema: dict[str, Any]) -> np.ndarray:
    """Return the window of one row, float32 `[window, columns]`: NaN for what is missing, before the begin, before a gap.

    Raises:
        Unreadable: with the reason.
    """
    window = Window.of(data)
    columns = schema["columns"]
    missing = [name for name in columns if name not in window.names]
    if missing:
        raise Unreadable(f'no column "{missing[0]}"')
    values = _of_names(window.values, window.names, tuple(columns))
    _refuse(columns, values[-1])
    gaps = np.flatnonzero(window.ages[:-1] - window.ages[1:] > schema["gap"] * schema["step"])
    values = values[gaps[-1] + 1 if len(gaps) else 0 :][-schema["window"] :]
    tensor = np.full((schema["window"], len(columns)), np.nan, np.float32)
    tensor[len(tensor) - len(values) :] = np.where(np.isinf(values), np.nan, values)
    return tensor


def _of_names(values: np.ndarray, names: tuple[str, ...], wished: tuple[str, ...]) -> np.ndarray:
    return values if names == wished else values[..., [names.index(name) for name in wished]]


def _refuse(names: tuple[str, ...], values: np.ndarray) -> None:
    bad = np.flatnonzero(np.isinf(values))
    if len(bad):
        raise Unreadable(f'column "{names[bad[0]]}" holds no finite number, see --drop-column')
    if np.isnan(values).all():
        raise Unreadable("no value in any column")


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
