"""VUS-PR: how well scores rank rows of a series whose labels are ranges of time with uncertain borders."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from horngate.pipelines.statistics.intervals import Measure, Uncomputable

BUFFER = 100  # rows: the widest border of a labelled range
THRESHOLDS = 250  # that a series' scores are cut at, evenly by rank
Range = tuple[int, int]  # first and last row


def vus_pr(
    targets: np.ndarray, scores: np.ndarray, series: np.ndarray, units: np.ndarray, buffer: int = BUFFER
) -> Measure:
    """Return the volume under the precision-recall surface (Paparrizos et al. 2022), averaged over series.

    Labelled ranges get borders of 0 to `buffer` rows (half of them on each side) in which a row counts the less the
    farther it lies from the range. For each width, precision is summed over the gains in recall, where recall is
    multiplied by the share of ranges that were touched at all. No label is moved and no answer is adjusted. Series
    without a labelled row don't count.

    Args:
        targets: bool `[n]`; rows of a series stand together, in order of time.
        scores: float `[n]`, higher for more anomalous.
        series: int64 `[n]`, equal within a series.
        units: int64 `[n]`, what a bootstrap draws together: whole series, or blocks of rows within them.
        buffer: rows.

    Raises:
        Uncomputable: no series has both labelled and other rows.
    """
    parts = []
    for rows in _of_each(series):
        own = targets[rows]
        if own.any() and not own.all():
            parts.append(_Surface(own, scores[rows], units[rows], buffer))
    if not parts:
        raise Uncomputable("no series has both anomalous and other rows")
    count = int(units.max()) + 1
    sizes = np.maximum(np.bincount(units, minlength=count), 1)

    def measure(weights: np.ndarray) -> float:
        drawn = np.bincount(units, weights, count) / sizes
        found = np.array([part.volume(drawn) for part in parts])
        shares = np.array([part.weight(drawn) for part in parts]) * np.isfinite(found)
        return float(shares @ np.nan_to_num(found) / shares.sum()) if shares.sum() > 0 else np.nan

    return measure


def ranges_of(marked: np.ndarray) -> list[Range]:
    """Return the first and the last row of each run of marked rows."""
    turns = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
    return [(int(start), int(end) - 1) for start, end in zip(turns[::2], turns[1::2], strict=True)]


def _of_each(series: np.ndarray) -> Iterator[slice]:
    """Yield the rows of each series."""
    cuts = np.flatnonzero(np.diff(series)) + 1
    for start, end in zip([0, *cuts], [*cuts, len(series)], strict=True):
        yield slice(int(start), int(end))


@dataclass
class _Sums:
    """Weights down to each threshold, by unit: of all rows, of labelled ones, of those in borders of each width."""

    predicted: np.ndarray  # [units, thresholds]
    hits: np.ndarray  # [units, thresholds]
    near: np.ndarray  # int64 [few], the units that hold a range or a border; what follows is of these alone
    bordering: np.ndarray  # [few, widths, thresholds]
    touched: np.ndarray  # [few, widths, thresholds], ranges that joined where their borders met
    ranges: np.ndarray  # [few, widths]


class _Surface:
    """Precision and recall of one series over all thresholds and widths."""

    def __init__(self, targets: np.ndarray, scores: np.ndarray, units: np.ndarray, buffer: int):
        self.names, self.units = np.unique(units, return_inverse=True)
        self.shares = np.bincount(self.units) / len(units)
        descending = -np.sort(-scores.astype(np.float64), kind="stable")
        cuts = descending[np.linspace(0, len(scores) - 1, THRESHOLDS).astype(int)]
        self.from_which = np.searchsorted(-cuts, -scores.astype(np.float64), side="left")
        self.sums = self._summed(targets, buffer)
        self.single = None
        if len(self.names) == 1:
            self.single, self.sums = self._volume(np.ones(1)), None

    def weight(self, drawn: np.ndarray) -> float:
        return float(drawn[self.names] @ self.shares)

    def volume(self, drawn: np.ndarray) -> float:
        """Return the volume where unit number i counts `drawn[i]` times; NaN where no labelled row is drawn."""
        return self._volume(drawn[self.names]) if self.single is None else self.single

    def _summed(self, targets: np.ndarray, buffer: int) -> _Sums:
        ranges, every = ranges_of(targets), np.arange(len(targets))
        places = np.array([(start + end) // 2 for start, end in ranges])
        bordering, touched, counts = [], [], []
        for width in range(buffer + 1):
            soft = _borders(targets, ranges, width)
            near = np.flatnonzero(soft)
            bordering.append(self._down(near, soft[near]))
            merged = _merged(ranges, width // 2, len(targets))
            own = np.array([places[members[0]] for _, _, members in merged])
            first = np.array([self.from_which[start : end + 1].min() for start, end, _ in merged])
            touched.append(self._down(own, np.ones(len(own)), first))
            counts.append(np.bincount(self.units[own], minlength=len(self.names)))
        wide = [np.stack(parts, 1) for parts in (bordering, touched, counts)]
        few = np.flatnonzero(wide[0].any((1, 2)) | wide[2].any(1))
        sums = (self._down(every, np.ones(len(targets))), self._down(every, targets.astype(np.float64)))
        return _Sums(*sums, few, *(part[few].astype(np.float64) for part in wide))

    def _down(self, rows: np.ndarray, values: np.ndarray, first: np.ndarray | None = None) -> np.ndarray:
        """Return float64 `[units, thresholds]`: sums of the values whose threshold number is `first` or a later one."""
        first = self.from_which[rows] if first is None else first
        cells = self.units[rows] * THRESHOLDS + first
        flat = np.bincount(cells, values, len(self.names) * THRESHOLDS)
        return flat.reshape(len(self.names), THRESHOLDS).cumsum(1)

    def _volume(self, weights: np.ndarray) -> float:
        sums = self.sums
        predicted, hits = weights @ sums.predicted, weights @ sums.hits
        if hits[-1] <= 0:
            return np.nan
        drawn = weights[sums.near]
        bordering = _weighted(drawn, sums.bordering)
        found = hits + bordering
        recall = found / (hits[-1] + bordering / 2)
        np.minimum(recall, 1, out=recall)
        recall *= _weighted(drawn, sums.touched)
        recall /= np.maximum(drawn @ sums.ranges, 1e-12)[:, None]
        found /= np.maximum(predicted, 1e-12)
        gained = np.einsum("wt,wt->", recall[:, 1:] - recall[:, :-1], found[:, 1:]) + recall[:, 0] @ found[:, 0]
        return float(gained / len(recall))


def _weighted(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    return (weights @ values.reshape(len(weights), -1)).reshape(values.shape[1:])


def _borders(targets: np.ndarray, ranges: list[Range], width: int) -> np.ndarray:
    """Return float64 `[n]`: what each row beside the ranges counts, at most 1; 0 in the ranges themselves."""
    soft, rows = np.zeros(len(targets)), len(targets)
    if width >= 2:
        falling = np.sqrt(1 - np.arange(1, width // 2 + 1) / width)
        for start, end in ranges:
            after = min(width // 2, rows - 1 - end)
            soft[end + 1 : end + 1 + after] += falling[:after]
            before = min(width // 2, start)
            soft[start - before : start] += falling[:before][::-1]
    return np.where(targets, 0.0, np.minimum(soft, 1))


def _merged(ranges: list[Range], border: int, rows: int) -> list[tuple[int, int, list[int]]]:
    """Return ranges with their borders, those that meet as one: first row, last row, which ranges."""
    found: list[tuple[int, int, list[int]]] = []
    for place, (start, end) in enumerate(ranges):
        first, last = max(start - border, 0), min(end + border, rows - 1)
        if found and found[-1][1] >= first:
            found[-1] = (found[-1][0], last, [*found[-1][2], place])
        else:
            found.append((first, last, [place]))
    return found
