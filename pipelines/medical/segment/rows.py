"""Rows with masks, and what `check` says of masks: empty ones, values that are no class, classes not learnt."""

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import SHOWN, Finding, findings_on
from horngate.pipelines.medical.scans import checks
from horngate.pipelines.medical.scans.reading import SUFFIXES
from horngate.pipelines.medical.scans.scan import window_named
from horngate.pipelines.medical.segment.class_maps import Classes
from horngate.pipelines.medical.segment.facts import Facts
from horngate.pipelines.medical.segment.tiles import poses_of
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tasks.bases import ListedRows
from horngate.pipelines.tasks.task import Task

RARE_MASKS, RARE_PIXELS = 1, 1e-4  # a value in so many masks, and so small a share of all pixels, is likely a slip


class MaskedRows(ListedRows):
    """Pictures and volumes with their masks.

    Raises:
        UserError: the card's `window` or `tta` can't be, which is told before anything is read.
    """

    suffixes = (*SUFFIXES, "")

    def __init__(self, task: Task):
        super().__init__(task)
        window_named(self.card.window)
        poses_of(self.card, self.card.tta)

    def findings(self, table: pa.Table, facts: list[Facts], splits: np.ndarray | None) -> list[Finding]:
        found = checks.patient_findings(table) + checks.image_findings(table, facts)
        found += checks.flip_findings(set(_names_of(self.card.classes)), self.card.flip)
        counts = [fact.counts for fact in facts]
        try:
            classes = Classes.named(self.card.classes, self.card.background, counts)
        except UserError as problem:
            return [Finding("error", "which_classes", str(problem), len(facts)), *found]
        return found + _unlearnt(classes, counts, splits) + _mask_findings(classes, facts, table["id"].to_pylist())


def _names_of(wishes: tuple[str, ...] | None) -> list[str]:
    """Return the names of classes that a user gave."""
    return [part.partition("=")[2] for text in wishes or () for part in text.split(",")]


def _mask_findings(classes: Classes, facts: list[Facts], ids: list[str]) -> list[Finding]:
    """Return findings on the masks of readable rows."""
    empty = [row for row, fact in enumerate(facts) if not _classes_in(fact.counts, classes) - {classes.values[0]}]
    message = f"{{}} of {len(facts)} masks are empty: they hold nothing but the background"
    found = findings_on("warning", "empty_masks", message, empty, ids)
    strays = {row: classes.strays(fact.counts) for row, fact in enumerate(facts)}
    astray = [row for row, own in strays.items() if own]
    total = sum(sum(strays[row].values()) for row in astray)
    values = sorted({value for row in astray for value in strays[row]})
    shown = ", ".join(map(str, values[:SHOWN])) + (" …" if len(values) > SHOWN else "")
    message = f"{{}} masks hold values that are no class ({shown}); these {total:,} pixels count nowhere"
    found += findings_on("warning", "mask_values", message, astray, ids)
    return found + _slips(classes, facts, ids) + [_described(classes, facts)]


def _slips(classes: Classes, facts: list[Facts], ids: list[str]) -> list[Finding]:
    """Return the warning of classes that are likely none: a value in one mask of many, on hardly a pixel."""
    if len(facts) < 10:
        return []
    pixels = sum(sum(fact.counts.values()) for fact in facts)
    found = []
    for value, name in zip(classes.values[1:], classes.names[1:], strict=True):
        rows = [row for row, fact in enumerate(facts) if fact.counts.get(value)]
        count = sum(facts[row].counts[value] for row in rows)
        if 0 < len(rows) <= RARE_MASKS and count < RARE_PIXELS * pixels:
            message = (
                f"value {name} stands on {count} pixels of one mask alone; if it is no class, name those with --classes"
            )
            found += findings_on("warning", "rare_value", message, rows, ids)
    return found


def _described(classes: Classes, facts: list[Facts]) -> Finding:
    pixels = sum(count for fact in facts for count in fact.counts.values())
    parts = [
        f"{name} ({sum(fact.counts.get(value, 0) for fact in facts) / pixels:.2%})"
        for value, name in zip(classes.values, classes.names, strict=True)
    ]
    message = f"{parts[0]} is the background; classes: {', '.join(parts[1:])} of the pixels"
    return Finding("note", "classes", message, len(facts))


def _unlearnt(classes: Classes, counts: list[dict[int, int]], splits: np.ndarray | None) -> list[Finding]:
    """Return the error of classes that no training mask has."""
    if splits is None:
        return []
    learnt = set().union(
        *(_classes_in(own, classes) for own, split in zip(counts, splits, strict=True) if split == "train")
    )
    there = set().union(*(_classes_in(own, classes) for own in counts))
    missing = [name for value, name in zip(classes.values, classes.names, strict=True) if value in there - learnt]
    if not missing:
        return []
    return [Finding("error", "unlearnt_classes", f"classes without a training pixel: {', '.join(missing[:SHOWN])}")]


def _classes_in(counts: dict[int, int], classes: Classes) -> set[int]:
    return {value for value in counts if value in classes.values}
