"""How recommenders learn from who met what: one function for each model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scipy.sparse import csr_array

from horngate.models.recommendation.autoencoder import Autoencoder
from horngate.models.recommendation.closed_form import leading, normalised
from horngate.models.recommendation.interactions import HeldRows, Lists, UserRows
from horngate.models.recommendation.propagation import Edges, Propagated
from horngate.models.recommendation.retrieval import Factors, Linear, Ranker
from horngate.models.recommendation.settings import LearningSettings, Learnt
from horngate.models.recommendation.towers import Tower, Towers
from horngate.models.training.learning import CheckpointPolicy, Plan, learn

HELD_SCORES = 1 << 26  # of a step
STEPS = 30  # of an epoch, or more, where users are many
UNJUDGED = 20  # epochs, where nothing says when to stop
MANY = 60_000  # items from which on a softmax is over drawn ones
DRAWN = 8192


@dataclass(frozen=True)
class RetrievalSettings(LearningSettings):
    """How to learn; None leaves it to the model."""

    temperature: float | None = None
    correction: float | None = None
    layers: int | None = None


def factorised(lists: Lists, held: Lists, settings: RetrievalSettings, policy: CheckpointPolicy) -> Learnt:
    """Learn matrix factorisation by a softmax over all items, or over drawn ones where there are very many.

    Vectors begin as the leading singular vectors of who met what; scores are cosines over the temperature.
    """
    start = leading(normalised(_matrix(lists)), settings.dimension or 64, settings.seed)
    layer = Factors(lists.users, lists.count, settings.dimension or 64, temperature_of(lists, settings), name="factors")
    layer.build()
    _begin(layer, start)
    history = _fitted("mf", layer, lists, held, settings, policy)
    return Learnt(_answers(layer), history)


def propagated(
    lists: Lists, held: Lists, settings: RetrievalSettings, policy: CheckpointPolicy, product: Callable | None = None
) -> Learnt:
    """Learn LightGCN (He et al. 2020) by a softmax over items; begins as `factorised` does.

    Args:
        product: makes products with sparse matrices, as `models.propagation.summed` does.
    """
    matrix = normalised(_matrix(lists))
    entries = matrix.tocoo()
    order = np.lexsort((entries.col, entries.row))
    edges = Edges(entries.row[order], entries.col[order], entries.data[order], matrix.shape, product)
    start = leading(matrix, settings.dimension or 64, settings.seed)
    steps = 2 if settings.layers is None else settings.layers
    layer = Propagated(edges, start, steps, temperature_of(lists, settings), name="propagated")
    history = _fitted("lightgcn", layer, lists, held, settings, policy)
    kept = Factors(lists.users, lists.count, layer.dimension, layer.temperature, name="factors")
    kept.build()
    _begin(kept, layer.vectors())
    return Learnt(_answers(kept), history)


def towered(
    lists: Lists, held: Lists, settings: RetrievalSettings, policy: CheckpointPolicy, features: dict[str, tuple]
) -> Learnt:
    """Learn two towers (Covington et al. 2016) by a softmax over items; who was never met has a vector by features alone.

    Args:
        features: by role, `user` and `item`: tokens int32 `[count, t]`, numbers float32 `[count, g]`, how many tokens.
    """
    start = leading(normalised(_matrix(lists)), settings.dimension or 64, settings.seed)
    met = (np.diff(lists.offsets) > 0, np.bincount(lists.items, minlength=lists.count) > 0)
    towers = []
    for role, values, learnt in zip(("user", "item"), start, met, strict=True):
        *arrays, tokens = features.get(role, (None,))
        own = arrays or None
        towers.append(Tower(values, own, tokens or 0, learnt, settings.seed, name=role))
    layer = Towers(*towers, lists.count, temperature_of(lists, settings), name="towers")
    history = _fitted("towers", layer, lists, held, settings, policy)
    vectors = [
        np.concatenate(
            [np.asarray(tower(part)) for part in np.array_split(np.arange(size, dtype=np.int32), -(-size // 4096))]
        )
        for tower, size in zip(towers, (lists.users, lists.count), strict=True)
    ]
    kept = Factors(lists.users, lists.count, vectors[0].shape[1], layer.temperature, name="factors")
    kept.build()
    _begin(kept, vectors)
    return Learnt(_answers(kept), history)


def autoencoded(lists: Lists, held: Lists, settings: RetrievalSettings, policy: CheckpointPolicy) -> Learnt:
    """Learn the variational autoencoder MultVAE (Liang et al. 2018)."""
    dimension = settings.dimension or 200
    dropout = 0.5 if settings.dropout is None else settings.dropout
    layer = Autoencoder(lists.count, 3 * dimension, dimension, dropout, seed=settings.seed, name="autoencoder")
    history = _fitted("multvae", layer, lists, held, settings, policy)
    return Learnt(_answers(layer, (None,)), history)


def temperature_of(lists: Lists, settings: RetrievalSettings) -> float:
    """Return what cosines are divided by: 1.5 over the logarithm of the number of items, unless it is wished for.

    Among more items a softmax needs scores that lie farther apart for the same certainty.
    """
    return settings.temperature or 1.5 / float(np.log(max(lists.count, 3)))


def _matrix(lists: Lists) -> csr_array:
    weights = np.ones(len(lists.items), np.float32) if lists.weights is None else lists.weights
    return csr_array((weights, lists.items, lists.offsets), shape=(lists.users, lists.count))


def _begin(layer: keras.layers.Layer, start: tuple) -> None:
    layer.user_vectors.assign(start[0])
    layer.item_vectors.assign(start[1])


def _answers(layer: keras.layers.Layer, shape: tuple = ()) -> keras.Model:
    users = keras.Input(shape, dtype="int32", name="user")
    return keras.Model(users, layer(users), name="answers")


DEFAULTS: dict[str, tuple[float, int, int, int]] = {  # rate, users a step at least, epochs, patience
    "mf": (3e-3, 256, 200, 8),
    "lightgcn": (3e-3, 256, 200, 8),
    "multvae": (1e-3, 128, 200, 15),
    "towers": (3e-3, 256, 200, 8),
}


def _fitted(
    name: str,
    layer: keras.layers.Layer,
    lists: Lists,
    held: Lists,
    settings: RetrievalSettings,
    policy: CheckpointPolicy,
) -> list[dict[str, Any]]:
    """Train a layer of scores, and return the history."""
    rate, least, epochs, patience = DEFAULTS[name]
    history = name == "multvae"
    negatives = settings.negatives or (DRAWN if lists.count > MANY and not history else None)
    model = _ranker(name, layer, history, negatives is not None, _prior(lists, settings.correction))
    rows = UserRows(lists, history, settings.seed, negatives)
    most = max(HELD_SCORES // max(lists.count, 1), 16)
    size = settings.batch_size or int(np.clip(rows.count // STEPS, least, 1024).clip(max=most))
    validation = HeldRows(lists, held, history, negatives is not None)
    judged = validation.count and not settings.exactly
    plan = Plan(
        settings.phase or name,
        settings.epochs or (epochs if judged else UNJUDGED),
        size,
        settings.seed,
        patience=patience,
        monitor="val_loss" if judged else None,
    )
    model.compile(optimizer=keras.optimizers.Adam(settings.learning_rate or rate), jit_compile=False)
    return learn(model, rows, validation, plan, policy)


def _ranker(name: str, layer: keras.layers.Layer, history: bool, sampled: bool, prior: np.ndarray | None) -> Ranker:
    users = keras.Input((None,) if history else (), dtype="int32", name="user")
    if not sampled:
        return Ranker(users, layer(users), name=name, prior=prior)
    items = keras.Input((), dtype="int32", name="items")
    chance = keras.Input((), dtype="float32", name="chance")
    return Ranker([users, items, chance], layer(users, items), name=name, prior=prior)


def _prior(lists: Lists, correction: float | None) -> np.ndarray | None:
    if not correction:
        return None
    counts = np.bincount(lists.items, minlength=lists.count)
    return (correction * np.log(np.maximum(counts, 0.5) / max(len(lists.items), 1))).astype(np.float32)


PHASES: dict[str, Callable] = {"mf": factorised, "lightgcn": propagated, "multvae": autoencoded, "towers": towered}


def linear(weights: np.ndarray) -> keras.Model:
    """Return a model from lists of items to scores by weights of items on items, float32 `[items, items]`."""
    layer = Linear(len(weights), name="linear")
    layer.build()
    layer.kernel.assign(weights)
    return _answers(layer, (None,))
