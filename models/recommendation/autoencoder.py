"""An autoencoder of what users met: a code of all of it, and from the code the chances of all items."""

import keras
from keras import ops

from horngate.models.recommendation.retrieval import met


@keras.saving.register_keras_serializable("horngate")
class Autoencoder(keras.layers.Layer):
    """Scores of all items from lists of items: a variational autoencoder with a multinomial likelihood.

    MultVAE of Liang et al. 2018 (arXiv 1802.05814).

    Takes int32 `[n, length]`, code + 1 of what each user met, 0 for nothing; returns float32 `[n, items]`.

    Args:
        items: how many there are.
        hidden, dimension: of the layer between, and of the code.
        dropout: the share of the list that is hidden while learning.
        kl: weight of the code's divergence from a normal distribution.
        anneal: steps until it has grown to its full weight.
    """

    def __init__(self, items, hidden=600, dimension=200, dropout=0.5, kl=0.2, anneal=200, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.items, self.hidden, self.dimension, self.dropout = items, hidden, dimension, dropout
        self.kl, self.anneal, self.seed = kl, anneal, seed
        self.draws = keras.random.SeedGenerator(seed)

    def build(self, shape=None):
        start = [keras.initializers.GlorotUniform(self.seed + place) for place in range(4)]
        self.into = self.add_weight((self.items, self.hidden), start[0], name="into")
        self.into_bias = self.add_weight((self.hidden,), "zeros", name="into_bias")
        self.code = self.add_weight((self.hidden, 2 * self.dimension), start[1], name="code")
        self.out = self.add_weight((self.dimension, self.hidden), start[2], name="out")
        self.out_bias = self.add_weight((self.hidden,), "zeros", name="out_bias")
        self.item_vectors = self.add_weight((self.items, self.hidden), start[3], name="item_vectors")
        self.liking = self.add_weight((self.items,), "zeros", name="liking")
        self.steps = self.add_weight((), "zeros", trainable=False, name="steps")

    def call(self, lists, training=False):
        """Return the scores, float32 `[n, items]`."""
        given = met(lists, self.items)
        given = given / ops.maximum(ops.sqrt(ops.sum(given, axis=1, keepdims=True)), 1e-9)
        if training:
            given = keras.random.dropout(given, self.dropout, seed=self.draws)
        code = ops.matmul(ops.tanh(ops.matmul(given, self.into) + self.into_bias), self.code)
        mean, spread = ops.split(code, 2, axis=1)
        if training:
            spread = ops.clip(spread, -8.0, 4.0)
            self.steps.assign_add(1.0)
            weight = self.kl * ops.minimum(self.steps / self.anneal, 1.0)
            apart = 0.5 * ops.sum(ops.exp(spread) + mean**2 - 1.0 - spread, axis=1)
            self.add_loss(weight * ops.mean(apart) / 100.0)
            mean = mean + ops.exp(spread / 2) * keras.random.normal(ops.shape(mean), seed=self.draws)
        hidden = ops.tanh(ops.matmul(mean, self.out) + self.out_bias)
        return ops.matmul(hidden, ops.transpose(self.item_vectors)) + self.liking
