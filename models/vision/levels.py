"""Grey pictures for networks that know colour, as the first layer of a saved model."""

import keras
from keras import ops


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

    def get_config(self):
        return super().get_config() | {"channels": self.channels}
