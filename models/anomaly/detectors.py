"""Detectors without a gradient: what they learnt is stored in layers, each from features to a score and its parts."""

import keras
import numpy as np
from keras import layers, ops

LEAST_SPREAD = 1e-6
SURENESS = 10.0  # of a forest that finds nothing but known anomalies in a row's leaves


@keras.saving.register_keras_serializable("horngate")
class Neighbours(layers.Layer):
    """Scores by the mean distance to the k nearest of stored rows (Ramaswamy et al. 2000; Angiulli & Pizzuti 2002).

    Args:
        rows: how many rows are stored.
        k: how many neighbours count.
    """

    def __init__(self, rows: int, k: int, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.rows, self.k = rows, k

    def build(self, input_shape):
        self.memory = self.add_weight(
            shape=(self.rows, input_shape[-1]), initializer="zeros", trainable=False, name="memory"
        )

    def call(self, features):
        """Return float32 `[n, 1 + d]`: the score, and the mean squared distance along each feature."""
        memory = ops.convert_to_tensor(self.memory)
        near = 2 * ops.matmul(features, ops.transpose(memory)) - ops.sum(memory * memory, axis=1)
        _, places = ops.top_k(near, self.k)
        apart = (features[:, None] - ops.take(memory, places, axis=0)) ** 2  # exact, where the product above cancels
        score = ops.mean(ops.sqrt(ops.sum(apart, axis=2)), axis=1, keepdims=True)
        return ops.concatenate([score, ops.mean(apart, axis=1)], axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1 + input_shape[-1])


def neighbours(features: np.ndarray, k: int, most: int, seed: int) -> Neighbours:
    """Return the layer with the features float32 `[n, d]` as its memory; of more than `most`, an even draw."""
    if len(features) > most:
        features = features[np.random.default_rng(seed).permutation(len(features))[:most]]
    layer = Neighbours(len(features), min(k, len(features)), name="knn")
    layer.build((None, features.shape[1]))
    layer.memory.assign(features)
    return layer


@keras.saving.register_keras_serializable("horngate")
class Axes(layers.Layer):
    """Scores by the mean distance along all principal axes, each in its own spread (Shyu et al. 2003).

    Args:
        axes: how many there are.
    """

    def __init__(self, axes: int, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.axes = axes

    def build(self, input_shape):
        size = input_shape[-1]
        self.mean = self.add_weight(shape=(size,), initializer="zeros", trainable=False, name="mean")
        self.whitening = self.add_weight(
            shape=(size, self.axes), initializer="zeros", trainable=False, name="whitening"
        )

    def call(self, features):
        """Return float32 `[n, 1 + d]`: the score, and what each feature adds to the squared distance."""
        centred = features - self.mean
        along = ops.matmul(centred, self.whitening)
        back = ops.matmul(along, ops.transpose(ops.convert_to_tensor(self.whitening)))
        score = ops.mean(ops.abs(along), axis=1, keepdims=True)
        return ops.concatenate([score, ops.relu(centred * back)], axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1 + input_shape[-1])


def axes(features: np.ndarray) -> Axes:
    """Return the layer fitted on features `[n, d]`; axes along which nothing varies are left out."""
    features = features.astype(np.float64)
    mean = features.mean(0)
    _, spreads, turned = np.linalg.svd(features - mean, full_matrices=False)
    variances = spreads**2 / max(len(features) - 1, 1)
    kept = variances > 1e-8 * max(variances.sum(), 1e-30)
    layer = Axes(int(kept.sum()), name="pca")
    layer.build((None, features.shape[1]))
    layer.mean.assign(mean)
    layer.whitening.assign((turned[kept] / np.sqrt(variances[kept])[:, None]).T)
    return layer


@keras.saving.register_keras_serializable("horngate")
class Standing(layers.Layer):
    """Brings a detector's score to a scale that all detectors share, and its parts to shares of the columns.

    The score becomes the inverse hyperbolic sine of its distance from the median of held-out rows, in their quartile
    ranges: the order stays, and one detector's farthest rows don't drown what another says.

    Args:
        sources: the column of each feature.
    """

    def __init__(self, sources, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.sources = list(sources)

    def build(self, input_shape):
        self.centre = self.add_weight(shape=(), initializer="zeros", trainable=False, name="centre")
        self.spread = self.add_weight(shape=(), initializer="ones", trainable=False, name="spread")

    def fit(self, scores: np.ndarray) -> None:
        """Take centre and spread from scores `[n]` of held-out rows."""
        low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
        self.centre.assign(middle)
        self.spread.assign(max(high - low, 0.1 * float(np.std(scores)), LEAST_SPREAD))

    def call(self, said):
        """Return float32 `[n, 1 + columns]`: the score, and the columns' shares of it, which sum to 1."""
        apart = (said[:, :1] - self.centre) / self.spread
        size = ops.abs(apart)
        score = ops.sign(apart) * ops.log(size + ops.sqrt(size * size + 1.0))
        gather = np.zeros((len(self.sources), max(self.sources) + 1), "float32")
        gather[np.arange(len(self.sources)), self.sources] = 1.0
        parts = ops.matmul(said[:, 1:], gather)
        return ops.concatenate([score, parts / (ops.sum(parts, axis=1, keepdims=True) + 1e-6)], axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 2 + max(self.sources))


def in_parts(model, rows: np.ndarray, size: int = 1024) -> np.ndarray:
    """Return what a layer or model says of rows `[n, …]`, computed so many at a time."""
    return np.concatenate([ops.convert_to_numpy(model(rows[at : at + size])) for at in range(0, len(rows), size)])


def joined(columns: layers.Layer, size: int, members: list[tuple[layers.Layer, Standing, float]]) -> keras.Model:
    """Return a model named `answers` from columns float32 `[n, size]` to float32 `[n, 1 + size]`: score and shares.

    Args:
        columns: from columns to features.
        members: detectors, what brings each to the common scale, and their weights; the score is the weighted mean.
    """
    inputs = keras.Input((size,), dtype="float32", name="inputs")
    return keras.Model(inputs, _mean(_said(columns(inputs), members), members), name="answers")


def _said(features, members: list[tuple[layers.Layer, Standing, float]]) -> list:
    return [standing(detector(features)) for detector, standing, _ in members]


def _mean(said: list, members: list[tuple[layers.Layer, Standing, float]]):
    total = sum(weight for _, _, weight in members)
    parts = [one * (weight / total) for one, (_, _, weight) in zip(said, members, strict=True)]
    return parts[0] if len(parts) == 1 else layers.Add(name="together")(parts)


def opinions(features: np.ndarray, members: list[tuple[layers.Layer, Standing, float]]) -> np.ndarray:
    """Return features float32 `[n, d]` with the score of each member beside them, float32 `[n, d + members]`."""
    scores = [in_parts(lambda part, one=one: one[1](one[0](part)), features)[:, :1] for one in members]
    return np.concatenate([features, *scores], axis=1)


def instructed(
    columns: layers.Layer, size: int, members: list[tuple[layers.Layer, Standing, float]], forest: layers.Layer
) -> keras.Model:
    """Return a model as of `joined` whose score comes first of all from a forest that learnt from known anomalies.

    Args:
        forest: from what `opinions` gives to a share of anomalies.
    """
    inputs = keras.Input((size,), dtype="float32", name="inputs")
    features = columns(inputs)
    said = _said(features, members)
    together = _mean(said, members)
    share = forest(ops.concatenate([features, *(one[:, :1] for one in said)], axis=1))[:, :1]
    # What is unknown to the forest is left to the others: they count a tenth of what it can say.
    score = SURENESS * (share + 0.1 * ops.sigmoid(together[:, :1]))
    return keras.Model(inputs, ops.concatenate([score, together[:, 1:]], axis=1), name="answers")
