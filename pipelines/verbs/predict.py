"""predict: one row per input, in order, in parts that survive a kill."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.data.sources.blocks import Listing, regrouped
from horngate.pipelines.data.sources.loader import unlabelled
from horngate.pipelines.runs.bundle import Bundle, opened
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import device, progress
from horngate.pipelines.system.files import only_writer, read_json, write_json
from horngate.pipelines.tasks.task import Task, task_of
from horngate.pipelines.verbs.answering import answered, with_runtime
from horngate.pipelines.verbs.parts import PART, Parts, json_lines, writer_for

FORMAT = 1


@dataclass(frozen=True)
class Prediction:
    """What a prediction left: its file (None for stdout), and how many rows and how many of them with an error."""

    path: Path | None
    rows: int
    errors: int


def predict(
    run: str | os.PathLike,
    inputs: str | os.PathLike | list[str | os.PathLike],
    output: str | os.PathLike,
    id_column: str | None = None,
    keep_column: tuple[str, ...] | None = None,
    overwrite: bool = False,
    max_errors: float = 1.0,
    runtime: str | None = None,
    **options,
) -> Prediction:
    """Answer every input and write one row for each, in their order, `error` filled where one can't be read.

    The listing is cut into parts of 1,024 rows. A part is written to a temporary name and renamed, so the same command
    goes on after a kill where it was cut; another model, option or listing refuses to mix.

    Args:
        run: the run or its folder, or a bundle that `export` wrote: through LiteRT or ONNX it needs no TensorFlow.
        inputs: files, folders, globs or tables, one or several; `-` for rows of a table from standard input, as they come.
        output: a .parquet, .jsonl or .csv file, or `-` for JSON lines on stdout.
        id_column, keep_column: columns of a table that are carried into the answers.
        overwrite: throw away an earlier output that another model, option or listing made.
        max_errors: share of rows with an error above which, after all rows are written, a UserError is raised.
        runtime: `auto`, `tensorflow` or `litert`; default: as the run was trained with.
        options: the task's own, such as `wide`, and knobs of reading a table: `input_column`, `allow_outside`, `encoding`.

    Raises:
        UserError: an input that isn't there, an output that can't be written or that something else made.
    """
    run = opened(run)
    target = None if str(output) == "-" else Path(output)
    if target is not None:
        writer_for(target)
    own = run.card.options.get("predict", {})
    knobs = [name for name in options if hasattr(run.card, name) and name not in own]
    reading = {name: options.pop(name) for name in knobs}
    reading = {name: value for name, value in reading.items() if value is not None}
    card = replace(run.card, id_column=id_column, keep_column=keep_column, **reading)
    task = task_of(card)
    if isinstance(run, Bundle):
        task = task.recalled(run.folder)
    else:
        device.set_up(card.device, card.precision, card.seed)
        task = task.opened(run)
    task, changed = task.configured(run, options)
    listing = Listing()
    sources = [os.fspath(source) for source in ([inputs] if isinstance(inputs, str | os.PathLike) else inputs)]
    blocks, live = unlabelled(sources, card, task.rows.suffixes, listing), target is None and "-" in sources
    blocks = blocks if live else regrouped(blocks, PART)
    task, ahead, computed_by = _with_runtime(task, run, iter(()) if live else blocks, runtime)
    blocks = blocks if live else ahead
    wide = bool(options.get("wide"))
    if target is None:
        done = _streamed(task, blocks, wide, live)
    else:
        chosen = options | changed | {"runtime": None if computed_by == "tensorflow" else computed_by}
        done = _written(run, task, blocks, target, chosen, overwrite)
    if listing.skipped:
        progress.notice(
            f"{sum(listing.skipped.values())} files below the folders are no inputs of this task by their suffix"
        )
    for line in task.predictor.remarks():
        progress.notice(line)
    if done.errors:
        progress.notice(f"{done.errors} of {done.rows} rows couldn't be read; their `error` says why")
    if done.rows and done.errors / done.rows > max_errors:
        raise UserError(
            f"{done.errors} of {done.rows} rows have an error, more than --max-errors {max_errors:.1%}; all rows are written"
        )
    return done


def _with_runtime(task: Task, source: Run | Bundle, blocks: Iterator, wish: str | None):
    """Choose what computes; return the task computing with it, the blocks again, and the runtime's name."""
    if isinstance(source, Run):
        task, blocks, verdict = with_runtime(task, source, blocks, wish)
        return task, blocks, verdict.name
    if wish not in (None, "auto", source.facts["kind"]):
        raise UserError(f"{source.folder} is a bundle for {source.facts['kind']}; leave --runtime out")
    return task.computing_with(source.start()), blocks, f"bundle {source.facts['kind']}"


def _streamed(task: Task, blocks: Iterator[pa.Table], wide: bool, live: bool) -> Prediction:
    """Write the answers to stdout; of a `live` source each block at once, without a look at what comes after it."""
    rows = errors = 0
    parts = chain.from_iterable(answered(task, [block], False) for block in blocks) if live else None
    for table in parts or answered(task, blocks, labelled=False):
        for line in json_lines(_shaped(task, table, wide)):
            sys.__stdout__.write(line)
        sys.__stdout__.flush()
        rows, errors = rows + table.num_rows, errors + _errors(table)
    return Prediction(None, rows, errors)


def _written(
    run: Run | Bundle, task: Task, blocks, target: Path, options: dict[str, Any], overwrite: bool
) -> Prediction:
    chosen = {name: value for name, value in sorted(options.items()) if value not in (None, False)}
    key = {"model": run.fingerprint, "options": chosen, "format": FORMAT}
    parts = Parts(target, key, overwrite)
    with only_writer(parts.folder, "writing"):
        finished = _finished(target, parts, blocks, key, overwrite)
        if isinstance(finished, Prediction):
            return finished
        with progress.job("predicting") as done:
            missing = parts.missing(finished, done)
            for table in answered(task, missing, labelled=False):
                parts.write(_shaped(task, table, bool(options.get("wide"))), _errors(table))
                done(table.num_rows)
                if progress.stop.is_set():
                    raise KeyboardInterrupt
        rows, errors = parts.join()
        manifest = key | {"listing": parts.listing, "rows": rows, "errors": errors, "run": run.folder.name}
        write_json(_manifest(target), manifest)
        parts.clear()
    return Prediction(target, rows, errors)


def _finished(target: Path, parts: Parts, blocks, key: dict, overwrite: bool):
    """Return the finished prediction, if the same one stands there already; else the blocks to answer."""
    path = _manifest(target)
    if overwrite or not (target.exists() or path.exists()):
        return blocks
    if not (target.exists() and path.exists()):
        if parts.begun:
            return blocks
        raise UserError(
            f"{target} exists and is no finished prediction of this command; name another output or give --overwrite"
        )
    manifest = read_json(path)
    same = all(manifest.get(name) == value for name, value in key.items())
    if not same or manifest.get("listing") != parts.listing_of(blocks):
        raise UserError(
            f"{target} was made from another model, option or listing; name another output or give --overwrite"
        )
    progress.notice(f"{target} is complete already: {manifest['rows']} rows")
    parts.clear()
    return Prediction(target, manifest["rows"], manifest["errors"])


def _shaped(task: Task, table: pa.Table, wide: bool) -> pa.Table:
    """Return answers, where wished with one column for each entry of what a task makes wide."""
    for column in task.predictor.columns() if wide else ():
        if column.wide:
            place, lists = table.column_names.index(column.name), table[column.name].combine_chunks()
            table = table.remove_column(place)
            for number, name in enumerate(column.wide):
                table = table.add_column(place + number, name, pc.list_element(lists, number))
    return table


def _errors(table: pa.Table) -> int:
    return table.num_rows - table["error"].null_count


def _manifest(target: Path) -> Path:
    return target.with_name(f"{target.name}.manifest.json")
