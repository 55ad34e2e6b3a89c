"""Networks that score rows of mixed features: DCN-v2 and DeepFM, each one model from rows to logits."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import keras_rs
import numpy as np
from keras import layers, ops

from horngate.models.columns import Columns, columns_layer
from horngate.models.recommendation.fields import Answer, Fields

WIDEST = 512  # features that are crossed by a full matrix; more by one of low rank
DEEP = (128, 64)
CROSSES = 2


@dataclass(frozen=True)
class Layout:
    """Where in a row float32 `[width]` what stands.

    Attributes:
        entries: (first place, places, size) of each categorical column, as of `Fields`.
        numbers: places of numbers.
    """

    width: int
    entries: tuple[tuple[int, int, int], ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Shape:
    """How large a network is: length of the vectors of categories, and the share of deep units left out while learning."""

    dimension: int
    dropout: float


def ranker(kind: str, layout: Layout, shape: Shape, scaled: Columns | None, name: str) -> keras.Model:
    """Return a network from rows float32 `[n, width]` to logits `[n, 1]`.

    Args:
        kind: `dcn` or `deepfm`.
        scaled: what `scaling_of` fitted; None where there are no numbers.
    """
    rows = keras.Input((layout.width,), dtype="float32", name="rows")
    numbers = None
    if scaled is not None:
        numbers = _copied(scaled, len(layout.numbers))(ops.take(rows, list(layout.numbers), axis=1))
    logits = {"dcn": _crossed, "deepfm": _factorised}[kind](rows, numbers, layout, shape)
    return keras.Model(rows, logits, name=name)


def scaling_of(layout: Layout, rows: np.ndarray) -> Columns | None:
    """Return what brings the numbers of training rows to one scale; None where there are none."""
    if not layout.numbers:
        return None
    return columns_layer(rows[:, list(layout.numbers)].astype(np.float64), [0] * len(layout.numbers), filled=0.0)


def averaged(members: Sequence[keras.Model], answer: Answer) -> keras.Model:
    """Return the model from rows to answers float32 `[n, 1]` by the mean of the members' logits."""
    rows = keras.Input(members[0].input_shape[1:], dtype="float32", name="rows")
    logits = [member(rows) for member in members]
    return keras.Model(rows, answer(logits[0] if len(logits) == 1 else layers.average(logits)), name="answers")


def features_of(answers: keras.Model) -> keras.Model:
    """Return the model from rows to the features float32 `[n, d]` that the first member of an average sees."""
    member = next(layer for layer in answers.layers if isinstance(layer, keras.Model))
    return keras.Model(member.input, member.get_layer("features").output)


def _crossed(rows, numbers, layout: Layout, shape: Shape):
    """Return the logits of DCN-v2 (Wang et al. 2021, arXiv 2008.13535): cross layers beside a deep network."""
    parts = [layers.Flatten()(Fields(layout.entries, shape.dimension, name="fields")(rows))] if layout.entries else []
    features = _joined([*parts, numbers])
    rank = None if features.shape[-1] <= WIDEST else features.shape[-1] // 4
    crossed = features
    for depth in range(CROSSES):
        crossed = keras_rs.layers.FeatureCross(projection_dim=rank, name=f"cross_{depth}")(features, crossed)
    deep = _deep(features, shape.dropout)
    return layers.Dense(1, dtype="float32", name="logits")(layers.Concatenate()([crossed, deep]))


def _factorised(rows, numbers, layout: Layout, shape: Shape):
    """Return the logits of DeepFM (Guo et al. 2017, arXiv 1703.04247): a factorisation machine beside a deep network.

    Each category has a weight of its own and a vector, each number too, times its value; vectors meet pair by pair.
    """
    vectors = []
    if layout.entries:
        vectors.append(Fields(layout.entries, 1 + shape.dimension, name="fields")(rows))
    if numbers is not None:
        times = layers.EinsumDense("ab,bc->abc", (numbers.shape[-1], 1 + shape.dimension), name="number_vectors")
        vectors.append(times(numbers))
    together = vectors[0] if len(vectors) == 1 else layers.Concatenate(axis=1)(vectors)
    first, vectors = ops.sum(together[:, :, 0], axis=1, keepdims=True), together[:, :, 1:]
    pairs = ops.square(ops.sum(vectors, axis=1)) - ops.sum(ops.square(vectors), axis=1)
    deep = _deep(_joined([layers.Flatten()(vectors), None]), shape.dropout)
    last = layers.Dense(1, dtype="float32", name="logits")(deep)
    return last + ops.cast(first + 0.5 * ops.sum(pairs, axis=1, keepdims=True), "float32")


def _joined(parts: list):
    there = [part for part in parts if part is not None]
    joined = there[0] if len(there) == 1 else layers.Concatenate()(there)
    return layers.Identity(name="features")(joined)


def _deep(features, dropout: float):
    for width in DEEP:
        features = layers.Dropout(dropout)(layers.Dense(width, activation="relu")(features))
    return features


def _copied(scaled: Columns, count: int) -> Columns:
    copy = Columns.from_config(scaled.get_config())
    copy.build((None, count))
    copy.set_weights(scaled.get_weights())
    return copy


def compiled(model: keras.Model, optimizer: keras.optimizers.Optimizer, clicks: bool) -> keras.Model:
    """Make a network ready to learn from targets float32 `[n, 1]`: 0 and 1, or ratings of mean 0 and spread 1."""
    loss = keras.losses.BinaryCrossentropy(from_logits=True) if clicks else keras.losses.MeanSquaredError()
    model.compile(optimizer=optimizer, loss=loss)
    return model


class Forgetting:
    """Rows in which at random some codes count as never seen, so that the vectors for new categories are learnt too.

    Args:
        inputs: float32 `[n, width]`.
        targets: float32 `[n, 1]`.
        entries: as of `Fields`; only columns with one place forget.
        share: of the codes.
    """

    def __init__(self, inputs: np.ndarray, targets: np.ndarray, entries: Sequence, share: float, seed: int):
        self.inputs, self.targets, self.count = inputs, targets, len(inputs)
        single = [(first, size) for first, places, size in entries if places == 1]
        self.places = [first for first, _ in single]
        self.never = np.array([size for _, size in single], np.float32)
        self.share, self.seed = share, seed

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs, targets and None for weights; `epoch` seeds what is forgotten, None asks for all as it is."""
        inputs = self.inputs[rows]
        if epoch is not None and self.share and self.places:
            draw = np.random.default_rng((self.seed, epoch, int(rows[0])))
            forgotten = draw.random((len(rows), len(self.places)), np.float32) < self.share
            own = inputs[:, self.places]
            inputs[:, self.places] = np.where(forgotten & ~np.isnan(own), self.never, own)
        return inputs, self.targets[rows], None
