"""The one reader of table rows: a JSON object of cells in, one number per column out, by the types of the schema."""

import json
import math
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system import progress

GAPS = ("", "na", "n/a", "nan", "null", "none", "?")  # texts that say that there is no value
MOST_CATEGORIES = 50  # with a code of their own; rarer ones share the code of those never seen
LARGEST = 3e38
MANY = 20  # different texts from which on a column that hardly repeats any holds free text


@dataclass(frozen=True)
class Facts:
    """What was seen of one row."""

    data: bytes
    converted: tuple[str, ...] = ()
    thumbnail: None = None


def cells_of(data: bytes) -> dict[str, Any]:
    """Return a row's cells by column.

    Raises:
        Unreadable: the bytes are no row of a table.
    """
    try:
        cells = json.loads(data)
    except (ValueError, RecursionError):
        cells = None
    if not isinstance(cells, dict):
        raise Unreadable("no row of a table: give a .csv, .tsv, .parquet or .jsonl file")
    return cells


def refuse_infinite(cells: dict[str, Any]) -> None:
    """Refuse a row with a number that is infinite, or too large for float32.

    Raises:
        Unreadable: it names the column.
    """
    for name, cell in cells.items():
        value = number_in(cell)
        if value is not None and abs(value) > LARGEST:
            raise Unreadable(f'column "{name}" is infinite, or too large')


def is_gap(cell: Any) -> bool:
    """Whether a cell holds no value."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return True
    return isinstance(cell, str) and cell.strip().lower() in GAPS


def number_in(cell: Any) -> float | None:
    """Return the number in a cell, NaN for a gap, None for a text."""
    if isinstance(cell, int | float):
        return float(cell)
    if is_gap(cell):
        return math.nan
    try:
        return float(cell)
    except (TypeError, ValueError):
        return None


def text_in(cell: Any) -> str:
    """Return the category in a cell; a whole number reads the same, whatever type it has."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return json.dumps(cell, ensure_ascii=False)


def values_in(cell: Any, separator: str | None = None) -> list[str]:
    """Return the categories in a cell: of a list (a JSON list, as text, too), parted by the separator, or the one; no gaps.

    Each stands there once.
    """
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        with suppress(ValueError):
            cell = json.loads(cell)
    if isinstance(cell, str) and separator:
        cell = cell.split(separator)
    parts = cell if isinstance(cell, list) else [cell]
    return list(dict.fromkeys(text_in(part) for part in parts if not is_gap(part)))


def settled(
    rows: list[dict[str, Any]], wanted: tuple[str, ...] | None, dropped: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return the columns of training rows: `name`, `type` (number or category), and the known `categories`, if any.

    Args:
        wanted: names of the columns to look at; None for all.
        dropped: names to leave out.

    Raises:
        UserError: a column of free text, or of numbers and texts; no column is left, or none that varies.
    """
    names = list(dict.fromkeys(name for cells in rows for name in cells))
    for name in wanted or ():
        if name not in names:
            raise UserError(f'no column "{name}" in the training rows. Columns: {", ".join(names[:30])}')
    found, problems, varied = [], [], False
    for name in (name for name in names if (wanted is None or name in wanted) and name not in dropped):
        cells = [row.get(name) for row in rows]
        try:
            found.append({"name": name} | type_of(name, cells))
        except UserError as problem:
            problems.append(str(problem))
        varied = varied or len({text_in(cell) for cell in cells if not is_gap(cell)}) > 1
    if problems:
        raise UserError("; ".join(problems))
    if not found:
        raise UserError("no column is left to look at; drop fewer")
    if not varied:
        raise UserError("all columns are constant in the training rows, so nothing can be strange; check the data")
    return found


def type_of(name: str, cells: list[Any]) -> dict[str, Any]:
    """Return the type of a column, and its categories by falling frequency.

    Raises:
        UserError: free text, or numbers and texts.
    """
    there = [cell for cell in cells if not is_gap(cell)]
    texts = [cell for cell in there if number_in(cell) is None]
    if not texts:
        return {"type": "number"}
    counts = Counter(text_in(cell) for cell in there)
    numbers = len(there) - len(texts)
    if numbers and len(counts) > MANY:
        shown = json.dumps(texts[0], ensure_ascii=False)[:40]
        raise UserError(
            f'column "{name}" holds {numbers:,} numbers and {len(texts):,} texts, such as {shown}; mend these, or leave it '
            f'out with --drop-column "{name}"'
        )
    if len(counts) > MANY and len(counts) > len(there) / 2:
        raise UserError(
            f'column "{name}" holds free text ({len(counts):,} different values in {len(there):,} rows); leave it out with '
            f'--drop-column "{name}"'
        )
    return {"type": "category", "categories": [name for name, _ in counts.most_common(MOST_CATEGORIES)]}


def width_of(columns: list[dict[str, Any]]) -> int:
    """Return how many numbers a row becomes: one a column, or its `slots`."""
    return sum(column.get("slots", 1) for column in columns)


def codes_of(columns: list[dict[str, Any]]) -> list[dict[str, int]]:
    """Return for each column the code of each category; empty for numbers."""
    return [{name: code for code, name in enumerate(column.get("categories", ()))} for column in columns]


def vector_of(cells: dict[str, Any], columns: list[dict[str, Any]], codes: list[dict[str, int]]) -> np.ndarray:
    """Return a row as float32 `[width]`: numbers, codes of categories (one more for any other), NaN for gaps.

    Args:
        columns: as `settled` returns them.
        codes: by column, the code of each category; empty for numbers.

    Raises:
        Unreadable: a column is missing, infinite, or a text where numbers are needed.
    """
    values = []
    for column, known in zip(columns, codes, strict=True):
        name = column["name"]
        if name not in cells:
            raise Unreadable(f'column "{name}" is missing')
        cell = cells[name]
        if "slots" in column:
            found = [known.get(value, len(known)) for value in values_in(cell, column["separator"])]
            values += (found + [np.nan] * column["slots"])[: column["slots"]]
        elif known:
            values.append(np.nan if is_gap(cell) else known.get(text_in(cell), len(known)))
        else:
            values.append(_finite(name, cell))
    return np.array(values, np.float32)


def _finite(name: str, cell: Any) -> float:
    value = number_in(cell)
    if value is None:
        raise Unreadable(f'column "{name}" should be a number. Received: {json.dumps(cell, ensure_ascii=False)[:40]}')
    if abs(value) > LARGEST:
        raise Unreadable(f'column "{name}" is infinite, or too large')
    return value


def filled(read: Callable[[bytes], np.ndarray], table: pa.Table, found: np.ndarray, label: str) -> None:
    """Put all rows into an array float32 `[n, width]`; one that doesn't fit the types of the training rows is all gaps.

    Args:
        read: makes float32 `[width]` of a row's bytes.
        label: what progress calls it.
    """
    rows = zip(*(table[name].to_pylist() for name in ("input", "value", "error")), strict=True)
    unlike = []
    for place, row in enumerate(progress.tracked(rows, label, table.num_rows)):
        try:
            found[place] = read(content(*row))
        except Unreadable as reason:
            found[place] = np.nan
            unlike.append(f"{table['id'][place].as_py()}: {reason}")
    if unlike:
        progress.notice(f"{label}: {len(unlike)} rows count as gaps, such as {unlike[0]}")
