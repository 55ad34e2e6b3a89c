"""What a segmenter learns by: cross-entropy of pixels and the overlap of classes, unlabelled pixels left out."""

import keras
from keras import ops

UNLABELLED = 255  # in masks of class numbers: a pixel that counts nowhere
SMOOTH = 1.0  # pixels added to both sides of a Dice coefficient, so that classes that are nowhere count as found


@keras.saving.register_keras_serializable("horngate")
class OverlapLoss(keras.losses.Loss):
    """Cross-entropy plus one minus the mean soft Dice coefficient of all classes but the first.

    The Dice coefficient is taken over all pixels of a batch (Milletari et al. 2016, arXiv 1606.04797; summed with the
    cross-entropy as in Isensee et al. 2021, doi 10.1038/s41592-020-01008-z).

    Args:
        overlap: the share of the Dice part; 0 leaves the cross-entropy alone.
        balance: a weight for each class in the cross-entropy, or None.
    """

    def __init__(self, overlap=1.0, balance=None, **kwargs):
        super().__init__(**{"name": "overlap_loss"} | kwargs)
        self.overlap, self.balance = overlap, None if balance is None else list(balance)

    def call(self, y_true, y_pred):
        """Return float32 `[n]` from class numbers `[n, h, w]` and logits `[n, h, w, classes]`."""
        logits = ops.cast(y_pred, "float32")
        hot, known = _one_hot(y_true, logits.shape[-1])
        logs = ops.log_softmax(logits, axis=-1)
        shares = hot if self.balance is None else hot * ops.array(self.balance, "float32")
        sums = ops.sum(-shares * logs, axis=(1, 2, 3))
        losses = sums / ops.maximum(ops.sum(shares, axis=(1, 2, 3)), 1.0)
        if not self.overlap:
            return losses
        said = ops.exp(logs) * known[..., None]
        both = ops.sum(said * hot, axis=(0, 1, 2))
        sizes = ops.sum(said, axis=(0, 1, 2)) + ops.sum(hot, axis=(0, 1, 2))
        dice = (2 * both + SMOOTH) / (sizes + SMOOTH)
        return losses + self.overlap * (1 - ops.mean(dice[1:]))

    def get_config(self):
        return {"overlap": self.overlap, "balance": self.balance, "name": self.name}


@keras.saving.register_keras_serializable("horngate")
class LabelledAccuracy(keras.metrics.Metric):
    """The share of labelled pixels whose class is right."""

    def __init__(self, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.right = self.add_weight(shape=(), initializer="zeros", name="right")
        self.all = self.add_weight(shape=(), initializer="zeros", name="all")

    def update_state(self, y_true, y_pred, sample_weight=None):
        known = ops.cast(ops.not_equal(ops.cast(y_true, "int32"), UNLABELLED), "float32")
        hit = ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), ops.cast(y_true, "int32"))
        self.right.assign_add(ops.sum(ops.cast(hit, "float32") * known))
        self.all.assign_add(ops.sum(known))

    def result(self):
        return self.right / ops.maximum(self.all, 1.0)


def _one_hot(numbers, classes: int):
    """Return float32 `[n, h, w, classes]`, zeros where unlabelled, and float32 `[n, h, w]`: 1 where labelled."""
    numbers = ops.cast(numbers, "int32")
    known = ops.cast(ops.not_equal(numbers, UNLABELLED), "float32")
    return ops.one_hot(ops.where(numbers == UNLABELLED, 0, numbers), classes) * known[..., None], known
