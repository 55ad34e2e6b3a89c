"""Scores of rows of users, items and whatever else is known: clicks, or ratings."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines import base, progress
from horngate.pipelines.data import cache
from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.errors import UserError
from horngate.pipelines.files import digest, read_json, whole, write_rows
from horngate.pipelines.page.plot import Shown
from horngate.pipelines.recommendation import features
from horngate.pipelines.recommendation.aims import Aim
from horngate.pipelines.recommendation.scored import Scored
from horngate.pipelines.recommendation.sides import FILE, ROLES, Sides
from horngate.pipelines.run import Run
from horngate.pipelines.tabular.columns import Facts, cells_of, codes_of, refuse_infinite, vector_of, width_of
from horngate.pipelines.tabular.looking import LOOKED_AT, Sought, column_findings
from horngate.pipelines.tabular.matrix import filled

if TYPE_CHECKING:
    import keras

    from horngate.models.rankers import Layout

WATCHED = 40  # columns whose drift is looked at one by one
SHOWN = 8  # cells of a row, on a page


class Pipeline(Scored, base.Pipeline):
    """`horngate recommendation rank`.

    Attributes:
        aim: what is asked of rows.
        sides: what is known of users and items beside the rows.
        answers: the Keras model.
    """

    batch_size = 1024
    aim: Aim
    answers: "keras.Model"

    def __init__(self, card: Any):
        super().__init__(card)
        self._sides: Sides | None = None
        self._codes: list[dict[str, int]] | None = None
        self._looked: tuple[Any, list[Finding]] = (None, [])

    # What is a row?

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The columns of the schema, in its order."""
        return self.schema["columns"]

    def names_in(self, cells: dict[str, Any]) -> dict[str, str | None]:
        """Return which columns hold users and items: those of the schema, else by the card."""
        if "roles" in self.schema:
            return self.schema["roles"]
        wishes = {role: getattr(self.card, f"{role}_column") for role in ROLES}
        guesses = {role: next((name for name in self.card.roles[role] if name in cells), None) for role in ROLES}
        return {role: wishes[role] or guesses[role] for role in ROLES}

    def whole_cells(self, data: bytes) -> dict[str, Any]:
        """Return a row's cells, with those of its user and item in the side tables.

        Raises:
            Unreadable: the bytes are no row of a table.
            UserError: a side table can't be used.
        """
        cells = cells_of(data)
        if self._sides is None:
            self._sides = Sides.read(self.card, self.names_in(cells))
            if twice := self._sides.clashing(list(cells)):
                raise UserError(
                    f'the column "{twice}" stands in two of the tables; rename one, or --drop-column {twice}'
                )
        return self._sides.joined(cells, self.names_in(cells))

    def inspect(self, data: bytes, suffix: str) -> Facts:
        refuse_infinite(cells_of(data))
        return Facts(data)

    def settle(self, facts: list[Facts]) -> None:
        if self.card.class_weights != "none":
            raise UserError("--class-weights would make probabilities wrong; leave it out")
        self.schema, self._codes = {}, None
        names = self.names_in(cells_of(facts[0].data))
        columns = features.settled((self.whole_cells(fact.data) for fact in facts), self.card, names)
        self.schema = {"kind": "rank", "roles": names, "columns": columns}
        progress.notice(f"columns: {features.told(columns)}")

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        if self._codes is None:
            self._codes = codes_of(self.columns)
        return vector_of(self.whole_cells(data), self.columns, self._codes)

    @property
    def layout(self) -> "Layout":
        """Where in a row what stands."""
        from horngate.models.rankers import Layout

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
        return found + self._lacking(rows, names)

    def _lacking(self, rows: list[dict[str, Any]], names: dict[str, str | None]) -> list[Finding]:
        """Return findings on ids that their side table doesn't hold."""
        found = []
        for role in self._sides.rows:
            lacking = [cells.get(names[role]) for cells in rows if role in self._sides.lacks(cells, names)]
            if lacking:
                message = (
                    f"{len(lacking):,} of {len(rows):,} rows have a {role} that --{ROLES[role]} doesn't hold, such as "
                )
                message += f"{lacking[0]}; what it says of others is missing for these"
                found.append(Finding("warning", f"missing_{ROLES[role]}", message, len(lacking)))
        return found

    # How does it learn?

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        from horngate.models.fields import Answer
        from horngate.pipelines.recommendation.learning import Learning, Rows

        self._keep_sides(run)
        targets, places = (
            table["target"].to_pylist(),
            {name: np.flatnonzero(splits == name) for name in ("train", "validation")},
        )
        aim = Aim.of(targets, self.card)
        truth = aim.encode(targets, table["id"].to_pylist())
        self.aim = aim = aim.measured(truth[places["train"]])
        progress.notice(f"{aim.said}; mean {aim.mean:.4g} (--kind and --positive say otherwise)")
        self.schema["aim"] = aim.plain()
        scaled = truth if aim.clicks else (truth - aim.mean) / aim.spread
        parts = [
            Rows(self._stored(table, rows, fingerprints, name), scaled[rows, None].astype(np.float32))
            for name, rows in places.items()
        ]
        answer = Answer(aim.clicks, aim.mean, aim.spread, aim.low, aim.high, name="answer")
        start = float(np.log(np.clip(aim.mean, 1e-6, 1 - 1e-6) / np.clip(1 - aim.mean, 1e-6, 1))) if aim.clicks else 0.0
        learning = Learning(self.card, run, self.layout, *parts, answer, start)
        with device.scope():
            self.answers, found = learning.learnt()
            with whole(run / "model.keras") as temporary:
                self.answers.save(temporary, include_optimizer=False)
        write_rows(run / "history.csv", learning.history, learning.columns)
        protocol = {
            "method": found["method"],
            "chosen_because": found["why"],
            "refit": self.card.refit,
            "kind": aim.kind,
        }
        protocol |= {"members": found["members"], "epochs": found["epochs"], "unseen": self._unseen(table, splits)}
        parameters = int(self.answers.count_params())
        return {
            "method": found["method"],
            "costs_seconds": learning.costs,
            "parameters": parameters,
            "protocol": protocol,
        }

    def _stored(self, table: pa.Table, rows: np.ndarray, fingerprints: list[str], name: str) -> np.ndarray:
        """Return rows as float32 `[n, width]`, kept in the cache, so that a resumed training needn't read them again."""
        prints = "".join(fingerprints[row] for row in rows)
        key = digest("ranked rows 1", prints, str(self.schema["columns"]), self._sides.fingerprint)
        own, shape = table.take(pa.array(rows)), (len(rows), width_of(self.columns))
        if not len(rows):
            return np.zeros(shape, np.float32)
        return cache.cached_array(key, shape, lambda out: filled(self.read, own, out, f"reading {name}"))

    def _keep_sides(self, run: Run) -> None:
        """Write the side tables into the run; refuse those that changed since it was begun."""
        path = run / FILE
        if path.is_file() and Sides.kept(path).fingerprint != self._sides.fingerprint:
            raise UserError(f"--users or --items changed since {run.folder} was begun; train anew")
        if self._sides.rows:
            self._sides.write(path)

    def _unseen(self, table: pa.Table, splits: np.ndarray) -> dict[str, dict[str, int]]:
        """Count by split the rows whose user or item no training row has, and tell them."""
        found = {}
        for split in (name for name in ("validation", "test") if (splits == name).any()):
            own = table.filter(pa.array(splits == split))
            strange = [self.strangers(cells_of(data)) for data in inputs_of(own)]
            found[split] = {
                role: sum(role in names for names in strange) for role, name in self.schema["roles"].items() if name
            }
            told = ", ".join(f"{count:,} with an unseen {role}" for role, count in found[split].items() if count)
            if told:
                progress.notice(f"{split}: {told}, of {own.num_rows:,} rows")
        return found

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Facts]) -> dict[str, dict[str, np.ndarray]]:
        """Return rivals fitted on the training rows, and of a sample what made it; by row the score and the user's number."""
        from horngate.pipelines.recommendation.rivals import MOST_FITTED, rivals

        truth = self.aim.encode(table["target"].to_pylist())
        held = {name: np.flatnonzero(splits == name) for name in ("validation", "test") if (splits == name).any()}
        draw = np.random.default_rng(self.card.seed).permutation(np.flatnonzero(splits == "train"))
        fitted = np.sort(draw[:MOST_FITTED])
        rows = {name: self._rows_of(table, places) for name, places in held.items()}
        none = np.zeros((0, width_of(self.columns)), np.float32)
        some = (rows.get("validation", none), truth[held["validation"]] if "validation" in held else truth[:0])
        known = self._rows_of(table, fitted), truth[fitted]
        made = rivals(self.layout, known, some, self.aim.clicks, self._pair)
        users = {name: self._numbers(table, places) for name, places in held.items()}
        found = {
            title: {name: np.stack([score(own), users[name]], 1) for name, own in rows.items()}
            for title, score in made.items()
        }
        if "oracle" in table.column_names and str(self.card.data).startswith("sample:"):
            said = np.array(table["oracle"].to_pylist(), np.float64)
            found["oracle"] = {name: np.stack([said[places], users[name]], 1) for name, places in held.items()}
        return found

    def _rows_of(self, table: pa.Table, places: np.ndarray) -> np.ndarray:
        found = np.empty((len(places), width_of(self.columns)), np.float32)
        filled(self.read, table.take(pa.array(places)), found, "reading for references")
        return found

    def _numbers(self, table: pa.Table, places: np.ndarray) -> np.ndarray:
        """Return a number for the user of each row, NaN where there is no column of users."""
        users = [self.user_of(cells_of(data)) for data in inputs_of(table.take(pa.array(places)))]
        if not users or users[0] is None:
            return np.full(len(places), np.nan)
        return np.unique(users, return_inverse=True)[1].astype(np.float64)

    @property
    def _pair(self) -> list[int]:
        """Return the numbers of the categorical columns that hold users and items, where there are both."""
        names = [column["name"] for column in self.columns if "categories" in column]
        return [names.index(name) for name in self.schema["roles"].values() if name in names]

    # What does it say?

    @property
    def handed_over(self) -> tuple[str, ...]:
        return (FILE,) if self._sides is not None and self._sides.rows else ()

    def recall(self, folder: Path) -> None:
        self.schema, self._codes = read_json(folder / "schema.json"), None
        self.aim = Aim.read(self.schema["aim"])
        self._sides = Sides.kept(folder / FILE)

    def load(self, run: Run) -> None:
        self.answers = self.kept_model(run)

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        changed = {}
        for role, knob in ROLES.items():
            if path := options.get(knob):
                if role not in self._sides.columns:
                    raise UserError(f"the run was trained without --{knob}; train anew with it")
                self._sides.add(role, Path(path), self.schema["roles"][role], self.card)
                changed[knob] = self._sides.fingerprint
        return changed

    @property
    def core(self) -> "keras.Model":
        return self.answers

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        return {"inputs": (None, None), "outputs": (0, 1) if self.aim.clicks else (self.aim.low, self.aim.high)}

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

    def features(self, batch: np.ndarray) -> np.ndarray:
        from horngate.models.rankers import features_of

        return np.asarray(features_of(self.answers)(batch))

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the first cells of rows."""
        found = []
        for data in inputs_of(rows):
            cells = self.whole_cells(data)
            parts = [f"{column['name']} {cells.get(column['name'])}" for column in self.columns[:SHOWN]]
            found.append(Shown(text=", ".join(part[:40] for part in parts)))
        return found

    def example(self) -> str:
        return EXAMPLE


EXAMPLE = """import json

import numpy as np

columns = json.loads((Path(__file__).parent / "schema.json").read_text("utf-8"))["columns"]


def read(path):  # a file with one JSON object: column -> value, those of the user's and item's side tables among them
    cells, row = json.loads(Path(path).read_text("utf-8")), []
    for column in columns:
        cell, known = cells[column["name"]], column.get("categories")
        if "slots" in column:
            values = cell if isinstance(cell, list) else [cell] if cell is not None else []
            found = [known.index(value) if value in known else len(known) for value in values]
            row += (found + [np.nan] * column["slots"])[: column["slots"]]
        elif cell is None:
            row.append(np.nan)
        else:
            row.append(float(cell) if known is None else known.index(str(cell)) if str(cell) in known else len(known))
    return np.array(row, np.float32)
"""
