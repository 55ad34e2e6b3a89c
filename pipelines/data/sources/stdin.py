"""Rows from standard input as they come: a line is a row, CSV with a line of column names first, or JSON objects."""

import csv
import os
import sys
from collections.abc import Callable, Iterator

from horngate.pipelines.data.sources.blocks import BLOCK
from horngate.pipelines.spec.errors import UserError

Rows = list[tuple[int, dict, str | None]]  # number, cells, and what is wrong with the row


def batches(encoding: str, cells: Callable, parsed: Callable) -> Iterator[tuple[list[str], Rows]]:
    """Yield column names and rows as soon as there are any; nothing is waited for once a whole line is there.

    Args:
        cells: (names, values, number) -> row, for CSV.
        parsed: (line, number) -> row, for JSON lines.

    Raises:
        UserError: nothing came, or bytes that aren't of the encoding.
    """
    names: list[str] | None = None
    in_json, number = False, 0
    for lines in _ready(encoding):
        if names is None:
            in_json = lines[0].lstrip("\ufeff").startswith("{")
            lines[0] = lines[0].lstrip("\ufeff")
            names = list(parsed(lines[0], 1)[1]) if in_json else next(csv.reader([lines.pop(0)]))
        rows = [
            parsed(line, place) if in_json else cells(names, next(csv.reader([line])), place)
            for place, line in enumerate(lines, number + 1)
        ]
        number += len(rows)
        if rows:
            yield names, rows
    if names is None:
        raise UserError(
            "nothing came from standard input: it should begin with a line of column names, or a JSON object"
        )


def _ready(encoding: str) -> Iterator[list[str]]:
    """Yield the lines that are there, at least one at a time; empty ones are left out."""
    source, rest = sys.__stdin__.fileno(), b""
    while chunk := os.read(source, 1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from _decoded(lines, encoding)
    yield from _decoded([rest], encoding)


def _decoded(lines: list[bytes], encoding: str) -> Iterator[list[str]]:
    try:
        texts = [text for line in lines if (text := line.decode(encoding).rstrip("\r")).strip()]
    except UnicodeDecodeError as problem:
        raise UserError(f"standard input is no {encoding} ({problem.reason}); name its --encoding") from None
    for start in range(0, len(texts), BLOCK):
        yield texts[start : start + BLOCK]
