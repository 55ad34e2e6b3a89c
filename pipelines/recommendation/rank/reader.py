"""The one reader of rows of users and items: cells and side tables in, numbers and codes out, and what is wrong there."""

from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.recommendation.interactions.side_files import ROLES
from horngate.pipelines.recommendation.interactions.side_tables import Sides
from horngate.pipelines.recommendation.rank import features
from horngate.pipelines.recommendation.rank.target_encoder import Aim
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tables.columns import Facts, cells_of, codes_of, refuse_infinite, values_in, vector_of
from horngate.pipelines.tables.inspection import LOOKED_AT, Sought, column_findings

if TYPE_CHECKING:
    from horngate.models.recommendation.rankers import Layout

AN = {"user": "a user", "item": "an item"}


class Events:
    """A part of a ranking pipeline: how its rows are read.

    Attributes:
        sides: what is known of users and items beside the rows; None before the first row is read.
        labelled: whether the rows that are read now will be measured.
        strange: how many of them had what the training rows hadn't, by what it was.
    """

    card: Any
    schema: dict[str, Any]

    def __init__(self, card: Any):
        super().__init__(card)
        self.sides: Sides | None = None
        self.labelled, self.strange, self._lock = False, Counter(), Lock()
        self._codes: list[dict[str, int]] | None = None
        self._looked: tuple[Any, list[Finding]] = (None, [])

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The columns of the schema, in its order."""
        return self.schema["columns"]

    def names_in(self, cells: dict[str, Any]) -> dict[str, str | None]:
        """Return which columns hold users and items: those of the schema, else by the card."""
        if "roles" in self.schema:
            return self.schema["roles"]
        wishes = {role: getattr(self.card, f"{role}_column") for role in ROLES}
        usual = self.card.rows.roles
        guesses = {role: next((name for name in usual[role] if name in cells), None) for role in ROLES}
        return {role: wishes[role] or guesses[role] for role in ROLES}

    def whole_cells(self, data: bytes) -> dict[str, Any]:
        """Return a row's cells, with those of its user and item in the side tables.

        Raises:
            Unreadable: the bytes are no row of a table.
            UserError: a side table can't be used.
        """
        cells = cells_of(data)
        if self.sides is None:
            self.sides = Sides.read(self.card, self.names_in(cells))
            if twice := self.sides.clashing(list(cells)):
                raise UserError(
                    f'the column "{twice}" stands in two of the tables; rename one, or --drop-column {twice}'
                )
        return self.sides.joined(cells, self.names_in(cells))

    def inspect(self, data: bytes, suffix: str) -> Facts:
        refuse_infinite(cells_of(data))
        return Facts(data)

    def settle(self, facts: list[Facts]) -> None:
        self.schema, self._codes = {}, None
        names = self.names_in(cells_of(facts[0].data))
        columns = features.settled((self.whole_cells(fact.data) for fact in facts), self.card, names)
        self.schema = {"kind": "rank", "roles": names, "columns": columns}
        progress.notice(f"columns: {features.told(columns)}")

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        if self._codes is None:
            self._codes = codes_of(self.columns)
        cells = self.whole_cells(data)
        row = vector_of(cells, self.columns, self._codes)
        if strange := self._strange(cells, row):
            with self._lock:
                self.strange.update(strange)
        return row

    def begin(self, labelled: bool = True) -> None:
        self.labelled, self.strange = labelled, Counter()

    def _strange(self, cells: dict[str, Any], row: np.ndarray) -> list[str]:
        """Return in words what a row has that no training row had."""
        names, place = self.schema["roles"], 0
        found = [f"{AN[role]} that --{ROLES[role]} doesn't hold" for role in self.sides.lacks(cells, names)]
        roles = {name: role for role, name in names.items()}
        for column in self.columns:
            name, slots = column["name"], column.get("slots")
            if name in roles and row[place] == len(column.get("categories", ())):
                found.append(f"{AN[roles[name]]} that no training row had")
            if slots and row[place + slots - 1] >= 0 and len(values_in(cells[name], column["separator"])) > slots:
                found.append(f'more values of "{name}" than the {slots} that count')
            place += slots or 1
        return found

    def remarks(self) -> list[str]:
        return [f"rows with {what}: {count:,}" for what, count in sorted(self.strange.items())]

    @property
    def layout(self) -> "Layout":
        """Where in a row what stands."""
        from horngate.models.recommendation.rankers import Layout

        entries, numbers, place = [], [], 0
        for column in self.columns:
            slots = column.get("slots", 1)
            if "categories" in column:
                entries.append((place, slots, len(column["categories"])))
            else:
                numbers.append(place)
            place += slots
        return Layout(place, tuple(entries), tuple(numbers))

    # What is wrong with the data?

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        if self._looked[0] is not table:
            self._looked = (table, self._findings(table))
        return self._looked[1]

    def _findings(self, table: pa.Table) -> list[Finding]:
        targets = table["target"].to_pylist()
        try:
            aim = Aim.of(targets, self.card)
            truth = aim.encode(targets, table["id"].to_pylist())
        except UserError as problem:
            return [Finding("error", "targets", str(problem), len(targets))]
        said = f"{aim.said}; mean {truth.mean():.4g}"
        found = [Finding("note", "kind", said, len(targets))]
        chosen = np.unique(np.linspace(0, table.num_rows - 1, min(table.num_rows, LOOKED_AT)).astype(int))
        rows = [self.whole_cells(data) for data in inputs_of(table.take(pa.array(chosen)))]
        names = self.names_in(rows[0])
        above = (truth > truth.mean()).astype(np.float32)[chosen]
        sought = Sought("clicks" if aim.clicks else "ratings above the mean")
        found += column_findings(rows, above, lambda: features.settled(rows, self.card, names), sought)
        return found + self.sides.findings + self._lacking(rows, names)

    def _lacking(self, rows: list[dict[str, Any]], names: dict[str, str | None]) -> list[Finding]:
        """Return findings on ids that their side table doesn't hold."""
        found = []
        for role in self.sides.rows:
            lacking = [cells.get(names[role]) for cells in rows if role in self.sides.lacks(cells, names)]
            if lacking:
                message = (
                    f"{len(lacking):,} of {len(rows):,} rows have {AN[role]} that --{ROLES[role]} doesn't hold, such "
                )
                message += f"as {lacking[0]}; what it says of others is missing for these"
                found.append(Finding("warning", f"missing_{ROLES[role]}", message, len(lacking)))
        return found
