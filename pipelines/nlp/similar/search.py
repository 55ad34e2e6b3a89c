"""index and search: a user's own texts, embedded by a run and found again."""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.data.sources.blocks import Listing, regrouped
from horngate.pipelines.data.sources.loader import unlabelled
from horngate.pipelines.data.sources.table_files import TABLES
from horngate.pipelines.nlp.similar.graph import MISSING, available
from horngate.pipelines.nlp.similar.pairs import one_or_two
from horngate.pipelines.nlp.similar.vectors import Hit, Index
from horngate.pipelines.runs.bundle import Bundle, opened
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import task_name
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import device, progress
from horngate.pipelines.system.files import only_writer
from horngate.pipelines.tasks.task import Task, task_of
from horngate.pipelines.verbs.answering import answered

BLOCK = 4096  # rows that are embedded at a time
MANY = 1_000_000  # rows from which comparing all of them is slow


def index(
    run: str | os.PathLike,
    texts: list[str],
    output: str | os.PathLike,
    add: bool = False,
    remove: tuple[str, ...] = (),
    graph: bool = False,
    **reading: Any,
) -> Index:
    """Embed texts and keep them in a folder that `search` takes; return the index.

    Args:
        run: a run of `nlp similar`, its folder, or a bundle of it.
        texts: files, folders, globs or tables; of pairs the first text.
        output: the index's folder: a new one, or an existing one where rows are added or removed.
        add: go on with an existing index.
        remove: ids of rows to remove from an existing index, before others are added.
        graph: keep a graph for fast, approximate search too (the extra `search`); an index that has one goes on with it.
        reading: knobs of reading tables: `id_column`, `input_column`, `encoding`.

    Raises:
        UserError: an index is there already, or none; it was made by another model; an id stands twice or isn't there; the
            extra is missing.
    """
    folder, source = Path(output), _of_this_task(run)
    exists = (folder / "index.json").is_file()
    if exists and not (add or remove or (graph and not texts)):
        raise UserError(
            f"{folder} holds an index already; give --add or --remove ID to change it, or name another folder"
        )
    if not exists and (add or remove):
        raise UserError(f"{folder} is no index that could be changed; leave --add and --remove out to make one")
    if not texts and not remove and not (graph and exists):
        raise UserError("name texts to index: files, folders or tables")
    if folder.is_dir() and not exists and any(path.name != ".lock" for path in folder.iterdir()):
        _refuse_foreign(folder)
    with only_writer(folder, "writing the index in"):
        made = Index.open(folder) if exists else None
        graph = graph or (made is not None and made.graph is not None)
        if graph and not available():
            raise UserError(MISSING)
        if made is not None:
            _same_model(made, source)
            made = made.removing(remove) if remove else made
        if texts:
            made = _with_texts(source, texts, folder, made, reading)
        return (made.graphed() if graph else made).write()


def search(
    index: str | os.PathLike | Index,
    query: str,
    count: int = 10,
    run: str | os.PathLike | None = None,
    exact: bool = False,
) -> list[Hit]:
    """Return the texts of an index that are most like a query, the nearest first; exact, unless the index has a graph.

    Args:
        index: the index or its folder.
        query: a text.
        run: where the run lies that made the index; default: where it lay then.
        exact: leave the graph alone.

    Raises:
        UserError: no index, the run is gone, or it is another one.
    """
    index = index if isinstance(index, Index) else Index.open(index)
    place = run or index.run
    if not Path(place).exists():
        raise UserError(f"the run that made {index.folder} is not at {place} any more; say where it is with --run RUN")
    source = _of_this_task(place)
    _same_model(index, source)
    if not query.strip():
        raise UserError("the query is empty; give it some words")
    task = _opened(source, {})
    (tensor,) = task.reader.taking("first").read(query.encode("utf-8", "replace"))
    said = task.predictor.forward(task.reader.collate([tensor], task.predictor.step))
    return index.search(np.asarray(said[0], np.float32), count, _exact(index, exact))


def _exact(index: Index, wished: bool) -> bool:
    """Return whether all rows are compared: where it is wished, or there is no graph that could be used."""
    if index.graph is not None and not wished and not available():
        progress.notice(f"{MISSING} to use the index's graph; comparing all {index.rows:,} rows")
        return True
    if index.graph is None and not wished and index.rows > MANY:
        progress.notice(f"comparing all {index.rows:,} rows; an index made with --graph answers faster")
    return wished or index.graph is None


def _of_this_task(run: str | os.PathLike) -> Run | Bundle:
    source = opened(run)
    if task_name(source.card) != ("nlp", "similar"):
        raise UserError(f"{run} is a run of {' '.join(task_name(source.card))}; an index takes one of nlp similar")
    return source


def _same_model(index: Index, source: Run | Bundle) -> None:
    if index.model != source.fingerprint:
        raise UserError(
            f"{index.folder} was made by another model than {source.folder}, so their embeddings can't be compared; "
            f"use {index.run}, or build an index with this one"
        )


def _refuse_foreign(folder: Path) -> None:
    """Refuse to write among files that no unfinished index left."""
    others = [
        path.name
        for path in folder.iterdir()
        if not path.name.startswith(("vectors-", "texts-", "removed-", "graph-", "."))
    ]
    if others:
        raise UserError(f"{folder} is no index and not empty (it holds {min(others)}); name another folder")


def _opened(source: Run | Bundle, reading: dict[str, Any]) -> Task:
    card = replace(source.card, **{name: value for name, value in reading.items() if value is not None})
    task = task_of(replace(card, keep_column=(), id_column=reading.get("id_column")))
    if isinstance(source, Bundle):
        return task.recalled(source.folder).computing_with(source.start())
    device.set_up(card.device, card.precision, card.seed)
    return task.opened(source)


def _with_texts(source: Run | Bundle, texts: list[str], folder: Path, made: Index | None, reading: dict) -> Index:
    task = _opened(source, reading)
    errors: list[str] = []
    batches = _embedded(task, _listed(task, texts), errors)
    first = next(batches, None)
    if first is None:
        raise UserError(f"none of the texts could be read ({errors[0] if errors else 'there are none'})")
    if made is None:
        place = str(Path(source.folder).resolve())
        made = Index(folder, source.fingerprint, place, first[2].shape[1])
    made = made.adding(_both(first, batches))
    if errors:
        progress.notice(f"{len(errors)} texts couldn't be read and are left out (the first: {errors[0]})")
    return made


def _both(first: Any, rest: Iterator) -> Iterator:
    yield first
    yield from rest


def _listed(task: Task, texts: list[str]) -> Iterator[pa.Table]:
    """Yield blocks of rows; those that a table doesn't name are named by the table and their number."""
    for text in texts:
        source, bare = Path(text), Path(text).suffix.lower() in TABLES and task.card.id_column is None
        for block in unlabelled([text], task.card, task.rows.suffixes, Listing()):
            if bare:
                names = [f"{source.name}: {name}" for name in block["id"].to_pylist()]
                block = block.set_column(0, "id", pa.array(names, pa.string()))
            yield block


def _embedded(task: Task, blocks: Iterator[pa.Table], errors: list[str]) -> Iterator[tuple]:
    """Yield ids, texts and vectors; why a row can't be read goes to `errors`."""
    seen: deque[pa.Table] = deque()

    def kept() -> Iterator[pa.Table]:
        for block in regrouped(blocks, BLOCK):
            seen.append(block)
            yield block

    with progress.job("embedding texts") as done:
        for answers in answered(task, kept(), labelled=False):
            if progress.stop.is_set():
                raise KeyboardInterrupt
            block, problems = seen.popleft(), answers["error"].to_pylist()
            names = block["id"].to_pylist()
            errors += [f"{name}: {why}" for name, why in zip(names, problems, strict=True) if why is not None]
            good = [row for row, why in enumerate(problems) if why is None]
            rows = block.take(pa.array(good, pa.int64()))
            texts = [one_or_two(data, task.card.encoding)[0] for data in inputs_of(rows)]
            vectors = answers["embedding"].take(pa.array(good, pa.int64())).combine_chunks().flatten().to_numpy()
            done(block.num_rows)
            if good:
                yield [names[row] for row in good], texts, vectors.reshape(len(good), -1)
