"""Connectionist temporal classification (Graves et al. 2006): its loss, with the lengths that padding must not change."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("horngate")
class CtcLoss(keras.losses.Loss):
    """The negative log-probability of the units, over all ways to spread them over the frames that hold sound.

    Targets are int32 `[n, 1 + units]`: the frames that are heard, then the units' numbers from 1 on, filled up with 0, which
    is the blank. Answers are logits float32 `[n, frames, units + 1]`.
    """

    def __init__(self, name="ctc", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, targets, logits):
        """Return float32 `[n]`, in nats per unit of the target."""
        targets = ops.cast(targets, "int32")
        frames, units = targets[:, 0], targets[:, 1:]
        lengths = ops.sum(ops.cast(units > 0, "int32"), axis=-1)
        losses = ops.ctc_loss(units, ops.cast(logits, "float32"), lengths, frames, mask_index=0)
        return losses / ops.cast(ops.maximum(lengths, 1), "float32")
