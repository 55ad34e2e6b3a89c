"""Duplicates: equal bytes, and near-duplicates found by a perceptual hash and confirmed on pixels."""

from dataclasses import dataclass

import numpy as np

from horngate.pipelines.data.near_duplicates import near_pairs

BANDS = 4  # of 16 bits each: two hashes that differ in at most 3 bits agree in at least one band
FARTHEST = 3  # bits
MOST_IN_BAND = 2000  # rows; a band value shared by more says nothing (plain backgrounds)
LIKE = 0.04  # mean absolute difference of standardised thumbnails, in standard deviations / 2.5
LARGEST_SHARE = 0.01  # of the rows; a larger near-duplicate group is reported, not merged


@dataclass(frozen=True)
class Duplicates:
    """Rows that show the same.

    Attributes:
        exact: int64 [n]; rows with equal bytes share a number.
        near: int64 [n]; rows that are exact or near-duplicates of each other share a number.
        oversized: sizes of near-duplicate groups that were too large to believe and are left apart in `near`.
    """

    exact: np.ndarray
    near: np.ndarray
    oversized: tuple[int, ...]


def find(fingerprints: list[str], thumbnails: np.ndarray | None = None, texts: list[str] | None = None) -> Duplicates:
    """Return the duplicates among rows.

    Args:
        fingerprints: hash of each row's bytes.
        thumbnails: uint8 [n, 32, 32], or None where rows are no pictures.
        texts: or None where rows are no texts. Without both, near-duplicates are not looked for.
    """
    _, exact = np.unique(np.array(fingerprints, dtype=object).astype(str), return_inverse=True)
    exact = exact.astype(np.int64)
    if (thumbnails is None and texts is None) or len(exact) == 0:
        return Duplicates(exact, exact, ())
    firsts = np.unique(exact, return_index=True)[1]
    pairs = near_pairs([texts[row] for row in firsts]) if thumbnails is None else _near_pairs(thumbnails[firsts])
    parents = merged(len(firsts), pairs)
    groups, sizes = np.unique(parents, return_counts=True)
    limit = max(2, LARGEST_SHARE * len(exact))
    oversized = groups[sizes > limit]
    apart = np.isin(parents, oversized)
    parents[apart] = len(firsts) + np.flatnonzero(apart)
    return Duplicates(exact, parents[exact], tuple(int(size) for size in sizes[sizes > limit]))


def twins(same: np.ndarray, ids: list[str], learnt: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return for each of some rows the id of the first training row that shows the same, or None: object `[rows]`.

    Args:
        same: int64 `[n]`, as `Duplicates.near`.
        ids: of all n rows.
        learnt: places of the training rows.
        rows: places of the rows that are asked about.
    """
    first: dict[int, str] = {}
    for row in learnt:
        first.setdefault(int(same[row]), ids[row])
    return np.array([first.get(int(number)) for number in same[rows]], dtype=object)


def merged(count: int, pairs) -> np.ndarray:
    """Return int64 [count]: numbers of the connected components that the pairs make."""
    from scipy.sparse import coo_array, csgraph

    pairs = np.asarray(list(pairs), dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return csgraph.connected_components(graph, directed=False)[1].astype(np.int64)


def _near_pairs(thumbnails: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs of rows whose hashes are near and whose pixels agree."""
    hashes = _hashes(thumbnails)
    values = thumbnails.reshape(len(thumbnails), -1)
    candidates = {pair for band in range(BANDS) for pair in _near_in_band(hashes, band)}
    return [(left, right) for left, right in sorted(candidates) if _alike(values[left], values[right])]


def _hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Return uint64 [n]: 64 signs of horizontal differences of the 9 × 8 means (dHash)."""
    rows = thumbnails.reshape(len(thumbnails), 8, 4, 32).mean(2)
    columns = np.stack([part.mean(-1) for part in np.array_split(rows, 9, axis=2)], axis=-1)
    bits = (columns[:, :, 1:] > columns[:, :, :-1]).reshape(len(thumbnails), 64)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _near_in_band(hashes: np.ndarray, band: int):
    """Yield pairs of rows that agree in one band of 16 bits and differ in at most FARTHEST bits of all."""
    keys = (hashes >> np.uint64(16 * band)) & np.uint64(0xFFFF)
    order = np.argsort(keys, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        if 1 < len(rows) <= MOST_IN_BAND:
            apart = np.bitwise_count(hashes[rows][:, None] ^ hashes[rows][None, :])
            left, right = np.nonzero(np.triu(apart <= FARTHEST, 1))
            yield from zip(rows[left].tolist(), rows[right].tolist(), strict=True)


def _alike(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two thumbnails agree once brightness and contrast are set aside."""
    left, right = left.astype(np.float32), right.astype(np.float32)
    spread = left.std(), right.std()
    if min(spread) < 4:  # grey levels: a plain surface is like any other
        return False
    difference = (left - left.mean()) / spread[0] - (right - right.mean()) / spread[1]
    return float(np.abs(difference).mean()) < 2.5 * LIKE
