"""Networks that sort short sounds: samples in, one vector of features out, the front end inside."""

import keras
from keras import layers, ops

from horngate.models.speech.spectra import LogMel, Masking


def keyword_encoder(
    name: str, rate: int, samples: int, masking: Masking, width: int = 64, dropout: float = 0.1
) -> keras.Model:
    """Return a model named `encoder` from samples float32 `[n, samples]` at a rate to features float32 `[n, d]`.

    Args:
        name: `ds-tc-resnet` or `transformer`.
        masking: what changes the spectra at random while it learns.
        width: channels of the residual blocks, or of the transformer.
    """
    inputs = keras.Input((samples,), dtype="float32", name="samples")
    x = masking(LogMel(rate, name="log_mel")(inputs))
    x = _transformer(x, width, dropout) if name == "transformer" else _ds_tc_resnet(x, width, dropout)
    return keras.Model(inputs, x, name="encoder")


def _ds_tc_resnet(x, width: int, dropout: float):
    """Depthwise-separable temporal convolutions with residuals, bands as channels, two steps in time becoming one twice.

    After MatchboxNet (Majumdar & Ginsburg 2020, arXiv 2004.08531) and TC-ResNet (Choi et al. 2019, arXiv 1904.03814).
    """
    x = _normal(layers.Conv1D(width, 5, strides=2, padding="same", use_bias=False)(x))
    for channels, strides in ((width, 1), (3 * width // 2, 2), (3 * width // 2, 1)):
        x = _block(x, channels, strides, dropout)
    x = _normal(layers.Conv1D(2 * width, 1, use_bias=False)(x))
    mean, most = layers.GlobalAveragePooling1D(name="mean")(x), layers.GlobalMaxPooling1D(name="most")(x)
    return layers.Concatenate(name="pool", dtype="float32")([mean, most])


def _normal(x):
    return layers.Activation("relu")(layers.BatchNormalization()(x))


def _block(x, channels: int, strides: int, dropout: float, kernel: int = 9):
    beside = x
    if strides > 1 or x.shape[-1] != channels:
        beside = layers.Conv1D(channels, 1, strides=strides, padding="same", use_bias=False)(x)
        beside = layers.BatchNormalization()(beside)
    x = layers.SeparableConv1D(channels, kernel, strides=strides, padding="same", use_bias=False)(x)
    x = layers.Dropout(dropout)(_normal(x))
    x = layers.BatchNormalization()(layers.SeparableConv1D(channels, kernel, padding="same", use_bias=False)(x))
    return layers.Activation("relu")(layers.Add()([x, beside]))


def _transformer(x, width: int, dropout: float, depth: int = 4):
    """Attention over patches of time, each all bands of a few frames (Berg et al. 2021, arXiv 2104.00769)."""
    x = layers.Conv1D(width, 5, strides=3, padding="same", name="patches")(x)
    x = Positions(name="positions")(x)
    for place in range(depth):
        y = layers.LayerNormalization()(x)
        y = layers.MultiHeadAttention(4, width // 4, dropout=dropout, name=f"attention_{place}")(y, y)
        x = layers.Add()([x, y])
        y = layers.Dense(3 * width, activation="gelu")(layers.LayerNormalization()(x))
        y = layers.Dropout(dropout)(layers.Dense(width)(y))
        x = layers.Add()([x, y])
    x = layers.LayerNormalization()(x)
    return layers.GlobalAveragePooling1D(name="pool", dtype="float32")(x)


@keras.saving.register_keras_serializable("horngate")
class Positions(layers.Layer):
    """Adds a learnt vector to each place in time."""

    def build(self, input_shape):
        self.places = self.add_weight(shape=input_shape[1:], initializer="random_normal", name="places")

    def call(self, x):
        """Return `[n, places, width]` of the same shape."""
        return x + ops.cast(self.places, x.dtype)[None]

    def compute_output_shape(self, input_shape):
        return input_shape
