"""The shape of every model with a backbone: raw input → encoder → head → scores, in one saved file."""

from dataclasses import dataclass
from typing import ClassVar

import keras
from keras import layers, ops

MOST_MOMENTUM = 0.95  # of batch normalisation that learns


@keras.saving.register_keras_serializable("horngate")
class Scores(layers.Layer):
    """Turns logits into scores: softmax, or sigmoid for several labels, after division by a temperature.

    The temperature is a weight, so that every export of the model has it (Guo et al. 2017, arXiv 1706.04599).
    """

    def __init__(self, several=False, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.several = several

    def build(self, input_shape):
        self.temperature = self.add_weight(shape=(), initializer="ones", trainable=False, name="temperature")

    def call(self, logits):
        """Return float32 scores `[n, classes]` from logits of the same shape."""
        cooled = ops.cast(logits, "float32") / self.temperature
        return ops.sigmoid(cooled) if self.several else ops.softmax(cooled)

    def compute_output_shape(self, input_shape):
        return input_shape


@dataclass(frozen=True)
class Network:
    """A classifier and its parts, which share their weights.

    Attributes:
        answers: raw input → scores `[n, classes]`; what is saved and used.
        logits: raw input → logits `[n, classes]`; what is trained.
        encoder: raw input → features `[n, d]`.
        head: the dense layer on the features.
        monitor: the validation measure (lower is better) that says which epoch is best.
        gentle: peak learning rate of fine-tuning and the share of it next to the input, where the encoder doesn't say it.
    """

    answers: keras.Model
    logits: keras.Model
    monitor: ClassVar[str] = "val_loss"
    gentle: ClassVar[tuple[float, float] | None] = None

    @property
    def encoder(self) -> keras.Model:
        return self.answers.get_layer("encoder")

    @property
    def head(self) -> layers.Dense:
        return self.answers.get_layer("head")

    @property
    def scores(self) -> Scores:
        return self.answers.get_layer("scores")

    @classmethod
    def around(
        cls, encoder: keras.Model, classes: int, several: bool, dropout: float = 0.2, seed: int = 0
    ) -> "Network":
        """Return a classifier on an encoder (a model named `encoder`) with a head that starts at zero."""
        features = encoder(encoder.input)
        dropped = layers.Dropout(dropout, seed=seed, name="dropout")(features)
        head = layers.Dense(classes, kernel_initializer="zeros", dtype="float32", name="head")
        logits = head(dropped)
        return cls(
            answers=keras.Model(encoder.input, Scores(several, name="scores")(logits), name="answers"),
            logits=keras.Model(encoder.input, logits, name="logits"),
        )

    @classmethod
    def within(cls, answers: keras.Model) -> "Network":
        """Return the parts of a saved classifier."""
        return cls(answers, keras.Model(answers.input, answers.get_layer("head").output, name="logits"))

    def compile(self, optimizer: keras.optimizers.Optimizer, smoothing: float) -> None:
        """Make the logits ready to learn, as `compile_classifier` does."""
        compile_classifier(self.logits, optimizer, self.scores.several, smoothing)


def compile_classifier(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, several: bool, smoothing: float
) -> None:
    """Make a model of logits ready to learn from one-hot targets, which are smoothed, or from multi-hot ones."""
    if several:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        measures = [
            keras.metrics.BinaryCrossentropy(from_logits=True, name="cross_entropy"),
            keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy"),
        ]
    else:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
        measures = [
            keras.metrics.CategoricalCrossentropy(from_logits=True, name="cross_entropy"),
            keras.metrics.CategoricalAccuracy(name="accuracy"),
        ]
    model.compile(optimizer=optimizer, loss=loss, metrics=measures)


def thaw(encoder: keras.Model, norms: bool) -> None:
    """Make every layer of an encoder trainable; batch normalisation only where `norms` (else it stays in inference).

    Some architectures of `keras.applications` average their statistics over thousands of steps (momentum 0.999), more than a
    training on a user's data has: such a momentum is lowered, or the model would be judged by its random start.
    """
    encoder.trainable = True
    for layer in _all_layers(encoder):
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = norms
            layer.momentum = min(layer.momentum, MOST_MOMENTUM) if norms else layer.momentum


def depths(encoder: keras.Model) -> dict[str, float]:
    """Return for each trainable variable (by path) how deep it lies: 0 at the input, 1 at the features.

    What starts anew in a pretrained encoder, in layers with the attribute `fresh`, is left out.
    """
    found = [layer for layer in _all_layers(encoder) if layer.trainable_variables]
    fresh = {variable.path for layer in fresh_layers(encoder) for variable in layer.variables}
    return {
        variable.path: (place + 1) / len(found)
        for place, layer in enumerate(found)
        for variable in layer.trainable_variables
        if variable.path not in fresh
    }


def fresh_layers(encoder: keras.Model) -> list[layers.Layer]:
    """Return the layers that start anew in a pretrained encoder."""
    return [layer for layer in encoder._flatten_layers() if getattr(layer, "fresh", False)]


def _all_layers(model: keras.Model) -> list:
    """Return the layers of a model in order, those of models within it in their place."""
    found = []
    for layer in model.layers:
        found += _all_layers(layer) if isinstance(layer, keras.Model) else [layer]
    return found
