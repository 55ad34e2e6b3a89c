"""Files that hold tables: CSV, TSV, JSONL and Parquet, read in blocks of rows; what is wrong with a row goes with it."""

import codecs
import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from horngate.pipelines.data.sources.blocks import BLOCK
from horngate.pipelines.spec.errors import UserError

Rows = list[tuple[int, dict, str | None]]  # number, cells, and what is wrong with the row
TABLES = (".csv", ".tsv", ".parquet", ".jsonl")


def row_batches(path: Path, encoding: str) -> Iterator[tuple[list[str], Rows]]:
    """Yield column names and rows of a table file, some thousands at a time.

    Raises:
        UserError: it is no such table.
    """
    read = {".parquet": _parquet, ".jsonl": json_rows}.get(path.suffix.lower(), _separated)
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
            yield names, [cells_of(names, row, number) for number, row in lines]


def cells_of(names: list[str], row: list[str], number: int) -> tuple[int, dict, str | None]:
    error = None if len(row) == len(names) else f"row {number} has {len(row)} cells, the header {len(names)}"
    return number, dict(zip(names, row, strict=False)), error


def json_rows(path: Path, encoding: str) -> Iterator[tuple[list[str], Rows]]:
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding) as file:
        counted = enumerate((line for line in file if line.strip()), start=1)
        names = None
        while lines := list(islice(counted, BLOCK)):
            rows = [object_of(line, number) for number, line in lines]
            if names is None:
                names = list(dict.fromkeys(name for _, cells, _ in rows for name in cells))
            yield names, rows
    if names is None:
        raise UserError(f"{path} is empty")


def object_of(line: str, number: int) -> tuple[int, dict, str | None]:
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
