"""PatchCore (Roth et al. 2022, arXiv 2106.08265): a picture is as strange as its patch that is least like any kept one."""

import keras
import numpy as np
from keras import ops

PROJECTED = 128  # dimensions that the coreset is chosen in
NEIGHBOURS = 9  # of a kept patch, that the score of a picture is weighed by


@keras.saving.register_keras_serializable("horngate")
class MemoryBank(keras.layers.Layer):
    """Scores patches by their distance to the nearest of the kept ones.

    Args:
        size: how many patches are kept.
        dimensions: of a patch.
        neighbours: how many nearest kept patches of a kept patch weigh the score of a picture, itself among them.
    """

    def __init__(self, size, dimensions, neighbours, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.size, self.dimensions, self.neighbours = size, dimensions, neighbours

    def build(self, input_shape):
        shape = (self.size, self.dimensions)
        self.memory = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="memory")
        shape = (self.size, self.neighbours)
        self.near = self.add_weight(shape=shape, initializer="zeros", trainable=False, dtype="int32", name="near")

    def keep(self, patches: np.ndarray) -> None:
        """Store float32 `[size, dimensions]` patches."""
        self.memory.assign(patches)
        self.near.assign(_nearest(patches, self.neighbours))

    def call(self, patches):
        """Return float32 `[n, 1 + h * w]` from `[n, h, w, dimensions]`: the picture's score, then the map of distances.

        The score is the greatest distance of the map, weighed by equation 7 of the paper: the less, the more the other
        kept patches around the nearest one are as near.
        """
        places = patches.shape[1] * patches.shape[2]
        flat = ops.reshape(patches, (-1, self.dimensions))
        products = ops.matmul(flat, ops.transpose(self.memory))
        lengths = ops.sum(ops.square(self.memory), axis=1)
        nearest = ops.top_k(2 * products - lengths, 1)[1][:, 0]  # argmin of Keras can't be converted to LiteRT
        apart = flat - ops.take(self.memory, nearest, axis=0)  # exact, where the products cancel
        distances = ops.reshape(ops.sqrt(ops.sum(ops.square(apart), axis=1)), (-1, places))
        greatest, worst = ops.top_k(distances, 1)
        patch = ops.take_along_axis(ops.reshape(patches, (-1, places, self.dimensions)), worst[..., None], axis=1)
        kept = ops.take_along_axis(ops.reshape(nearest, (-1, places)), worst, axis=1)[:, 0]
        around = ops.take(self.memory, ops.take(self.near, kept, axis=0), axis=0)
        beside = ops.sqrt(ops.sum(ops.square(patch - around), axis=2))
        share = ops.softmax(beside, axis=1)[:, :1]  # the first neighbour is the nearest kept patch itself
        score = greatest if self.neighbours == 1 else (1 - share) * greatest
        return ops.concatenate([score, distances], axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape[0], 1 + input_shape[1] * input_shape[2]


def patch_core(encoder: keras.Model, kept: np.ndarray) -> keras.Model:
    """Return the model from pixels to float32 `[n, 1 + h * w]`, score and map.

    Args:
        encoder: of patches, as `patch_encoder` gives it.
        kept: float32 `[m, c]`, the coreset.
    """
    bank = MemoryBank(len(kept), kept.shape[1], min(NEIGHBOURS, len(kept)), name="bank")
    model = keras.Model(encoder.input, bank(encoder.output), name="patch_core")
    bank.keep(kept)
    return model


def coreset(patches: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return int64 `[≤ count]` rows so chosen that every patch is near one of them (greedy, as in Sener & Savarese 2018).

    Distances are measured in a random projection to 128 dimensions, as in the paper. Where fewer patches differ, fewer
    are chosen.

    Args:
        patches: float32 `[n, d]`.
        count: how many at most.
        seed: of the projection and of the first row.
    """
    draw = np.random.default_rng(seed)
    dimensions = patches.shape[1]
    if dimensions > PROJECTED:
        patches = patches @ (draw.standard_normal((dimensions, PROJECTED)) / PROJECTED**0.5).astype(np.float32)
    lengths = np.einsum("nd,nd->n", patches, patches)
    smallest = 1e-6 * max(float(lengths.max()), 1e-12)  # squared distance below which two patches are the same
    chosen = [int(draw.integers(len(patches)))]
    farthest = np.full(len(patches), np.inf, np.float32)
    while len(chosen) < min(count, len(patches)):
        last = chosen[-1]
        np.minimum(farthest, lengths + lengths[last] - 2 * (patches @ patches[last]), out=farthest)
        following = int(farthest.argmax())
        if farthest[following] <= smallest:
            break
        chosen.append(following)
    return np.array(chosen, np.int64)


def _nearest(patches: np.ndarray, count: int) -> np.ndarray:
    """Return int32 `[m, count]`: the nearest of the kept patches to each, itself first, in blocks of rows."""
    lengths = np.einsum("nd,nd->n", patches, patches)
    found = np.zeros((len(patches), count), np.int32)
    for start in range(0, len(patches), 1024):
        block = slice(start, start + 1024)
        distances = lengths[None, :] - 2 * patches[block] @ patches.T
        rows = np.arange(len(distances))
        distances[rows, rows + start] = -np.inf
        found[block] = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return found
