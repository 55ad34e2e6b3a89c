"""Intervals: a bootstrap over rows, or over groups where there are groups, one draw at a time, so that memory stays flat."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from threadpoolctl import threadpool_limits

Measure = Callable[[np.ndarray], float]  # weights float64 [n] -> value, NaN where it can't be computed
DRAWS = 1000
LEAST_DRAWS = 50  # that could be computed, for an interval
LEVEL = 0.95
FIRST = 8  # draws whose time says whether threads pay
COSTLY = 5e-4  # seconds of a draw; threads wait longer for Python's lock than quicker ones take


@dataclass(frozen=True)
class Spec:
    """How a measure is read: its function of an outcome, its direction, its unit, and whether resampling raises it."""

    prepare: object
    higher_is_better: bool = True
    unit: str = "share"
    raised: bool = False


class ByRow:
    """What is known of rows: a dataclass whose arrays have an entry for each, but for those that are `shared`."""

    shared: ClassVar[tuple[str, ...]] = ()

    def __len__(self) -> int:
        return len(next(iter(self._parts().values())))

    def at(self, rows: np.ndarray) -> Self:
        """Return what is known of some of the rows; what isn't of rows stays."""
        parts = self._parts().items()
        return replace(self, **{name: part.at(rows) if isinstance(part, ByRow) else part[rows] for name, part in parts})

    def _parts(self) -> dict[str, Any]:
        parts = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in self.shared}
        return {name: part for name, part in parts.items() if isinstance(part, np.ndarray | ByRow)}


class Uncomputable(ValueError):
    """A measure that these rows don't allow, with the reason."""


def prepared(specs: dict[str, Any], outcome: Any) -> dict[str, tuple[Any, Measure | str]]:
    """Return each measure's spec and its function of row weights, or the sentence why these rows don't allow it.

    Args:
        specs: by name; `prepare` of each makes the function of an outcome, or raises `Uncomputable`.
    """
    found: dict[str, tuple[Any, Measure | str]] = {}
    for name, spec in specs.items():
        try:
            found[name] = (spec, spec.prepare(outcome))
        except Uncomputable as reason:
            found[name] = (spec, str(reason))
    return found


def bootstrap(
    measures: dict[str, Measure],
    rows: int,
    groups: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    around: dict[str, float] | None = None,
) -> dict[str, tuple[float, float] | None]:
    """Return the 95 % percentile interval of each measure, None where it can't be had.

    Args:
        measures: functions of row weights; all see the same draws.
        rows: how many rows there are.
        groups: int64 `[rows]`; rows of one group are drawn together.
        draws: how many resamples (Efron 1979).
        seed: draw number i depends on (seed, i) alone.
        around: values of shares that resampling itself moves, such as a calibration error; their intervals are
            shifted so that the mean of the draws lies there, and cut at 0 and 1.
    """
    if units_of(rows, groups) < 2 or not measures:
        return dict.fromkeys(measures)
    drawn = resampled(measures, rows, groups, draws, seed)
    centres = around or {}
    return {name: _interval(drawn[:, place], centres.get(name)) for place, name in enumerate(measures)}


def units_of(rows: int, groups: np.ndarray | None) -> int:
    """Return how many units a draw takes: the groups where there are groups, else the rows."""
    return rows if groups is None else int(groups.max(initial=-1)) + 1


def resampled(
    measures: dict[str, Measure], rows: int, groups: np.ndarray | None = None, draws: int = DRAWS, seed: int = 0
) -> np.ndarray:
    """Return float64 `[draws, measures]`: the measures on resamples of the units, in the order of the arguments."""
    units = units_of(rows, groups)

    def values(draw: int) -> list[float]:
        picks = np.random.default_rng((seed, draw)).integers(0, units, units, dtype=np.int32)
        weights = np.bincount(picks, minlength=units).astype(np.float64)
        weights = weights if groups is None else weights[groups]
        return [measure(weights) for measure in measures.values()]

    with threadpool_limits(1):  # draws run side by side where that pays, not the parts of one draw
        started = time.perf_counter()
        found = [values(draw) for draw in range(min(draws, FIRST))]
        quick = time.perf_counter() - started < FIRST * COSTLY
        left = range(len(found), draws)
        if quick:
            found += map(values, left)
        else:
            with ThreadPoolExecutor(2) as pool:
                found += pool.map(values, left)
    return np.array(found).reshape(draws, len(measures))


def _interval(values: np.ndarray, centre: float | None) -> tuple[float, float] | None:
    values = values[np.isfinite(values)]
    if len(values) < LEAST_DRAWS:
        return None
    if centre is not None:
        values = np.clip(values - values.mean() + centre, 0.0, 1.0)
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def flawless(value: float, units: int) -> tuple[float, float]:
    """Return an interval for a share of exactly 0 or 1, where a bootstrap has nothing to vary.

    It is the exact binomial one (Clopper & Pearson 1934) for that many rows or groups.
    """
    if value == 0.0:
        return 0.0, 1 - ((1 - LEVEL) / 2) ** (1 / units)
    return ((1 - LEVEL) / 2) ** (1 / units), 1.0


def numbered(groups: list[str | None]) -> np.ndarray | None:
    """Return int64 `[n]` numbers of the groups; rows without one stand alone; None where no row has one."""
    if all(group is None for group in groups):
        return None
    names = [f"group {group}" if group is not None else f"row {row}" for row, group in enumerate(groups)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
