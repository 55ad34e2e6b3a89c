"""Side tables: what is known of users and of items beside whom or what they met; the one reader of them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.recommendation.interactions.log_files import READ, TYPED, tables
from horngate.pipelines.recommendation.interactions.raw_columns import texts_of
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tables.columns import LARGEST

ROLES = {"user": "users", "item": "items"}  # of the column that joins a table, by knob
SHOWN = 3  # ids in a finding


@dataclass(frozen=True)
class SideTable:
    """A side table as it was read.

    Attributes:
        ids: of its rows, each once.
        columns: texts by column, aligned with the ids; None where a cell is empty.
        findings: what was seen on the way.
    """

    ids: list[str]
    columns: dict[str, list[str | None]]
    findings: list[Finding] = field(default_factory=list)


def read_side_table(path: str, card: Any, role: str, joining: str | None = None) -> SideTable:
    """Return a side table.

    Rows that can't be joined or trusted are left out, and counted in the findings: those without an id, with too many
    cells, with an infinite number, and all rows of an id whose rows differ, as nobody knows which of them holds.

    Args:
        role: `user` or `item`.
        joining: the column of ids, where the table has it; else it goes by the card.

    Raises:
        UserError: no such file, no column of ids, or no other column.
    """
    place, knob = Path(path), f"--{ROLES[role]}"
    if place.suffix.lower() not in READ or not place.is_file():
        raise UserError(f"{knob} should be a file that is one of {', '.join(READ)}. Received: {path}")
    broken: list[tuple[int, str]] = []
    read = list(tables(place, card.encoding, broken))
    if not read:
        raise UserError(f"{knob} {path} is empty")
    whole = pa.concat_tables(read, promote_options="permissive")
    bare = {name.split(":")[0] if place.suffix.lower() in TYPED else name: name for name in whole.column_names}
    wishes = [name for name in (joining, getattr(card, f"{role}_column"), *card.rows.roles[role], "id") if name]
    key = next((name for name in wishes if name in bare), None)
    if key is None:
        wanted = " or ".join(dict.fromkeys(wishes))
        raise UserError(f"{path} has no column to join it by: {wanted}. Columns: {', '.join(bare)}")
    if len(bare) == 1:
        raise UserError(f"{knob} {path} has no column beside {key}; there is nothing to learn from it")
    ids = _cells(whole[bare[key]])
    columns = {name: _cells(whole[bare[name]]) for name in bare if name != key}
    kept, findings = _trusted([name and name.strip() for name in ids], columns, len(broken), place.name, role)
    return SideTable(
        list(kept), {name: [cells[row] for row in kept.values()] for name, cells in columns.items()}, findings
    )


def floats_of(cells: list[str | None]) -> np.ndarray | None:
    """Return the numbers in cells, float64 `[n]`, NaN for empty ones; None where some cell is no number."""
    try:
        return np.array([np.nan if cell is None else float(cell) for cell in cells])
    except ValueError:
        return None


def _trusted(
    ids: list[str | None], columns: dict[str, list], broken: int, name: str, role: str
) -> tuple[dict[str, int], list[Finding]]:
    """Return the row of each id that can be used, and findings on those that can't."""
    infinite = set()
    for cells in columns.values():
        if (values := floats_of(cells)) is not None:
            infinite |= set(np.flatnonzero(np.abs(values) > LARGEST).tolist())
    first: dict[str, int] = {}
    torn, repeats = {}, 0
    for row, one in enumerate(ids):
        if one is None or row in infinite:
            continue
        place = first.setdefault(one, row)
        if place != row:
            repeats += 1
            if any(cells[place] != cells[row] for cells in columns.values()):
                torn[one] = True
    kept = {one: row for one, row in first.items() if one not in torn}
    nameless = sum(one is None for one in ids) + broken
    told = (
        ("warning", nameless, f"{nameless:,} rows of {name} can't be used: they have no id, or too many cells"),
        ("warning", len(infinite), f"{len(infinite):,} rows of {name} can't be used: they hold an infinite number"),
        (
            "warning",
            len(torn),
            f"{len(torn):,} {ROLES[role]} of {name} have rows that differ, such as {', '.join(list(torn)[:SHOWN])}; "
            "none of them counts: keep one row of each",
        ),
        ("note", repeats if not torn else 0, f"{repeats:,} rows of {name} repeat others"),
    )
    code = f"{ROLES[role]}_table"
    return kept, [Finding(grade, code, said, count) for grade, count, said in told if count]


def _cells(column: pa.ChunkedArray) -> list[str | None]:
    return [None if cell is None or not cell.strip() else cell for cell in texts_of(column).to_pylist()]
