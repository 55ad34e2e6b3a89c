"""The first look at all rows: which can be read, what they are, which show the same, what is wrong."""

import hashlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data import checks, duplicates
from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.duplicates import Duplicates
from horngate.pipelines.data.reading import content, in_order
from horngate.pipelines.data.sources.blocks import Listing
from horngate.pipelines.data.sources.loader import examples
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.task import Task


@dataclass(frozen=True)
class Survey:
    """What was seen.

    Attributes:
        table: the rows that can be used, in the schema of the sources.
        listed: how many rows the source listed; `table` and `quarantined` add up to it.
        quarantined: (id, reason) of the rows that can't be used.
        facts: what the reader's `inspect` said of each row of `table`.
        fingerprints: hash of each row's bytes.
        same: which rows show the same.
        findings: what is wrong, worst first.
    """

    table: pa.Table
    listed: int
    quarantined: list[tuple[str, str]]
    facts: list[Any]
    fingerprints: list[str]
    same: Duplicates
    findings: list[Finding]

    @property
    def groups(self) -> np.ndarray:
        """int64 `[n]`: rows that must stay together, by the user's groups and by showing the same."""
        named = self.table["group"].to_pylist()
        first: dict[Any, int] = {}
        pairs = []
        for row, number in enumerate(self.same.near):
            pairs.append((row, first.setdefault(int(number), row)))
            if named[row] is not None:
                pairs.append((row, first.setdefault(named[row], row)))
        return duplicates.merged(len(named), pairs)

    @property
    def usable(self) -> int:
        """How many of the listed rows can be used."""
        return self.table.num_rows

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.grade == "error"]


def survey(task: Task) -> Survey:
    """List, read and compare all rows of the data of a task's card.

    Raises:
        UserError: the source itself can't be used.
    """
    listing = Listing()
    table = examples(task.card, task.rows.suffixes, listing)
    facts, prints, quarantined, kept = [], [], [], []

    def look(row: tuple) -> tuple[Any, str]:
        data = content(*row[:3])
        suffix = Path(os.fsdecode(row[0])).suffix.lower() if row[0] else ""
        return task.reader.inspect(data, suffix, *row[3:]), hashlib.sha256(data).hexdigest()[:32]

    columns = [table[name] for name in ("input", "value", "error")]
    nothing = pa.nulls(table.num_rows, pa.string())
    columns += [table[name] if name in table.column_names else nothing for name in task.card.rows.beside]
    rows = zip(*(_values(column) for column in columns), strict=True)
    ids = table["id"].to_pylist()
    for row, seen in enumerate(progress.tracked(in_order(look, rows), "looking at the data", table.num_rows)):
        if progress.stop.is_set():
            raise KeyboardInterrupt
        if isinstance(seen, Unreadable):
            quarantined.append((ids[row], str(seen)))
        else:
            kept.append(row)
            facts.append(seen[0])
            prints.append(seen[1])
    if len(kept) + len(quarantined) != len(ids):
        raise RuntimeError(
            f"{len(ids)} rows were listed. Received {len(kept)} usable and {len(quarantined)} quarantined"
        )
    usable = table.take(pa.array(kept, pa.int64()))
    thumbnails = [fact.thumbnail for fact in facts]
    texts = [fact.text for fact in facts] if facts and getattr(facts[0], "text", None) is not None else None
    stack = np.stack(thumbnails) if thumbnails and thumbnails[0] is not None else None
    same = duplicates.find(prints, stack, texts)
    findings = checks.quarantine_findings(quarantined, len(ids), task.card.max_quarantine)
    if kept:
        findings += _of_rows(task, usable, facts, same) + _conversions(usable, facts)
    findings += _of_listing(listing, task.card.rows.private)
    if task.card.rows.repeating:
        same = duplicates.find([str(row) for row in range(len(prints))])
    order = {"error": 0, "warning": 1, "note": 2}
    findings.sort(key=lambda finding: order[finding.grade])
    return Survey(usable, len(ids), quarantined, facts, prints, same, findings)


def _values(column: pa.ChunkedArray):
    return (value.as_py() for value in column)


def _of_rows(task: Task, table: pa.Table, facts: list[Any], same: Duplicates) -> list[Finding]:
    given = np.array([name or "" for name in table["split"].to_pylist()], dtype=object)
    findings = task.rows.findings(table, facts, given if "train" in given and "" not in given else None)
    torn = [] if task.card.split_rule == "time-cut" else checks.group_findings(table, given, task.card.rows.unit)
    alike = checks.duplicate_findings(table, same, given)
    return (
        findings + torn + [finding for finding in alike if not task.card.rows.repeating or finding.code == "duplicates"]
    )


def _conversions(table: pa.Table, facts: list[Any]) -> list[Finding]:
    counts = Counter(name for fact in facts for name in fact.converted)
    shown = ", ".join(f"{name} ({count})" for name, count in counts.most_common())
    total = sum(bool(fact.converted) for fact in facts)
    return [Finding("note", "converted", f"{total} inputs are converted when read: {shown}", total)] if counts else []


def _of_listing(listing: Listing, private: bool) -> list[Finding]:
    findings = []
    if listing.skipped:
        shown = ", ".join(f"{suffix} ({count})" for suffix, count in listing.skipped.most_common(5))
        total = sum(listing.skipped.values())
        findings.append(
            Finding(
                "note", "skipped_files", f"{total} files are no inputs of this task by their suffix: {shown}", total
            )
        )
    if listing.converted:
        shown = ", ".join(f"{name} ({count})" for name, count in listing.converted.most_common(5))
        findings.append(Finding("note", "converted", f"read as something else: {shown}", listing.converted.total()))
    if listing.masks_left:
        message = f"{listing.masks_left} masks have no picture"
        findings.append(Finding("warning", "masks_without_picture", message, listing.masks_left))
    if listing.loops:
        message = f"{len(listing.loops)} links lead back into a folder above them and are not followed"
        findings.append(
            Finding("warning", "link_loops", message, len(listing.loops), () if private else tuple(listing.loops[:5]))
        )
    return findings
