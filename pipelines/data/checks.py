"""Findings: what is wrong with the data, graded; errors stop a training, warnings don't."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.duplicates import Duplicates

SHOWN = 5  # ids


@dataclass(frozen=True)
class Finding:
    """One thing seen in the data.

    Attributes:
        grade: `error` stops training, `warning` doesn't, `note` is plain information.
        code: a short name that programs can match.
        message: one sentence for people.
        rows: how many rows it is about.
        ids: the first few of them.
    """

    grade: str
    code: str
    message: str
    rows: int = 0
    ids: tuple[str, ...] = ()


def findings_on(
    grade: str, code: str, message: str, rows: Sequence[int], ids: list[str], first: bool = False
) -> list[Finding]:
    """Return the finding on some of the rows; none where there are none of these.

    Args:
        message: a `{}` that it begins with becomes the number of rows.
        rows: their places.
        ids: of all rows.
        first: whether the message ends with the first of them.
    """
    shown = tuple(ids[row] for row in rows[:SHOWN])
    if not shown:
        return []
    message = f"{len(rows)}{message[2:]}" if message.startswith("{}") else message
    return [Finding(grade, code, f"{message} (first: {shown[0]})" if first else message, len(rows), shown)]


def label_findings(labels: list[list[str]], splits: np.ndarray | None = None) -> list[Finding]:
    """Return findings on the labels of readable rows: too few classes, rare ones, names that differ in case or blanks."""
    counts = Counter(name for names in labels for name in names)
    found = []
    if len(counts) < 2:
        seen = ", ".join(counts) or "none"
        found.append(Finding("error", "one_class", f"there should be at least two classes. Found: {seen}", len(labels)))
    alike = defaultdict(list)
    for name in sorted(counts):
        alike["".join(name.split()).casefold()].append(name)
    for names in alike.values():
        if len(names) > 1:
            shown = ", ".join(f'"{name}" ({counts[name]})' for name in names)
            message = f"labels that differ only in case or blanks: {shown}"
            found.append(Finding("warning", "similar_labels", message, sum(counts[name] for name in names)))
    rare = [name for name in sorted(counts) if counts[name] < 10]
    if rare:
        shown = ", ".join(f"{name} ({counts[name]})" for name in rare[:SHOWN])
        message = f"{len(rare)} classes have fewer than 10 rows: {shown}"
        found.append(Finding("warning", "rare_classes", message, sum(counts[name] for name in rare)))
    if splits is not None:
        found += _unlearnt(labels, splits)
    return found


def _unlearnt(labels: list[list[str]], splits: np.ndarray) -> list[Finding]:
    learnt = {name for names, split in zip(labels, splits, strict=True) if split == "train" for name in names}
    missing = sorted({name for names in labels for name in names} - learnt)
    if not missing:
        return []
    rows = sum(any(name in missing for name in names) for names in labels)
    return [Finding("error", "unlearnt_classes", f"classes without a training row: {', '.join(missing[:SHOWN])}", rows)]


def duplicate_findings(table: pa.Table, found: Duplicates, splits: np.ndarray) -> list[Finding]:
    """Return findings on rows that show the same: within a split, across splits, with different labels."""
    ids, targets = table["id"].to_pylist(), table["target"].to_pylist()
    findings = []
    for kind, code, numbers in (("equal", "duplicates", found.exact), ("near-equal", "near_duplicates", found.near)):
        sets = _sets(numbers)
        across = [rows for rows in sets if len({splits[row] for row in rows if splits[row]}) > 1]
        rows = sorted(row for members in sets for row in members)
        message = f"{len(rows)} rows stand in {len(sets)} sets of {kind} inputs"
        findings += findings_on("note", code, message, rows, ids, first=True)
        rows = sorted(row for members in across for row in members)
        message = f"{len(across)} sets of {kind} inputs stand on several sides of the given splits"
        findings += findings_on("warning", f"{code}_across_splits", message, rows, ids, first=True)
    torn = [rows for rows in _sets(found.exact) if len({targets[row] for row in rows if targets[row]}) > 1]
    rows = sorted(row for members in torn for row in members)
    findings += findings_on(
        "warning", "two_labels", f"{len(torn)} inputs stand under two labels", rows, ids, first=True
    )
    if found.oversized:
        message = f"near-duplicate groups too large to merge: {', '.join(map(str, found.oversized[:SHOWN]))} rows"
        findings.append(Finding("warning", "large_duplicate_groups", message, sum(found.oversized)))
    return findings


def group_findings(table: pa.Table, splits: np.ndarray, unit: str = "group") -> list[Finding]:
    """Return the error of a group (a patient, a speaker, …; `unit` says what) that stands on two sides of given splits."""
    sides = defaultdict(set)
    for group, split in zip(table["group"].to_pylist(), splits, strict=True):
        if group is not None and split:
            sides[group].add(split)
    torn = sorted(group for group, names in sides.items() if len(names) > 1)
    if not torn:
        return []
    message = f"{len(torn)} {unit}s stand on several sides of the given splits (first: {torn[0]})"
    return [Finding("error", "torn_groups", message, len(torn))]


def quarantine_findings(reasons: list[tuple[str, str]], rows: int, most: float) -> list[Finding]:
    """Return findings on rows that can't be used: (id, reason) pairs among so many rows listed."""
    if not reasons:
        return []
    kinds = Counter(reason.split(":")[0].split(" (")[0] for _, reason in reasons)
    shown = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common(SHOWN))
    share = len(reasons) / rows
    grade, advice = "warning", ""
    if len(reasons) == rows:
        grade, advice = "error", "; nothing is left to learn from"
    elif share > most:
        grade, advice = "error", f"; that is {share:.1%} of all, more than --max-quarantine {most:.1%}"
    ids = tuple(name for name, _ in reasons[:SHOWN])
    message = f"{len(reasons)} of {rows} rows can't be used: {shown}{advice}"
    return [Finding(grade, "quarantined", message, len(reasons), ids)]


def _sets(numbers: np.ndarray) -> list[list[int]]:
    """Return the rows of each number that stands more than once."""
    order = np.argsort(numbers, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    return [part.tolist() for part in parts if len(part) > 1]
