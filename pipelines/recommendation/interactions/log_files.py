"""Files that hold interaction logs: tables, `.inter` files with typed headers, and lines of ids.

A `.txt` holds lines of `user item [item …]`, in order of time; one file, or a folder of files that are named by their
split (`train.txt`, `valid.txt`, `test.txt`). A `.inter`, `.user` or `.item` file is tab-separated, with a header such as
`user_id:token`; the type behind the colon is ignored.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.json as pjson
import pyarrow.parquet as pq

from horngate.pipelines.data.sources.blocks import SPLITS
from horngate.pipelines.data.sources.table_files import TABLES, decoding, json_rows
from horngate.pipelines.data.sources.table_inputs import text_of
from horngate.pipelines.recommendation.interactions.log import Reading, cleaned
from horngate.pipelines.recommendation.interactions.samples import PREFIX, sample_columns
from horngate.pipelines.spec.card import Data
from horngate.pipelines.spec.errors import UserError, nearest

TYPED = (".inter", ".user", ".item")
LINES = ".txt"
READ = (*TABLES, *TYPED)
BLOCK = 1 << 24  # bytes of a text file that are read at a time


def read_log(source: str, card: Data) -> Reading:
    """Return the interactions that a source holds.

    Raises:
        UserError: no such source, no log, a column missing, or a split that is none.
    """
    if source.startswith(PREFIX):
        columns = sample_columns(source.removeprefix(PREFIX))
        return cleaned(columns, np.arange(1, len(columns["user"]) + 1), [])
    path = Path(source)
    if not path.exists():
        raise UserError(f"{source} doesn't exist")
    if path.is_dir() or path.suffix.lower() == LINES:
        columns = _of_lines(path, card.encoding)
        return cleaned(columns, np.arange(1, len(columns["user"]) + 1), [])
    if path.suffix.lower() not in READ:
        raise UserError(f"{source} is no log: neither a folder of {LINES} files nor one of {LINES}, {', '.join(READ)}")
    broken: list[tuple[int, str]] = []
    roles, parts = None, []
    for table in tables(path, card.encoding, broken):
        roles = roles or roles_of(card, table.column_names, path)
        parts.append(table.select(list(roles.values())).rename_columns(list(roles)))
    if roles is None:
        raise UserError(f"{path} is empty: it should begin with a line of column names")
    table = _joined(parts)
    numbers = np.arange(1, table.num_rows + len(broken) + 1)
    numbers = np.setdiff1d(numbers, [number for number, _ in broken], assume_unique=True)[: table.num_rows]
    return cleaned({name: table[name] for name in table.column_names}, numbers, broken)


def roles_of(card: Any, names: list[str], path: Path, only: tuple[str, ...] | None = None) -> dict[str, str]:
    """Return which column plays which role; `split` is among them where the card names one.

    Raises:
        UserError: a role without a clear column.
    """
    bare = {name.split(":")[0] if path.suffix.lower() in TYPED else name: name for name in names}
    found = {}
    for role in only or card.rows.roles:
        wish, guesses = getattr(card, f"{role}_column"), card.rows.roles[role]
        able = [wish] if wish else [name for name in guesses if name in bare]
        if role in card.rows.optional and not able:
            continue
        if len(able) != 1 or not (able[0] in bare or able[0] in names):
            why = f"has no column {wish}.{nearest(wish, bare)}" if wish else f"has no clear {role} column."
            hint = " Is it separated by semicolons? Save it with commas." if len(names) == 1 and ";" in names[0] else ""
            raise UserError(f"{path} {why} Columns: {', '.join(bare)}. Name it with --{role}-column.{hint}")
        found[role] = bare.get(able[0], able[0])
    if only is None and card.split_column:
        if card.split_column not in bare:
            raise UserError(
                f"{path} has no column {card.split_column}.{nearest(card.split_column, bare)} Columns: {', '.join(bare)}"
            )
        found["split"] = bare[card.split_column]
    return found


def tables(path: Path, encoding: str, broken: list[tuple[int, str]]) -> Iterator[pa.Table]:
    """Yield a table file block by block; of text files all columns are texts. Broken rows go to `broken`."""
    with decoding(path, encoding):
        try:
            yield from {".parquet": _parquet, ".jsonl": _json}.get(path.suffix.lower(), _separated)(
                path, encoding, broken
            )
        except pa.ArrowException as problem:
            if "invalid utf8" in str(problem).lower():
                raise UserError(f"{path} is no {encoding}; name its --encoding") from None
            raise UserError(f"{path} can't be read: {str(problem).splitlines()[0]}") from None


def _parquet(path: Path, encoding: str, broken: list) -> Iterator[pa.Table]:
    with path.open("rb") as opened:
        file = pq.ParquetFile(opened)
        if not file.metadata.num_rows:
            yield file.schema_arrow.empty_table()
        for batch in file.iter_batches(batch_size=1 << 20):
            yield pa.table(batch)


def _separated(path: Path, encoding: str, broken: list) -> Iterator[pa.Table]:
    delimiter = "\t" if path.suffix.lower() in (".tsv", *TYPED) else ","
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding) as file:
        if not file.readline().strip():
            raise UserError(f"{path} is empty: it should begin with a line of column names")

    def refused(row) -> str:
        broken.append((row.number - 1, f"{row.actual_columns} cells, the header has {row.expected_columns}"))
        return "skip"

    reading = pcsv.ReadOptions(use_threads=False, block_size=BLOCK, encoding=encoding.replace("utf-8-sig", "utf-8"))
    parsing = pcsv.ParseOptions(delimiter=delimiter, invalid_row_handler=refused)
    with pcsv.open_csv(path, reading, parsing) as peek:
        names = peek.schema.names
    broken.clear()
    converting = pcsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    with pcsv.open_csv(path, reading, parsing, converting) as stream:
        seen = False
        for batch in stream:
            seen = True
            yield pa.table(batch)
        if not seen:
            yield stream.schema.empty_table()


def _json(path: Path, encoding: str, broken: list) -> Iterator[pa.Table]:
    try:
        yield pjson.read_json(path)
    except pa.ArrowInvalid:
        yield _json_by_row(path, encoding, broken)


def _json_by_row(path: Path, encoding: str, broken: list) -> pa.Table:
    """Return the objects of a file that Arrow refuses, such as one of mixed types, as texts."""
    rows, names = [], []
    for header, part in json_rows(path, encoding):
        names = header
        broken += [(number, error.removeprefix(f"row {number} ")) for number, _, error in part if error]
        rows += [cells for _, cells, error in part if error is None]
    return pa.table({name: pa.array([text_of(cells.get(name)) for cells in rows], pa.string()) for name in names})


def _joined(parts: list[pa.Table]) -> pa.Table:
    """Return blocks as one table; the ids of each are kept once."""
    ids = ("user", "item", "split")
    coded = []
    for part in parts:
        columns = {name: part[name] for name in part.column_names}
        for name in (name for name in ids if name in columns and pa.types.is_string(columns[name].type)):
            columns[name] = columns[name].dictionary_encode()
        coded.append(pa.table(columns))
    return pa.concat_tables(coded, promote_options="permissive").unify_dictionaries()


def _of_lines(path: Path, encoding: str) -> dict[str, pa.ChunkedArray]:
    """Return user, item and, of a folder, split of lines of ids; the order within a line is that of time."""
    files = [path]
    if path.is_dir():
        known = {file: SPLITS.get(file.stem.lower()) for file in sorted(path.glob(f"*{LINES}"))}
        files = [file for file, split in known.items() if split]
        if not files:
            raise UserError(f"{path} holds no train.txt, valid.txt or test.txt of lines `user item item …`")
    columns: dict[str, list] = {"user": [], "item": [], "split": []}
    for file in files:
        with decoding(file, encoding):
            text = file.read_text(encoding)
        lines = pc.split_pattern_regex(pa.array([line for line in text.splitlines() if line.strip()]), r"\s+")
        counts = pc.list_value_length(lines)
        if len(lines) and pc.min(counts).as_py() < 1:
            raise UserError(f"{file} has a line without ids")
        words, starts = lines.flatten(), lines.offsets.to_numpy()
        heads = np.zeros(len(words), bool)
        heads[starts[:-1]] = True
        owner = np.repeat(starts[:-1], np.diff(starts))
        rest = np.flatnonzero(~heads)
        columns["user"].append(words.take(pa.array(owner[rest])).dictionary_encode())
        columns["item"].append(words.take(pa.array(rest)).dictionary_encode())
        columns["split"].append(pa.array([file.stem.lower()] * len(rest)).dictionary_encode())
    found = {name: pa.chunked_array(parts).unify_dictionaries() for name, parts in columns.items()}
    return found if path.is_dir() else {name: found[name] for name in ("user", "item")}
