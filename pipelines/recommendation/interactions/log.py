"""Interaction logs: who met what, when, and how much it counts. Columns are worked on whole, never row by row."""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from horngate.pipelines.recommendation.interactions.raw_columns import codes_of, numbers_of, splits_of, times_of
from horngate.pipelines.spec.errors import UserError


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
    coded = {role: codes_of(columns[role]) for role in ("user", "item")}
    for place, role in ((2, "item"), (1, "user")):
        why[coded[role][0] < 0] = place
    time, time_said = None, None
    if "time" in columns:
        time, time_said = times_of(columns["time"])
        why[(why == 0) & np.isnan(time)] = len(reasons)
        reasons.append("its time can't be read: neither ISO 8601 nor a number since 1970")
    weight = None
    if "weight" in columns:
        weight = numbers_of(columns["weight"]).astype(np.float32)
        why[(why == 0) & ~(np.isfinite(weight) & (weight > 0))] = len(reasons)
        reasons.append("its weight is no number above 0")
    good = np.flatnonzero(why == 0)
    bad = [(int(numbers[row]), reasons[why[row]]) for row in np.flatnonzero(why)]
    quarantined = [(f"row {number}", reason) for number, reason in sorted(bad + broken)]
    given = splits_of(columns["split"]) if "split" in columns else None
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
