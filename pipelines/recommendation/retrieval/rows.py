"""Cases of users as rows, and the numbers of a case that may drift."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.data.splits import NAMES
from horngate.pipelines.recommendation.interactions.cases import listed, sliced
from horngate.pipelines.recommendation.interactions.inspection import LogInspection, inspect_log
from horngate.pipelines.recommendation.interactions.log import merged
from horngate.pipelines.recommendation.interactions.log_files import READ, read_log
from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.recommendation.retrieval.candidates import Candidates
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import elsewhere
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.parts import Fitted
from horngate.pipelines.tasks.task import Task


class CaseReader(TensorReader):
    """Reads JSON lists of items: float32 `[2]`, their popularity and the share of them that are known."""

    def __init__(self, task: Task):
        super().__init__(task)
        self.store: InteractionStore = task.fitted.decisions

    def fit_schema(self, facts: list[Any]) -> Fitted:
        return Fitted()

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        codes = self.store.items_of(pa.array(json.loads(data), pa.string()))
        counts = np.where(codes >= 0, self.store.counts[codes], 0)
        return np.array([np.log1p(counts).mean(), (counts > 0).mean()], np.float32)

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        return {"log-popularity of items": float(tensor[0]), "share of items that are known": float(tensor[1])}


class CaseRows:
    """The cases of a log.

    Attributes:
        repeats: whether it counts when a user meets an item again.
    """

    suffixes = READ
    repeats = False

    def __init__(self, task: Task):
        self.task, self.card = task, task.card

    def survey(self) -> LogInspection:
        return inspect_log(self.card, self.repeats)

    def assign(self, seen: LogInspection, run: Run) -> tuple[np.ndarray, list[str]]:
        return np.array(seen.table["split"].to_pylist(), dtype=object), seen.notes

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list[Finding]:
        return []

    def stratum(self, target: str) -> str:
        return "users"

    def own_rows(self, run: Run, split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        """Return the cases of one of the run's splits, from the run itself."""
        splits = run.splits
        own = splits.filter(pc.equal(splits["split"], split))
        if not own.num_rows:
            there = ", ".join(sorted(set(splits["split"].to_pylist())))
            raise UserError(f"{run.folder} has no users in {split}; it has {there}")
        table = _cases(self.task.fitted.decisions, own["id"].combine_chunks(), own["target"].combine_chunks(), split)
        return table, np.full(table.num_rows, None, object), np.arange(table.num_rows)

    def other_rows(self, data: str, split: str | None) -> pa.Table:
        """Return the cases of another log: users with the items that they met there and hadn't met before.

        Its own splits are taken where it has some, else all of it; the run's split rule doesn't hold for it.
        """
        store, with_seen = self.task.fitted.decisions, Candidates(self.task).with_seen
        reading = read_log(data, elsewhere(self.card, data))
        log = (reading.log if self.repeats else merged(reading.log)[0]).compact()
        if split is not None:
            log = log.at(
                log.given == NAMES.index(split) if log.given is not None else np.zeros(len(log), bool)
            ).compact()
        users, items = store.users_of(log.users)[log.user], store.items_of(log.items)[log.item]
        before = store.seen(None)
        keys = np.repeat(np.arange(before.shape[0]), np.diff(before.indptr)) * before.shape[1] + before.indices
        old = np.isin(users * before.shape[1] + items, keys) & (users >= 0) & (items >= 0)
        fresh = log if with_seen else log.at(~old).compact()
        if not len(fresh):
            where = "" if split is None else f" in {split}"
            raise UserError(f"{data} holds no interactions{where} that are new to the run ({len(log):,} are known)")
        if old.any() and not with_seen:
            progress.notice(f"{int(old.sum()):,} interactions of {data} are known to the run and are no targets")
        users, starts = np.unique(fresh.user, return_index=True)
        targets = listed(fresh.items, fresh.item, np.append(starts, len(fresh)))
        return _cases(store, fresh.users.take(pa.array(users)), targets, None)


class RepeatedCaseRows(CaseRows):
    """The cases of a log in which it counts when a user meets an item again."""

    repeats = True


def _cases(store: InteractionStore, ids: pa.Array, targets: pa.Array, split: str | None) -> pa.Table:
    """Return cases of users, sliced by what the run knows of them."""
    offsets, codes = store.items_in(targets.to_pylist())
    counts = np.append(store.counts, 0)  # the last one is for codes of -1
    met = np.append(np.diff(store.train.indptr), 0)[store.users_of(ids)]
    return sliced(ids, targets, split, met, (offsets, counts[codes]), store.counts)
