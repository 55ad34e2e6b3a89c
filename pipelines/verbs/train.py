"""train: data in, a run folder out."""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.duplicates import twins
from horngate.pipelines.data.splits import NAMES
from horngate.pipelines.data.survey import Survey
from horngate.pipelines.report.evaluation import Evaluation
from horngate.pipelines.runs.profile import keep_profile
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import device, progress
from horngate.pipelines.system.files import digest, only_writer, read_json, write_json, write_rows, write_table
from horngate.pipelines.tasks.parts import LearningData
from horngate.pipelines.tasks.task import Task, task_of
from horngate.pipelines.verbs.answering import answered, with_runtime
from horngate.pipelines.verbs.drift import note_drift
from horngate.pipelines.verbs.evaluate import write_evaluation
from horngate.pipelines.verbs.scores import measured, reference_scores


def train(card: Data | None = None, resume: str | os.PathLike | None = None) -> Run:
    """Train by a card, or go on with an unfinished run, and return the run.

    Args:
        card: the knobs of a task.
        resume: an unfinished run's folder; its own recipe holds, so `card` is left out.

    Raises:
        UserError: the data, the knobs or the machine don't allow it; the message says what to do.
        KeyboardInterrupt: stopped by a signal; the run can be resumed.
    """
    if (card is None) == (resume is None):
        raise UserError("give either a card or a run to resume")
    run = Run.open(resume, finished=False) if resume is not None else None
    if run is not None and run.finished:
        return run
    card = run.card if run is not None else card
    if card.data is None:
        raise UserError("no data: give --data a folder, a table, tfds:NAME or sample:NAME")
    task = task_of(card)
    _ = (
        task.learner
    )  # imported before the seed is set, since some libraries draw a random number while they are imported
    machine = device.set_up(card.device, card.precision, card.seed)
    run = run or Run.create(_anchored(card), card.output)
    try:
        with only_writer(run.folder, "training in"):
            return run if run.finished else _trained(run, task, machine)
    except UserError:
        if resume is None and not (run / "splits.parquet").exists():
            shutil.rmtree(run.folder, ignore_errors=True)  # nothing was begun that could go on
        raise


def _anchored(card: Data) -> Data:
    """Return the card as the run keeps it: paths that don't depend on the working folder."""
    changes: dict[str, Any] = {"output": str(Path(card.output).resolve())}
    if ":" not in card.data or Path(card.data).exists():
        changes["data"] = str(Path(card.data).resolve())
    for name in ("weights", "backbone", "splits", *card.rows.belonging):
        value = getattr(card, name, None)
        if value and Path(value).exists() and value not in ("imagenet", "none"):
            changes[name] = str(Path(value).resolve())
    return replace(card, **changes)


def _trained(run: Run, task: Task, machine: device.Device) -> Run:
    started = time.monotonic()
    seen = task.rows.survey()
    _told(seen, run)
    print_of_data = digest(
        *(f"{name} {mark}" for name, mark in zip(seen.table["id"].to_pylist(), seen.fingerprints, strict=True))
    )
    facts = device.environment(task.card.seed) | {
        "device": machine.name,
        "precision": machine.precision,
        "data": print_of_data,
    }
    _same_data(run, print_of_data)
    splits, notes = _split(run, task, seen)
    write_json(run / "environment.json", facts)
    data = LearningData(seen, splits)
    task = task.with_fitted(task.reader.fit_schema([seen.facts[row] for row in data.places("train")]))
    fitted, summary = task.learner.fit(data, run, machine)
    task = task.with_fitted(fitted)
    write_json(run / "schema.json", task.fitted.schema)
    protocol = {"split_rule": task.card.split_rule, "split": notes} | summary.pop("protocol")
    references = _baselines(task, data, run, summary.pop("baselines", {}))
    keep_profile(task, seen.table, seen.same.near, splits, run)
    counts = {name: int((splits == name).sum()) for name in NAMES} | {"quarantined": len(seen.quarantined)}
    summary |= {"rows": counts, "device": machine.name, "peak_memory_bytes": device.peak_memory(), "protocol": protocol}
    summary["files"] = ["model.keras", "schema.json", *task.fitted.files]
    headlines = _evaluate(task, seen, splits, run, summary, references)
    run.finish(summary | {"seconds": round(time.monotonic() - started, 1), "metrics": headlines})
    return run


def _told(seen: Survey, run: Run) -> None:
    """Write the quarantine, tell findings, and stop on errors."""
    rows = [{"id": name, "reason": reason} for name, reason in seen.quarantined]
    write_rows(run / "quarantine.csv", rows, ["id", "reason"])
    for finding in seen.findings:
        (progress.notice if finding.grade == "warning" else progress.detail)(f"{finding.grade}: {finding.message}")
    if seen.errors:
        raise UserError("; ".join(finding.message for finding in seen.errors))


def _split(run: Run, task: Task, seen: Survey) -> tuple[np.ndarray, list[str]]:
    """Assign and write the splits; check that every class is learnt."""
    splits, notes = task.rows.assign(seen, run)
    for finding in task.rows.findings(seen.table, seen.facts, splits):
        if finding.grade == "error":
            raise UserError(finding.message)
    columns = {"id": seen.table["id"], "split": pa.array(splits, pa.string())}
    columns |= {"group": seen.table["group"], "target": seen.table["target"]}
    columns |= {"fingerprint": pa.array(seen.fingerprints, pa.string()), "same": pa.array(seen.same.near)}
    write_table(run / "splits.parquet", pa.table(columns))
    return splits, notes


def _same_data(run: Run, print_of_data: str) -> None:
    """Refuse to go on with a run whose data changed since."""
    path = run / "environment.json"
    if path.is_file() and read_json(path).get("data") != print_of_data:
        raise UserError(
            f"the data changed since {run.folder} was begun; train anew, with --splits {run.folder} to keep its split"
        )


def _baselines(task: Task, data: LearningData, run: Run, seen: dict[str, dict]) -> dict[str, dict]:
    """Return and write the scores of baselines: of those that were seen on the way, and of those fitted now."""
    groups = {name: data.rows(name)["group"].to_pylist() for name in NAMES}
    found = seen | task.learner.baselines(data)
    scores = {name: reference_scores(task, outcomes, groups) for name, outcomes in found.items()}
    write_json(run / "references.json", scores)
    return scores


def _evaluate(task: Task, seen: Survey, splits, run: Run, summary: dict, references: dict) -> dict[str, Any]:
    """Answer and measure validation and test rows; return the scores for `run.json`."""
    headlines, protocol = {}, summary["protocol"]
    if (splits != "train").any():
        measured_rows = seen.table.take(pa.array(np.flatnonzero(splits != "train")))
        task, _, verdict = with_runtime(task, run, _blocks(measured_rows), None)
        protocol = protocol | {"runtime": verdict.plain()}
    ids, learnt = seen.table["id"].to_pylist(), np.flatnonzero(splits == "train")
    table = seen.table.set_column(seen.table.column_names.index("split"), "split", pa.array(splits, pa.string()))
    for split in ("validation", "test"):
        rows = np.flatnonzero(splits == split)
        if not len(rows):
            continue
        label = f"evaluating {split}"
        own = table.take(pa.array(rows))
        task = task.computing_with(task.runtime)  # with parts that have read no other rows
        answers = pa.concat_tables(progress.tracked(answered(task, _blocks(own), labelled=True), label))
        leaking = twins(seen.same.near, ids, learnt, rows)
        beside = {name: scores[split] for name, scores in references.items() if split in scores}
        seen_in_refit = (
            {"learnt_from_these_rows": True} if split == "validation" and getattr(task.card, "refit", False) else {}
        )
        report = measured(task, answers, run.folder.name, split, protocol | seen_in_refit, None, beside, leaking)
        if split == "test":
            note_drift(report, task, run, own, seen.same.near[rows])
        command = ["horngate", "evaluate", str(run.folder), "--split", split]
        made = Evaluation(task, run, summary, own, answers, report, command, run.card.data)
        write_evaluation(run.inside("evaluation", split), made)
        headlines[split] = {name: score.plain() for name, score in report.metrics.items()}
    return headlines


def _blocks(table: pa.Table, rows: int = 1024):
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)
