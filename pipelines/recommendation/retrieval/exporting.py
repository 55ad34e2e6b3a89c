"""How a recommender is handed over: its model from users (or their items) to scores, with the tables of ids beside it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from horngate.pipelines.metrics.ranking import DEPTH
from horngate.pipelines.recommendation.interactions.store import FILES, Known
from horngate.pipelines.recommendation.retrieval.selection import lists_of_matrix
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError

if TYPE_CHECKING:
    import keras

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
SAYING = """def answer(path, outputs):  # the best items; those that a user met already are among them
    return [items[place] for place in np.argsort(-outputs)[:10]]
"""


class Exporting:
    """The part of a recommender that is exported; the whole has `known`, `schema`, `rankable` and `answers`.

    What is exported takes codes: the places of users in users.parquet, int32 `[n]`, or the places of items in
    items.parquet + 1, int32 `[n, length]`, the earliest first, filled up with 0; and gives the scores of all items.
    """

    handed_over = FILES
    longest: int | None = None  # items that are looked back on
    known: Known
    schema: dict[str, Any]
    answers: "keras.Model"
    rankable: np.ndarray

    @property
    def core(self) -> "keras.Model":
        return self.answers

    def forward(self, batch: np.ndarray) -> np.ndarray:
        """Return scores for codes of users, or of their items; any number of them."""
        if self.runtime is None:
            return np.asarray(self.core.predict_on_batch(batch))
        size = -(-len(batch) // self.runtime.batch) * self.runtime.batch
        filled = np.concatenate([batch, np.repeat(batch[:1], size - len(batch), axis=0)])
        return self.runtime.run(filled)[: len(batch)]

    def golden(self, run: Run, data: str | None, count: int, splits: tuple[str, ...]) -> np.ndarray:
        if data is not None:
            raise UserError("an export of a recommender is proven on users of the run itself; leave --data out")
        able = np.flatnonzero(self.known.learnt_users)
        users = np.sort(np.random.default_rng(self.card.seed).permutation(able)[:count])
        if self.schema["reads"] == "user":
            return users.astype(np.int32)
        lists = lists_of_matrix(self.known.learnt)
        return lists.padded(users, min(self.longest or lists.longest, lists.longest))

    def acted_on(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return the best items of scores."""
        scores = np.where(self.rankable, outputs, -np.inf)
        best = np.argsort(-scores, axis=1, kind="stable")[:, : min(DEPTH, int(self.rankable.sum()))]
        return [{"items": self.known.log.items.take(row).to_pylist()} for row in best]

    def example(self) -> str:
        reading = BY_USER if self.schema["reads"] == "user" else BY_ITEMS.replace("LONGEST", str(self.longest or 0))
        return TABLES + reading

    def saying(self) -> str:
        return SAYING
