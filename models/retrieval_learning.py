"""How recommenders learn from the lists of items that users met: rows, plan, and one phase for each model."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from horngate.models.learning import Keeper, Plan, learn
from horngate.models.retrieval import Factors, Ranker

LONGEST = 512  # items of a user that one step learns from; of more, others in each epoch
HELD_SCORES = 1 << 24  # of a step


@dataclass(frozen=True)
class Wishes:
    """How to learn; None leaves it to the model.

    Attributes:
        epochs: at most; with `exactly`, so many, since a choice was made before.
    """

    seed: int = 0
    dimension: int | None = None
    temperature: float | None = None
    correction: float | None = None
    layers: int | None = None
    dropout: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    exactly: bool = False


@dataclass(frozen=True)
class Lists:
    """Who met what: compressed rows of item codes, one row for each user.

    Attributes:
        offsets: int64 `[users + 1]`.
        items: int32 codes.
        weights: float32, of each, or None.
        count: how many items there are.
    """

    offsets: np.ndarray
    items: np.ndarray
    count: int
    weights: np.ndarray | None = None

    @property
    def users(self) -> int:
        """How many users there are."""
        return len(self.offsets) - 1

    def of(self, user: int) -> np.ndarray:
        """Return the codes of one user's items."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def padded(self, users: np.ndarray, length: int, draw: np.random.Generator | None = None) -> np.ndarray:
        """Return int32 `[n, length]`: code + 1 of the items of some users, 0 behind their end.

        Args:
            draw: chooses among the items of users who have more; without it the last ones stand there.
        """
        starts, ends = self.offsets[users], self.offsets[users + 1]
        sizes = np.minimum(ends - starts, length)
        rows = np.repeat(np.arange(len(users)), sizes)
        places = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        found = np.zeros((len(users), length), np.int32)
        found[rows, places] = self.items[np.repeat(ends - sizes, sizes) + places] + 1
        for row in np.flatnonzero(ends - starts > length) if draw is not None else ():
            found[row] = draw.choice(self.of(int(users[row])), length, replace=False) + 1
        return found

    @property
    def longest(self) -> int:
        """The length of the longest row."""
        return int(np.diff(self.offsets).max(initial=0))


class UserRows:
    """Training rows: each is a user, and its target the items that the user met.

    Args:
        history: whether inputs are those items too, and not the users' codes.
    """

    def __init__(self, lists: Lists, history: bool, seed: int):
        self.lists, self.history, self.seed = lists, history, seed
        self.users = np.flatnonzero(np.diff(lists.offsets) > 0)
        self.length, self.count = min(lists.longest, LONGEST), len(self.users)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs, targets as `Ranker` takes them, and no weights."""
        users = self.users[rows]
        draw = np.random.default_rng((self.seed, epoch or 0, int(rows[0])))
        items = self.lists.padded(users, self.length, draw)
        return (items if self.history else users.astype(np.int32)), items, None


class HeldRows:
    """Validation rows: users with what was held out of them, and what is masked since they met it before."""

    def __init__(self, lists: Lists, held: Lists, history: bool):
        self.lists, self.held, self.history = lists, held, history
        self.users = np.flatnonzero((np.diff(held.offsets) > 0) & (np.diff(lists.offsets) > 0))
        self.count = len(self.users)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs, targets as `Ranker` takes them, and no weights."""
        users = self.users[rows]
        past = self.lists.padded(users, self.lists.longest)
        targets = np.concatenate([self.held.padded(users, self.held.longest), -past], axis=1)
        return (past if self.history else users.astype(np.int32)), targets, None


@dataclass(frozen=True)
class Learnt:
    """What a phase made: the model from users (or their items) to scores, its history, and 1 - ndcg_at_10 at its best."""

    answers: keras.Model
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best(self) -> tuple[float | None, int]:
        """The lowest validation loss, None where nothing was validated, and its epoch."""
        found = [(row["val_loss"], row["epoch"]) for row in self.history if "val_loss" in row]
        return min(found) if found else (None, len(self.history))


def batch_size(items: int, wish: int | None, most: int) -> int:
    """Return how many users one step learns from, so that their scores fit into memory."""
    return wish or int(np.clip(HELD_SCORES // max(items, 1), 16, most))


def factorised(lists: Lists, held: Lists, wishes: Wishes, keeper: Keeper) -> Learnt:
    """Learn matrix factorisation by a softmax over all items."""
    dimension, temperature = wishes.dimension or 64, wishes.temperature or 1.0
    users = keras.Input((), dtype="int32", name="user")
    layer = Factors(lists.users, lists.count, dimension, 1 / temperature, wishes.seed, name="factors")
    model = Ranker(users, layer(users), name="mf")
    history = _fitted(model, UserRows(lists, False, wishes.seed), HeldRows(lists, held, False), wishes, keeper)
    return Learnt(keras.Model(model.inputs, model.outputs, name="answers"), history)


def _fitted(model: Ranker, rows: UserRows, held: HeldRows, wishes: Wishes, keeper: Keeper, rate: float = 3e-3):
    size = batch_size(rows.lists.count, wishes.batch_size, 256)
    plan = Plan(
        model.name,
        wishes.epochs or 200,
        size,
        wishes.seed,
        patience=10,
        monitor=None if wishes.exactly or not held.count else "val_loss",
    )
    model.compile(optimizer=keras.optimizers.Adam(wishes.learning_rate or rate), jit_compile=False)
    return learn(model, rows, held, plan, keeper)
