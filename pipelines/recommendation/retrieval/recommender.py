"""Recommendation of items: cases, answers in blocks, rivals, measures. A task adds how it learns and how it scores."""

import json
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.splits import NAMES
from horngate.pipelines.recommendation.interactions import samples
from horngate.pipelines.recommendation.interactions.cases import listed, sliced
from horngate.pipelines.recommendation.interactions.inspection import Looked, look
from horngate.pipelines.recommendation.interactions.log import merged
from horngate.pipelines.recommendation.interactions.log_files import READ, read_log
from horngate.pipelines.recommendation.interactions.store import Known
from horngate.pipelines.recommendation.retrieval.answering import Answering
from horngate.pipelines.recommendation.retrieval.exporting import Exporting
from horngate.pipelines.recommendation.retrieval.judging import Judging
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import elsewhere
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import read_json, write_rows
from horngate.pipelines.tasks.block_by_block import BlockByBlock

if TYPE_CHECKING:
    import keras

HISTORY = ["phase", "epoch", "loss", "val_ndcg_at_10", "learning_rate"]


class Recommender(Answering, Judging, Exporting, BlockByBlock):
    """What all tasks share that recommend items. A task adds `learn`, `scores` and `item_vectors`.

    Attributes:
        known: users, items and interactions.
        answers: the Keras model.
    """

    suffixes = READ
    repeats = False  # whether it counts when a user meets an item again
    known: Known
    answers: "keras.Model"

    def __init__(self, card: Any):
        super().__init__(card)
        self.history: list[dict[str, Any]] = []
        self.columns = HISTORY

    @abstractmethod
    def learn(self, run: Run) -> dict[str, Any]:
        """Learn from `known.learnt`, choose on validation, set `answers`, and return what the summary should say.

        Returns:
            `method`, `why` it was chosen, `costs` (seconds by phase), and where they apply `protocol` (more of it) and
            `by_features` (whether the model answers for what side tables alone know).
        """

    def renamed(self, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return rows of history.csv: what is minimised on validation is 1 - ndcg_at_10, and no loss of the other kind."""
        bare = [{name: value for name, value in row.items() if name != "val_loss"} for row in history]
        judged = [{"val_ndcg_at_10": 1 - row["val_loss"]} if "val_loss" in row else {} for row in history]
        return [row | found for row, found in zip(bare, judged, strict=True)]

    @abstractmethod
    def scores(self, users: np.ndarray) -> np.ndarray:
        """Return the scores of all items for known users, given by code: float32 `[n, items]`."""

    @abstractmethod
    def item_vectors(self) -> np.ndarray:
        """Return float32 `[items, d]`: vectors whose cosines say how alike items are."""

    # What is a row?

    def survey(self) -> Looked:
        return look(self.card, self.repeats)

    def assigned(self, seen: Looked, run: Run) -> tuple[np.ndarray, list[str]]:
        ids = {"user": seen.log.users, "item": seen.log.items}
        featured = {
            role: pc.is_in(ids[role], value_set=pa.array(table.ids, pa.string())).to_numpy(zero_copy_only=False)
            for role, table in seen.tables.items()
        }
        self.known = Known(seen.log, seen.sides, featured=featured)
        self.looked = seen
        return np.array(seen.table["split"].to_pylist(), dtype=object), seen.notes

    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        return []

    def settle(self, facts: list[Any]) -> None:
        self.schema = {"users": len(self.known.log.users), "items": len(self.known.log.items)}

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        """Return the popularity of the items of a case, and the share of them that are known."""
        codes = self.known.items_of(pa.array(json.loads(data), pa.string()))
        counts = np.where(codes >= 0, self.known.counts[codes], 0)
        return np.array([np.log1p(counts).mean(), (counts > 0).mean()], np.float32)

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        return {"log-popularity of items": float(tensor[0]), "share of items that are known": float(tensor[1])}

    def sort_of(self, target: str) -> str:
        return "users"

    # How does it learn?

    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        for name, count in self.looked.protocol.items():
            if name.endswith("_only_in_test") and count:
                progress.notice(f"{count:,} {name.split('_')[0]} stand in the test alone; they count in its scores")
        with device.scope():
            found = self.learn(run)
        self.schema |= {"by_features": bool(found.get("by_features")), "refit": self.known.refit}
        self.schema["reads"] = "user" if len(self.answers.inputs[0].shape) == 1 else "items"
        run.keep_model(self.answers)
        write_rows(run / "history.csv", self.renamed(self.history), HISTORY)
        self.known.write(run.folder)
        protocol = {
            "split_rule": self.looked.rule,
            "method": found["method"],
            "chosen_because": found["why"],
            "refit": self.known.refit,
            "candidates": "full ranking of all items with a training interaction; "
            + ("seen ones too" if self.include_seen else "seen ones are masked, in the test also those of validation"),
            "ties": f"broken by an order of the items drawn with seed {self.card.seed}",
        }
        return {
            "method": found["method"],
            "costs_seconds": found["costs"],
            "parameters": int(self.answers.count_params()),
            "protocol": protocol | self.looked.protocol | found.get("protocol", {}),
        }

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Any]) -> dict[str, dict[str, np.ndarray]]:
        from horngate.pipelines.recommendation.retrieval.baselines import rivals

        listers, self.schema["references"] = rivals(self.known, self.rankable)
        best = samples.oracle(self.card.data, self.known, self.rankable, self.looked.rule)
        listers |= {"oracle": best} if best else {}
        users = {
            split: self.known.users_of(table["id"].take(pa.array(np.flatnonzero(splits == split))))
            for split in ("validation", "test")
            if (splits == split).any()
        }
        return {
            name: {split: lister(codes, self.masked(split), self.looked_at(split)) for split, codes in users.items()}
            for name, lister in listers.items()
        }

    # What does it say?

    def recall(self, folder: Path) -> None:
        self.schema = read_json(folder / "schema.json")
        self.known = Known.read(folder, self.schema["refit"])

    def load(self, run: Run) -> None:
        self.answers = self.kept_model(run)
        self.schema.setdefault("reads", "user" if len(self.answers.inputs[0].shape) == 1 else "items")

    @property
    def rankable(self) -> np.ndarray:
        """bool `[items]`: which items can be recommended: those that were learnt, or that features tell enough of."""
        learnt = self.known.learnt_items
        return learnt | self._featured("item", len(learnt))

    def _featured(self, role: str, count: int) -> np.ndarray:
        """Return bool `[count]`: whose features the model knows how to read."""
        nothing = np.zeros(count, bool)
        return self.known.featured.get(role, nothing) if self.schema.get("by_features") else nothing

    def own_rows(self, run: Run, split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        """Return the cases of one of the run's splits, from the run itself."""
        splits = run.splits
        own = splits.filter(pc.equal(splits["split"], split))
        if not own.num_rows:
            there = ", ".join(sorted(set(splits["split"].to_pylist())))
            raise UserError(f"{run.folder} has no users in {split}; it has {there}")
        table = self._cases(own["id"].combine_chunks(), own["target"].combine_chunks(), split)
        return table, np.full(table.num_rows, None, object), np.arange(table.num_rows)

    def _cases(self, ids: pa.Array, targets: pa.Array, split: str | None) -> pa.Table:
        """Return cases of users, sliced by what the run knows of them."""
        offsets, codes = self.held(targets.to_pylist())
        counts = np.append(self.known.counts, 0)  # the last one is for codes of -1
        met = np.append(np.diff(self.known.train.indptr), 0)[self.known.users_of(ids)]
        return sliced(ids, targets, split, met, (offsets, counts[codes]), self.known.counts)

    def other_rows(self, data: str, split: str | None) -> pa.Table:
        """Return the cases of another log: users with the items that they met there and hadn't met before.

        Its own splits are taken where it has some, else all of it; the run's split rule doesn't hold for it.
        """
        reading = read_log(data, elsewhere(self.card, data))
        log = (reading.log if self.repeats else merged(reading.log)[0]).compact()
        if split is not None:
            log = log.at(
                log.given == NAMES.index(split) if log.given is not None else np.zeros(len(log), bool)
            ).compact()
        users, items = self.known.users_of(log.users)[log.user], self.known.items_of(log.items)[log.item]
        before = self.known.seen(None)
        keys = np.repeat(np.arange(before.shape[0]), np.diff(before.indptr)) * before.shape[1] + before.indices
        old = np.isin(users * before.shape[1] + items, keys) & (users >= 0) & (items >= 0)
        fresh = log if self.include_seen else log.at(~old).compact()
        if not len(fresh):
            where = "" if split is None else f" in {split}"
            raise UserError(f"{data} holds no interactions{where} that are new to the run ({len(log):,} are known)")
        if old.any() and not self.include_seen:
            progress.notice(f"{int(old.sum()):,} interactions of {data} are known to the run and are no targets")
        users, starts = np.unique(fresh.user, return_index=True)
        targets = listed(fresh.items, fresh.item, np.append(starts, len(fresh)))
        return self._cases(fresh.users.take(pa.array(users)), targets, None)
