"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): which part of a picture speaks for a class."""

import keras
import numpy as np

BATCH = 32  # pictures per forward pass


def grad_cam(answers: keras.Model, pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return heat maps float32 `[n, h, w]` in 0…1 for pixels `[n, s, s, c]` and one class index per picture.

    With average pooling before one dense layer, the gradient of a logit with respect to a map is that layer's weight
    divided by the map's size, so the maps weighted by the head's kernel are Grad-CAM exactly, on any Keras backend.

    Raises:
        ValueError: the encoder has no spatial maps before its pooling.
    """
    encoder = answers.get_layer("encoder")
    pool = encoder.get_layer("pool")
    if len(pool.input.shape) != 4:
        raise ValueError("Grad-CAM needs a backbone with spatial maps, such as a convolutional one")
    spatial = keras.Model(encoder.input, pool.input)
    kernel = np.asarray(answers.get_layer("head").kernel, np.float32)[:, classes]
    heats = []
    for start in range(0, len(pixels), BATCH):
        part = slice(start, start + BATCH)
        maps = np.asarray(spatial.predict_on_batch(pixels[part]), np.float32)
        heats.append(np.maximum(np.einsum("nhwc,cn->nhw", maps, kernel[:, part]), 0))
    heat = np.concatenate(heats)
    return heat / np.maximum(heat.max((1, 2), keepdims=True), 1e-12)
