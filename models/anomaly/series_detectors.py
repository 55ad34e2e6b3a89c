"""Detectors of series as models: from the trailing window of a row to its score, whatever they expect of the window."""

import keras
from keras import layers, ops

from horngate.models.anomaly.windows import Consensus, Nearest, Standard, Subspace, Surprise

KINDS = ("linear", "forecaster", "recurrent", "nearest", "pca")


def linear(window: int, columns: int, smooth: int, lags: int) -> keras.Model:
    """Return a model that expects each row as a linear function of the `lags` rows before it: vector autoregression."""
    raw, values = _begun(window, columns)
    expected = layers.Conv1D(columns, lags, padding="causal", name="expected")(_before(values))
    return _ended(raw, values, expected, smooth, "linear")


def forecaster(window: int, columns: int, smooth: int, lags: int, units: int = 32) -> keras.Model:
    """Return a model that expects each row from the rows before it, by temporal convolution (Bai et al. 2018).

    Causal convolutions of width 3 reach 31 rows back; what they say is added to what `linear` would say.
    """
    raw, values = _begun(window, columns)
    before = _before(values)
    straight = layers.Conv1D(columns, lags, padding="causal", name="straight")(before)
    hidden = layers.Conv1D(units, 1, name="mix")(before)
    for dilation in (1, 2, 4, 8):
        step = layers.Conv1D(units, 3, dilation_rate=dilation, padding="causal", activation="relu")(hidden)
        hidden = layers.Add()([hidden, layers.Conv1D(units, 1)(step)])
    change = layers.Conv1D(columns, 1, kernel_initializer="zeros", name="change")(layers.LayerNormalization()(hidden))
    return _ended(raw, values, layers.Add(name="expected")([straight, change]), smooth, "forecaster")


def recurrent(window: int, columns: int, smooth: int, units: int = 32) -> keras.Model:
    """Return an autoencoder of two GRUs, which writes a window down in one vector and reads it back, last row first.

    EncDec-AD (Malhotra et al. 2016, arXiv 1607.00148).
    """
    raw, values = _begun(window, columns)
    state = layers.GRU(units, name="writes")(values)
    back = layers.GRU(units, return_sequences=True, name="reads")(layers.RepeatVector(window)(state))
    rows = layers.Dense(columns, name="rows")(back)
    return _ended(raw, values, ops.flip(rows, axis=1), smooth, "recurrent")


def pca(window: int, columns: int, smooth: int, components: int) -> keras.Model:
    """Return a model that expects of a window what principal components of training windows can say of it."""
    raw, values = _begun(window, columns)
    return _ended(raw, values, Subspace(components, name="expected")(values), smooth, "pca")


def nearest(window: int, columns: int, smooth: int, windows: int) -> keras.Model:
    """Return a model that expects of a window what the nearest of as many stored training windows were."""
    raw, values = _begun(window, columns)
    return _ended(raw, values, Nearest(windows, min(3, windows), name="expected")(values), smooth, "nearest")


def joined(members: list[keras.Model]) -> keras.Model:
    """Return a model named `answers` from windows `[n, w, d]` to `[n, 1 + 2 d]`: what the members say together."""
    raw = keras.Input(members[0].input_shape[1:], name="windows")
    said = [member(raw) for member in members]
    return keras.Model(raw, said[0] if len(said) == 1 else Consensus(name="consensus")(said), name="answers")


def _before(values):
    """Return each row's values one row later, so that nothing is expected from itself."""
    return layers.ZeroPadding1D((1, 0))(layers.Cropping1D((0, 1))(values))


def _begun(window: int, columns: int) -> tuple:
    raw = keras.Input((window, columns), name="windows")
    return raw, Standard(name="standard")(raw)


def _ended(raw, values, expected, smooth: int, name: str) -> keras.Model:
    surprise = Surprise(smooth, name in ("linear", "forecaster"), name="surprise")
    return keras.Model(raw, surprise([raw, values, expected]), name=name)
