"""Vectors that flow along the edges between users and items (LightGCN, He et al. 2020)."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops


class Edges:
    """A sparse matrix `[rows, columns]` that multiplies vectors, and its transpose for the way back.

    Args:
        row, column: int `[n]`, places of the edges, sorted by row.
        weight: float32 `[n]`.
        shape: rows and columns.
        product: makes what `summed` makes of such arguments, perhaps faster.
    """

    def __init__(
        self,
        row: np.ndarray,
        column: np.ndarray,
        weight: np.ndarray,
        shape: tuple[int, int],
        product: Callable | None = None,
    ):
        order = np.lexsort((row, column))
        sides = ((row, column, weight, shape), (column[order], row[order], weight[order], shape[::-1]))
        make = product or summed
        self.forth, self.back = (make(*side) for side in sides)

    def times(self, vectors):
        """Return the product with float32 `[columns, d]`."""
        return self._product(vectors, self.forth, self.back)

    def transposed(self, vectors):
        """Return the product of the transpose with float32 `[rows, d]`."""
        return self._product(vectors, self.back, self.forth)

    @staticmethod
    def _product(vectors, forth, back):
        @ops.custom_gradient
        def product(vectors):
            def grad(*args, upstream=None):
                return back(args[0] if upstream is None else upstream)

            return forth(vectors), grad

        return product(vectors)


def summed(row: np.ndarray, column: np.ndarray, weight: np.ndarray, shape: tuple[int, int]):
    """Return a function from float32 `[columns, d]` to its product with a sparse matrix, by sums over the rows."""
    row, column = row.astype(np.int32), column.astype(np.int32)

    def product(vectors):
        gathered = ops.take(vectors, column, axis=0) * weight[:, None]
        return ops.segment_sum(gathered, row, shape[0])

    return product


class Propagated(keras.layers.Layer):
    """Scores of all items for users given by code, whose vectors are means over what lies 0 to `layers` steps away.

    Takes int32 `[n]`, returns float32 `[n, items]`: cosines over a temperature. It only learns; `vectors` gives what is
    kept.

    Args:
        edges: between users and items, each weighing 1 / sqrt(degree of its user × degree of its item).
        start: vectors of users and of items to begin with, float32 `[users, d]` and `[items, d]`.
    """

    def __init__(self, edges: Edges, start: tuple[np.ndarray, np.ndarray], layers: int, temperature: float, **kwargs):
        super().__init__(**kwargs)
        self.edges, self.start, self.layers, self.temperature = edges, start, layers, temperature
        self.dimension = start[0].shape[1]

    def build(self, shape=None):
        names = ("user_vectors", "item_vectors")
        for name, values in zip(names, self.start, strict=True):
            initial = keras.initializers.Constant(0.0)
            setattr(self, name, self.add_weight(values.shape, initial, name=name))
            getattr(self, name).assign(values)

    def vectors(self):
        """Return the vectors of users and of items, float32 `[users, d]` and `[items, d]`, each of length 1."""
        user, item = ops.copy(self.user_vectors), ops.copy(self.item_vectors)
        users, items = user, item
        for _ in range(self.layers):
            user, item = self.edges.times(item), self.edges.transposed(user)
            users, items = users + user, items + item
        return ops.normalize(users, axis=1), ops.normalize(items, axis=1)

    def call(self, codes, chosen=None):
        """Return the scores, float32 `[n, items]`, or `[n, m]` of the items with m chosen codes."""
        users, items = self.vectors()
        items = items if chosen is None else ops.take(items, chosen, axis=0)
        return ops.matmul(ops.take(users, codes, axis=0), ops.transpose(items)) / self.temperature
