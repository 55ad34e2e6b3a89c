"""Cases: a user and what was held out of them. What is listed, split, answered and measured are cases."""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from horngate.models.recommendation.interactions import Lists
from horngate.pipelines.data.sources.blocks import block
from horngate.pipelines.data.splits import NAMES
from horngate.pipelines.recommendation.interactions.log import Log
from horngate.pipelines.recommendation.interactions.splits import TRAIN

BANDS = (0, 1, 5, 10, 20, 50, 100)  # interactions of a user, from here on
HEAD = 1 / 3  # of the training interactions are with items of the head, as many with those of the middle


def matrix(log: Log, rows: np.ndarray) -> csr_array:
    """Return float32 `[users, items]` of some interactions (places or a mask): their weights, 1 where there are none.

    The columns of a row stand in the order of time.
    """
    part = log.at(rows)
    starts = np.concatenate([[0], np.cumsum(np.bincount(part.user, minlength=len(log.users)))])
    values = np.ones(len(part), np.float32) if part.weight is None else part.weight
    return csr_array((values, part.item, starts), shape=(len(log.users), len(log.items)))


def lists_of(rows: csr_array) -> Lists:
    """Return a matrix of `matrix` as models take it."""
    return Lists(rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.shape[1], rows.data)


def cases(log: Log, sides: np.ndarray) -> pa.Table:
    """Return a row for each user and each split that holds some of the user's interactions.

    Its `target` is a JSON list of these items, in the order of time, and `user_activity`, `item_popularity` and
    `cold_start` say what its slices are.
    """
    fame = np.bincount(log.item[sides == TRAIN], minlength=len(log.items))
    counts = np.bincount(log.user[sides == TRAIN], minlength=len(log.users))
    made = [_of_split(log.at(sides == side), NAMES[side], counts, fame) for side in np.unique(sides)]
    return pa.concat_tables(made) if made else block({"id": []})


def _of_split(log: Log, split: str, counts: np.ndarray, fame: np.ndarray) -> pa.Table:
    users, starts = np.unique(log.user, return_index=True)
    offsets = np.append(starts, len(log))
    targets = listed(log.items, log.item, offsets)
    return sliced(log.users.take(pa.array(users)), targets, split, counts[users], (offsets, fame[log.item]), fame)


def sliced(
    ids: pa.Array,
    targets: pa.Array,
    split: str | None,
    counts: np.ndarray,
    held: tuple[np.ndarray, np.ndarray],
    fame: np.ndarray,
) -> pa.Table:
    """Return cases with the columns that they are sliced by.

    Args:
        ids, targets: of the users; JSON lists of items.
        counts: int64 `[n]`, training interactions of each user.
        held: offsets int64 `[n + 1]`, and for each item held out its training interactions.
        fame: int64 `[items]`, training interactions of each item.
    """
    offsets, known = held
    core = block({"id": ids.to_pylist(), "target": targets.to_pylist()})
    core = core.set_column(core.column_names.index("split"), "split", pa.array([split] * len(ids), pa.string()))
    core = core.set_column(core.column_names.index("value"), "value", targets.cast(pa.binary()))
    new = np.add.reduceat(known > 0, offsets[:-1]) == 0 if len(ids) else np.zeros(0, bool)
    cold = np.where(counts == 0, "new user", np.where(new, "only new items", "no"))
    further = {"user_activity": _band(counts), "item_popularity": _fame(offsets, known, fame), "cold_start": cold}
    for name, values in further.items():
        core = core.append_column(name, pa.array(values.tolist(), pa.string()))
    return core


def listed(ids: pa.Array, codes: np.ndarray, offsets: np.ndarray) -> pa.Array:
    """Return JSON lists of ids, one for each stretch of codes between two offsets."""
    quoted = pa.array([json.dumps(name, ensure_ascii=False) for name in ids.to_pylist()], pa.string())
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), quoted.take(pa.array(codes)))
    return pc.binary_join_element_wise("[", pc.binary_join(lists, ", "), "]", "")


def _band(counts: np.ndarray) -> np.ndarray:
    names = [f"{low}–{high - 1}" if high - low > 1 else f"{low}" for low, high in pairwise(BANDS)]
    return np.array([*names, f"{BANDS[-1]} and more"])[np.searchsorted(BANDS, counts, "right") - 1]


def _fame(offsets: np.ndarray, known: np.ndarray, fame: np.ndarray) -> np.ndarray:
    """Return in which third of the training interactions the middle one of a user's targets by popularity lies."""
    falling = np.sort(fame)[::-1]
    reached = np.cumsum(falling)
    edges = [falling[np.searchsorted(reached, reached[-1] * share)] for share in (1 / 3, 2 / 3)]
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    rows = np.lexsort((-known, owner))
    middle = known[rows][offsets[:-1] + (np.diff(offsets) - 1) // 2]
    names = np.array(["head", "middle", "tail", "never seen"])
    return names[(middle < edges[0]).astype(int) + (middle < edges[1]) + (middle == 0)]
