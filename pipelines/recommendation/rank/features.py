"""Columns of rows of users and items as features: numbers, categories of any number, and lists of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from horngate.pipelines.spec.errors import UserError, nearest
from horngate.pipelines.tables.columns import MANY, is_gap, number_in, text_in, values_in

MOST_TOLD = 20  # names of columns
MOST_SLOTS = 64  # values of one list
MOST_NAMES = 16_000_000  # categories: their codes are kept in float32
ENDINGS = ("_id", "_code")  # of names of columns whose numbers are names
MOST_COUNTED = 1000  # different numbers in a column, beyond which it is no column of a few names


@dataclass
class Tally:
    """What was seen of one column: how often each text stood there, numbers, lists, the longest of these."""

    named: bool
    separator: str | None = None
    texts: Counter = field(default_factory=Counter)
    numerals: Counter | None = field(default_factory=Counter)  # None: too many to count
    numbers: int = 0
    lists: int = 0
    longest: int = 1
    filled: int = 0

    def saw(self, cell: Any) -> None:
        """Count one cell."""
        if is_gap(cell):
            return
        several = isinstance(cell, list) or (isinstance(cell, str) and self._parted(cell))
        self.filled += 1
        if several:
            values = values_in(cell, self.separator)
            self.lists += 1
            self.longest = max(self.longest, len(values))
            self.texts.update(values)
        elif self.named or number_in(cell) is None:
            self.texts[text_in(cell)] += 1
        else:
            self.numbers += 1
            if self.numerals is not None:
                self.numerals[text_in(cell)] += 1
                if len(self.numerals) > MOST_COUNTED:
                    self.numerals = None

    def _parted(self, cell: str) -> bool:
        if self.separator and self.separator in cell:
            return True
        return cell.lstrip().startswith("[") and values_in(cell) != [text_in(cell)]

    def type(self, name: str, rarest: int) -> dict[str, Any]:
        """Return the type of the column, and its categories by falling frequency.

        Raises:
            UserError: free text, or numbers and texts.
        """
        if not self.texts:
            return {"type": "number"}
        counts = self.texts + (self.numerals or Counter())
        if not self.named:
            self._refuse(name, counts)
        kept = [(-count, word) for word, count in counts.items() if count >= rarest]
        if len(kept) > MOST_NAMES:
            raise UserError(f'column "{name}" holds {len(kept):,} categories; let rare ones share one: --rarest 2')
        found = {"categories": [word for _, word in sorted(kept)], "counts": [-count for count, _ in sorted(kept)]}
        if not self.lists:
            return {"type": "category"} | found
        return {"type": "list", "slots": min(self.longest, MOST_SLOTS), "separator": self.separator} | found

    def _refuse(self, name: str, counts: Counter) -> None:
        texts = sum(self.texts.values())
        fix = f'leave it out with --drop-column "{name}", or take all as names with --category-column "{name}"'
        if self.numbers and (self.numerals is None or (len(counts) > MANY and not self.lists)):
            first = next(iter(self.texts))[:40]
            raise UserError(
                f'column "{name}" holds {self.numbers:,} numbers and {texts:,} texts, such as "{first}"; mend these, {fix}'
            )
        if len(counts) > MANY and len(counts) > self.filled / 2 and not self.lists:
            raise UserError(
                f'column "{name}" holds free text ({len(counts):,} different values in {self.filled:,} rows); {fix}'
            )

    @property
    def constant(self) -> bool:
        """Whether all cells that were seen are the same, or gaps."""
        return self.numerals is not None and len(self.texts) + len(self.numerals) < 2


def settled(rows: Iterable[dict[str, Any]], card: Any, names: dict[str, str | None]) -> list[dict[str, Any]]:
    """Return the columns of training rows: `name`, `type`, and where they apply `categories`, `counts` and `slots`.

    Args:
        rows: cells by column, those of side tables among them.
        names: of the columns of users and items, by role.

    Raises:
        UserError: a column that is asked for isn't there, can't be typed, or none is left, or none that varies.
    """
    own, found = [name for name in names.values() if name], {}
    dropped, named = card.drop_column or (), (*own, *(card.category_column or ()))
    wanted = None if not card.feature_column else {*own, *card.feature_column}
    for cells in rows:
        for name, cell in cells.items():
            if name not in found:
                if name in dropped or (wanted is not None and name not in wanted):
                    continue
                found[name] = Tally(name in named or name.lower().endswith(ENDINGS), card.list_separator)
            found[name].saw(cell)
    for name in (*(card.feature_column or ()), *(card.category_column or ())):
        if name not in found:
            raise UserError(
                f'no column "{name}" in the training rows.{nearest(name, found)} Columns: {", ".join(found)}'
            )
    return _typed(found, card.rarest, own)


def _typed(found: dict[str, Tally], rarest: int, own: list[str]) -> list[dict[str, Any]]:
    columns, problems = [], []
    for name, tally in found.items():
        if name in own:
            tally.separator = None
        try:
            columns.append({"name": name} | tally.type(name, rarest))
        except UserError as problem:
            problems.append(str(problem))
    if problems:
        raise UserError("; ".join(problems))
    if not columns:
        raise UserError("no column is left to learn from; drop fewer")
    if all(tally.constant for tally in found.values()):
        raise UserError("all columns are constant in the training rows, so nothing can be learnt; check the data")
    return columns


def told(columns: list[dict[str, Any]]) -> str:
    """Return in words which columns are taken for what."""
    kinds: dict[str, list[str]] = {"number": [], "category": [], "list": []}
    for column in columns:
        count = f" ({len(column['categories']):,})" if "categories" in column else ""
        kinds[column["type"]].append(column["name"] + count)
    words = {"number": "numbers", "category": "categories", "list": "lists"}
    return "; ".join(f"{words[kind]}: {_few(names)}" for kind, names in kinds.items() if names)


def _few(names: list[str]) -> str:
    return ", ".join(names[:MOST_TOLD]) + (f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else "")
