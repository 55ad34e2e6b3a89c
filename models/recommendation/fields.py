"""Both ends of a network that scores rows: vectors of categories that a row holds, and the answer that logits mean."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable("horngate")
class Fields(layers.Layer):
    """Looks up a vector for each categorical column of rows float32 `[n, width]`, which hold codes, NaN for gaps.

    A column of `size` categories has vectors for the codes 0 … size - 1, for any other (code `size` or more) and for a gap.
    A column may take several places, one for each of its values; then its vector is the mean of theirs, NaN places left out.

    Args:
        entries: (first place, places, size) of each categorical column.
        dimension: length of the vectors.
        spread: of their first values.
    """

    def __init__(self, entries: Sequence[Sequence[int]], dimension: int, spread: float = 0.05, **kwargs):
        super().__init__(**kwargs | {"autocast": False})  # half precision would blur codes
        self.entries, self.dimension, self.spread = [list(entry) for entry in entries], dimension, spread
        counts = np.array([size + 2 for _, _, size in self.entries])
        self.places = [first + place for first, slots, _ in self.entries for place in range(slots)]
        each = np.array([slots for _, slots, _ in self.entries])
        field = np.repeat(np.arange(len(each)), each)
        self.gap_codes = (counts - 1)[field].astype("float32")
        self.offsets = (np.cumsum(counts) - counts)[field].astype("int32")
        self.belongs = np.eye(len(each), dtype="float32")[field]  # [places, columns]
        self.first = np.zeros((len(each), len(field)), "float32")
        self.first[np.arange(len(each)), np.cumsum(each) - each] = 1.0
        self.alone = (each[field] == 1).astype("float32")
        self.table = layers.Embedding(
            int(counts.sum()),
            dimension,
            embeddings_initializer=keras.initializers.RandomNormal(0.0, spread),
            name="vectors",
        )

    def build(self, input_shape):
        self.table.build((None, len(self.places)))

    def call(self, rows):
        """Return `[n, columns, dimension]`."""
        taken = ops.take(rows, self.places, axis=1)
        gap = ops.isnan(taken)
        last = ops.broadcast_to(self.gap_codes, ops.shape(taken))
        codes = ops.where(gap, last, ops.clip(ops.where(gap, last, taken), 0.0, last - 1.0))
        vectors = self.table(ops.cast(codes, "int32") + self.offsets)
        if len(self.places) == len(self.entries):
            return vectors
        there = ops.maximum(ops.cast(ops.logical_not(gap), vectors.dtype), ops.cast(self.alone, vectors.dtype))
        belongs = ops.cast(self.belongs, vectors.dtype)
        counts = ops.matmul(there, belongs)
        there = there + ops.matmul(ops.cast(ops.equal(counts, 0), vectors.dtype), ops.cast(self.first, vectors.dtype))
        shares = there / ops.matmul(ops.maximum(counts, 1.0), ops.transpose(belongs))
        return ops.matmul(ops.transpose(belongs), vectors * ops.expand_dims(shares, -1))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], len(self.entries), self.dimension)


@keras.saving.register_keras_serializable("horngate")
class Answer(layers.Layer):
    """Turns logits into probabilities, or into ratings: `mean + spread * logit`, no farther than `low` to `high`.

    Args:
        clicks: whether probabilities are asked for.
    """

    def __init__(self, clicks: bool, mean=0.0, spread=1.0, low=0.0, high=1.0, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.clicks, self.mean, self.spread, self.low, self.high = clicks, mean, spread, low, high

    def call(self, logits):
        """Return float32 `[n, 1]` from logits of the same shape."""
        logits = ops.cast(logits, "float32")
        if self.clicks:
            return ops.sigmoid(logits)
        return ops.clip(self.mean + self.spread * logits, self.low, self.high)

    def compute_output_shape(self, input_shape):
        return input_shape
