"""How a recommender is exported: its model from users (or their items) to scores, with the tables of ids beside it."""

from typing import Any

import numpy as np

from horngate.pipelines.metrics.ranking import DEPTH
from horngate.pipelines.recommendation.interactions.cases import lists_of
from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tasks.bases import ModelExporter

TABLES = """import json

import numpy as np
import pyarrow.parquet as pq

folder = Path(__file__).parent
items = pq.read_table(folder / "items.parquet")["id"].to_pylist()
"""
BY_USER = """users = pq.read_table(folder / "users.parquet")["id"].to_pylist()


def read(path):  # a file with the id of one user
    return np.int32(users.index(Path(path).read_text("utf-8").strip()))
"""
BY_ITEMS = """

def read(path):  # a file with a JSON list of the ids of items that a user met, the earliest first
    places = {item: place for place, item in enumerate(items, 1)}
    met = [places[item] for item in json.loads(Path(path).read_text("utf-8")) if item in places]
    return np.array(met[-LONGEST:], np.int32)
"""
ANSWERING = """def answer(path, outputs):  # the best items; those that a user met already are among them
    return [items[place] for place in np.argsort(-outputs)[:10]]
"""


class RecommenderExporter(ModelExporter):
    """What is exported takes codes: the places of users in users.parquet, int32 `[n]`, or the places of items in

    items.parquet + 1, int32 `[n, length]`, the earliest first, filled up with 0; and gives the scores of all items.
    """

    @property
    def store(self) -> InteractionStore:
        """Users, items and interactions."""
        return self.fitted.decisions

    @property
    def by_user(self) -> bool:
        """Whether the model takes users by their codes, and not lists of items."""
        return self.fitted.schema["reads"] == "user"

    @property
    def longest(self) -> int:
        """How many items are looked back on; 0 for all."""
        return getattr(self.card, "max_length", 0)

    def golden(self, run: Run, data: str | None, count: int, splits: tuple[str, ...]) -> np.ndarray:
        if data is not None:
            raise UserError("an export of a recommender is proven on users of the run itself; leave --data out")
        able = np.flatnonzero(self.store.learnt_users)
        users = np.sort(np.random.default_rng(self.card.seed).permutation(able)[:count])
        if self.by_user:
            return users.astype(np.int32)
        lists = lists_of(self.store.learnt)
        return lists.padded(users, min(self.longest or lists.longest, lists.longest))

    def acted_on(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return the best items of scores."""
        scores = np.where(self.store.rankable, outputs, -np.inf)
        best = np.argsort(-scores, axis=1, kind="stable")[:, : min(DEPTH, int(self.store.rankable.sum()))]
        return [{"items": self.store.log.items.take(row).to_pylist()} for row in best]

    def reading(self) -> str:
        return TABLES + (BY_USER if self.by_user else BY_ITEMS.replace("LONGEST", str(self.longest)))

    def answering(self) -> str:
        return ANSWERING
