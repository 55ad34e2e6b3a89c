"""PaDiM (Defard et al. 2021, arXiv 2011.08785): how far each patch lies from what is usual at its place in the picture."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

RIDGE = 0.01  # share of the mean variance that is added to every variance, so that each covariance has an inverse


@keras.saving.register_keras_serializable("horngate")
class Gaussians(keras.layers.Layer):
    """Scores patches by their Mahalanobis distance to the Gaussian of their place.

    Args:
        places: height × width of the grid.
        dimensions: how many channels are looked at.
    """

    def __init__(self, places, dimensions, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.places, self.dimensions = places, dimensions

    def build(self, input_shape):
        count, places = self.dimensions, self.places
        kept = {"initializer": "zeros", "trainable": False}
        self.channels = self.add_weight(shape=(count,), dtype="int32", name="channels", **kept)
        self.means = self.add_weight(shape=(places, count), name="means", **kept)
        self.whitening = self.add_weight(shape=(places, count, count), name="whitening", **kept)

    def call(self, patches):
        """Return float32 `[n, 1 + h * w]` from `[n, h, w, c]`: the greatest distance of the map, then the map."""
        chosen = ops.take(patches, self.channels, axis=3)
        centred = ops.reshape(chosen, (-1, self.places, self.dimensions)) - self.means
        whitened = ops.matmul(ops.transpose(centred, (1, 0, 2)), self.whitening)
        distances = ops.transpose(ops.sqrt(ops.sum(ops.square(whitened), axis=2)))
        return ops.concatenate([ops.max(distances, axis=1, keepdims=True), distances], axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape[0], 1 + self.places


def padim(encoder: keras.Model, batches: Iterable[np.ndarray], dimensions: int, seed: int) -> keras.Model:
    """Return the model from pixels to float32 `[n, 1 + h * w]`, score and map, fitted in one pass.

    Args:
        encoder: of patches, as `patch_encoder` gives it.
        batches: patches float32 `[n, h, w, c]` of the training pictures.
        dimensions: how many channels are drawn at random; fewer where the backbone has fewer.
        seed: of that draw.
    """
    _, height, width, channels = encoder.output_shape
    count = min(dimensions, channels)
    chosen = np.sort(np.random.default_rng(seed).permutation(channels)[:count])
    means, whitening = _fitted(batches, chosen, height * width)
    layer = Gaussians(height * width, count, name="gaussians")
    model = keras.Model(encoder.input, layer(encoder.output), name="padim")
    layer.set_weights([chosen.astype(np.int32), means, whitening])
    return model


def _fitted(batches: Iterable[np.ndarray], chosen: np.ndarray, places: int) -> tuple[np.ndarray, np.ndarray]:
    """Return means float32 `[places, d]`, and `[places, d, d]` whose product with its transpose inverts the covariance."""
    count = len(chosen)
    sums, products, rows = np.zeros((places, count)), np.zeros((places, count, count)), 0
    shift = None  # near the mean, so that the sums of squares cancel less
    for batch in batches:
        flat = batch[..., chosen].reshape(len(batch), places, count).astype(np.float64)
        shift = flat.mean(0) if shift is None else shift
        by_place = (flat - shift).transpose(1, 2, 0)
        sums += by_place.sum(2)
        products += by_place @ by_place.transpose(0, 2, 1)
        rows += len(batch)
    offset = sums / rows
    covariances = (products - rows * offset[:, :, None] * offset[:, None, :]) / max(rows - 1, 1)
    variance = float(np.trace(covariances, axis1=1, axis2=2).mean()) / count
    covariances += (RIDGE * variance + 1e-12) * np.eye(count)
    values, vectors = np.linalg.eigh(covariances)
    return (shift + offset).astype(np.float32), (vectors / np.sqrt(values)[:, None, :]).astype(np.float32)
