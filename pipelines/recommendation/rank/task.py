"""Scores of rows of users, items and whatever else is known: clicks, or ratings."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.recommendation.interactions.side_files import ROLES
from horngate.pipelines.recommendation.interactions.side_tables import FILE, Sides
from horngate.pipelines.recommendation.rank.example import EXAMPLE
from horngate.pipelines.recommendation.rank.reader import Events
from horngate.pipelines.recommendation.rank.scored import Scored
from horngate.pipelines.recommendation.rank.target_encoder import Aim
from horngate.pipelines.report.plot import Shown
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics.intervals import numbered
from horngate.pipelines.system import cache, progress
from horngate.pipelines.system.files import digest, read_json, write_rows
from horngate.pipelines.tables.columns import Facts, cells_of, values_in, width_of
from horngate.pipelines.tables.matrix import filled
from horngate.pipelines.tasks.legacy_row_by_row import RowByRow

if TYPE_CHECKING:
    import keras


WATCHED = 40  # columns whose drift is looked at one by one
SHOWN = 8  # cells of a row, on a page


class Pipeline(Events, Scored, RowByRow):
    """`horngate recommendation rank`.

    Attributes:
        aim: what is asked of rows.
        answers: the Keras model.
    """

    batch_size = 1024
    aim: Aim
    answers: "keras.Model"

    # How does it learn?

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        from horngate.models.recommendation.fields import Answer
        from horngate.pipelines.recommendation.rank.learning import Learning, Rows

        self._keep_sides(run)
        places = {name: np.flatnonzero(splits == name) for name in ("train", "validation")}
        aim, scaled = self._aimed(table, places["train"])
        parts = [
            Rows(self._stored(table, rows, fingerprints, name), scaled[rows, None].astype(np.float32))
            for name, rows in places.items()
        ]
        answer = Answer(aim.clicks, aim.mean, aim.spread, aim.low, aim.high, name="answer")
        learning = Learning(self.card, run, self.layout, *parts, answer, aim.logit)
        with device.scope():
            self.answers, found = learning.learnt()
            run.keep_model(self.answers)
        write_rows(run / "history.csv", learning.history, learning.columns)
        protocol = {"refit": self.card.refit, "kind": aim.kind, "unseen": self._unseen(table, splits)}
        parameters = {"parameters": int(self.answers.count_params()), "costs_seconds": learning.costs}
        return {"method": found["method"], "protocol": found | protocol} | parameters

    def _aimed(self, table: pa.Table, train: np.ndarray) -> tuple[Aim, np.ndarray]:
        """Settle what is asked of rows and tell it; return that, and all targets as they are learnt, float64 `[n]`."""
        targets = table["target"].to_pylist()
        aim = Aim.of(targets, self.card)
        truth = aim.encode(targets, table["id"].to_pylist())
        self.aim = aim = aim.measured(truth[train])
        self.schema["aim"] = aim.plain()
        progress.notice(f"{aim.said}; mean {aim.mean:.4g} (--kind and --positive say otherwise)")
        return aim, truth if aim.clicks else (truth - aim.mean) / aim.spread

    def _stored(self, table: pa.Table, rows: np.ndarray, fingerprints: list[str], name: str) -> np.ndarray:
        """Return rows as float32 `[n, width]`, kept in the cache, so that a resumed training needn't read them again."""
        prints = "".join(fingerprints[row] for row in rows)
        key = digest("ranked rows 1", prints, str(self.schema["columns"]), self.sides.fingerprint)
        own, shape = table.take(pa.array(rows)), (len(rows), width_of(self.columns))
        if not len(rows):
            return np.zeros(shape, np.float32)
        return cache.cached_array(key, shape, lambda out: filled(self.read, own, out, f"reading {name}"))

    def _keep_sides(self, run: Run) -> None:
        """Write the side tables into the run; refuse those that changed since it was begun."""
        path = run / FILE
        if path.is_file() and Sides.kept(path).fingerprint != self.sides.fingerprint:
            raise UserError(f"--users or --items changed since {run.folder} was begun; train anew")
        if self.sides.rows:
            self.sides.write(path)

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
        """Return rivals fitted on the training rows, and of a sample what made it; for each row the score and a number

        of its user.
        """
        from horngate.pipelines.recommendation.rank.baselines import MOST_FITTED, rivals

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
        found = numbered([self.user_of(cells_of(data)) for data in inputs_of(table.take(pa.array(places)))])
        return np.full(len(places), np.nan) if found is None else found.astype(np.float64)

    @property
    def _pair(self) -> list[int]:
        """Return the numbers of the categorical columns that hold users and items, where there are both."""
        names = [column["name"] for column in self.columns if "categories" in column]
        return [names.index(name) for name in self.schema["roles"].values() if name in names]

    # What does it say?

    @property
    def handed_over(self) -> tuple[str, ...]:
        return (FILE,) if self.sides is not None and self.sides.rows else ()

    def recall(self, folder: Path) -> None:
        self.schema = read_json(folder / "schema.json")
        self.aim = Aim.read(self.schema["aim"])
        self.sides = Sides.kept(folder / FILE)

    def load(self, run: Run) -> None:
        self.answers = self.kept_model(run)

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        changed = {}
        for role, knob in ROLES.items():
            if path := options.get(knob):
                if role not in self.sides.columns:
                    raise UserError(f"the run was trained without --{knob}; train anew with it")
                self.sides.add(role, Path(path), self.schema["roles"][role], self.card)
                for finding in self.sides.findings:
                    progress.notice(finding.message)
                changed[knob] = self.sides.fingerprint
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
        from horngate.models.recommendation.rankers import features_of

        return np.asarray(features_of(self.answers)(batch))

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the first cells of rows."""
        found = []
        for data in inputs_of(rows):
            cells = self.whole_cells(data)
            values = {
                column["name"]: " + ".join(values_in(cells.get(column["name"]))) for column in self.columns[:SHOWN]
            }
            found.append(Shown(text=", ".join(f"{name} {value or '–'}"[:40] for name, value in values.items())))
        return found

    def example(self) -> str:
        return EXAMPLE
