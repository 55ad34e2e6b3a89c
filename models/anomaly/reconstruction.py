"""A convolutional autoencoder of pictures: what it can't draw again is strange to it."""

import keras
from keras import layers, ops

from horngate.models.vision.scaling import Scaling

WINDOW = 7  # pixels, side of the square that structural similarity compares
COARSER = 4  # pixels of the picture per place of the map
CONSTANTS = (0.01**2, 0.03**2)  # of structural similarity, for values in 0…1


@keras.saving.register_keras_serializable("horngate")
class ReconstructionError(layers.Layer):
    """Scores each place of a picture by how badly it was drawn again.

    Args:
        kind: `ssim`, 1 − structural similarity, or `squared`.
    """

    def __init__(self, kind="ssim", **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.kind = kind

    def call(self, pictures):
        """Return float32 `[n, 1 + h * w]`: the greatest error of the map, then the map, with 4 pixels to a place.

        Args:
            pictures: the picture and its reconstruction, both `[n, s, s, 3]` in 0…1.
        """
        errors = error_map(*pictures, self.kind)
        places = ops.average_pool(errors, COARSER, COARSER, "same")
        flat = ops.reshape(places, (-1, places.shape[1] * places.shape[2]))
        return ops.concatenate([ops.max(flat, axis=1, keepdims=True), flat], axis=1)

    def compute_output_shape(self, input_shape):
        count, height, width, _ = input_shape[0]
        return count, 1 + -(-height // COARSER) * -(-width // COARSER)


def error_map(picture, drawn, kind: str):
    """Return float32 `[n, h, w, 1]` of pictures and reconstructions `[n, h, w, 3]` in 0…1, averaged over the channels.

    Squared differences averaged over squares of 7 pixels, or 1 − SSIM (Wang et al. 2004) in the same squares, as Bergmann
    et al. 2018 (arXiv 1807.02011) score autoencoders. Squares at the border are cut.
    """

    def mean(values):
        return ops.average_pool(values, WINDOW, 1, "same")

    if kind == "squared":
        return ops.mean(mean(ops.square(picture - drawn)), axis=3, keepdims=True)
    means = mean(picture), mean(drawn)
    variances = [
        mean(ops.square(one)) - ops.square(middle) for one, middle in zip((picture, drawn), means, strict=True)
    ]
    together = mean(picture * drawn) - means[0] * means[1]
    light = (2 * means[0] * means[1] + CONSTANTS[0]) / (ops.square(means[0]) + ops.square(means[1]) + CONSTANTS[0])
    structure = (2 * together + CONSTANTS[1]) / (variances[0] + variances[1] + CONSTANTS[1])
    return 1 - ops.mean(light * structure, axis=3, keepdims=True)


def reconstructor(size: int, latent: int, width: int = 32) -> keras.Model:
    """Return a network from uint8 pixels `[n, s, s, 3]` to their reconstruction float32 `[n, s, s, 3]` in 0…1.

    Strided convolutions down to a grid of about 4 × 4 places with `latent` channels, and back.

    Args:
        size: side of the picture in pixels.
        latent: channels at the narrowest point.
        width: channels of the first convolution; later ones have up to four times as many.
    """
    inputs = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    x = Scaling([1 / 255] * 3, [0.0] * 3, name="scaling")(inputs)
    sides, channels = [size], width
    while sides[-1] > 7:
        x = _convolved(layers.Conv2D(channels, 4, strides=2, padding="same"), x)
        sides.append(x.shape[1])
        channels = min(2 * channels, 4 * width)
    x = layers.Conv2D(latent, 1, name="narrow")(x)
    for depth, side in enumerate(reversed(sides[:-1])):
        channels = min(width * 2 ** (len(sides) - 2 - depth), 4 * width)
        x = _convolved(layers.Conv2DTranspose(channels, 4, strides=2, padding="same"), x)
        if x.shape[1] != side:  # an odd side was rounded up on the way down
            x = layers.Cropping2D(((0, x.shape[1] - side), (0, x.shape[2] - side)))(x)
    drawn = layers.Conv2D(3, 3, padding="same", activation="sigmoid", dtype="float32", name="drawn")(x)
    return keras.Model(inputs, drawn, name="reconstructor")


def _convolved(layer: layers.Layer, x):
    return layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(layer(x)))


def autoencoder(network: keras.Model, kind: str) -> keras.Model:
    """Return the model from pixels to float32 `[n, 1 + h * w]`, score and map, of a reconstructor."""
    inputs = keras.Input(network.input_shape[1:], dtype="uint8", name="pixels")
    plain = Scaling([1 / 255] * 3, [0.0] * 3, name="plain", dtype="float32")(inputs)
    scores = ReconstructionError(kind, name="error")([plain, network(inputs)])
    return keras.Model(inputs, scores, name="autoencoder")


@keras.saving.register_keras_serializable("horngate")
class PictureLoss(keras.losses.Loss):
    """The mean of an error map between uint8 pixels and their reconstruction.

    Args:
        kind: as of `ReconstructionError`.
    """

    def __init__(self, kind="ssim", **kwargs):
        super().__init__(**{"name": "picture_loss"} | kwargs)
        self.kind = kind

    def call(self, y_true, y_pred):
        return ops.mean(
            error_map(ops.cast(y_true, "float32") / 255, ops.cast(y_pred, "float32"), self.kind), axis=(1, 2, 3)
        )

    def get_config(self):
        return {"kind": self.kind, "name": self.name}
