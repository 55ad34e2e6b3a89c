"""What happened since a run was trained: a log that goes on where the run's own ends."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.recommendation.interactions.log import Log
from horngate.pipelines.recommendation.interactions.log_files import read_log
from horngate.pipelines.recommendation.interactions.splits import TRAIN, VALIDATION
from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.spec.card import elsewhere
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress


def continued(store: InteractionStore, path: str, card: Any) -> InteractionStore:
    """Return what a run knows, with the interactions of a log behind each user's own; its users may be new ones.

    Times decide the order where both have them. The same user, item and time isn't taken twice; without times, the same
    user and item isn't, unless users come back to items (`--repeats`).

    Raises:
        UserError: no log there, or none of its items is known.
    """
    reading = read_log(path, replace(elsewhere(card, path), split_column=None))
    codes = store.items_of(reading.log.items)[reading.log.item]
    if len(reading.quarantined):
        number, reason = reading.quarantined[0]
        progress.notice(f"{len(reading.quarantined):,} rows of {path} can't be used, the first one {number}: {reason}")
    if not (codes >= 0).any():
        raise UserError(f"--histories {path} has none of the items that the run learnt; check --item-column")
    if (codes < 0).any():
        progress.notice(f"{int((codes < 0).sum()):,} interactions of {path} are with items that the run doesn't know")
    part = replace(reading.log, item=codes).at(codes >= 0)
    ids = store.users_of(part.users)
    new = np.flatnonzero(ids < 0)
    ids[new] = len(store.log.users) + np.arange(len(new))
    users = pa.concat_arrays([store.log.users, part.users.take(pa.array(new))])
    part = replace(part, users=users, user=ids[part.user].astype(np.int32))
    log, fresh = _joined(store.log, part, card.repeats)
    sides = np.full(len(log), VALIDATION, np.int8)
    sides[~fresh] = np.where((store.sides == VALIDATION) & store.refit, TRAIN, store.sides)
    features = {role: np.pad(there, (0, len(new) * (role == "user"))) for role, there in store.featured.items()}
    return replace(store, log=log, sides=sides, refit=False, featured=features)


def _joined(old: Log, new: Log, repeats: bool) -> tuple[Log, np.ndarray]:
    """Return both logs, sorted as one, and bool `[n]`: what is from the second, without what isn't taken twice."""
    timed = old.time is not None and new.time is not None
    fresh = np.repeat([False, True], [len(old), len(new)])
    user, item = (np.concatenate([getattr(old, name), getattr(new, name)]) for name in ("user", "item"))
    time = np.concatenate([old.time, new.time]) if timed else np.zeros(len(fresh))
    weight = None if old.weight is None else np.concatenate([old.weight, _weights(new)])
    order = np.lexsort((fresh, time, item, user))
    same = np.zeros(len(order), bool)
    key = np.stack([user[order], item[order], time[order]])
    same[1:] = (key[:, 1:] == key[:, :-1]).all(0)
    drop = np.zeros(len(order), bool)
    drop[order[same & fresh[order]]] = timed or not repeats
    rows = np.lexsort((np.arange(len(order)), time, user))
    rows = rows[~drop[rows]]
    log = Log(new.users, old.items, user[rows], item[rows].astype(np.int32), time[rows] if timed else None)
    return replace(log, weight=None if weight is None else weight[rows]), fresh[rows]


def _weights(log: Log) -> np.ndarray:
    return np.ones(len(log), np.float32) if log.weight is None else log.weight
