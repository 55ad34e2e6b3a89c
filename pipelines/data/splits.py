"""Splits: given ones are kept, missing ones are drawn with the seed, stratified by target, and no group is torn."""

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.trailing import seconds_of
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError

NAMES = ("train", "validation", "test")
FINEST = 20  # folds: shares are drawn as so many twentieths where groups have several rows


def drawn_or_given(
    seen: Any, card: Data, old: pa.Table | None, stratum: Callable[[str], str]
) -> tuple[np.ndarray, list[str]]:
    """Return what `assign` does for the rows of a survey, with sentences on what was given and what was drawn too."""
    given = [name for name in NAMES if name in set(seen.table["split"].to_pylist())]
    splits, notes = assign(seen.table, seen.groups, card, old, stratum)
    drawn = [name for name in NAMES if name in set(splits) and name not in given]
    if given:
        notes.insert(0, f"given: {', '.join(given)}")
    if drawn and old is None:
        by_time = card.split_rule == "time-cut"
        cut = "cut by time" + " at the end of each series" * (card.rows.input == "window")
        how = cut if by_time else f"drawn anew with seed {card.seed}"
        notes.append(f"{how}: {', '.join(drawn)}")
    return splits, notes


def assign(
    table: pa.Table,
    groups: np.ndarray,
    card: Data,
    old: pa.Table | None = None,
    stratum: Callable[[str], str] = str,
) -> tuple[np.ndarray, list[str]]:
    """Return each row's split, and sentences on what had to be decided.

    Args:
        table: rows with `id`, `target`, `split` and `group`.
        groups: int64 [n]; rows that must stay together share a number.
        card: gives the shares, the seed and the rule.
        old: the `splits.parquet` of another run, whose rows keep their split.
        stratum: what of a target rows are stratified by.

    Raises:
        UserError: too few groups to give every wished split one.
    """
    splits = np.array([name or "" for name in table["split"].to_pylist()], dtype=object)
    if card.split_rule == "time-cut":
        return _cut_by_time(splits, table, card, old)
    notes: list[str] = []
    if old is not None:
        notes += _inherit(splits, table, groups, old)
    targets = np.array([stratum(target or "") for target in table["target"].to_pylist()], dtype=object)
    wishes = {"test": card.test, "validation": card.validation}
    undecided = np.flatnonzero(splits == "")
    if len(undecided):
        _draw(splits, undecided, targets, groups, wishes, card.seed, least=1 if len(undecided) == len(splits) else 0)
    missing = {name: share for name, share in wishes.items() if name not in splits}
    _draw(splits, np.flatnonzero(splits == "train"), targets, groups, missing, card.seed, least=1)
    if "train" not in splits:
        raise UserError("no row is left for training: the split column gives none")
    return splits, notes


def _draw(splits, rows, targets, groups, shares: dict[str, float], seed: int, least: int) -> None:
    """Draw the wished shares among `rows`, in place, each with `least` groups or more; what is left is train."""
    splits[rows] = "train"
    left, total = rows, 1.0
    for name, share in shares.items():
        if share > 0 and len(left) and (least or round(share / total * len(np.unique(groups[left]))) > 0):
            taken = _taken(targets[left], groups[left], share / total, seed, name)
            _give_back(taken, targets[left], groups[left])
            splits[left[taken]] = name
            left, total = left[~taken], total - share


def _cut_by_time(splits: np.ndarray, table: pa.Table, card: Data, old: pa.Table | None) -> tuple[np.ndarray, list[str]]:
    """Cut each series (the rows of a group) into train, validation and test.

    Rows of series stand in order; others are put in order of the column `time`. Where another run's split is inherited,
    rows that it doesn't know come later and go to the test.
    """
    series, notes = table["group"].to_pylist(), []
    times = None if card.rows.input == "window" else _times(table)
    if old is not None:
        notes = _inherit(splits, table, np.arange(len(splits)), old)
        splits[splits == ""] = "test"
    wishes = {"test": card.test, "validation": card.validation}
    if (splits == "").any():
        _cut(splits, np.flatnonzero(splits == ""), (series, times), wishes)
    missing = {name: share for name, share in wishes.items() if name not in splits}
    _cut(splits, np.flatnonzero(splits == "train"), (series, times), missing)
    if "train" not in splits:
        raise UserError("no row is left for training: the split column gives none")
    return splits, notes


def _times(table: pa.Table) -> np.ndarray:
    """Return float64 `[n]` seconds.

    Raises:
        UserError: there is no column of times, or a time that can't be read.
    """
    if "time" not in table.column_names:
        raise UserError("--split-rule time-cut needs a column of times; name it with --time-column")
    found = np.empty(table.num_rows)
    for row, cell in enumerate(table["time"].to_pylist()):
        try:
            found[row] = seconds_of(cell, "seconds")
        except ValueError as reason:
            raise UserError(f"{table['id'][row].as_py()} can't be put in order of time: {reason}") from None
    return found


def _cut(splits: np.ndarray, rows: np.ndarray, order: tuple[list, np.ndarray | None], shares: dict[str, float]) -> None:
    """Give the last rows of each series to the splits with a share, in place; the first ones are train.

    Args:
        order: the series of each row, and its time, if rows don't stand in order; rows of one time stay together.
    """
    series, times = order
    splits[rows] = "train"
    places: dict = {}
    for row in rows:
        places.setdefault(series[row], []).append(row)
    for own in places.values():
        left = np.array(own)
        left = left if times is None else left[np.argsort(times[left], kind="stable")]
        for name, share in shares.items():
            count = min(max(round(share * len(own)), 1), len(left) - 1) if share > 0 else 0
            start = len(left) - count
            while count and times is not None and start > 1 and times[left[start - 1]] == times[left[start]]:
                start -= 1
            splits[left[start:]] = name
            left = left[:start]


def _taken(targets: np.ndarray, groups: np.ndarray, share: float, seed: int, name: str) -> np.ndarray:
    """Return bool [n]: about `share` of the rows, whole groups only, at least one and not all."""
    from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold, StratifiedShuffleSplit

    rows, count = len(targets), len(np.unique(groups))
    if count < 2:
        raise UserError(f"can't set rows aside for {name}: all {rows} rows belong together; use --{name} 0 or add data")
    state = np.random.RandomState([seed, NAMES.index(name)])
    taken = np.zeros(rows, bool)
    common = _common(targets, count)
    if count == rows and (common == common[0]).sum() >= 2:
        wished = min(max(round(share * rows), len(np.unique(common))), rows - len(np.unique(common)))
        splitter = StratifiedShuffleSplit(1, test_size=max(wished, 1), random_state=state)
        taken[next(splitter.split(common, common))[1]] = True
    elif count >= 2 * FINEST:
        part = Fraction(share).limit_denominator(FINEST)
        part = part if 0 < part < 1 else Fraction(1, FINEST)
        splitter = StratifiedGroupKFold(part.denominator, shuffle=True, random_state=state)
        for _, (_, fold) in zip(range(part.numerator), splitter.split(common, common, groups), strict=False):
            taken[fold] = True
    else:
        wished = min(max(round(share * count), 1), count - 1)
        splitter = GroupShuffleSplit(1, test_size=wished, random_state=state)
        taken[next(splitter.split(targets, targets, groups))[1]] = True
    return taken


def _give_back(taken: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> None:
    """Give back one group of each target that would be taken wholly, in place: what is never learnt can't be found.

    Targets of which there are too many to stratify by are no classes, and stay.
    """
    if len(set(targets)) > len(np.unique(groups)) / 2:
        return
    for target in set(targets[taken]) - set(targets[~taken]):
        kept = taken & (groups != groups[targets == target][0])
        if kept.any():
            taken[:] = kept


def _common(targets: np.ndarray, count: int) -> np.ndarray:
    """Return what to stratify by: rare targets share one name; one name for all, where there are too many targets."""
    counts = Counter(targets)
    if len(counts) > count / 2:
        return np.full(len(targets), "", dtype=object).astype(str)
    merged = np.array(["(rare)" if counts[target] < 3 else target for target in targets]).astype(str)
    names, sizes = np.unique(merged, return_counts=True)
    if sizes.min() < 2:
        merged[merged == names[sizes.argmin()]] = names[sizes.argmax()]
    return merged


def _inherit(splits: np.ndarray, table: pa.Table, groups: np.ndarray, old: pa.Table) -> list[str]:
    """Take over the old run's split by id; a new row follows its group. Returns sentences on what that meant."""
    known = dict(zip(old["id"].to_pylist(), old["split"].to_pylist(), strict=True))
    ids = table["id"].to_pylist()
    inherited = np.array([known.get(name) or "" for name in ids], dtype=object)
    where: dict[int, set[str]] = {}
    for group, split in zip(groups, inherited, strict=True):
        if split:
            where.setdefault(int(group), set()).add(split)
    torn = []
    for row, group in enumerate(groups):
        if not inherited[row] and int(group) in where:
            sides = where[int(group)]
            inherited[row] = next(name for name in NAMES if name in sides)
            if len(sides) > 1:
                torn.append(ids[row])
    fresh = (splits == "") | (inherited != "")
    splits[fresh] = inherited[fresh]
    kept = sum(name in known for name in ids)
    notes = [f"{kept} of {len(ids)} rows keep the split of the earlier run"]
    if torn:
        notes.append(
            f"{len(torn)} new rows tie two splits together (first: {torn[0]}); they went to the first of the two"
        )
    return notes
