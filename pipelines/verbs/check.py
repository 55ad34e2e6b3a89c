"""check: what is wrong with the data, before an hour is spent; and whether it still looks like that of a run."""

import os
from collections import Counter
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.sources.blocks import Listing
from horngate.pipelines.data.sources.loader import unlabelled
from horngate.pipelines.data.survey import Survey
from horngate.pipelines.runs.profile import read_profile
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import Data, task_name
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.device import set_up
from horngate.pipelines.tasks.task import task_of
from horngate.pipelines.verbs.drift import column_changes, drift_of


def check(card: Data, against: str | os.PathLike | None = None) -> dict[str, Any]:
    """ScanPreprocessing at all rows of the card's data and return what was seen, as plain values ready for JSON.

    Args:
        against: a run; what differs from its training rows is added as `drift`, and to the findings.

    Raises:
        UserError: the source itself can't be used, or the run keeps no profile of its training rows.
    """
    if against is None:
        return described(card, task_of(card).rows.survey())
    run = Run.open(against)
    seen, found = _compared(run, _looked(card))
    return described(card, seen) | {"drift": found}


def _looked(card: Data) -> Survey:
    """Return the survey; where no row has a label, one of the bare inputs, whose only finding says so."""
    task, seen, why = task_of(card), None, ""
    for tried in (card, replace(card, split_column=None, group_column=None)):
        try:
            seen = task_of(tried).rows.survey()
            if not seen.table.num_rows:
                why = "no row has a label"
                break
            told = [Finding("warning", "columns", why, seen.table.num_rows)] if why else []
            return replace(seen, findings=[*told, *seen.findings])
        except UserError as problem:
            why = why or str(problem)
    blocks = list(unlabelled([card.data], card, task.rows.suffixes, Listing()))
    table = pa.concat_tables(blocks) if blocks else None
    if table is None or not table["error"].null_count:
        if seen is None:
            raise UserError(why)
        return seen
    note = Finding("note", "unlabelled", f"{why}; inputs are compared, labels are not", table.num_rows)
    return Survey(table, table.num_rows, [], [], [], None, [note])


def _compared(run: Run, seen: Survey) -> tuple[Survey, dict[str, Any]]:
    """Return the survey with findings on drift, and the drift itself."""
    profile = read_profile(run)
    if profile is None:
        raise UserError(
            f"{run.folder} keeps no profile of its training rows: an older version made it, or it was removed; train anew"
        )
    set_up(run.card.device, run.card.precision, run.card.seed)
    task = task_of(run.card).opened(run)
    columns = column_changes(profile, seen.table)
    findings = [Finding("warning", "columns", f"column {row['column']}: {row['change']}") for row in columns]
    found = drift_of(task, run, seen.table, None if seen.same is None else seen.same.near)
    if found is None:
        said = "too few rows to look for drift: at least 10 are needed on each side"
        findings.append(Finding("note", "drift", said, seen.table.num_rows))
        found = {"alarm": None, "said": said}
    else:
        findings.append(Finding("warning" if found["alarm"] else "note", "drift", found["said"], found["rows"]))
    # New data may well hold one class only; that is no error where nothing is learnt from it.
    kept = [replace(one, grade="warning") if one.code == "one_class" else one for one in seen.findings]
    return replace(seen, findings=[*kept, *findings]), found | {"columns": columns, "run": str(run.folder)}


def described(card: Data, seen: Survey) -> dict[str, Any]:
    """Return a survey as plain values: counts, classes, findings, quarantined rows."""
    domain, name = task_name(card)
    rows, targets = task_of(card).rows, seen.table["target"].to_pylist()
    sorts = [None if target is None else rows.stratum(target) for target in targets]
    return {
        "format": 1,
        "domain": domain,
        "task": name,
        "data": card.data,
        "listed": seen.listed,
        "usable": seen.usable,
        "targets": dict(sorted(Counter(sorts).items(), key=lambda pair: str(pair[0]))),
        "splits": dict(Counter(name or "(to be drawn)" for name in seen.table["split"].to_pylist())),
        "findings": [asdict(finding) for finding in seen.findings],
        "quarantined": [{"id": name, "reason": reason} for name, reason in seen.quarantined],
    }
