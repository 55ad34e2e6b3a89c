"""How recommenders learn what comes next: stretches of what users met, one function for all networks."""

from dataclasses import dataclass

import keras
import numpy as np

from horngate.models.recommendation.interactions import Lists
from horngate.models.recommendation.sequences import Following, Recurrent, SelfAttentive, Sequencer
from horngate.models.recommendation.settings import LearningSettings, Learnt
from horngate.models.training.learning import CheckpointPolicy, Plan, learn

MANY = 30_000  # items from which on a softmax is over drawn ones
DRAWN = 4096
HELD_SCORES = 1 << 25  # of a step
SHORT, DROPOUT, LITTLE_DROPOUT = 20, 0.5, 0.2  # histories below so many items on average hide more of their numbers
PLACES = 2048  # that a step learns at, about; of long histories fewer rows are enough
STEPS = 16  # of an epoch, at least
NETWORKS: dict[str, type[Sequencer]] = {"sasrec": SelfAttentive, "gru4rec": Recurrent}


@dataclass(frozen=True)
class Defaults:
    """What a network takes where nothing is wished for."""

    dimension: int
    blocks: int
    learning_rate: float
    batch_size: int
    patience: int = 10
    epochs: int = 200


DEFAULTS = {
    "sasrec": Defaults(dimension=64, blocks=2, learning_rate=1e-3, batch_size=128),
    "gru4rec": Defaults(dimension=64, blocks=1, learning_rate=1e-3, batch_size=128),
}


@dataclass(frozen=True)
class SequenceSettings(LearningSettings):
    """How to learn; None leaves it to the network.

    Attributes:
        max_length: how many items are looked back on.
        repeats: whether what was met before counts when it is judged.
    """

    max_length: int = 50
    repeats: bool = False
    blocks: int | None = None


class Stretches:
    """Training rows: what a user met in its order, and at each place what came next.

    A user who met more than `length` items has several rows, so that all of it is learnt; users with one have none.
    """

    def __init__(self, lists: Lists, length: int):
        targets = np.maximum(np.diff(lists.offsets) - 1, 0)
        parts = -(-targets // length)
        owner = np.repeat(np.arange(lists.users), parts)
        before = np.arange(len(owner)) - np.repeat(np.cumsum(parts) - parts, parts)
        ends = lists.offsets[owner + 1] - length * before  # behind the last target
        self.lists, self.count = lists, len(owner)
        self.lengths = np.minimum(ends - lists.offsets[owner] - 1, length)
        self.starts = ends - self.lengths  # of targets; inputs stand one before

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs and targets, int32 `[n, length]`, code + 1, and weights float32, 0 where nothing is."""
        sizes = self.lengths[rows]
        place = np.arange(int(sizes.max()))
        there = place < sizes[:, None]
        at = np.where(there, self.starts[rows][:, None] + place, 1)
        inputs, targets = (np.where(there, self.lists.items[at - back] + 1, 0).astype(np.int32) for back in (1, 0))
        weights = there if self.lists.weights is None else np.where(there, self.lists.weights[at], 0)
        return inputs, targets, weights.astype(np.float32)


class HeldNext:
    """Validation rows: what users met, what was held out of them, and what is masked since they met it before."""

    def __init__(self, lists: Lists, held: Lists, length: int, repeats: bool):
        self.lists, self.held, self.repeats = lists, held, repeats
        self.users = np.flatnonzero((np.diff(held.offsets) > 0) & (np.diff(lists.offsets) > 0))
        self.count = len(self.users)
        self.lengths = np.minimum(np.diff(lists.offsets)[self.users], length)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs, targets as `Ranker` takes them, and no weights."""
        users = self.users[rows]
        targets = self.held.padded(users, self.held.longest)
        if not self.repeats:
            targets = np.concatenate([targets, -self.lists.padded(users, self.lists.longest)], axis=1)
        return self.lists.padded(users, int(self.lengths[rows].max())), targets, None


def network(name: str, items: int, settings: SequenceSettings, short: bool = True) -> Sequencer:
    """Return a built network for histories that are short on average, or not."""
    usual = DEFAULTS[name]
    layer = NETWORKS[name](
        items,
        settings.dimension or usual.dimension,
        settings.blocks or usual.blocks,
        (DROPOUT if short else LITTLE_DROPOUT) if settings.dropout is None else settings.dropout,
        settings.max_length,
        settings.seed,
        name=name,
    )
    layer.build()
    return layer


def followed(name: str, lists: Lists, held: Lists, settings: SequenceSettings, policy: CheckpointPolicy) -> Learnt:
    """Learn what follows what by a softmax over all items, or over drawn ones where there are very many.

    Args:
        name: of the network, `sasrec` or `gru4rec`.
        lists: what users met, in its order.
        held: what was held out for validation; none where it is empty.
    """
    usual, rows = DEFAULTS[name], Stretches(lists, settings.max_length)
    layer = network(name, lists.count, settings, rows.count == 0 or rows.lengths.mean() < SHORT)
    negatives = settings.negatives or (DRAWN if lists.count > MANY else None)
    negatives = None if negatives is not None and negatives >= lists.count else negatives
    model = Following(layer, lists.items, negatives, settings.seed, name="following")
    validation = HeldNext(lists, held, settings.max_length, settings.repeats)
    judged = validation.count and not settings.exactly
    plan = Plan(
        settings.phase or name,
        settings.epochs or usual.epochs,
        settings.batch_size or _rows_of_a_step(rows, negatives or lists.count, usual.batch_size),
        settings.seed,
        patience=usual.patience,
        monitor="val_loss" if judged else None,
    )
    model.compile(optimizer=keras.optimizers.Adam(settings.learning_rate or usual.learning_rate), jit_compile=False)
    history = learn(model, rows, validation, plan, policy)
    return Learnt(answers(layer), history)


def _rows_of_a_step(rows: Stretches, items: int, most: int) -> int:
    """Return how many rows are learnt together: their places and scores stay few enough, and steps many enough."""
    places = max(float(rows.lengths.mean()) if rows.count else 1.0, 1.0)
    return int(np.clip(min(min(PLACES, HELD_SCORES // items) // places, rows.count // STEPS), 8, most))


def answers(layer: Sequencer) -> keras.Model:
    """Return the model that is kept: from lists of items to the scores of what comes next."""
    lists = keras.Input((None,), dtype="int32", name="items")
    return keras.Model(lists, layer(lists), name="answers")
