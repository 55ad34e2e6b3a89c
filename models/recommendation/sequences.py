"""Recommenders that read what a user met in its order, and score what comes next."""

from abc import ABC, abstractmethod

import keras
import numpy as np
from keras import ops
from keras_rs.layers import SamplingProbabilityCorrection

from horngate.models.recommendation.retrieval import MASKED, ndcg

SPREAD = 0.02  # of weights at the start
UNIFORM = 0.5  # share of drawn items that are drawn whatever their popularity


class Sequencer(keras.layers.Layer, ABC):
    """Scores of all items as the next one, from lists of items in their order; the vectors read are those scored with.

    Takes int32 `[n, length]`, code + 1 of items, the earliest first, 0 behind the end; returns float32 `[n, items]`. What
    stands later never changes what is said of an earlier place, so that nothing behind the end does either.

    Args:
        items: how many there are.
        dimension: of their vectors.
        blocks: layers of the network.
        dropout: share of numbers hidden while learning.
        length: how many items are looked back on, at most.
    """

    def __init__(self, items, dimension=64, blocks=2, dropout=0.5, length=50, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.items, self.dimension, self.blocks = items, dimension, blocks
        self.dropout, self.length, self.seed = dropout, length, seed

    def build(self, shape=None):
        start = keras.initializers.RandomNormal(stddev=SPREAD, seed=self.seed)
        self.item_vectors = self.add_weight((self.items, self.dimension), start, name="item_vectors")
        self.hide = keras.layers.Dropout(self.dropout, seed=self.seed + 1, name="hide")
        self.compose()
        self.built = True

    @abstractmethod
    def compose(self):
        """Make what `encoded` needs."""

    @abstractmethod
    def encoded(self, vectors, training):
        """Return what is known at each place, float32 `[n, length, dimension]`, from the vectors of items there."""

    def states(self, lists, training=False):
        """Return what is known at each place of a list, float32 `[n, length, dimension]`."""
        return self.encoded(ops.take(self.item_vectors, ops.maximum(lists - 1, 0), axis=0), training)

    def scores(self, states):
        """Return the scores of all items, float32 `[n, items]`, for states float32 `[n, dimension]`."""
        return ops.matmul(states, ops.transpose(ops.cast(self.item_vectors, states.dtype)))

    def call(self, lists, training=False):
        """Return the scores of what follows the last item."""
        last = ops.maximum(ops.sum(ops.cast(lists > 0, "int32"), axis=1) - 1, 0)
        states = ops.take_along_axis(self.states(lists, training), last[:, None, None], axis=1)
        return ops.cast(self.scores(states[:, 0]), "float32")


@keras.saving.register_keras_serializable("horngate")
class SelfAttentive(Sequencer):
    """SASRec (Kang & McAuley 2018, arXiv 1808.09781): a transformer that looks back only, with learnt places."""

    def compose(self):
        start = keras.initializers.RandomNormal(stddev=SPREAD, seed=self.seed + 2)
        self.places = self.add_weight((self.length, self.dimension), start, name="places")
        self.norm = _norm(self.dimension, "norm")
        self.layers = [
            Block(self.dimension, self.dropout, self.seed + 10 * place, name=f"block_{place}")
            for place in range(1, self.blocks + 1)
        ]
        for layer in self.layers:
            layer.build((None, None, self.dimension))

    def encoded(self, vectors, training):
        vectors = vectors + ops.cast(self.places[: ops.shape(vectors)[1]], vectors.dtype)
        vectors = self.hide(self.norm(vectors), training=training)
        for layer in self.layers:
            vectors = layer(vectors, training=training)
        return vectors


@keras.saving.register_keras_serializable("horngate")
class Block(keras.layers.Layer):
    """A block of a transformer that looks back only: attention, then two dense layers, each added and normalised."""

    def __init__(self, dimension, dropout, seed, **kwargs):
        super().__init__(**kwargs)
        self.dimension, self.dropout, self.seed = dimension, dropout, seed

    def build(self, shape):
        starts = [keras.initializers.RandomNormal(stddev=SPREAD, seed=self.seed + place) for place in range(3)]
        heads = 2 if self.dimension % 2 == 0 else 1
        self.attention = keras.layers.MultiHeadAttention(
            heads, self.dimension // heads, dropout=self.dropout, kernel_initializer=starts[0], seed=self.seed + 3
        )
        self.attention.build(shape, shape)
        self.wide = keras.layers.Dense(4 * self.dimension, kernel_initializer=starts[1], name="wide")
        self.wide.build(shape)
        self.narrow = keras.layers.Dense(self.dimension, kernel_initializer=starts[2], name="narrow")
        self.narrow.build((*shape[:-1], 4 * self.dimension))
        self.norms = [_norm(self.dimension, f"norm_{place}") for place in range(2)]
        self.hides = [keras.layers.Dropout(self.dropout, seed=self.seed + 4 + place) for place in range(2)]
        self.built = True

    def call(self, vectors, training=False):
        """Return vectors of the same shape, `[n, length, dimension]`."""
        found = self.attention(vectors, vectors, use_causal_mask=True, training=training)
        vectors = self.norms[0](vectors + self.hides[0](found, training=training))
        found = self.narrow(ops.gelu(self.wide(vectors), approximate=True))  # ONNX Runtime lacks the exact one's erfc
        return self.norms[1](vectors + self.hides[1](found, training=training))


@keras.saving.register_keras_serializable("horngate")
class Recurrent(Sequencer):
    """GRU4Rec (Hidasi et al. 2016, arXiv 1511.06939): gated recurrent units, twice as many as a vector has numbers."""

    def compose(self):
        self.layers, width = [], self.dimension
        for place in range(self.blocks):
            starts = {
                "kernel_initializer": keras.initializers.GlorotUniform(self.seed + 10 * place + 2),
                "recurrent_initializer": keras.initializers.Orthogonal(seed=self.seed + 10 * place + 3),
            }
            layer = keras.layers.GRU(2 * self.dimension, return_sequences=True, **starts, name=f"units_{place}")
            layer.build((None, None, width))
            self.layers.append(layer)
            width = 2 * self.dimension
        start = keras.initializers.GlorotUniform(self.seed + 4)
        self.narrow = keras.layers.Dense(self.dimension, kernel_initializer=start, name="narrow")
        self.narrow.build((None, None, width))
        self.hide_state = keras.layers.Dropout(self.dropout, seed=self.seed + 5, name="hide_state")

    def encoded(self, vectors, training):
        vectors = self.hide(vectors, training=training)
        for layer in self.layers:
            vectors = layer(vectors, training=training)
        return self.narrow(self.hide_state(vectors, training=training))


def _norm(dimension: int, name: str) -> keras.layers.Layer:
    norm = keras.layers.LayerNormalization(epsilon=1e-6, name=name)
    norm.build((None, None, dimension))
    return norm


class Following(keras.Model):
    """Learns what follows what, at all places of a list at once, by the softmax of all items or of drawn ones.

    While it learns, its targets are int32 `[n, length]`: code + 1 of what came next at each place, 0 where nothing did, and
    the sample weights float32 `[n, length]`. It is judged as `Ranker` is: its validation loss is 1 - ndcg_at_10.

    Of drawn items the softmax is an unbiased estimate: each stands for as many as the chance to draw it says
    (Bengio & Senecal 2008), and what is the target itself doesn't count a second time. A single negative, as of binary
    cross-entropy, learns worse and too sure scores (Klenitskiy & Vasilev 2023; Petrov & Macdonald 2023).

    Args:
        layer: a built `Sequencer`.
        met: int32, codes of all that was met, to draw from; half of the drawn are whatever their popularity.
        negatives: how many items are drawn for each step; None for all that there are.
    """

    def __init__(self, layer: Sequencer, met: np.ndarray, negatives: int | None = None, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.layer, self.negatives = layer, negatives
        if negatives is not None:
            self.drawing = keras.random.SeedGenerator(seed)
            self.relieved = SamplingProbabilityCorrection(epsilon=1e-12)
            self.met = ops.convert_to_tensor(met, "int32")
            fame = np.bincount(met, minlength=layer.items) / max(len(met), 1)
            self.chance = ops.convert_to_tensor(UNIFORM / layer.items + (1 - UNIFORM) * fame, "float32")

    def call(self, lists, training=False):
        """Return states float32 `[n, length, dimension]` while it learns, else scores float32 `[n, items]`."""
        return self.layer.states(lists, training=True) if training else self.layer(lists)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the mean surprise at what came next while it learns, one minus NDCG otherwise."""
        if not training:
            return 1.0 - ndcg(y, y_pred)
        targets = ops.reshape(y, (-1,))
        there = ops.nonzero(targets)[0]
        wanted = ops.take(targets, there) - 1
        states = ops.take(ops.reshape(y_pred, (-1, self.layer.dimension)), there, axis=0)
        weights = ops.take(ops.reshape(sample_weight, (-1,)), there)
        return ops.sum(weights * self.surprise(states, wanted)) / ops.sum(weights)

    def surprise(self, states, wanted):
        """Return float32 `[m]`: minus the logarithm of the chance of each wanted item (codes int32 `[m]`)."""
        vectors = ops.cast(self.layer.item_vectors, states.dtype)
        own = ops.cast(ops.sum(states * ops.take(vectors, wanted, axis=0), axis=1), "float32")
        if self.negatives is None:
            return ops.logsumexp(ops.cast(self.layer.scores(states), "float32"), axis=1) - own
        drawn = self.drawn()
        scores = ops.cast(ops.matmul(states, ops.transpose(ops.take(vectors, drawn, axis=0))), "float32")
        scores = self.relieved(scores, ops.take(self.chance, drawn)[None]) - np.log(self.negatives).astype("float32")
        scores = ops.where(ops.equal(wanted[:, None], drawn[None]), MASKED, scores)
        return ops.logsumexp(ops.concatenate([own[:, None], scores], axis=1), axis=1) - own

    def drawn(self):
        """Return the codes of the drawn items, int32 `[negatives]`; one may be among them several times."""
        popular = ops.take(self.met, self._places(len(self.met)))
        chosen = keras.random.uniform((self.negatives,), seed=self.drawing) < UNIFORM
        return ops.where(chosen, self._places(self.layer.items), popular)

    def _places(self, count: int):
        return keras.random.randint((self.negatives,), 0, count, dtype="int32", seed=self.drawing)
