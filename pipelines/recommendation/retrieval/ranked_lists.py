"""From scores to lists: the best items of each user, with what was met before left out; always in blocks of users."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.sparse import csr_array

HELD = 1 << 25  # scores at a time
# Users, what is masked and what may be looked at (both of all users, [users, items]) -> codes int32 [n, depth].
Lister = Callable[[np.ndarray, csr_array, csr_array], np.ndarray]
Scorer = Callable[[np.ndarray], np.ndarray]  # int64 [n], codes of users -> float32 [n, items]


def blocks(count: int, items: int, most: int = 1024) -> Iterator[np.ndarray]:
    """Yield the places of rows whose scores fit into memory together."""
    size = step(items, most)
    for start in range(0, count, size):
        yield np.arange(start, min(start + size, count))


def step(items: int, most: int = 1024) -> int:
    """Return how many users are scored together: a power of two."""
    return 1 << int(np.clip(HELD // max(items, 1), 1, most)).bit_length() - 1


def lists(
    scorer: Scorer,
    users: np.ndarray,
    seen: csr_array,
    allowed: np.ndarray,
    depth: int,
    only: csr_array | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best items of users, int32 `[n, depth]` (-1 where there are no more), and their scores, float32.

    Among equal scores the item of the lower code comes first; codes stand in an order drawn with the run's seed.

    Args:
        users: codes int64 `[n]`.
        seen: `[users, items]`, what is left out for each.
        allowed: bool `[items]`, what may be listed at all.
        only: `[n, items]`, what may be listed for each; None for all.
    """
    codes, scores = np.full((len(users), depth), -1, np.int32), np.full((len(users), depth), np.nan, np.float32)
    for rows in blocks(len(users), len(allowed)):
        found = scorer(users[rows])
        if only is not None:
            found[~only[rows].toarray().astype(bool)] = -np.inf
        codes[rows], scores[rows] = best(found, users[rows], seen, allowed, depth)
    return codes, scores


def best(
    scores: np.ndarray, users: np.ndarray, seen: csr_array, allowed: np.ndarray, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `lists` does for users whose scores float32 `[n, items]` are there already; these are overwritten."""
    from keras import ops

    scores[:, ~allowed] = -np.inf
    known = np.flatnonzero(users >= 0)
    starts, ends = seen.indptr[users[known]], seen.indptr[users[known] + 1]
    sizes = (ends - starts).astype(np.int64)
    places = np.arange(sizes.sum()) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    scores[np.repeat(known, sizes), seen.indices[places]] = -np.inf
    count = min(depth, scores.shape[1])
    values, codes = (np.asarray(part) for part in ops.top_k(scores, count))
    there = np.isfinite(values)
    found = np.full((len(scores), depth), -1, np.int32), np.full((len(scores), depth), np.nan, np.float32)
    found[0][:, :count] = np.where(there, codes, -1)
    found[1][:, :count] = np.where(there, values, np.nan)
    return found


def by_popularity(
    counts: np.ndarray,
    users: np.ndarray,
    seen: csr_array,
    allowed: np.ndarray,
    depth: int,
    only: csr_array | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `lists` does where every user's scores are the items' counts, int64 `[items]`.

    Only the most popular items are looked at: as many as a user can have met, and `depth` more.
    """
    if only is not None:
        fame = counts.astype(np.float32)
        return lists(lambda own: np.tile(fame, (len(own), 1)), users, seen, allowed, depth, only)
    order = np.lexsort((np.arange(len(counts)), -counts))
    order = order[allowed[order] & (counts[order] > 0)]
    place = np.full(len(counts), len(order), np.int64)
    place[order] = np.arange(len(order))
    met = np.diff(seen.indptr)
    codes, scores = np.full((len(users), depth), -1, np.int32), np.full((len(users), depth), np.nan, np.float32)
    for rows in np.array_split(np.arange(len(users)), max(1, len(users) // 1024)):
        own = users[rows]
        sizes = np.where(own >= 0, met[own], 0).astype(np.int64)
        width = min(int(sizes.max(initial=0)) + depth, len(order))
        taken = np.zeros((len(rows), width + 1), bool)
        starts = np.where(own >= 0, seen.indptr[own], 0)
        places = np.arange(sizes.sum()) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
        taken[np.repeat(np.arange(len(rows)), sizes), np.minimum(place[seen.indices[places]], width)] = True
        free = ~taken[:, :width]
        row, column = np.nonzero(free & (np.cumsum(free, axis=1) <= depth))
        nth = np.cumsum(free, axis=1)[row, column] - 1
        codes[rows[row], nth] = order[column]
        scores[rows[row], nth] = counts[order[column]]
    return codes, scores


def drawn(
    users: np.ndarray, held: tuple[np.ndarray, np.ndarray], seen: csr_array, allowed: np.ndarray, count: int, seed: int
) -> csr_array:
    """Return bool `[n, items]`: of each user what was held out, and so many drawn items that were never met.

    Args:
        users: codes int64 `[n]`, -1 where unknown.
        held: offsets int64 `[n + 1]` and codes of what was held out; -1 where unknown.
    """
    offsets, targets = held
    rows, ends = [], [0]
    for row, user in enumerate(users):
        own = targets[offsets[row] : offsets[row + 1]]
        free = allowed.copy()
        free[own[own >= 0]] = False
        free[seen.indices[seen.indptr[user] : seen.indptr[user + 1]] if user >= 0 else []] = False
        able = np.flatnonzero(free)
        picks = np.random.default_rng((seed, int(user) + 1)).choice(able, min(count, len(able)), replace=False)
        rows.append(np.concatenate([own[own >= 0], picks]))
        ends.append(ends[-1] + len(rows[-1]))
    columns = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    return csr_array((np.ones(len(columns), bool), columns, ends), shape=(len(users), len(allowed)))
