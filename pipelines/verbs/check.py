"""check: what is wrong with the data, before an hour is spent."""

from dataclasses import asdict
from typing import Any

from horngate.pipelines.card import Data, task_name
from horngate.pipelines.data.survey import Survey, survey
from horngate.pipelines.tasks import pipeline_of


def check(card: Data) -> dict[str, Any]:
    """Look at all rows of the card's data and return what was seen, as plain values ready for JSON.

    Raises:
        UserError: the source itself can't be used.
    """
    return described(card, survey(pipeline_of(card)))


def described(card: Data, seen: Survey) -> dict[str, Any]:
    """Return a survey as plain values: counts, classes, findings, quarantined rows."""
    from collections import Counter

    domain, task = task_name(card)
    return {
        "format": 1,
        "domain": domain,
        "task": task,
        "data": card.data,
        "listed": seen.listed,
        "usable": seen.table.num_rows,
        "targets": dict(sorted(Counter(seen.table["target"].to_pylist()).items(), key=lambda pair: str(pair[0]))),
        "splits": dict(Counter(name or "(to be drawn)" for name in seen.table["split"].to_pylist())),
        "findings": [asdict(finding) for finding in seen.findings],
        "quarantined": [{"id": name, "reason": reason} for name, reason in seen.quarantined],
    }
