"""compare: which of several runs is better, on the same rows, by how much and how surely."""

import os
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.comparison.differences import judge, metrics_of, slices_between
from horngate.pipelines.comparison.flips import flipped, mcnemar
from horngate.pipelines.comparison.shared_rows import SIDES, Contender, Shared, shared_rows
from horngate.pipelines.data.reading import rows_of
from horngate.pipelines.report.comparison import page_of
from horngate.pipelines.report.plot import Shown
from horngate.pipelines.spec.card import task_name
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics.intervals import DRAWS, numbered
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import only_writer, printable, write_json, write_text
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.verbs.scores import drawn_together

FORMAT = 1


def compare(
    *runs: str | os.PathLike,
    split: str = "test",
    by: tuple[str, ...] | None = None,
    output: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Hold runs against the first one, on the rows that all of them answered; return plain values ready for JSON.

    The layout is described in docs/reports.md. Nothing is trained or predicted: the stored answers are read.

    Args:
        runs: two or more runs of one task, or their folders.
        split: `test`, `validation`, or the name of an evaluation of other data.
        by: columns to slice by; default: the target and the kept columns, where they have 2 to 20 values.
        output: where to write `compare.json` and `compare.html`; default: nowhere.

    Raises:
        UserError: the runs can't be compared; see `shared_rows`.
    """
    shared = shared_rows(runs, split)
    first, *others = shared.contenders
    named = numbered(first.answers["group"].to_pylist())
    groups, drawn = drawn_together(first.task.evaluator.outcome(first.answers), named)
    each = progress.tracked(others, "comparing runs", len(others))
    comparisons = [_comparison(first, other, groups, by) for other in each]
    _judge_all(comparisons)
    found = _described(shared, split, named, drawn) | {"comparisons": comparisons, "pairs": _pairs(shared, groups)}
    if output is not None:
        with only_writer(Path(output), "writing a comparison in"):
            _write(Path(output), found, shared)
    return found


def _write(folder: Path, found: dict[str, Any], shared: Shared) -> None:
    """Write `compare.json` and `compare.html`; a page that can't be drawn is told and left out."""
    page = folder / "compare.html"
    page.unlink(missing_ok=True)
    write_json(folder / "compare.json", found)
    try:
        text = page_of(found, partial(_looked_at, _listed(shared, found["split"]), shared.contenders[0].task))
    except Exception as problem:  # whatever a drawing library raises: the numbers are worth more than their page
        progress.notice(f"{page} could not be drawn ({type(problem).__name__}: {problem}); compare.json is whole")
        return
    write_text(page, text)


def _listed(shared: Shared, split: str) -> pa.Table | None:
    """Return the first run's listed rows, to look at some of them; None where they are gone or were other data."""
    first = shared.contenders[0]
    try:
        return first.task.rows.own_rows(first.run, split)[0] if split in SIDES else None
    except UserError:
        return None


def _looked_at(listed: pa.Table | None, task: Task, answers: list[dict[str, Any]]) -> list[Shown]:
    try:
        return task.display.rows(rows_of(listed, [row["id"] for row in answers]), answers) if listed is not None else []
    except (UserError, KeyError):  # one of them can't be read any more
        return []


def _described(shared: Shared, split: str, groups: np.ndarray | None, drawn: str) -> dict[str, Any]:
    first = shared.contenders[0]
    domain, task = task_name(first.task.card)
    runs = [
        {"letter": _letter(place), "name": one.name, "folder": printable(one.run)}
        | {"method": one.run.summary.get("method")}
        for place, one in enumerate(shared.contenders)
    ]
    rows = {
        "shared": first.answers.num_rows,
        "groups": None if groups is None else int(groups.max()) + 1,
        "in_error": shared.in_error,
        "learnt": shared.learnt,
        "only": shared.only,
    }
    protocol = {
        "interval": f"95 % paired bootstrap over {drawn}, {DRAWS} draws",
        "p_value": "two-sided, from the same draws; of accuracy exact",
        "adjusted": "Holm, over the runs held against the first, the pairs, and the slices of a comparison",
    }
    described = {"format": FORMAT, "domain": domain, "task": task, "split": split, "runs": runs, "rows": rows}
    return described | {"notes": shared.notes, "protocol": protocol}


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else f"run {place + 1}"


def _comparison(first: Contender, second: Contender, groups: np.ndarray | None, by) -> dict[str, Any]:
    everything = np.arange(first.answers.num_rows)
    metrics = metrics_of(first, second, everything, groups)
    return {
        "a": first.name,
        "b": second.name,
        "metrics": metrics,
        "mcnemar": mcnemar(first.task, first.answers, second.answers, groups),
        "flipped": flipped(first.task, first.answers, second.answers),
        "slices": slices_between(first, second, groups, next(iter(metrics)), by),
    }


def _judge_all(comparisons: list[dict[str, Any]]) -> None:
    """Add verdicts: the headline's p-values are adjusted for the number of runs alone, those of other metrics together."""
    headline = next(iter(comparisons[0]["metrics"]), None)
    for leading in (True, False):
        judge(
            [
                (part["a"], part["b"], score)
                for part in comparisons
                for name, score in part["metrics"].items()
                if (name == headline) == leading
            ]
        )


def _pairs(shared: Shared, groups: np.ndarray | None) -> list[dict[str, Any]]:
    """Return the headline's difference for all pairs of three runs or more."""
    if len(shared.contenders) < 3:
        return []
    found = []
    everything = np.arange(shared.contenders[0].answers.num_rows)
    for first, second in combinations(shared.contenders, 2):
        name, score = next(iter(metrics_of(first, second, everything, groups).items()))
        found.append((first.name, second.name, {"metric": name} | score))
    judge(found)
    return [{"runs": [first, second]} | score for first, second, score in found]
