"""Columns of a table as features: gaps, categories and scaling, as the first layer of the saved model."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

STRANGE = 6.0  # spreads from the centre: where a gap stands in a column that had none
RAREST = 0.02  # share of rows; what is rarer doesn't weigh more
FARTHEST = 1e3  # spreads


@keras.saving.register_keras_serializable("horngate")
class Columns(keras.layers.Layer):
    """Turns columns float32 `[n, columns]`, NaN for a gap and codes for categories, into features float32 `[n, d]`.

    A number becomes the inverse hyperbolic sine of its distance from the median in quartile ranges, so that a long tail is
    as short as its logarithm and no far value hides the others; then all are brought to mean 0 and spread 1. A category
    becomes one feature per code that the training rows hold; a code that they don't hold has none of these and is strange
    by that. Columns whose training rows have gaps have a feature that says so; elsewhere a gap counts as a strange value.

    Args:
        numbers: places of the columns that are numbers.
        gaps: places of the columns, among them, that have a feature for gaps.
        codes: (place, code) of each feature of a category; code -1 stands for a gap.
    """

    def __init__(self, numbers: Sequence[int], gaps: Sequence[int], codes: Sequence[Sequence[int]], **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.numbers, self.gaps, self.codes = list(numbers), list(gaps), [list(pair) for pair in codes]

    @property
    def sources(self) -> list[int]:
        """The column of each feature."""
        return [*self.numbers, *self.gaps, *(place for place, _ in self.codes)]

    def build(self, input_shape):
        def weight(name: str, size: int, initializer: str):
            return self.add_weight(shape=(size,), initializer=initializer, trainable=False, name=name)

        self.centre = weight("centre", len(self.numbers), "zeros")
        self.spread = weight("spread", len(self.numbers), "ones")
        self.filled = weight("filled", len(self.numbers), "zeros")
        self.mean = weight("mean", len(self.sources), "zeros")
        self.scale = weight("scale", len(self.sources), "ones")

    def call(self, columns):
        """Return float32 `[n, d]`."""
        missing = ops.isnan(columns)
        columns = ops.where(missing, ops.full_like(columns, -1.0), columns)
        parts = [self._bent(columns, missing)] if self.numbers else []
        if self.gaps:
            parts.append(ops.cast(ops.take(missing, self.gaps, axis=1), "float32"))
        if self.codes:
            places, codes = zip(*self.codes, strict=True)
            parts.append(ops.cast(ops.equal(ops.take(columns, places, axis=1), np.array(codes, "float32")), "float32"))
        features = (ops.concatenate(parts, axis=1) - self.mean) / self.scale
        if self.numbers:  # a gap is put where it belongs only after scaling
            gap = ops.take(missing, self.numbers, axis=1)
            count = len(self.numbers)
            own = ops.where(gap, ops.broadcast_to(self.filled, ops.shape(gap)), features[:, :count])
            features = ops.concatenate([own, features[:, count:]], axis=1)
        return ops.clip(features, -FARTHEST, FARTHEST)

    def _bent(self, columns, missing):
        apart = (ops.take(columns, self.numbers, axis=1) - self.centre) / self.spread
        size = ops.minimum(ops.abs(apart), 1e15)
        return ops.sign(apart) * ops.log(size + ops.sqrt(size * size + 1.0))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], len(self.sources))


def columns_layer(rows: np.ndarray, categories: Sequence[int], filled: float = STRANGE) -> Columns:
    """Return the layer fitted on training rows.

    Args:
        rows: float64 `[n, columns]`, NaN for gaps.
        categories: for each column how many codes it has; 0 for numbers.
        filled: where a gap stands in a column that had none, in spreads from the centre.
    """
    missing = np.isnan(rows)
    numbers = [place for place, count in enumerate(categories) if not count]
    gaps = [place for place in numbers if missing[:, place].any() and not missing[:, place].all()]
    codes = []
    for place, count in enumerate(categories):
        if count:
            codes += [(place, code) for code in range(count)] + ([(place, -1)] if missing[:, place].any() else [])
    layer = Columns(numbers, gaps, codes, name="columns")
    layer.build((None, rows.shape[1]))
    medians, spreads = _middles(rows[:, numbers])
    layer.centre.assign(medians)
    layer.spread.assign(spreads)
    layer.filled.assign([0.0 if missing[:, place].any() else filled for place in numbers])
    layer.mean.assign(np.zeros(len(layer.sources)))
    bare = _in_parts(layer, rows)  # without filled gaps, since `mean` and `scale` still do nothing
    gone = missing[:, numbers]
    mean, scale = bare.mean(0), bare.std(0)
    own = np.ma.array(bare[:, : len(numbers)], mask=gone)
    mean[: len(numbers)], scale[: len(numbers)] = own.mean(0).filled(0.0), own.std(0).filled(0.0)
    shares = mean[len(numbers) :]
    scale[len(numbers) :] = np.sqrt(np.maximum(shares * (1 - shares), RAREST))
    layer.mean.assign(mean)
    layer.scale.assign(np.where(scale > 1e-6, scale, 1.0))
    return layer


def _middles(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return median and quartile range of each column; where that is 0, its standard deviation, else 1."""
    medians, spreads = np.zeros(numbers.shape[1]), np.ones(numbers.shape[1])
    for place, column in enumerate(numbers.T):
        there = column[~np.isnan(column)]
        if len(there):
            low, medians[place], high = np.quantile(there, [0.25, 0.5, 0.75])
            spread = high - low or there.std()
            spreads[place] = spread if spread > 1e-30 else 1.0
    return medians, spreads


def _in_parts(layer: Columns, rows: np.ndarray, size: int = 65_536) -> np.ndarray:
    parts = [ops.convert_to_numpy(layer(rows[at : at + size].astype("float32"))) for at in range(0, len(rows), size)]
    return np.concatenate(parts).astype(np.float64)
