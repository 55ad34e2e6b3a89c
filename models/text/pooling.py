"""Layers around a text backbone: what it takes of token ids, and what stands for a text."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("horngate")
class TokenInputs(layers.Layer):
    """Makes of token ids what a backbone takes: ids, padding mask, and the number of the text that a token is in.

    Args:
        pad, separator: ids of these tokens.
        names: the backbone's inputs, of `token_ids`, `padding_mask`, `segment_ids`.
    """

    def __init__(self, pad, separator, names=("token_ids", "padding_mask"), **kwargs):
        super().__init__(**kwargs)
        self.pad, self.separator, self.names = pad, separator, tuple(names)

    def call(self, ids):
        """Return int32 `[n, length]` tensors by name from ids int32 `[n, length]`."""
        mask = ops.cast(ops.not_equal(ids, self.pad), "int32")
        ends = ops.cast(ops.equal(ids, self.separator), "int32")
        second = ops.minimum(ops.cumsum(ends, axis=1) - ends, 1) * mask
        made = {"token_ids": ids, "padding_mask": mask, "segment_ids": second}
        return {name: made[name] for name in self.names}

    def compute_output_shape(self, input_shape):
        return dict.fromkeys(self.names, input_shape)

    def compute_output_spec(self, ids):
        return {name: keras.KerasTensor(ids.shape, dtype="int32") for name in self.names}


@keras.saving.register_keras_serializable("horngate")
class MaskedMean(layers.Layer):
    """The mean over the tokens that are no padding."""

    def call(self, sequence, mask):
        """Return float32 `[n, d]` from `[n, length, d]` and the mask `[n, length]`."""
        weights = ops.expand_dims(ops.cast(mask, "float32"), -1)
        total = ops.sum(ops.cast(sequence, "float32") * weights, axis=1)
        return total / ops.maximum(ops.sum(weights, axis=1), 1.0)

    def compute_output_shape(self, sequence_shape, mask_shape=None):
        return (sequence_shape[0], sequence_shape[-1])


@keras.saving.register_keras_serializable("horngate")
class FirstToken(layers.Layer):
    """The first token's vector, which stands for the text in BERT and its kin."""

    def call(self, sequence, mask):
        """Return float32 `[n, d]` from `[n, length, d]`."""
        return ops.cast(sequence[:, 0], "float32")

    def compute_output_shape(self, sequence_shape, mask_shape=None):
        return (sequence_shape[0], sequence_shape[-1])


POOLINGS = {"mean": MaskedMean, "first": FirstToken}
