"""Rows of series as inputs: each row with the rows before it, in the order in which they come, also from a pipe."""

import json
import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import numpy as np

from horngate.pipelines.spec.errors import Unreadable

UNITS = {"nanoseconds": 1e-9, "microseconds": 1e-6, "milliseconds": 1e-3, "seconds": 1.0}
UNITS |= {"minutes": 60.0, "hours": 3600.0, "days": 86_400.0}
GAPS = ("", "na", "n/a", "nan", "null", "none", "?")  # texts that say that there is no value
NO_NUMBER = math.inf  # stands for a cell that holds something else


@dataclass(frozen=True)
class Window:
    """A row of a series and the rows before it.

    Attributes:
        names: of the columns.
        seconds: time of the row.
        ages: float32 `[k]`, seconds from each row to the last one, which is the row itself; k ≥ 1.
        values: float32 `[k, columns]`; NaN where a value is missing, infinite where a cell holds no number.
    """

    names: tuple[str, ...]
    seconds: float
    ages: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, data: bytes) -> "Window":
        """Return what `Trailing` wrote.

        Raises:
            Unreadable: the bytes are nothing of the kind.
        """
        head, found, body = data.partition(b"\n")
        names = _names(head) if found else None
        cells = (len(body) - 8) // 4
        if names is None or len(body) < 8 or len(body) % 4 or cells % (1 + len(names)):
            raise Unreadable("no row of a series: give a .csv, .tsv, .parquet or .jsonl file, a folder of them, or -")
        rows = cells // (1 + len(names))
        numbers = np.frombuffer(body, np.float32, cells, 8)
        seconds = float(np.frombuffer(body, np.float64, 1)[0])
        return cls(names, seconds, numbers[:rows], numbers[rows:].reshape(rows, -1))


@lru_cache(64)
def _names(head: bytes) -> tuple[str, ...] | None:
    try:
        names = json.loads(head)
    except ValueError:
        return None
    return tuple(names) if isinstance(names, list) and names and all(isinstance(name, str) for name in names) else None


class Trailing:
    """Makes inputs of the rows of a table: each holds the row and up to `history` rows of its series before it.

    A row whose time can't be read is refused and belongs to no other row's input.

    Args:
        names: columns of values.
        time: column of times.
        series: column that names the series; None where there is one.
        history: rows.
        unit: of times that are numbers, a key of `UNITS`.
    """

    def __init__(self, names: list[str], time: str, series: str | None, history: int, unit: str):
        self.names, self.time, self.series, self.history = names, time, series, history
        self.unit, self.head = unit, json.dumps(names).encode() + b"\n"
        self.kept: dict[Any, tuple[deque[float], deque[bytes]]] = {}

    def taken(self, cells: dict) -> tuple[None, None, bytes | None, str | None]:
        """Return a row's name, path, value, and why it can't be used."""
        try:
            seconds = seconds_of(cells.get(self.time), self.unit)
        except ValueError as reason:
            return None, None, None, str(reason)
        name = cells.get(self.series) if self.series else None
        times, rows = self.kept.setdefault(name, (deque(maxlen=self.history + 1), deque(maxlen=self.history + 1)))
        times.append(seconds)
        rows.append(np.array([_number(cells.get(column)) for column in self.names], np.float32).tobytes())
        ages = (seconds - np.array(times)).astype(np.float32)
        return None, None, b"".join([self.head, np.float64(seconds).tobytes(), ages.tobytes(), *rows]), None


def seconds_of(cell: Any, unit: str) -> float:
    """Return a time as seconds since 1970: ISO 8601 (without a zone: UTC), or a number of units.

    Raises:
        ValueError: with the reason.
    """
    if cell is None or cell == "":
        raise ValueError("no time")
    if isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime(cell.year, cell.month, cell.day)
    if isinstance(cell, datetime):
        return (cell if cell.tzinfo else cell.replace(tzinfo=UTC)).timestamp()
    try:
        seconds = float(cell) * UNITS[unit]
    except (TypeError, ValueError):
        try:
            return seconds_of(datetime.fromisoformat(str(cell).strip()), unit)
        except ValueError:
            raise ValueError(f'its time is neither ISO 8601 nor a number: "{str(cell)[:40]}"') from None
    if not math.isfinite(seconds):
        raise ValueError(f'its time is no finite number: "{cell}"')
    return seconds


def told(cell: Any) -> Any:
    """Return a time as people read it; a cell that is no date comes back as it is."""
    return str(cell) if isinstance(cell, date) else cell


def _number(cell: Any) -> float:
    """Return the number in a cell, NaN for a gap, infinity for anything else."""
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in GAPS):
        return math.nan
    try:
        value = float(cell)
    except (TypeError, ValueError):
        return NO_NUMBER
    return value if math.isnan(value) or abs(value) < 3e38 else NO_NUMBER
