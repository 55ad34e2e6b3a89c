"""What a backbone expects of pixels, as the first layer of the saved model."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("horngate")
class Scaling(keras.layers.Layer):
    """Multiplies and shifts each channel of uint8 pixels, and reverses the channels to BGR where asked.

    Args:
        scale: 3 factors, one per RGB channel of the input.
        offset: 3 terms, added after the factors.
        reverse: whether the output is BGR.
    """

    def __init__(self, scale=(1.0, 1.0, 1.0), offset=(0.0, 0.0, 0.0), reverse=False, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.offset, self.reverse = tuple(scale), tuple(offset), reverse

    def call(self, pixels):
        """Return `[n, h, w, 3]` in the compute dtype from `[n, h, w, 3]` uint8 or float pixels in 0…255."""
        values = ops.cast(pixels, "float32") * ops.array(self.scale, "float32") + ops.array(self.offset, "float32")
        values = values[..., ::-1] if self.reverse else values
        return ops.cast(values, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape


def scaling_like(preprocess) -> Scaling:
    """Return the layer that does what a `preprocess_input` of `keras.applications` does.

    They are all affine in each channel, with or without a turn to BGR: two probes, black and a colour, tell which.
    """
    black = np.asarray(preprocess(np.zeros((1, 1, 1, 3), "float32"))).reshape(3)
    colour = np.array([255.0, 51.0, 102.0], "float32")
    seen = np.asarray(preprocess(colour.reshape(1, 1, 1, 3).copy())).reshape(3)
    white = np.asarray(preprocess(np.full((1, 1, 1, 3), 255.0, "float32"))).reshape(3)
    scale = (white - black) / 255.0
    straight = np.abs(colour * scale + black - seen).max()
    reverse = bool(np.abs(colour[::-1] * scale + black - seen).max() < straight)
    if reverse:
        scale, black = scale[::-1], black[::-1]
    return Scaling([float(value) for value in scale], [float(value) for value in black], reverse, name="scaling")


@keras.saving.register_keras_serializable("horngate")
class Levels(keras.layers.Layer):
    """Takes pixels in 0…255 of any type to float32, and repeats grey ones for each channel of the output.

    Args:
        channels: of the output; those of the input are 1 or as many.
    """

    def __init__(self, channels=3, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.channels = channels

    def call(self, pixels):
        """Return float32 `[n, h, w, channels]` from `[n, h, w, c]`."""
        values = ops.cast(pixels, "float32")
        return ops.repeat(values, self.channels, axis=-1) if values.shape[-1] != self.channels else values

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.channels)
