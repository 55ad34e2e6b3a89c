"""Tables as sources: blocks of rows, with columns that play roles."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from horngate.pipelines.data.sources import stdin
from horngate.pipelines.data.sources.blocks import CORE, block, split_name
from horngate.pipelines.data.sources.table_files import Rows, cells_of, object_of, row_batches
from horngate.pipelines.data.sources.table_inputs import Cells, Paths, WholeRows, text_of
from horngate.pipelines.data.trailing import Trailing, told
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError, nearest

WRITTEN = (
    "label",
    "score",
    "scores",
    "set",
    "abstain",
    "embedding",
    "similarity",
    "pair_embedding",
    "spans",
)  # by any task
WRITTEN += (
    "p_value",
    "anomalous",
    "reasons",
    "heatmap",
    "map",
    "mask",
    "area",
    "area_unit",
    "user",
    "user_activity",
    "unseen",
)


def table_blocks(path: Path, card: Data, labelled: bool, named: str | None = None) -> Iterator[pa.Table]:
    """Yield blocks of a table file; ragged or broken rows come with `error` filled, none is dropped.

    Args:
        named: of several tables read as one, the name of this one: it comes before the ids of its rows, and is their group
            where the table names none.

    Raises:
        UserError: a column that a role needs is missing, or the file is no such table.
    """
    yield from blocks_of(row_batches(path, card.encoding), path, card, labelled, named)


def blocks_of(
    batches: Iterator[tuple[list[str], Rows]], path: Path, card: Data, labelled: bool, named: str | None = None
) -> Iterator[pa.Table]:
    """Yield blocks of what was read of a table; `path` is what errors call it."""
    roles = None
    for names, rows in batches:
        if roles is None:
            roles = _roles(card, names, path, labelled)
            kept = _kept(card, names, roles, path)
            inputs = _inputs(card, names, roles, path, labelled)
        table = _block(rows, roles, kept, inputs, card)
        yield table if named is None else _of_file(table, named)


def live_blocks(card: Data) -> Iterator[pa.Table]:
    """Yield blocks of the rows that come from standard input, as they come."""
    yield from blocks_of(
        stdin.batches(card.encoding, cells_of, object_of), Path("standard input"), card, labelled=False
    )


def _inputs(
    card: Data, names: list[str], roles: dict[str, str], path: Path, labelled: bool
) -> Cells | Paths | WholeRows | Trailing:
    if card.rows.input == "window":
        values = _features(card, names, roles, path, labelled)
        return Trailing(values, roles["time"], roles.get("group"), card.window - 1, card.time_unit)
    if card.rows.input == "row":
        return WholeRows(_features(card, names, roles, path, labelled))
    if card.rows.input == "cell":
        return Cells(card.encoding)
    return Paths(path.parent, None if card.allow_outside else path.parent)


def _of_file(table: pa.Table, named: str) -> pa.Table:
    """Return a block with the name of its file before its ids, and as the group of rows without one."""
    ids = pa.array([f"{named}: {name}" for name in table["id"].to_pylist()], pa.string())
    groups = [named if group is None else f"{named}: {group}" for group in table["group"].to_pylist()]
    groups = pa.array(groups, pa.string())
    table = table.set_column(table.column_names.index("id"), "id", ids)
    return table.set_column(table.column_names.index("group"), "group", groups)


def _roles(card: Data, names: list[str], path: Path, labelled: bool) -> dict[str, str]:
    roles = {}
    for role, guesses in card.rows.roles.items():
        if role in card.rows.truth and not labelled:
            continue
        wish = getattr(card, f"{role}_column")
        found = [wish] if wish else [name for name in guesses if name in names]
        if role in card.rows.optional and not found:
            continue
        if len(found) != 1 or found[0] not in names:
            why = f"has no column {wish}.{nearest(wish, names)}" if wish else f"has no clear {role} column."
            hint = (
                "" if len(names) > 1 or ";" not in names[0] else " Is it separated by semicolons? Save it with commas."
            )
            raise UserError(f"{path} {why} Columns: {', '.join(names)}. Name it with --{role}-column.{hint}")
        roles[role] = found[0]
    for role in ("split", "group", "id"):
        wish = getattr(card, f"{role}_column")
        if wish and (labelled or role == "id" or (role == "group" and card.rows.input == "window")):
            if wish not in names:
                raise UserError(f"{path} has no column {wish}.{nearest(wish, names)} Columns: {', '.join(names)}")
            roles[role] = wish
    return roles


def _kept(card: Data, names: list[str], roles: dict[str, str], path: Path) -> list[str]:
    if card.keep_column is None and card.rows.private:
        return []
    if card.keep_column is None:
        dropped = getattr(card, "drop_column", None) or ()
        whole = card.rows.input in ("row", "window")  # what isn't dropped is the input then
        return [name for name in names if name not in roles.values() and (not whole or name in dropped)]
    for name in card.keep_column:
        if name not in names:
            raise UserError(f"{path} has no column {name}.{nearest(name, names)} Columns: {', '.join(names)}")
    return list(card.keep_column)


def _features(card: Data, names: list[str], roles: dict[str, str], path: Path, labelled: bool) -> list[str]:
    """Return the columns that make up a row's input: those that are named, else all that play no other role."""
    dropped, named = card.drop_column or (), card.feature_column or ()
    for name in (*dropped, *named):
        if labelled and not card.rows.belonging and name not in names:
            raise UserError(f"{path} has no column {name}.{nearest(name, names)} Columns: {', '.join(names)}")
    featured = [roles[role] for role in card.rows.featured if role in roles]
    return featured + [name for name in named or names if name not in (*dropped, *roles.values()) and name in names]


def _block(
    rows: Rows,
    roles: dict[str, str],
    kept: list[str],
    inputs: Cells | Paths | WholeRows | Trailing,
    card: Data,
) -> pa.Table:
    columns: dict[str, list] = {name: [] for name in CORE}
    masks: list[str | None] = []
    for number, cells, error in rows:
        played = {role: cells.get(name) for role, name in roles.items()}
        whole_row = isinstance(inputs, WholeRows | Trailing)
        name, place, value, refused = inputs.taken(({} if error else cells) if whole_row else played)
        columns["input"].append(place)
        columns["value"].append(value)
        columns["id"].append(text_of(played.get("id") if "id" in roles else name) or f"row {number}")
        texts = {role: text_of(played.get(role)) for role in ("target", "group", "split")}
        columns["target"].append(texts["target"])
        columns["group"].append(texts["group"])
        columns["split"].append(split_name(texts["split"]))
        needed = "target" in roles and "target" not in card.rows.blank
        missing = "no target" if needed and texts["target"] is None else None
        mask, astray = inputs.mask(played["mask"]) if "mask" in roles else (None, None)
        masks.append(mask)
        columns["error"].append(error or refused or missing or astray)
    further = {free_name(name, card): [text_of(cells.get(name)) for _, cells, _ in rows] for name in kept}
    if isinstance(inputs, Trailing):
        further["data_time"] = further.pop("time", None)
        further = {"time": [text_of(told(cells.get(roles["time"]))) for _, cells, _ in rows]} | further
    elif "time" in roles:
        further = {"time": [text_of(told(cells.get(roles["time"]))) for _, cells, _ in rows]} | further
    further |= {"mask": masks} if "mask" in roles else {}
    return block(columns, {name: values for name, values in further.items() if values is not None})


def free_name(name: str, card: Data) -> str:
    """Return a name for a kept column that doesn't collide with the columns that horngate writes."""
    return f"data_{name}" if name in (*CORE, *WRITTEN, *card.writes) else name
