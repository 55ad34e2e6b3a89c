"""The door for lists of users, and of items to choose from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.data.sources.blocks import CORE, block
from horngate.pipelines.data.sources.table_files import decoding
from horngate.pipelines.data.sources.tables import free_name
from horngate.pipelines.recommendation.interactions.log_files import LINES, READ, roles_of, tables
from horngate.pipelines.recommendation.interactions.raw_columns import texts_of
from horngate.pipelines.recommendation.interactions.samples import sample_columns
from horngate.pipelines.spec.errors import UserError, nearest
from horngate.pipelines.system import progress


def opens(path: Path, labelled: bool) -> bool:
    """Whether a path is a list of users: a table with a column of users."""
    return path.suffix.lower() in READ and path.is_file()


def blocks(path: Path, card: Any, labelled: bool, listing: Any) -> Iterator[pa.Table]:
    """Yield blocks of a list of users; `value` holds a user's id, and `id` the same where no column names the rows.

    Raises:
        UserError: no column of users, or another that was named.
    """
    broken: list[tuple[int, str]] = []
    for table in tables(path, card.encoding, broken):
        user = roles_of(card, table.column_names, path, ("user",))["user"]
        for name in (*([card.id_column] if card.id_column else ()), *(card.keep_column or ())):
            if name not in table.column_names:
                raise UserError(f"{path} has no column {name}.{nearest(name, table.column_names)}")
        users = texts_of(table[user])
        users = pc.if_else(pc.equal(pc.utf8_trim_whitespace(users), ""), pa.scalar(None, pa.string()), users)
        ids = texts_of(table[card.id_column]) if card.id_column else users
        ids = pc.coalesce(ids, pa.array([f"row {row}" for row in range(1, len(ids) + 1)]) if ids.null_count else ids)
        core = {name: pa.nulls(table.num_rows, kind) for name, kind in CORE.items()}
        lacking = pc.if_else(pc.is_valid(users), pa.scalar(None, pa.string()), pa.scalar("no user"))
        core |= {"id": ids, "value": users.cast(pa.binary()), "error": lacking}
        kept = card.keep_column
        if kept is None:
            kept = [name for name in table.column_names if name not in (user, card.id_column)]
        yield pa.table(core | {free_name(name, card): texts_of(table[name]) for name in kept})
    for number, why in broken:
        yield block({"id": [f"row {number}"], "error": [why]})


def sampled(name: str) -> pa.Table:
    """Return the users of a sample as a list of users."""
    ids = pc.unique(sample_columns(name)["user"])
    return block({"id": ids.to_pylist(), "value": [one.as_py().encode() for one in ids]})


def read_candidates(path: str, card: Any, store: Any) -> np.ndarray:
    """Return bool `[items]`: which items a table, or a `.txt` of one id a line, names.

    Raises:
        UserError: no such file, or none of its items is known.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"--candidates {path} doesn't exist")
    if file.suffix.lower() == LINES:
        with decoding(file, card.encoding):
            names = [line.strip() for line in file.read_text(card.encoding).splitlines() if line.strip()]
        ids = pa.array(names, pa.string())
    else:
        parts = [
            texts_of(table[roles_of(card, table.column_names, file, ("item",))["item"]])
            for table in tables(file, card.encoding, [])
        ]
        ids = pa.chunked_array([chunk for part in parts for chunk in part.chunks], pa.string())
    codes = store.items_of(ids)
    if not (codes >= 0).any():
        raise UserError(f"--candidates {path} names no item that the run knows ({len(codes)} are listed)")
    if (codes < 0).any():
        progress.notice(f"{int((codes < 0).sum()):,} of {len(codes):,} candidates are items that the run doesn't know")
    allowed = np.zeros(len(store.log.items), bool)
    allowed[codes[codes >= 0]] = True
    return allowed
