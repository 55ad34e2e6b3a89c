"""Blocks of rows: one schema for what any source holds.

A block is an Arrow table with the columns `id` (text), `input` (a path as the file system's bytes), `value` (the input
itself as bytes, where there is no path), `target`, `split`, `group`, `error` (texts; `error` says why a row can't be
used) and every further column of the user's table that is kept, as text.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from horngate.pipelines.spec.errors import UserError

CORE = {
    "id": pa.string(),
    "input": pa.binary(),
    "value": pa.binary(),
    "target": pa.string(),
    "split": pa.string(),
    "group": pa.string(),
    "error": pa.string(),
}
BLOCK = 4096  # rows
SPLITS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation"}
SPLITS |= {"dev": "validation", "test": "test", "testing": "test"}


@dataclass
class Listing:
    """What a source saw beside its rows."""

    skipped: Counter = field(default_factory=Counter)  # suffix -> files that are no input of this task
    loops: list[str] = field(default_factory=list)  # folders that lead back into themselves
    converted: Counter = field(default_factory=Counter)  # what was read as something else -> how often
    masks_left: int = 0  # masks that belong to no picture


def block(columns: dict[str, list], kept: dict[str, list] | None = None) -> pa.Table:
    """Return a block; core columns that are left out are null."""
    rows = len(columns["id"])
    arrays = {name: pa.array(columns.get(name) or [None] * rows, kind) for name, kind in CORE.items()}
    return pa.table(arrays | {name: pa.array(values, pa.string()) for name, values in (kept or {}).items()})


def split_name(text: str | None) -> str | None:
    """Return `train`, `validation` or `test` for what a user calls them; None for an empty cell.

    Raises:
        UserError: another word.
    """
    if text is None or not text.strip():
        return None
    name = SPLITS.get(text.strip().lower())
    if name is None:
        raise UserError(f'the split column should hold train, validation or test. Received: "{text}"')
    return name


def regrouped(blocks: Iterator[pa.Table], rows: int, between: Callable[[], None] = lambda: None) -> Iterator[pa.Table]:
    """Yield the same rows in blocks of exactly `rows` (the last one may be shorter)."""
    waiting: list[pa.Table] = []
    count = 0
    for table in blocks:
        waiting.append(table)
        count += table.num_rows
        while count >= rows:
            joined = pa.concat_tables(waiting, promote_options="default")
            yield joined.slice(0, rows).combine_chunks()
            waiting, count = [joined.slice(rows)], count - rows
        between()
    if count:
        yield pa.concat_tables(waiting, promote_options="default").combine_chunks()
