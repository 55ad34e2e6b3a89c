"""The one reader of rows of users and items: cells and side tables in, numbers and codes out."""

from collections import Counter
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from horngate.pipelines.recommendation.interactions.side_files import ROLES
from horngate.pipelines.recommendation.interactions.side_tables import SideTables
from horngate.pipelines.recommendation.rank import features
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tables.columns import (
    Facts,
    cells_of,
    codes_of,
    is_gap,
    refuse_infinite,
    text_in,
    values_in,
    vector_of,
)
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.parts import Fitted
from horngate.pipelines.tasks.task import Task

AN = {"user": "a user", "item": "an item"}
WATCHED = 40  # columns whose drift is looked at one by one


class RankReader(TensorReader):
    """Reads JSON objects of cells into float32 `[width]`.

    Attributes:
        tables: what is known of users and items beside the rows; None before the first row is read of data whose schema
            isn't known.
        strange: how many rows had what the training rows hadn't, by what it was.
    """

    def __init__(self, task: Task):
        super().__init__(task)
        self.tables: SideTables | None = task.fitted.lookup
        self.strange, self._lock = Counter(), Lock()

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
        if self.tables is None:
            self.tables = SideTables.read(self.card, self.names_in(cells))
            if twice := self.tables.clashing(list(cells)):
                raise UserError(
                    f'the column "{twice}" stands in two of the tables; rename one, or --drop-column {twice}'
                )
        return self.tables.joined(cells, self.names_in(cells))

    def user_of(self, cells: dict[str, Any]) -> str | None:
        """Return the user of a row; None where there is no column of users, or nothing in it."""
        cell = cells.get(self.schema["roles"]["user"])
        return None if is_gap(cell) else text_in(cell)

    def times_learnt(self, cells: dict[str, Any]) -> dict[str, int]:
        """Return how many training rows have a row's user, and how many its item, by role."""
        names = self.schema["roles"]
        return {role: counts.get(text_in(cells.get(names[role])), 0) for role, counts in self._counts.items()}

    def inspect(self, data: bytes, suffix: str) -> Facts:
        refuse_infinite(cells_of(data))
        return Facts(data)

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        names = self.names_in(cells_of(facts[0].data))
        columns = features.settled((self.whole_cells(fact.data) for fact in facts), self.card, names)
        progress.notice(f"columns: {features.told(columns)}")
        return Fitted({"kind": "rank", "roles": names, "columns": columns}, lookup=self.tables)

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        cells = self.whole_cells(data)
        row = vector_of(cells, self.columns, self._codes)
        if strange := self._strange(cells, row):
            with self._lock:
                self.strange.update(strange)
        return row

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        """Return the numbers of a row, and for each column of categories whether its one is new."""
        if len(self.columns) > WATCHED:
            return {}
        found, place = {}, 0
        for column in self.columns:
            value, place = float(tensor[place]), place + column.get("slots", 1)
            if "categories" in column:
                found[f"new {column['name']}"] = float(value == len(column["categories"]))
            else:
                found[column["name"]] = value
        return found

    def _strange(self, cells: dict[str, Any], row: np.ndarray) -> list[str]:
        """Return in words what a row has that no training row had."""
        names, place = self.schema["roles"], 0
        found = [f"{AN[role]} that --{ROLES[role]} doesn't hold" for role in self.tables.lacks(cells, names)]
        roles = {name: role for role, name in names.items()}
        for column in self.columns:
            name, slots = column["name"], column.get("slots")
            if name in roles and row[place] == len(column.get("categories", ())):
                found.append(f"{AN[roles[name]]} that no training row had")
            if slots and row[place + slots - 1] >= 0 and len(values_in(cells[name], column["separator"])) > slots:
                found.append(f'more values of "{name}" than the {slots} that count')
            place += slots or 1
        return found

    @cached_property
    def _codes(self) -> list[dict[str, int]]:
        return codes_of(self.columns)

    @cached_property
    def _counts(self) -> dict[str, dict[str, int]]:
        """How many training rows have each user and each item, by role."""
        known = {column["name"]: column for column in self.columns if "categories" in column}
        own = {role: known[name] for role, name in self.schema["roles"].items() if name in known}
        return {role: dict(zip(one["categories"], one["counts"], strict=True)) for role, one in own.items()}
