"""How a ranker learns from rows, and what it is held against."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.models.recommendation.fields import Answer
from horngate.models.recommendation.rankers import Layout
from horngate.pipelines.data.reading import inputs_of
from horngate.pipelines.metrics.scoring import Outcome
from horngate.pipelines.recommendation.interactions.side_tables import FILE, SideTables
from horngate.pipelines.recommendation.rank.baselines import MOST_FITTED, fitted_baselines
from horngate.pipelines.recommendation.rank.learning import RankTraining, Rows
from horngate.pipelines.recommendation.rank.target_encoder import TargetEncoder
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics.intervals import numbered
from horngate.pipelines.system import cache, progress
from horngate.pipelines.system.files import digest
from horngate.pipelines.tables.columns import cells_of, filled, width_of
from horngate.pipelines.tasks.parts import Fitted, LearningData
from horngate.pipelines.tasks.task import Task


class RankLearner:
    """Learns `horngate recommendation rank`."""

    def __init__(self, task: Task):
        self.task, self.card, self.fitted = task, task.card, task.fitted

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The columns of the schema, in its order."""
        return self.fitted.schema["columns"]

    @property
    def tables(self) -> SideTables:
        """What is known of users and items beside the rows."""
        return self.fitted.lookup

    def fit(self, data: LearningData, run: Run, device: Any) -> tuple[Fitted, dict[str, Any]]:
        self._keep_tables(run)
        train = data.places("train")
        encoder, targets = self._encoded(data.table, train)
        parts = [
            Rows(self._stored(data, name), targets[data.places(name), None].astype(np.float32))
            for name in ("train", "validation")
        ]
        answer = Answer(encoder.clicks, encoder.mean, encoder.spread, encoder.low, encoder.high, name="answer")
        learning = RankTraining(self.task, run, layout_of(self.columns), *parts, answer, encoder.logit)
        with device.scope():
            model, found = learning.learnt()
            run.keep_model(model)
        learning.write_history(learning.history)
        protocol = {"refit": self.card.refit, "kind": encoder.kind, "unseen": self._unseen(data)}
        files = (FILE,) if self.tables.rows else ()
        fitted = self.fitted.having(schema={"aim": encoder.plain()}, decisions=encoder, model=model, files=files)
        parameters = {"parameters": int(model.count_params()), "costs_seconds": learning.costs}
        return fitted, {"method": found["method"], "protocol": found | protocol} | parameters

    def _encoded(self, table: pa.Table, train: np.ndarray) -> tuple[TargetEncoder, np.ndarray]:
        """Settle what is asked of rows and tell it; return that, and all targets as they are learnt, float64 `[n]`."""
        targets = table["target"].to_pylist()
        encoder = TargetEncoder.of(targets, self.card)
        truth = encoder.encode(targets, table["id"].to_pylist())
        encoder = encoder.measured(truth[train])
        progress.notice(f"{encoder.said}; mean {encoder.mean:.4g} (--kind and --positive say otherwise)")
        return encoder, truth if encoder.clicks else (truth - encoder.mean) / encoder.spread

    def _stored(self, data: LearningData, split: str) -> np.ndarray:
        """Return rows as float32 `[n, width]`, kept in the cache, so that a resumed training needn't read them again."""
        places = data.places(split)
        prints = "".join(data.seen.fingerprints[row] for row in places)
        key = digest("ranked rows 1", prints, str(self.columns), self.tables.fingerprint)
        own, shape, read = data.rows(split), (len(places), width_of(self.columns)), self.task.reader.read
        if not len(places):
            return np.zeros(shape, np.float32)
        return cache.cached_array(key, shape, lambda out: filled(read, own, out, f"reading {split}"))

    def _keep_tables(self, run: Run) -> None:
        """Write the side tables into the run; refuse those that changed since it was begun."""
        path = run / FILE
        if path.is_file() and SideTables.kept(path).fingerprint != self.tables.fingerprint:
            raise UserError(f"--users or --items changed since {run.folder} was begun; train anew")
        if self.tables.rows:
            self.tables.write(path)

    def _unseen(self, data: LearningData) -> dict[str, dict[str, int]]:
        """Count by split the rows whose user or item no training row has, and tell them."""
        found, reader = {}, self.task.reader
        for split in data.held_out:
            own = data.rows(split)
            times = [reader.times_learnt(cells_of(row)) for row in inputs_of(own)]
            found[split] = {
                role: sum(counts.get(role) == 0 for counts in times)
                for role, name in self.fitted.schema["roles"].items()
                if name
            }
            told = ", ".join(f"{count:,} with an unseen {role}" for role, count in found[split].items() if count)
            if told:
                progress.notice(f"{split}: {told}, of {own.num_rows:,} rows")
        return found

    def baselines(self, data: LearningData) -> dict[str, dict[str, Any]]:
        """Return what baselines answer that were fitted on the training rows, and of a sample what made it."""
        encoder: TargetEncoder = self.fitted.decisions
        truth = encoder.encode(data.table["target"].to_pylist())
        held = data.held_out
        draw = np.random.default_rng(self.card.seed).permutation(data.places("train"))
        fitted = np.sort(draw[:MOST_FITTED])
        rows = {name: self._rows_of(data.table, places) for name, places in held.items()}
        none = np.zeros((0, width_of(self.columns)), np.float32)
        some = rows.get("validation", none), truth[data.places("validation")]
        known = self._rows_of(data.table, fitted), truth[fitted]
        made = fitted_baselines(layout_of(self.columns), known, some, encoder.clicks, self._pair)
        scores = {title: {name: score(own) for name, own in rows.items()} for title, score in made.items()}
        if "oracle" in data.table.column_names and str(self.card.data).startswith("sample:"):
            said = np.array(data.table["oracle"].to_pylist(), np.float64)
            scores["oracle"] = {name: said[places] for name, places in held.items()}
        users = {name: self._users(data.rows(name)) for name in held}
        return {
            title: {
                name: Outcome(own.astype(np.float64), truth[held[name]], users[name], encoder.clicks)
                for name, own in by_split.items()
            }
            for title, by_split in scores.items()
        }

    def _rows_of(self, table: pa.Table, places: np.ndarray) -> np.ndarray:
        found = np.empty((len(places), width_of(self.columns)), np.float32)
        filled(self.task.reader.read, table.take(pa.array(places)), found, "reading for references")
        return found

    def _users(self, table: pa.Table) -> np.ndarray | None:
        """Return a number for the user of each row; None where there is no column of users."""
        return numbered([self.task.reader.user_of(cells_of(data)) for data in inputs_of(table)])

    @property
    def _pair(self) -> list[int]:
        """The numbers of the categorical columns that hold users and items, where there are both."""
        names = [column["name"] for column in self.columns if "categories" in column]
        return [names.index(name) for name in self.fitted.schema["roles"].values() if name in names]


def layout_of(columns: list[dict[str, Any]]) -> Layout:
    """Return where in a row what stands."""
    entries, numbers, place = [], [], 0
    for column in columns:
        slots = column.get("slots", 1)
        if "categories" in column:
            entries.append((place, slots, len(column["categories"])))
        else:
            numbers.append(place)
        place += slots
    return Layout(place, tuple(entries), tuple(numbers))
