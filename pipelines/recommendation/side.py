"""Side tables: what is known of users and of items beside whom or what they met."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.errors import UserError
from horngate.pipelines.recommendation.log_files import roles_of, tables, texts_of

WORDS = 2000  # of a column, the most frequent ones
WORDS_OF_CELL = 16
NUMBERS_FROM = 10  # different values, from which on a column of numbers counts as numbers


@dataclass(frozen=True)
class Side:
    """A side table as it was read.

    Attributes:
        ids: of its rows, each once.
        columns: texts by column, aligned with the ids; None where a cell is empty.
        findings: what was seen on the way.
    """

    ids: list[str]
    columns: dict[str, list[str | None]]
    findings: list[Finding] = field(default_factory=list)


def read_side(path: str, card: Any, role: str, known: pa.Array) -> Side:
    """Return a side table; a row without an id is left out, of several of one id the first one counts.

    Args:
        role: `user` or `item`.
        known: the ids in the log.

    Raises:
        UserError: no such file, no column of ids, no other column, or none of the log's ids in it.
    """
    place = Path(path)
    if not place.is_file():
        raise UserError(f"--{role}s {path} doesn't exist")
    broken: list[tuple[int, str]] = []
    read = list(tables(place, card.encoding, broken))
    if not read:
        raise UserError(f"--{role}s {path} is empty")
    whole = pa.concat_tables(read, promote_options="permissive")
    key = roles_of(card, whole.column_names, place, (role,))[role]
    names = [name for name in whole.column_names if name != key]
    if not names:
        raise UserError(f"--{role}s {path} has no column beside {key}; there is nothing to learn from it")
    ids = [(text or "").strip() and text for text in texts_of(whole[key]).to_pylist()]
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        if name:
            first.setdefault(name, row)
    rows = pa.array(list(first.values()), pa.int64())
    columns = {name.split(":")[0]: _cells(whole[name].take(rows)) for name in names}
    missing = sum(not name for name in ids) + len(broken)
    doubled = len(ids) - sum(not name for name in ids) - len(first)
    lacking = len(set(known.to_pylist()) - first.keys())
    if lacking == len(known):
        raise UserError(
            f"--{role}s {path} knows none of the log's {role}s; is {key} the right column? See --{role}-column"
        )
    foreign = len(first) - len(known) + lacking
    counts = {
        f"{missing:,} rows of {place.name} can't be used: they have no id, or too many cells": missing,
        f"{doubled:,} rows of {place.name} repeat an id; the first one counts": doubled,
        f"{lacking:,} {role}s of the log are not in {place.name}": lacking,
        f"{foreign:,} {role}s of {place.name} are not in the log": foreign,
    }
    code = f"{role}s_table"
    return Side(list(first), columns, [Finding("note", code, said, count) for said, count in counts.items() if count])


def _cells(column: pa.ChunkedArray) -> list[str | None]:
    return [None if cell is None or not cell.strip() else cell for cell in texts_of(column).to_pylist()]


@dataclass(frozen=True)
class Features:
    """How the columns of a side table become numbers, fixed by those who were learnt from.

    Attributes:
        numbers: column → mean and spread.
        words: (column, word) → token, from 1 on; a category is a word of its own.
    """

    numbers: dict[str, tuple[float, float]]
    words: dict[str, dict[str, int]]

    @classmethod
    def of(cls, side: Side) -> "Features":
        """Return the features of a side table: numbers where all cells are some, words of texts and categories else."""
        numbers, words, token = {}, {}, 1
        for name, cells in side.columns.items():
            values = _floats(cells)
            if values is not None and len(np.unique(values[np.isfinite(values)])) >= NUMBERS_FROM:
                known = values[np.isfinite(values)]
                numbers[name] = (float(known.mean()), float(known.std()) or 1.0)
                continue
            counts = Counter(word for cell in cells for word in _words(cell))
            kept = [word for word, _ in counts.most_common(WORDS)]
            words[name] = {word: token + place for place, word in enumerate(kept)}
            token += len(kept)
        return cls(numbers, words)

    @property
    def tokens(self) -> int:
        """How many tokens there are, with 0 for none."""
        return 1 + sum(len(words) for words in self.words.values())

    def arrays(self, side: Side, ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return tokens int32 `[n, t]` (0 for none) and numbers float32 `[n, g]` (0 where unknown) of some ids."""
        rows = {name: row for row, name in enumerate(side.ids)}
        places = [rows.get(name) for name in ids]
        width = max(1, WORDS_OF_CELL * len(self.words))
        tokens, numbers = (
            np.zeros((len(ids), width), np.int32),
            np.zeros((len(ids), max(1, len(self.numbers))), np.float32),
        )
        for column, (name, (mean, spread)) in enumerate(self.numbers.items()):
            values = _floats(side.columns[name])
            for row, place in enumerate(places):
                if place is not None and np.isfinite(values[place]):
                    numbers[row, column] = np.clip((values[place] - mean) / spread, -5, 5)
        for column, (name, words) in enumerate(self.words.items()):
            for row, place in enumerate(places):
                found = [
                    words[word]
                    for word in _words(None if place is None else side.columns[name][place])
                    if word in words
                ]
                found = found[:WORDS_OF_CELL]
                tokens[row, column * WORDS_OF_CELL : column * WORDS_OF_CELL + len(found)] = found
        return tokens, numbers


def _floats(cells: list[str | None]) -> np.ndarray | None:
    try:
        return np.array([np.nan if cell is None else float(cell) for cell in cells])
    except ValueError:
        return None


def _words(cell: str | None) -> list[str]:
    return [] if cell is None else re.findall(r"[^\s,;|/]+", cell.casefold())
