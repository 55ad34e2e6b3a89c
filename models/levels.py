"""Pixels of any range, grey or in colour, as the first layer of a saved model: what a backbone of colour pictures takes."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("horngate")
class Levels(keras.layers.Layer):
    """Brings pixels to 0…255 linearly and repeats grey ones, so that one scaling behind it fits all of them.

    Values beyond the range are cut off only where `cut`, so that a rare bright spot keeps its place above the rest.

    Args:
        low, high: the values that become 0 and 255.
        channels: of the output; grey pixels are repeated.
        cut: whether to clip to 0…255.
    """

    def __init__(self, low=0.0, high=255.0, channels=3, cut=False, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.low, self.high, self.channels, self.cut = float(low), float(high), channels, cut

    def call(self, pixels):
        """Return float32 `[n, h, w, channels]` from `[n, h, w, c]` of any dtype, c being 1 or `channels`."""
        values = ops.cast(pixels, "float32")
        if (self.low, self.high) != (0.0, 255.0):
            values = (values - self.low) * (255.0 / (self.high - self.low))
        values = ops.clip(values, 0.0, 255.0) if self.cut else values
        return ops.repeat(values, self.channels, axis=-1) if values.shape[-1] != self.channels else values

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.channels)

    def get_config(self):
        config = {"low": self.low, "high": self.high, "channels": self.channels, "cut": self.cut}
        return super().get_config() | config
