"""Interaction logs: who met what, when, and how much it counts. Columns are worked on whole, never row by row."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.data.sources import split_name
from horngate.pipelines.data.splits import NAMES
from horngate.pipelines.errors import UserError

SHOWN = 40  # letters of a cell in a reason
UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"), (0, 1, "seconds"))


@dataclass(frozen=True)
class Log:
    """Interactions, sorted by user, then by time, then as they stood.

    Attributes:
        users, items: the ids by code, Arrow strings.
        user, item: int32 `[n]`, codes.
        time: float64 `[n]`, seconds since 1970, or None.
        weight: float32 `[n]`, above 0, or None.
        given: int8 `[n]`, the place of a given split in `NAMES`, -1 where there is none; None where no row has one.
    """

    users: pa.Array
    items: pa.Array
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray | None = None
    weight: np.ndarray | None = None
    given: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.user)

    def at(self, rows: np.ndarray) -> "Log":
        """Return the interactions at some places, or where a mask is true; codes keep their meaning."""
        columns = {name: getattr(self, name) for name in ("user", "item", "time", "weight", "given")}
        return replace(self, **{name: None if part is None else part[rows] for name, part in columns.items()})

    def compact(self) -> "Log":
        """Return the same interactions without ids that none of them has; the order of the ids stays."""
        users, user = np.unique(self.user, return_inverse=True)
        items, item = np.unique(self.item, return_inverse=True)
        ids = {"users": self.users.take(pa.array(users)), "items": self.items.take(pa.array(items))}
        return replace(self, **ids, user=user.astype(np.int32), item=item.astype(np.int32))


@dataclass(frozen=True)
class Reading:
    """What was read: the log, and what was seen on the way.

    Attributes:
        listed: rows of the source.
        quarantined: (row, reason) of those that can't be used.
        time_said: what the times were read as, in words; None where there are none.
        repeated: interactions that stood there more than once, beyond the first.
        filtered: interactions left out by `--min-user` and `--min-item`.
    """

    log: Log
    listed: int
    quarantined: list[tuple[str, str]] = field(default_factory=list)
    time_said: str | None = None
    repeated: int = 0
    filtered: int = 0


def cleaned(columns: dict[str, pa.ChunkedArray], numbers: np.ndarray, broken: list[tuple[int, str]]) -> Reading:
    """Return what raw columns hold: rows that lack an id, a readable time or a weight above 0 are quarantined.

    Args:
        columns: by role, `user` and `item` at least, each of any type, of one length.
        numbers: int64 `[n]`, the numbers of these rows in the source.
        broken: (number, reason) of rows that are not among them.

    Raises:
        UserError: a split that is none.
    """
    count = len(numbers)
    why = np.zeros(count, np.int8)
    reasons = ["", "no user", "no item"]
    coded = {role: _coded(columns[role]) for role in ("user", "item")}
    for place, role in ((2, "item"), (1, "user")):
        why[coded[role][0] < 0] = place
    time, time_said = None, None
    if "time" in columns:
        time, time_said = times_of(columns["time"])
        why[(why == 0) & np.isnan(time)] = len(reasons)
        reasons.append("its time can't be read: neither ISO 8601 nor a number since 1970")
    weight = None
    if "weight" in columns:
        weight = _numbers(columns["weight"]).astype(np.float32)
        why[(why == 0) & ~(np.isfinite(weight) & (weight > 0))] = len(reasons)
        reasons.append("its weight is no number above 0")
    good = np.flatnonzero(why == 0)
    bad = [(int(numbers[row]), reasons[why[row]]) for row in np.flatnonzero(why)]
    quarantined = [(f"row {number}", reason) for number, reason in sorted(bad + broken)]
    given = _given(columns["split"]) if "split" in columns else None
    (user, users), (item, items) = coded["user"], coded["item"]
    log = in_order(Log(users, items, user, item, time, weight, given).at(good))
    return Reading(log, count + len(broken), quarantined, time_said)


def in_order(log: Log) -> Log:
    """Return the log sorted by user, then by time, then as it stood."""
    keys = (log.user,) if log.time is None else (log.time, log.user)
    return log.at(np.lexsort(keys))


def merged(log: Log) -> tuple[Log, int]:
    """Return the log with each pair of user and item once, the first in time (its weights summed up), and how many fell."""
    pairs = log.user.astype(np.int64) * max(len(log.items), 1) + log.item
    _, first, inverse = np.unique(pairs, return_index=True, return_inverse=True)
    fallen = len(pairs) - len(first)
    if not fallen:
        return log, 0
    if log.weight is not None:
        log = replace(log, weight=np.bincount(inverse, log.weight)[inverse].astype(np.float32))
    return log.at(np.sort(first)), fallen


def core(log: Log, min_user: int, min_item: int) -> tuple[Log, int]:
    """Return the log in which every user and every item has so many interactions, and how many were left out.

    Leaving out a user takes interactions from items, and the other way round, so it is repeated until nothing changes
    (the k-core of the graph, Seidman 1983).
    """
    count = len(log)
    while len(log):
        keep = np.bincount(log.user, minlength=len(log.users))[log.user] >= min_user
        keep &= np.bincount(log.item, minlength=len(log.items))[log.item] >= min_item
        if keep.all():
            break
        log = log.at(keep)
    return log, count - len(log)


def times_of(column: pa.ChunkedArray) -> tuple[np.ndarray, str]:
    """Return float64 seconds since 1970, NaN where a cell is none, and what they were read as.

    Numbers are seconds, milliseconds, microseconds or nanoseconds by their size: those of the last hundred years.
    """
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _seconds(column), f"times of type {column.type}"
    values = _numbers(column)
    known = values[np.isfinite(values)]
    missing = len(values) - len(known)
    if not pa.types.is_string(column.type) or len(known) > missing:
        size = np.median(np.abs(known)) if len(known) else 0.0
        _, unit, name = next(row for row in UNITS if size >= row[0])
        return np.where(np.isfinite(values), values / unit, np.nan), f"{name} since 1970"
    return _iso(column), "ISO 8601"


def _iso(column: pa.ChunkedArray) -> np.ndarray:
    """Return the seconds of texts; times without a zone count as UTC."""
    texts = pc.utf8_trim_whitespace(column)
    plain = pc.replace_substring_regex(texts, r"^(\d{4}-\d{2}-\d{2})$", r"\1 00:00:00")
    plain = pc.replace_substring_regex(plain, r"^(.*\d)Z$", r"\1+00:00")
    good = pc.match_substring_regex(
        plain, r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([+-]\d{2}:?\d{2})?$"
    )
    zoned = pc.match_substring_regex(plain, r"[+-]\d{2}:?\d{2}$")
    seconds = np.full(len(column), np.nan)
    for zone in (False, True):
        own = pc.and_(good, zoned if zone else pc.invert(zoned)).fill_null(False)
        rows = np.flatnonzero(own.to_numpy())
        if len(rows):
            seconds[rows] = _casted(plain.take(pa.array(rows)), pa.timestamp("us", "UTC" if zone else None))
    return seconds


def _casted(texts: pa.ChunkedArray, kind: pa.DataType) -> np.ndarray:
    """Return the seconds of texts of the right form; a day that no calendar has is NaN."""
    try:
        return _seconds(texts.cast(kind))
    except pa.ArrowInvalid:
        return np.array([_one(text, kind) for text in texts])


def _one(text: pa.Scalar, kind: pa.DataType) -> float:
    try:
        return text.cast(kind).value / 1e6
    except pa.ArrowInvalid:
        return float("nan")


def _seconds(column: Any) -> np.ndarray:
    found = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False).cast(pa.int64())
    return found.cast(pa.float64(), safe=False).to_numpy() / 1e6


def _coded(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Return codes int32, -1 where a cell is empty, and the texts that they stand for."""
    if not pa.types.is_dictionary(column.type):
        column = (column if pa.types.is_string(column.type) else column.cast(pa.string())).dictionary_encode()
    if not len(column):
        return np.empty(0, np.int32), pa.array([], pa.string())
    whole = pa.chunked_array(column.chunks).unify_dictionaries().combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    texts = whole.dictionary.cast(pa.string())
    blank = pc.equal(pc.utf8_trim_whitespace(texts), "").to_numpy(zero_copy_only=False).astype(bool)
    codes = whole.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
    return np.where((codes >= 0) & ~blank[codes], codes, -1).astype(np.int32), texts


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column as float64, NaN where a cell is no number."""
    if pa.types.is_string(column.type):
        texts = pc.utf8_trim_whitespace(column)
        plain = pc.match_substring_regex(texts, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
        column = pc.if_else(plain, texts, pa.scalar(None, pa.string()))
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False) if len(column) else np.empty(0)


def _given(column: pa.ChunkedArray) -> np.ndarray:
    """Return the given splits as their places in `NAMES`, -1 where there is none."""
    codes, names = _coded(column)
    places = [-1 if not name.strip() else NAMES.index(split_name(name)) for name in names.to_pylist()]
    return np.array([*places, -1], np.int8)[codes]


def refuse_empty(reading: Reading, source: str, least: int = 10) -> None:
    """Refuse a log that is too small to learn from.

    Raises:
        UserError: in one line, with what there is.
    """
    log = reading.log
    if len(log) >= least and len(np.unique(log.user)) > 1 and len(np.unique(log.item)) > 2:
        return
    dropped = f" after --min-user and --min-item left out {reading.filtered:,}" if reading.filtered else ""
    raise UserError(
        f"{source} holds {len(log)} interactions of {len(np.unique(log.user))} users with {len(np.unique(log.item))} "
        f"items{dropped}; to learn from, at least {least} of 2 users with 3 items are needed"
    )
