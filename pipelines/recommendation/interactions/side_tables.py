"""Side tables: what is known of users and items, joined to rows by their ids, and kept in the run."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.recommendation.interactions.side_files import ROLES, read_side_table
from horngate.pipelines.spec.errors import UserError, nearest
from horngate.pipelines.system.files import digest, read_table, write_table
from horngate.pipelines.tables.columns import text_in

FILE = "sides.parquet"


@dataclass(frozen=True)
class SideTables:
    """Tables by role (`user`, `item`): id → cells, and the columns of each.

    Rows whose id isn't in its table have gaps for its columns. `findings` say what was left out when they were read.
    """

    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list, compare=False)

    @classmethod
    def read(cls, card: Any, names: dict[str, str | None]) -> "SideTables":
        """Return the tables that a card names.

        Args:
            names: of the columns of users and items in the rows, by role.

        Raises:
            UserError: a table without the column that joins it, or one that can't be read.
        """
        made = cls()
        for role, knob in ROLES.items():
            if path := getattr(card, knob):
                made = made.having(role, Path(path), names[role], card)
        return made

    def having(self, role: str, path: Path, name: str | None, card: Any) -> "SideTables":
        """Return these with one more table; its rows come before those that are there already.

        Raises:
            UserError: as `read`.
        """
        if name is None:
            raise UserError(f"--{ROLES[role]} needs a column of {role}s in the data; name it with --{role}-column")
        table = read_side_table(str(path), card, role, name)
        kept = [column for column in table.columns if column not in (card.drop_column or ())]
        if not kept:
            raise UserError(f"--{ROLES[role]} {path} has no column left beside its ids; leave it out")
        old = self.columns.get(role)
        if old is not None and (lacking := [column for column in old if column not in kept]):
            raise UserError(f"{path} has no column {lacking[0]}, which the run learnt from.{nearest(lacking[0], kept)}")
        columns = old or kept
        cells = zip(*(table.columns[column] for column in columns), strict=True)
        rows = dict(zip(table.ids, (dict(zip(columns, row, strict=True)) for row in cells), strict=True))
        return SideTables(
            self.rows | {role: self.rows.get(role, {}) | rows},
            self.columns | {role: columns},
            self.findings + table.findings,
        )

    def joined(self, cells: dict[str, Any], names: dict[str, str | None]) -> dict[str, Any]:
        """Return a row's cells with those that the tables hold of its user and item."""
        if not self.rows:
            return cells
        more = {}
        for role, rows in self.rows.items():
            own = rows.get(text_in(cells.get(names[role])), {})
            more |= {column: own.get(column) for column in self.columns[role]}
        return cells | more

    def clashing(self, own: list[str]) -> str | None:
        """Return a column that stands in two tables, or in one and in the rows, whose columns are `own`; None for none."""
        seen = set(own)
        for columns in self.columns.values():
            if twice := [column for column in columns if column in seen]:
                return twice[0]
            seen |= set(columns)
        return None

    def lacks(self, cells: dict[str, Any], names: dict[str, str | None]) -> list[str]:
        """Return the roles (`user`, `item`) whose table has no row for this row's id."""
        return [role for role, rows in self.rows.items() if text_in(cells.get(names[role])) not in rows]

    @property
    def fingerprint(self) -> str:
        """A hash of all that the tables hold."""
        return digest(*(json.dumps([role, name, cells]) for role, name, cells in self._listed()))

    def _listed(self):
        for role, rows in self.rows.items():
            yield role, None, self.columns[role]
            yield from ((role, name, cells) for name, cells in rows.items())

    def write(self, path: Path) -> None:
        """Write the tables, so that the run can do without their files."""
        columns = list(zip(*self._listed(), strict=True)) or [(), (), ()]
        cells = [json.dumps(row, ensure_ascii=False) for row in columns[2]]
        kinds = zip(("role", "id", "cells"), (columns[0], columns[1], cells), strict=True)
        write_table(path, pa.table({name: pa.array(values, pa.string()) for name, values in kinds}))

    @classmethod
    def kept(cls, path: Path) -> "SideTables":
        """Return what `write` wrote; empty where nothing was.

        Raises:
            UserError: damaged.
        """
        made = cls()
        if not path.is_file():
            return made
        try:
            for row in read_table(path).to_pylist():
                cells = json.loads(row["cells"])
                if row["id"] is None:
                    made.columns[row["role"]], made.rows[row["role"]] = cells, {}
                else:
                    made.rows[row["role"]][row["id"]] = cells
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{path} is damaged; train anew") from None
        return made
