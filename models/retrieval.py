"""Recommenders that score all items at once: products of vectors, and the loss and measure they learn by."""

import keras
import numpy as np
from keras import ops

CUT = 10
MASKED = -1e9


@keras.saving.register_keras_serializable("horngate")
class Factors(keras.layers.Layer):
    """Scores of all items for users given by code: the products of their vectors, plus how well liked each item is.

    Takes int32 `[n]`, returns float32 `[n, items]` (matrix factorisation, Koren et al. 2009).

    Args:
        users, items: how many there are.
        dimension: of their vectors.
        scale: what the scores are multiplied by.
    """

    def __init__(self, users: int, items: int, dimension: int, scale: float = 1.0, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.users, self.items, self.dimension, self.scale, self.seed = users, items, dimension, scale, seed

    def build(self, shape=None):
        start = [keras.initializers.RandomNormal(self.dimension**-0.5, seed=self.seed + place) for place in range(2)]
        self.user_vectors = self.add_weight((self.users, self.dimension), start[0], name="user_vectors")
        self.item_vectors = self.add_weight((self.items, self.dimension), start[1], name="item_vectors")
        self.liking = self.add_weight((self.items,), "zeros", name="liking")

    def call(self, users):
        """Return the scores, float32 `[n, items]`."""
        vectors = ops.take(self.user_vectors, users, axis=0)
        return ops.matmul(vectors, ops.transpose(self.item_vectors)) * self.scale + self.liking

    def get_config(self):
        own = {name: getattr(self, name) for name in ("users", "items", "dimension", "scale", "seed")}
        return super().get_config() | own


class Ranker(keras.Model):
    """A model of scores over all items that learns by the softmax of what each user met, and is judged by NDCG.

    Its targets are int32 `[n, length]` and hold, in any order, code + 1 of items to be found, -(code + 1) of items that are
    masked when it is judged, and 0 for nothing. Its validation loss is 1 - ndcg_at_10.
    """

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss while it learns, one minus NDCG otherwise."""
        found = softmax_loss(y, y_pred) if training else 1.0 - ndcg(y, y_pred)
        for loss in self.losses if training else ():
            found = found + loss
        return found


def softmax_loss(targets, scores):
    """Return the mean over users of the mean cross-entropy of their items, a softmax over all items (Liang et al. 2018)."""
    there = ops.cast(targets > 0, scores.dtype)
    own = ops.take_along_axis(scores, ops.maximum(targets - 1, 0), axis=1)
    surprise = ops.logsumexp(scores, axis=1, keepdims=True) - own
    return ops.mean(ops.sum(surprise * there, axis=1) / ops.maximum(ops.sum(there, axis=1), 1.0))


def ndcg(targets, scores, cut: int = CUT):
    """Return the mean NDCG of users at a cut, with masked items left out, as `pipelines.measure.ranking.ndcg` has it."""
    count = ops.shape(scores)[1]
    rows = ops.broadcast_to(ops.arange(ops.shape(targets)[0])[:, None], ops.shape(targets))
    places = ops.reshape(rows * count + ops.maximum(ops.abs(targets) - 1, 0), (-1,))
    size = ops.shape(scores)[0] * count
    masked, wanted = (
        ops.reshape(ops.segment_sum(ops.reshape(ops.cast(part, scores.dtype), (-1,)), places, size), ops.shape(scores))
        for part in (targets < 0, targets > 0)
    )
    _, best = ops.top_k(scores + MASKED * masked, cut)
    hits = ops.cast(ops.take_along_axis(wanted, best, axis=1) > 0, "float32")
    discounts = 1.0 / np.log2(np.arange(2, cut + 2)).astype(np.float32)
    most = np.concatenate([[0.0], np.cumsum(discounts)]).astype(np.float32)
    held = ops.minimum(ops.sum(ops.cast(targets > 0, "int32"), axis=1), cut)
    ideal = ops.take(ops.convert_to_tensor(most), held)
    return ops.sum(ops.matmul(hits, discounts[:, None])[:, 0] / ops.maximum(ideal, 1e-9)) / ops.maximum(
        ops.sum(ops.cast(held > 0, "float32")), 1.0
    )


def item_vectors(answers: keras.Model) -> np.ndarray:
    """Return float32 `[items, d]`: the vectors of items in a model of scores."""
    layer = next(layer for layer in answers.layers if hasattr(layer, "item_vectors"))
    return ops.convert_to_numpy(layer.item_vectors)
