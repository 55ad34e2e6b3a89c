"""How rows compare with those that a run learnt from."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.runs.profile import Profile, columns_of, read_profile, sampled
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.statistics.drift import drift
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.task import Task


def drift_of(task: Task, run: Run, table: pa.Table, same: np.ndarray | None) -> dict[str, Any] | None:
    """Return how rows differ from the run's training rows; None where there is no profile, or too few rows.

    Args:
        table: rows in the schema of the sources.
        same: numbers of rows that show the same, or None where nobody looked.
    """
    profile = read_profile(run)
    if profile is None:
        return None
    return drift(sampled(task, table, same), profile.sample, profile.learnt, task.card.seed)


def note_drift(report: Report, task: Task, run: Run, table: pa.Table, same: np.ndarray | None) -> None:
    """Add what `drift_of` finds to a report's details, and tell an alarm."""
    found = drift_of(task, run, table, same)
    if found is not None:
        report.details["drift"] = found
        (progress.notice if found["alarm"] else progress.detail)(f"{report.split}: {found['said']}")


def column_changes(profile: Profile, table: pa.Table) -> list[dict[str, str]]:
    """Return what is otherwise in the columns beside the core ones: `missing`, `new`, or another type."""
    before, now = profile.columns, columns_of(table)
    changes = [{"column": name, "change": "missing"} for name in before if name not in now]
    changes += [{"column": name, "change": "new"} for name in now if name not in before]
    for name in before.keys() & now.keys():
        if "empty" not in (before[name], now[name]) and before[name] != now[name]:
            changes.append({"column": name, "change": f"{now[name]}, was {before[name]}"})
    return sorted(changes, key=lambda change: change["column"])
