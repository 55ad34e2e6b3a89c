"""Recommenders that score all items at once: products of vectors, and the loss and measure they learn by."""

import keras
import numpy as np
from keras import ops
from keras_rs.layers import SamplingProbabilityCorrection

CUT = 10
MASKED = -1e9


@keras.saving.register_keras_serializable("horngate")
class Factors(keras.layers.Layer):
    """Scores of items for users given by code: the cosines of their vectors over a temperature.

    Takes int32 `[n]`, and perhaps the codes of some items, int32 `[m]`; returns float32 `[n, items]`, or `[n, m]` (matrix
    factorisation, Koren et al. 2009, with cosines).

    Args:
        users, items: how many there are.
        dimension: of their vectors.
    """

    def __init__(self, users: int, items: int, dimension: int, temperature: float = 0.2, **kwargs):
        super().__init__(**kwargs)
        self.users, self.items, self.dimension, self.temperature = users, items, dimension, temperature

    def build(self, *shapes):
        self.user_vectors = self.add_weight((self.users, self.dimension), "glorot_uniform", name="user_vectors")
        self.item_vectors = self.add_weight((self.items, self.dimension), "glorot_uniform", name="item_vectors")
        self.built = True

    def call(self, users, items=None):
        """Return the scores."""
        found = self.item_vectors if items is None else ops.take(self.item_vectors, items, axis=0)
        return cosines(ops.take(self.user_vectors, users, axis=0), found) / self.temperature


@keras.saving.register_keras_serializable("horngate")
class Linear(keras.layers.Layer):
    """Scores of all items from lists of items, by weights of items on items: what EASE learns.

    Takes int32 `[n, length]`, code + 1 of what each user met, 0 for nothing; returns float32 `[n, items]`.
    """

    def __init__(self, items: int, **kwargs):
        super().__init__(**{"trainable": False} | kwargs)
        self.items = items

    def build(self, shape=None):
        self.kernel = self.add_weight((self.items, self.items), "zeros", trainable=False, name="kernel")
        self.built = True

    def call(self, lists):
        """Return the scores."""
        return ops.matmul(met(lists, self.items), self.kernel)

    @property
    def item_vectors(self):
        """What the scores of items are made of: float32 `[items, items]`, symmetrical but for its scale."""
        return ops.transpose(self.kernel)


def met(lists, items: int):
    """Return float32 `[n, items]`: 1 for what stands in a list of code + 1, int32 `[n, length]`, 0 for nothing."""
    rows = ops.broadcast_to(ops.arange(ops.shape(lists)[0])[:, None], ops.shape(lists))
    places = ops.reshape(rows * (items + 1) + lists, (-1,))
    size = ops.shape(lists)[0] * (items + 1)
    counts = ops.segment_sum(ops.ones_like(places, "float32"), places, size)
    return ops.minimum(ops.reshape(counts, (-1, items + 1))[:, 1:], 1.0)


def cosines(first, second):
    """Return the cosines of all pairs of vectors, float32 `[n, m]`; those without a length are like nothing."""
    return ops.matmul(ops.normalize(first, axis=1), ops.transpose(ops.normalize(second, axis=1)))


class Ranker(keras.Model):
    """A model of scores over items that learns by the softmax of what each user met, and is judged by NDCG.

    Its targets are int32 `[n, length]` and hold, in any order, code + 1 of items to be found, -(code + 1) of items that are
    masked when it is judged, and 0 for nothing. Its validation loss is 1 - ndcg_at_10. A second and third input are the
    codes of drawn items, which scores and targets are about then, and the chance of each to be drawn: scores are relieved
    of its logarithm (Bengio & Senecal 2008).

    Args:
        prior: float32 `[items]`, added to scores while it learns, so that they needn't learn it; or None.
    """

    def __init__(self, *args, prior: np.ndarray | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.prior = prior
        self.relieved = SamplingProbabilityCorrection()

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss while it learns, one minus NDCG otherwise."""
        if not training:
            return 1.0 - ndcg(y, y_pred)
        drawn = isinstance(x, list | tuple)
        if self.prior is not None:
            y_pred = y_pred + (ops.take(self.prior, x[1]) if drawn else self.prior)
        if drawn:
            y_pred = self.relieved(y_pred, x[2])
        loss = softmax_loss(y, y_pred)
        for further in self.losses:
            loss = loss + further
        return loss


def softmax_loss(targets, scores):
    """Return the mean over users of the mean cross-entropy of their items, a softmax over all items (Liang et al. 2018)."""
    there = ops.cast(targets > 0, scores.dtype)
    own = ops.take_along_axis(scores, ops.maximum(targets - 1, 0), axis=1)
    surprise = ops.logsumexp(scores, axis=1, keepdims=True) - own
    return ops.mean(ops.sum(surprise * there, axis=1) / ops.maximum(ops.sum(there, axis=1), 1.0))


def ndcg(targets, scores, cut: int = CUT):
    """Return the mean NDCG of users at a cut, with masked items left out, as `pipelines.measure.ranking.ndcg` has it."""
    count, cut = ops.shape(scores)[1], min(cut, scores.shape[1] or cut)
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
