"""Which interactions are learnt from and which are held out."""

import json

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.splits import NAMES
from horngate.pipelines.recommendation.interactions.log import Log
from horngate.pipelines.spec.errors import UserError

TRAIN, VALIDATION, TEST = range(3)


def split(log: Log, rule: str, shares: dict[str, float], seed: int) -> tuple[np.ndarray, list[str], str]:
    """Return int8 `[n]`, the place of each interaction's split in `NAMES`, sentences on it, and the rule that was taken.

    Given splits are kept; what is missing is taken from the training interactions.

    Args:
        rule: `time-cut`, `per-user`, `leave-one-out` or `auto`.
        shares: of `validation` and `test`; under leave-one-out only whether they are above 0 counts.

    Raises:
        UserError: a time-cut without times, or nothing left to learn from.
    """
    rule = rule if rule != "auto" else "per-user" if log.time is None else "time-cut"
    sides = np.zeros(len(log), np.int8) if log.given is None else np.maximum(log.given, TRAIN)
    given = [] if log.given is None else [NAMES[side] for side in np.unique(log.given[log.given >= 0])]
    notes = [f"given: {', '.join(given)}"] if given else []
    missing = [name for name in ("test", "validation") if name not in given and shares[name] > 0]
    if missing:
        rows = np.flatnonzero(sides == TRAIN)
        wishes = {NAMES.index(name): shares[name] for name in missing}
        sides[rows] = _drawn(log.at(rows), rule, wishes, seed)
        notes.append(f"{_said(rule, log, seed)}: {', '.join(reversed(missing))}")
    if not (sides == TRAIN).any():
        raise UserError("no interaction is left to learn from: the split column gives none to train")
    return sides, notes, rule if missing else "given"


def _said(rule: str, log: Log, seed: int) -> str:
    if rule == "time-cut":
        return "cut at one moment for all users"
    if rule == "per-user":
        return f"drawn of each user with seed {seed}"
    return "the last of each user" + (", in the order in which they stand" if log.time is None else " by time")


def _drawn(log: Log, rule: str, wishes: dict[int, float], seed: int) -> np.ndarray:
    if rule == "time-cut":
        return _cut(log, wishes)
    sizes = np.bincount(log.user, minlength=len(log.users))
    place = np.arange(len(log)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    if rule == "per-user":
        chance = np.random.default_rng((seed, len(log))).random(len(log))
        order = np.lexsort((chance, log.user))
        drawn = np.empty(len(log), np.int64)
        drawn[order] = place
        place = drawn
    sides, left = np.zeros(len(log), np.int8), sizes.copy()
    for side, share in wishes.items():
        wished = np.ones_like(sizes) if rule == "leave-one-out" else np.maximum((share * sizes).astype(np.int64), 1)
        count = np.minimum(wished, np.maximum(left - 1, 0))  # at least one is learnt from
        own = (place < left[log.user]) & (place >= (left - count)[log.user])
        sides[own] = side
        left -= count
    return sides


def _cut(log: Log, wishes: dict[int, float]) -> np.ndarray:
    """Cut all interactions at one moment: nothing that is learnt from is later than what is held out."""
    if log.time is None:
        raise UserError("--split-rule time-cut needs times: name their column with --time-column, or take per-user")
    times, sides, held = np.sort(log.time), np.zeros(len(log), np.int8), 0.0
    for side, share in wishes.items():
        held += share
        edge = times[min(round((1 - held) * len(times)), len(times) - 1)]
        sides[(sides == TRAIN) & (log.time >= edge)] = side
    if not (sides == TRAIN).any():
        raise UserError("all interactions happened at one moment, so that none is earlier; take --split-rule per-user")
    return sides


def inherited(log: Log, sides: np.ndarray, old: pa.Table) -> tuple[np.ndarray, str]:
    """Return the splits in which interactions that another run knows stay where they were there, and what that meant.

    Args:
        sides: of the interactions that it doesn't know.
        old: its `splits.parquet`.
    """
    places = {name: code for code, name in enumerate(log.items.to_pylist())}
    users = {name: code for code, name in enumerate(log.users.to_pylist())}
    known: dict[int, int] = {}
    for user, split_, target in zip(*(old[name].to_pylist() for name in ("id", "split", "target")), strict=True):
        if user in users:
            side, first = NAMES.index(split_), users[user] * len(places)
            known.update((first + places[name], side) for name in json.loads(target) if name in places)
    pairs = log.user.astype(np.int64) * len(places) + log.item
    found = np.array([known.get(int(pair), -1) for pair in pairs], np.int8)
    kept = int((found >= 0).sum())
    return np.where(found >= 0, found, sides), f"{kept} of {len(log)} interactions keep the split of the earlier run"
