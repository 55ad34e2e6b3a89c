"""Two towers: vectors of users and of items from their ids and from what else is known of them."""

import keras
import numpy as np
from keras import ops
from keras_rs.layers import EmbedReduce

from horngate.models.recommendation.retrieval import cosines

BLOCK = 4096  # codes at a time
HIDDEN_IDS = 0.2  # of the ids, at random while it learns, so that features alone have to do as well


class Tower(keras.layers.Layer):
    """Vectors float32 `[n, d]` of what has a code and features; it only learns, its vectors are kept.

    Args:
        start: of the codes, float32 `[count, d]`.
        features: tokens int32 `[count, t]` (0 for none) and numbers float32 `[count, g]`, or None.
        tokens: how many tokens there are.
        learnt: bool `[count]`, which codes have a vector of their own; others have their features alone.
    """

    def __init__(self, start, features, tokens: int, learnt: np.ndarray, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.start, self.features, self.learnt = start, features, learnt.astype(np.float32)
        self.draws = keras.random.SeedGenerator(seed)
        if features is not None:
            dimension = start.shape[1]
            self.words = EmbedReduce(tokens, dimension, embeddings_initializer=_small(seed), combiner="sum")
            self.numbers = keras.layers.Dense(dimension, use_bias=False, kernel_initializer=_small(seed + 1))

    def build(self, shape=None):
        self.vectors = self.add_weight(self.start.shape, "zeros", name="vectors")
        self.vectors.assign(self.start)
        if self.features is not None:
            self.words.build((None, self.features[0].shape[1]))
            self.numbers.build((None, self.features[1].shape[1]))
        self.built = True

    def call(self, codes, training=False):
        """Return the vectors of some codes, int32 `[n]`."""
        there = ops.take(self.learnt, codes)[:, None]
        if self.features is not None and training:
            there = there * ops.cast(keras.random.uniform(ops.shape(there), seed=self.draws) >= HIDDEN_IDS, "float32")
        own = ops.take(self.vectors, codes, axis=0) * there
        if self.features is None:
            return own
        tokens, numbers = (ops.take(part, codes, axis=0) for part in self.features)
        there = ops.cast(tokens > 0, "float32")
        weights = there / ops.maximum(ops.sqrt(ops.sum(there, axis=1, keepdims=True)), 1.0)
        return own + self.words(tokens, weights=weights) + self.numbers(numbers)

    def all(self) -> np.ndarray:
        """Return the vectors of all codes, float32 `[count, d]`."""
        codes = np.arange(len(self.start), dtype=np.int32)
        parts = np.array_split(codes, max(1, -(-len(codes) // BLOCK)))
        return np.concatenate([ops.convert_to_numpy(self(part)) for part in parts])


class Towers(keras.layers.Layer):
    """Scores of all items for users given by code: cosines of what two towers say, over a temperature.

    Takes int32 `[n]`, and perhaps the codes of some items; returns float32 `[n, items]` (Covington et al. 2016).
    """

    def __init__(self, user: Tower, item: Tower, count: int, temperature: float, **kwargs):
        super().__init__(**kwargs)
        self.user, self.item, self.count, self.temperature = user, item, count, temperature

    def build(self, *shapes):
        self.user.build()
        self.item.build()
        self.built = True

    def call(self, users, items=None, training=False):
        """Return the scores."""
        items = ops.arange(self.count) if items is None else items
        return cosines(self.user(users, training=training), self.item(items, training=training)) / self.temperature


def _small(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(0.02, seed=seed)
