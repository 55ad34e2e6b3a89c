"""Rows that are listed again after a training: those of a run's own data, or of other data for the same task."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.data.duplicates import twins
from horngate.pipelines.data.reading import content
from horngate.pipelines.data.sources.blocks import Listing, block
from horngate.pipelines.data.sources.loader import examples, labelled
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import Data, elsewhere
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.tasks.task import Task


def own_rows(run: Run, suffixes: tuple[str, ...], split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Return the rows of one of the run's splits, for each the id of a training row that shows the same (or None), and

    numbers that are equal where rows show the same as each other.

    Raises:
        UserError: no such rows, or the run's data isn't there any more.
    """
    splits = run.splits
    sides = np.array(splits["split"].to_pylist())
    ids = np.array(splits["id"].to_pylist(), dtype=object)[sides == split]
    if not len(ids):
        raise UserError(f"{run.folder} has no rows in {split}; it has {', '.join(sorted(set(sides)))}")
    try:
        table = examples(run.card, suffixes)
    except UserError as problem:
        kept = run / "evaluation" / split / "report.json"
        hint = f"; the report of that split is kept in {kept}" if kept.is_file() else ""
        raise UserError(f"the run's data can't be listed any more: {problem}{hint}") from None
    places = {name: row for row, name in enumerate(table["id"].to_pylist())}
    missing = [name for name in ids if name not in places]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(ids)} rows of {split} are not in {run.card.data} any more (first: {missing[0]})"
        )
    same = np.array(splits["same"])
    learnt = np.flatnonzero(sides == "train") if split != "train" else ()
    shown = twins(same, splits["id"].to_pylist(), learnt, np.flatnonzero(sides == split))
    rows = table.take(pa.array([places[name] for name in ids]))
    rows = rows.set_column(rows.column_names.index("split"), "split", pa.array([split] * len(ids)))
    return rows, shown, same[sides == split]


def other_rows(card: Data, suffixes: tuple[str, ...], data: str, split: str | None) -> pa.Table:
    """Return the rows of other labelled data, or those of one of its splits.

    Raises:
        UserError: there are none.
    """
    blocks = labelled(data, elsewhere(card, data), suffixes, Listing())
    table = pa.concat_tables(blocks, promote_options="default")
    if split is not None:
        table = table.filter(pc.equal(table["split"], split))
    if not table.num_rows:
        raise UserError(f"{data} holds no labelled rows{'' if split is None else f' in {split}'}")
    return table


def read_again(task: Task, run: Run, data: str | None, count: int, splits: tuple[str, ...]) -> np.ndarray:
    """Return up to `count` real tensors, drawn from the rows of these splits in their order, then from others.

    Raises:
        UserError: there are none.
    """
    try:
        if data is None:
            table = examples(run.card, task.rows.suffixes)
        else:
            table = next(labelled(data, elsewhere(run.card, data), task.rows.suffixes, Listing()), block({"id": []}))
    except UserError as problem:
        raise UserError(f"an export is proven on real rows, and {problem}; give --data SOURCE with such rows") from None
    sides = dict(zip(run.splits["id"].to_pylist(), run.splits["split"].to_pylist(), strict=True))
    order = {name: place for place, name in enumerate(splits)}
    draw = np.random.default_rng(run.card.seed).permutation(table.num_rows)
    ids = table["id"].to_pylist()
    ranked = sorted(map(int, draw), key=lambda row: order.get(sides.get(ids[row]), 3))
    found = []
    for row in ranked:
        try:
            row = task.reader.read(content(*(table[name][row].as_py() for name in ("input", "value", "error"))))
        except Unreadable:
            continue
        found += (row if isinstance(row, tuple) else (row,))[: count - len(found)]
        if len(found) == count:
            break
    if not found:
        raise UserError("an export is proven on real rows, and none can be read; give --data SOURCE with such rows")
    return task.reader.collate(found)
