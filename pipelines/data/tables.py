"""Tables as sources: CSV, TSV, JSONL and Parquet, read in blocks, with columns that play roles."""

import csv
import json
import os
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from horngate.pipelines.card import Data
from horngate.pipelines.data import live
from horngate.pipelines.data.sources import BLOCK, CORE, block, split_name
from horngate.pipelines.data.trailing import Trailing, told
from horngate.pipelines.errors import UserError, nearest
from horngate.pipelines.files import printable

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
WRITTEN += ("p_value", "anomalous", "reasons", "heatmap", "map", "mask", "user", "user_activity", "unseen")
Rows = list[tuple[int, dict, str | None]]  # number, cells, and what is wrong with the row


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
        table = _block(rows, roles, kept, inputs, card.blank)
        yield table if named is None else _of_file(table, named)


def live_blocks(card: Data) -> Iterator[pa.Table]:
    """Yield blocks of the rows that come from standard input, as they come."""
    yield from blocks_of(live.batches(card.encoding, _cells, _object), Path("standard input"), card, labelled=False)


def _inputs(
    card: Data, names: list[str], roles: dict[str, str], path: Path, labelled: bool
) -> "_Cells | _Paths | _Rows | Trailing":
    if card.history:
        values = _features(card, names, roles, path, labelled)
        return Trailing(values, roles["time"], roles.get("group"), card.history, card.time_unit)
    if card.tabular:
        return _Rows(_features(card, names, roles, path, labelled))
    return _Cells(card.encoding) if card.inline else _Paths(path.parent, None if card.allow_outside else path.parent)


def _of_file(table: pa.Table, named: str) -> pa.Table:
    """Return a block with the name of its file before its ids, and as the group of rows without one."""
    ids = pa.array([f"{named}: {name}" for name in table["id"].to_pylist()], pa.string())
    groups = [named if group is None else f"{named}: {group}" for group in table["group"].to_pylist()]
    groups = pa.array(groups, pa.string())
    table = table.set_column(table.column_names.index("id"), "id", ids)
    return table.set_column(table.column_names.index("group"), "group", groups)


def _roles(card: Data, names: list[str], path: Path, labelled: bool) -> dict[str, str]:
    roles = {}
    for role, guesses in card.roles.items():
        if role in card.truth and not labelled:
            continue
        wish = getattr(card, f"{role}_column")
        found = [wish] if wish else [name for name in guesses if name in names]
        if role in card.optional and not found:
            continue
        if len(found) != 1 or found[0] not in names:
            why = f"has no column {wish}.{nearest(wish, names)}" if wish else f"has no clear {role} column"
            hint = (
                "" if len(names) > 1 or ";" not in names[0] else " Is it separated by semicolons? Save it with commas."
            )
            raise UserError(f"{path} {why} Columns: {', '.join(names)}. Name it with --{role}-column.{hint}")
        roles[role] = found[0]
    for role in ("split", "group", "id"):
        wish = getattr(card, f"{role}_column")
        if wish and (labelled or role == "id" or (role == "group" and card.history)):
            if wish not in names:
                raise UserError(f"{path} has no column {wish}.{nearest(wish, names)} Columns: {', '.join(names)}")
            roles[role] = wish
    return roles


def _kept(card: Data, names: list[str], roles: dict[str, str], path: Path) -> list[str]:
    if card.keep_column is None:
        dropped = getattr(card, "drop_column", None) or ()
        return [name for name in names if name not in roles.values() and (not card.tabular or name in dropped)]
    for name in card.keep_column:
        if name not in names:
            raise UserError(f"{path} has no column {name}.{nearest(name, names)} Columns: {', '.join(names)}")
    return list(card.keep_column)


def _features(card: Data, names: list[str], roles: dict[str, str], path: Path, labelled: bool) -> list[str]:
    """Return the columns that make up a row's input: those that are named, else all that play no other role."""
    dropped, named = card.drop_column or (), card.feature_column or ()
    for name in (*dropped, *named):
        if labelled and not card.belonging and name not in names:
            raise UserError(f"{path} has no column {name}.{nearest(name, names)} Columns: {', '.join(names)}")
    featured = [roles[role] for role in card.featured if role in roles]
    return featured + [name for name in named or names if name not in (*dropped, *roles.values()) and name in names]


def _block(
    rows: Rows,
    roles: dict[str, str],
    kept: list[str],
    inputs: "_Cells | _Paths | _Rows | Trailing",
    blank: tuple[str, ...],
) -> pa.Table:
    columns: dict[str, list] = {name: [] for name in CORE}
    masks: list[str | None] = []
    for number, cells, error in rows:
        played = {role: cells.get(name) for role, name in roles.items()}
        whole_row = isinstance(inputs, _Rows | Trailing)
        name, place, value, refused = inputs.taken(({} if error else cells) if whole_row else played)
        columns["input"].append(place)
        columns["value"].append(value)
        columns["id"].append(_text(played.get("id") if "id" in roles else name) or f"row {number}")
        texts = {role: _text(played.get(role)) for role in ("target", "group", "split")}
        columns["target"].append(texts["target"])
        columns["group"].append(texts["group"])
        columns["split"].append(split_name(texts["split"]))
        needed = "target" in roles and "target" not in blank
        missing = "no target" if needed and texts["target"] is None else None
        mask, astray = inputs.mask(played["mask"]) if "mask" in roles else (None, None)
        masks.append(mask)
        columns["error"].append(error or refused or missing or astray)
    further = {free_name(name): [_text(cells.get(name)) for _, cells, _ in rows] for name in kept}
    if isinstance(inputs, Trailing):
        further["data_time"] = further.pop("time", None)
        further = {"time": [_text(told(cells.get(roles["time"]))) for _, cells, _ in rows]} | further
    elif "time" in roles:
        further = {"time": [_text(told(cells.get(roles["time"]))) for _, cells, _ in rows]} | further
    further |= {"mask": masks} if "mask" in roles else {}
    return block(columns, {name: values for name, values in further.items() if values is not None})


class _Cells:
    """Inputs that stand in the table: texts; with a second column for pairs, both as a JSON list.

    Args:
        encoding: of texts, which their reader decodes them from again.
    """

    def __init__(self, encoding: str):
        self.encoding = encoding

    def taken(self, played: dict) -> tuple[str | None, bytes | None, bytes | None, str | None]:
        """Return a row's name, path, value, and why it can't be used."""
        first = _text(played["input"])
        if first is None:
            return None, None, None, "no input"
        if "pair" not in played:
            return self._encoded(first)
        second = _text(played["pair"])
        if second is None:
            return None, None, None, "no second text"
        return self._encoded(json.dumps([first, second]))

    def _encoded(self, text: str) -> tuple[None, None, bytes | None, str | None]:
        try:
            return None, None, text.encode(self.encoding), None
        except UnicodeEncodeError as problem:
            return None, None, None, f"{problem.object[problem.start]!r} is no sign of {self.encoding}; see --encoding"


class _Rows:
    """Inputs that are rows of the table: their cells as a JSON object, in the order of the columns."""

    def __init__(self, names: list[str]):
        self.names = names

    def taken(self, cells: dict) -> tuple[str | None, bytes | None, bytes | None, str | None]:
        """Return a row's name, path, value, and why it can't be used."""
        own = {name: cells[name] for name in self.names if name in cells}
        return None, None, json.dumps(own, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass"), None


class _Paths:
    """Inputs that are files, named relative to the table's folder, or their bytes in a Parquet table."""

    def __init__(self, folder: Path, inside: Path | None):
        self.folder, self.inside = folder, inside

    def taken(self, played: dict) -> tuple[str | None, bytes | None, bytes | None, str | None]:
        """Return a row's name, path, value, and why it can't be used."""
        given = played["input"]
        if isinstance(given, bytes):
            return None, None, given, None
        return _text(given), *self._place(_text(given))

    def mask(self, given: Any) -> tuple[str | None, str | None]:
        """Return where a row's mask lies, or itself as a data URI, and why it can't be used."""
        if isinstance(given, bytes):
            return f"data:;base64,{b64encode(given).decode()}", None
        text = _text(given)
        if text is None or text.startswith("data:"):
            return text, None
        place, _, astray = self._place(text)
        return None if place is None else printable(os.fsdecode(place)), astray and f"its mask: {astray}"

    def _place(self, text: str | None) -> tuple[bytes | None, None, str | None]:
        if text is None:
            return None, None, "no input"
        place, inside = os.path.normpath(self.folder / text), self.inside
        if inside is not None and not Path(os.path.abspath(place)).is_relative_to(os.path.abspath(inside)):  # noqa: PTH100
            why = f"its path leaves the table's folder ({text[:80]}); pass --allow-outside if that is meant"
            return None, None, why
        return os.fsencode(place), None, None


def free_name(name: str) -> str:
    """Return a name for a kept column that doesn't collide with the columns that horngate writes."""
    return f"data_{name}" if name in (*CORE, *WRITTEN) else name


def _text(cell) -> str | None:
    if cell is None or cell == "":
        return None
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=str)


def row_batches(path: Path, encoding: str) -> Iterator[tuple[list[str], Rows]]:
    """Yield column names and rows of a table file, some thousands at a time.

    Raises:
        UserError: it is no such table.
    """
    read = {".parquet": _parquet, ".jsonl": _jsonl}.get(path.suffix.lower(), _separated)
    with decoding(path, encoding):
        yield from read(path, encoding)


def _separated(path: Path, encoding: str) -> Iterator[tuple[list[str], Rows]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
        reader = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        names = next(reader, None)
        if not names:
            raise UserError(f"{path} is empty: it should begin with a line of column names")
        _refuse_doubled(names, path)
        counted = enumerate((row for row in reader if row), start=1)
        while lines := list(islice(counted, BLOCK)):
            yield names, [_cells(names, row, number) for number, row in lines]


def _cells(names: list[str], row: list[str], number: int) -> tuple[int, dict, str | None]:
    error = None if len(row) == len(names) else f"row {number} has {len(row)} cells, the header {len(names)}"
    return number, dict(zip(names, row, strict=False)), error


def _jsonl(path: Path, encoding: str) -> Iterator[tuple[list[str], Rows]]:
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding) as file:
        counted = enumerate((line for line in file if line.strip()), start=1)
        names = None
        while lines := list(islice(counted, BLOCK)):
            rows = [_object(line, number) for number, line in lines]
            if names is None:
                names = list(dict.fromkeys(name for _, cells, _ in rows for name in cells))
            yield names, rows
    if names is None:
        raise UserError(f"{path} is empty")


def _object(line: str, number: int) -> tuple[int, dict, str | None]:
    try:
        cells = json.loads(line)
    except (ValueError, RecursionError):
        return number, {}, f"row {number} is no JSON"
    if not isinstance(cells, dict):
        return number, {}, f"row {number} is no JSON object"
    return number, cells, None


def _parquet(path: Path, encoding: str) -> Iterator[tuple[list[str], Rows]]:
    try:
        with path.open("rb") as opened:
            file = pq.ParquetFile(opened)
            names, number = file.schema_arrow.names, 0
            _refuse_doubled(names, path)
            for batch in file.iter_batches(batch_size=BLOCK):
                rows = [(number + place, _unwrapped(cells), None) for place, cells in enumerate(batch.to_pylist(), 1)]
                number += batch.num_rows
                yield names, rows
    except pa.ArrowException as problem:
        raise UserError(f"{path} is no readable Parquet file: {str(problem).splitlines()[0]}") from None


def _unwrapped(cells: dict) -> dict:
    """Return the cells; a struct of `bytes` and `path`, as Hugging Face writes pictures, becomes its bytes."""
    return {
        name: cell["bytes"] if isinstance(cell, dict) and isinstance(cell.get("bytes"), bytes) else cell
        for name, cell in cells.items()
    }


def _refuse_doubled(names: list[str], path: Path) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise UserError(f'{path} has the column "{doubled[0]}" more than once in its header')


@contextmanager
def decoding(path: Path, encoding: str) -> Iterator[None]:
    """Say in one line what goes wrong while a text file is read: the byte that is not of its encoding, or why it is closed.

    Raises:
        UserError: with the fix.
    """
    try:
        yield
    except UnicodeDecodeError as problem:
        offset = _bad_byte(path, encoding)
        raise UserError(
            f"{path} is no {encoding}: byte {offset} can't be decoded ({problem.reason}); name its --encoding"
        ) from None
    except OSError as problem:
        raise UserError(f"{path} can't be read: {problem.strerror or problem}") from None


def _bad_byte(path: Path, encoding: str) -> int:
    """Return the offset of the first byte that isn't of the encoding, reading a megabyte at a time."""
    import codecs

    decoder, offset = codecs.getincrementaldecoder(encoding)(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            waiting = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as problem:
                return offset - waiting + problem.start
            offset += len(chunk)
    return offset
