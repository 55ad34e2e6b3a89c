"""The shape of a tagger: tokens with shapes of their words → encoder → head → scores of every token, in one saved file."""

import keras
from keras import layers, ops

from horngate.models.network import Network


@keras.saving.register_keras_serializable("horngate")
class TokenScores(layers.Layer):
    """Turns logits into scores by softmax; tokens that fill up get zeros.

    Args:
        pad: id of the token that fills up.
    """

    several = False

    def __init__(self, pad, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.pad = pad

    def call(self, logits, ids):
        """Return float32 `[n, tokens, labels]` from logits of that shape and ids `[n, tokens]`."""
        there = ops.cast(ops.not_equal(ids, self.pad), "float32")
        return ops.softmax(ops.cast(logits, "float32")) * ops.expand_dims(there, -1)

    def compute_output_shape(self, logits_shape, ids_shape):
        return logits_shape


@keras.saving.register_keras_serializable("horngate")
class ShapedEmbedding(layers.Layer):
    """A backbone's embedding of tokens, and one of the shapes of their words added to it.

    A number it takes is token + vocabulary × shape. Shapes start at zero, so that a pretrained backbone begins as it is.

    Args:
        inner: the backbone's layer, from token ids `[n, tokens]` to vectors `[n, tokens, d]`.
        vocabulary: how many token ids there are.
        shapes: how many shapes there are.
    """

    def __init__(self, inner, vocabulary, shapes, **kwargs):
        super().__init__(**kwargs)
        self.inner, self.vocabulary, self.shapes = inner, vocabulary, shapes
        self.added = None

    def build(self, input_shape):
        if not self.inner.built:
            self.inner.build(input_shape)
        width = self.inner.compute_output_shape((1, 1))[-1]
        self.added = layers.Embedding(self.shapes, width, embeddings_initializer="zeros", name="shapes")
        self.added.fresh = True
        self.added.build(input_shape)

    def call(self, numbers):
        """Return vectors `[n, tokens, d]` of int32 `[n, tokens]`."""
        return self.inner(numbers % self.vocabulary) + self.added(numbers // self.vocabulary)

    def compute_output_shape(self, input_shape):
        return self.inner.compute_output_shape(input_shape)

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return super().get_config() | {"inner": inner, "vocabulary": self.vocabulary, "shapes": self.shapes}

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"inner": keras.saving.deserialize_keras_object(config["inner"])})


def shaped(backbone: keras.Model, vocabulary: int, shapes: int) -> keras.Model:
    """Return a backbone of text whose `token_ids` are token + vocabulary × shape; it shares the layers of the given one."""
    tokens = backbone.input["token_ids"]
    (entry,) = [layer for layer in backbone.layers if any(taken is tokens for taken in _taken(layer))]
    wrapped = ShapedEmbedding(entry, vocabulary, shapes, name="shaped")
    return keras.models.clone_model(backbone, clone_function=lambda layer: wrapped if layer is entry else layer)


def _taken(layer: layers.Layer) -> list:
    """Return the tensors that a layer takes."""
    return [tensor for node in layer._inbound_nodes for tensor in node.input_tensors]


@keras.saving.register_keras_serializable("horngate")
class Mislabelled(keras.metrics.Metric):
    """One minus the F1 of words that have a label other than the first, `O`, over all labels together.

    Most words have none, so that losses and accuracies hardly show whether entities are found.
    """

    def __init__(self, name="mislabelled", **kwargs):
        super().__init__(name=name, **kwargs)
        self.hits = self.add_variable((), "zeros", name="hits")
        self.both = self.add_variable((), "zeros", name="both")

    def update_state(self, targets, logits, sample_weight=None):
        """Count words: one-hot targets and logits `[n, tokens, labels]`, and weights `[n, tokens]`, 0 where is no word."""
        true, said = ops.argmax(targets, -1), ops.argmax(logits, -1)
        there = ops.ones_like(true, "float32") if sample_weight is None else ops.cast(sample_weight > 0, "float32")
        hits = ops.logical_and(ops.equal(true, said), true > 0)
        both = ops.cast(true > 0, "float32") + ops.cast(said > 0, "float32")
        self.hits.assign_add(ops.sum(ops.cast(hits, "float32") * there))
        self.both.assign_add(ops.sum(both * there))

    def result(self):
        """Return the measure, 1 where there is nothing to find and nothing is found."""
        return 1 - 2 * self.hits / ops.maximum(self.both, 1)


class Tagger(Network):
    """A classifier of tokens; its features, logits and scores are `[n, tokens, …]`."""

    monitor = "val_mislabelled"
    gentle = (3e-4, 0.05)

    @classmethod
    def around(cls, encoder: keras.Model, labels: int, pad: int, dropout: float = 0.1, seed: int = 0) -> "Tagger":
        """Return a tagger on an encoder of tokens (a model named `encoder`) with a head that starts at zero."""
        (ids,) = encoder.inputs
        dropped = layers.Dropout(dropout, seed=seed, name="dropout")(encoder(ids))
        logits = layers.Dense(labels, kernel_initializer="zeros", dtype="float32", name="head")(dropped)
        scores = TokenScores(pad, name="scores")(logits, ids)
        return cls(keras.Model(ids, scores, name="answers"), keras.Model(ids, logits, name="logits"))

    def compile(self, optimizer: keras.optimizers.Optimizer, smoothing: float) -> None:
        """Make it ready to learn from one-hot targets `[n, tokens, labels]`; weights `[n, tokens]` of 0 leave tokens out."""
        loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=smoothing, reduction="mean_with_sample_weight"
        )
        measures = [
            keras.metrics.CategoricalCrossentropy(from_logits=True, name="cross_entropy"),
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            Mislabelled(),
        ]
        self.logits.compile(optimizer=optimizer, loss=loss, weighted_metrics=measures)
