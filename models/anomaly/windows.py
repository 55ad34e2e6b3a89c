"""Layers of detectors of series. Scaling, missing values and the start of a series are inside the model.

Windows `[n, w, d]` end with the row that is scored: nothing looks past it.
"""

import keras
from keras import layers, ops

FARTHEST = 1e3  # standard deviations: what lies beyond counts as this
LEAST_ERROR = 1e-4  # of squared standard deviations, that a usual error counts as at least


@keras.saving.register_keras_serializable("horngate")
class Standard(layers.Layer):
    """Standardises columns by the mean and the standard deviation of training rows, and fills what is missing.

    A missing value counts as the last one before it in the window; before the first one, as that first one; in a column
    without any, as the training mean.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def build(self, input_shape):
        self.mean = self.add_weight(shape=(input_shape[-1],), initializer="zeros", trainable=False, name="mean")
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", trainable=False, name="scale")

    def call(self, windows):
        """Return float32 `[n, w, d]` without NaN from `[n, w, d]`."""
        values = ops.clip((windows - self.mean) / self.scale, -FARTHEST, FARTHEST)
        values = ops.flip(_carried(ops.flip(_carried(values), axis=1)), axis=1)
        return ops.where(ops.isnan(values), 0.0, values)

    def compute_output_shape(self, input_shape):
        return input_shape


def _carried(values):
    """Return `[n, w, d]` with each NaN replaced by the last value before it, in as many steps as w has binary digits."""
    step = 1
    while step < values.shape[1]:
        before = ops.concatenate([values[:, :1] * ops.ones((1, step, 1)), values[:, :-step]], axis=1)
        values = ops.where(ops.isnan(values), before, values)
        step *= 2
    return values


@keras.saving.register_keras_serializable("horngate")
class Surprise(layers.Layer):
    """Turns the gap between a window and what was expected of it into a score and what each column has in it.

    The score is the root of the mean squared error over the last `smooth` rows and all columns, in units of the usual
    error of each column: 1 is usual, 2 twice as much. What is missing isn't counted. What has nothing before it in the
    window (the first row of a series) is compared with the training mean, in standard deviations.

    Args:
        smooth: rows.
        forecast: whether a row is expected from the rows before it alone.
    """

    def __init__(self, smooth, forecast=False, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.smooth, self.forecast = smooth, forecast

    def build(self, input_shape):
        columns = input_shape[0][-1]
        self.usual = self.add_weight(shape=(columns,), initializer="ones", trainable=False, name="usual")

    def call(self, inputs):
        """Return float32 `[n, 1 + 2 d]`: the score, the columns' parts, which add up to it, and the last row's values.

        Args:
            inputs: windows as they came `[n, w, d]`, standardised ones, and what was expected of these.
        """
        raw, values, expected = inputs
        seen = ops.cast(ops.logical_not(ops.isnan(raw)), "float32")
        errors = ops.square(values - expected) / self.usual
        if self.forecast:
            errors = ops.where(ops.cumsum(seen, axis=1) - seen > 0, errors, ops.square(values))
        errors, seen = (errors * seen)[:, -self.smooth :], seen[:, -self.smooth :]
        parts = ops.sum(errors, axis=1) / ops.maximum(ops.sum(seen, axis=1), 1.0)
        there = ops.maximum(ops.sum(ops.max(seen, axis=1), axis=-1, keepdims=True), 1.0)
        total = ops.sum(parts, axis=-1, keepdims=True)
        score = ops.sqrt(total / there)
        return ops.concatenate([score, parts / ops.maximum(total, 1e-12) * score, values[:, -1]], axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], 1 + 2 * input_shape[0][-1])


@keras.saving.register_keras_serializable("horngate")
class Nearest(layers.Layer):
    """Expects of a window the mean of the k stored training windows that are nearest to it.

    Args:
        windows: how many are stored.
        k: how many are averaged.
    """

    def __init__(self, windows, k, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.windows, self.k = windows, k

    def build(self, input_shape):
        size = input_shape[1] * input_shape[2]
        self.memory = self.add_weight(shape=(self.windows, size), initializer="zeros", trainable=False, name="memory")

    def call(self, values):
        """Return what is expected, `[n, w, d]`, of values of the same shape."""
        memory = ops.convert_to_tensor(self.memory)
        flat = ops.reshape(values, (-1, memory.shape[1]))
        near = 2 * ops.matmul(flat, ops.transpose(memory)) - ops.sum(memory * memory, axis=1)
        _, places = ops.top_k(near, self.k)
        return ops.reshape(ops.mean(ops.take(memory, places, axis=0), axis=1), ops.shape(values))

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("horngate")
class Consensus(layers.Layer):
    """Joins what several detectors say of a row: the mean of their scores and of the columns' parts in them."""

    def call(self, said):
        """Return float32 `[n, 1 + 2 d]` from a list of such outputs."""
        return ops.mean(ops.stack(said, axis=0), axis=0)

    def compute_output_shape(self, input_shape):
        return input_shape[0]


@keras.saving.register_keras_serializable("horngate")
class Subspace(layers.Layer):
    """Projects windows on the subspace of most variance of the training windows: principal components, kept as weights."""

    def __init__(self, components, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.components = components

    def build(self, input_shape):
        size = input_shape[1] * input_shape[2]
        self.centre = self.add_weight(shape=(size,), initializer="zeros", trainable=False, name="centre")
        self.axes = self.add_weight(shape=(size, self.components), initializer="zeros", trainable=False, name="axes")

    def call(self, values):
        """Return the projection `[n, w, d]` of values of the same shape."""
        flat = ops.reshape(values, (-1, self.centre.shape[0])) - self.centre
        near = ops.matmul(ops.matmul(flat, self.axes), ops.transpose(self.axes)) + self.centre
        return ops.reshape(near, ops.shape(values))

    def compute_output_shape(self, input_shape):
        return input_shape
