"""The one reader of time steps: a row of a series with the rows before it in, a window of numbers out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content, in_order
from horngate.pipelines.data.trailing import Window, seconds_of
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.parts import Fitted

LEAST = 20  # training rows
WATCHED = 40  # columns whose drift is looked at


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


class StepReader(TensorReader):
    """Reads a time step into the window of rows that ends with it."""

    @property
    def smooth(self) -> int:
        """Rows whose errors a score averages."""
        return min(self.card.smooth or max(1, self.card.window // 4), self.card.window)

    def inspect(self, data: bytes, suffix: str, *beside: str | None) -> Facts:
        return facts_of(data)

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        card = self.card
        if card.smooth is not None and card.smooth > card.window:
            raise UserError(f"--smooth {card.smooth} should be at most --window {card.window}")
        if len(facts) < LEAST:
            raise UserError(f"{len(facts)} training rows are too few; at least {LEAST} are needed")
        return Fitted(settled(facts, card.window, self.smooth, card.gap))

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        return tensor_of(data, self.schema)

    def windows(self, table: pa.Table, label: str) -> np.ndarray:
        """Return the windows of all rows, float32 `[n, w, d]`.

        Raises:
            UserError: a row that can't be read.
        """
        rows = zip(*(table[name].to_pylist() for name in ("input", "value", "error")), strict=True)
        found = np.empty((table.num_rows, self.schema["window"], len(self.schema["columns"])), np.float32)
        stream = in_order(lambda row: self.read(content(*row)), rows, ahead=1024)
        for place, row in enumerate(progress.tracked(stream, label, table.num_rows)):
            if isinstance(row, Unreadable):
                raise UserError(f"{table['id'][place].as_py()}: {row}")
            found[place] = row
        return found

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        """Return the values of the row; wide series have too many columns to look at one by one."""
        names = self.schema["columns"]
        if len(names) > WATCHED:
            return {}
        return {name: float(value) for name, value in zip(names, tensor[-1], strict=True)}


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


def timeline(rows: pa.Table, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each row's series, int64 `[n]`, and its time in seconds, float64 `[n]`.

    Args:
        rows: as listed, or as answered.
        unit: of times that are numbers.
    """
    times = [seconds_of(cell, unit) for cell in rows["time"].to_pylist()]
    return numbered(rows["group"].to_pylist()), np.array(times, np.float64)


def numbered(groups: list[str | None]) -> np.ndarray:
    """Return int64 numbers of series, in the order in which they appear."""
    places: dict[str | None, int] = {}
    return np.array([places.setdefault(name, len(places)) for name in groups], np.int64)
