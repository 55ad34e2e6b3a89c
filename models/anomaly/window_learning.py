"""How detectors of series learn: networks by gradient, the others at a stroke, all from windows of training rows."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from horngate.models.anomaly import series_detectors
from horngate.models.anomaly.windows import LEAST_ERROR, Standard
from horngate.models.training.learning import ArrayRows, CheckpointPolicy, Plan, learn
from horngate.models.training.optimizer import adamw

EPOCHS, BATCH, RATE = 40, 16, 3e-3
BLOCK = 256  # windows of a forward pass
FAR = 3.0  # standard deviations, from which on a gap counts straight, not squared: training rows may hold anomalies
STORED = 2000  # windows in a memory, at most
LAGS, MOST_INPUTS = 32, 512  # rows that a linear forecast looks back on, numbers that it takes at most
MOST_STEPS = 200_000  # that a linear forecast is fitted on
PENALTY = 0.3  # of ridge regression, for each row, on standardised values
EXPLAINED = 0.95  # share of the variance that principal components keep
MOST_COMPONENTS = 64


@dataclass(frozen=True)
class WindowConfig:
    """How a detector learns; None leaves it to the detector.

    Attributes:
        smooth: rows that a score is averaged over.
    """

    smooth: int
    seed: int
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None


def moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each column of training rows float `[n, d]`, NaN for what is missing.

    The deviation of a column that doesn't change in them counts as 1.
    """
    rows = rows.astype(np.float64)
    spread = np.nanstd(rows, 0)
    return np.nanmean(rows, 0), np.where(spread > 0, spread, 1.0)


def standardised(standard: Standard, raw: np.ndarray) -> np.ndarray:
    """Return windows float32 `[n, w, d]` standardised and without NaN."""
    parts = [ops.convert_to_numpy(standard(raw[at : at + BLOCK])) for at in range(0, len(raw), BLOCK)]
    return np.concatenate(parts) if parts else raw


def learnt(
    kind: str,
    train: np.ndarray,
    held: np.ndarray,
    scale: tuple[np.ndarray, np.ndarray],
    config: WindowConfig,
    policy: CheckpointPolicy,
) -> tuple[keras.Model, list[dict[str, Any]]]:
    """Return a detector that has learnt from windows, and the history of its epochs, empty where it has none.

    Args:
        kind: one of `series_detectors.KINDS`.
        train, held: float32 `[n, w, d]` with NaN for what is missing; `held` says which epoch is best and which error is
            usual, and may be empty.
        scale: as of `moments`.
    """
    keras.utils.set_random_seed(config.seed)
    shape = (train.shape[1], train.shape[2], config.smooth)
    history: list[dict[str, Any]] = []
    if kind == "recurrent":
        detector = _scaled(series_detectors.recurrent(*shape), scale)
    else:
        standard = Standard()
        standard.build(train.shape)
        _set_scale(standard, scale)
        makes = {"linear": _straight, "forecaster": _straight, "pca": _components, "nearest": _memory}
        detector = _scaled(makes[kind](kind, standardised(standard, train), shape, config.seed), scale)
    if kind in ("recurrent", "forecaster"):
        history = _by_gradient(detector, train, held, config, policy)
    surprise = detector.get_layer("surprise")
    surprise.usual.assign(_usual_errors(detector, held if len(held) else train))
    return detector, history


def _scaled(detector: keras.Model, scale: tuple[np.ndarray, np.ndarray]) -> keras.Model:
    _set_scale(detector.get_layer("standard"), scale)
    return detector


def _set_scale(standard: Standard, scale: tuple[np.ndarray, np.ndarray]) -> None:
    standard.mean.assign(scale[0])
    standard.scale.assign(scale[1])


def _straight(kind: str, values: np.ndarray, shape: tuple[int, int, int], seed: int) -> keras.Model:
    """Return a forecaster whose linear part is the ridge regression of each row on the rows before it."""
    window, columns, _ = shape
    lags = max(1, min(LAGS, window - 1, MOST_INPUTS // columns))
    every = max(1, len(values) * (window - lags) // MOST_STEPS)
    steps = np.lib.stride_tricks.sliding_window_view(values, lags + 1, axis=1)[:, :: max(1, min(every, window - lags))]
    steps = steps.reshape(-1, columns, lags + 1).transpose(0, 2, 1)
    inputs, targets = steps[:, :-1].reshape(len(steps), -1), steps[:, -1]
    found = Ridge(PENALTY * len(steps)).fit(inputs.astype(np.float64), targets.astype(np.float64))
    detector = getattr(series_detectors, kind)(*shape, lags)
    layer = detector.get_layer("expected" if kind == "linear" else "straight")
    kernel = np.reshape(found.coef_, (columns, lags, columns)).transpose(1, 2, 0)
    layer.set_weights([kernel, np.reshape(found.intercept_, columns)])
    layer.trainable = False
    return detector


def _components(kind: str, values: np.ndarray, shape: tuple[int, int, int], seed: int) -> keras.Model:
    values = values.reshape(len(values), -1)
    most = min(MOST_COMPONENTS, *values.shape)
    found = PCA(most, svd_solver="full" if min(values.shape) <= 1024 else "randomized", random_state=seed).fit(values)
    kept = int(np.searchsorted(np.cumsum(found.explained_variance_ratio_), EXPLAINED)) + 1
    detector = series_detectors.pca(*shape, min(kept, most))
    layer = detector.get_layer("expected")
    layer.centre.assign(found.mean_)
    layer.axes.assign(found.components_[: layer.components].T)
    return detector


def _memory(kind: str, values: np.ndarray, shape: tuple[int, int, int], seed: int) -> keras.Model:
    values = values.reshape(len(values), -1)
    if len(values) > STORED:
        values = values[np.sort(np.random.default_rng(seed).permutation(len(values))[:STORED])]
    detector = series_detectors.nearest(*shape, len(values))
    detector.get_layer("expected").memory.assign(values)
    return detector


def _by_gradient(
    detector: keras.Model, train: np.ndarray, held: np.ndarray, config: WindowConfig, policy: CheckpointPolicy
) -> list[dict[str, Any]]:
    errors, counts = _errors(detector, robust=True)
    total = ops.sum(errors, axis=-1, keepdims=True) / ops.maximum(ops.sum(counts, axis=-1, keepdims=True), 1.0)
    model = keras.Model(detector.input, total, name=detector.name)
    epochs = config.epochs or EPOCHS
    plan = Plan(detector.name, epochs, config.batch_size or BATCH, config.seed, patience=max(3, epochs // 5))
    steps = plan.epochs * plan.steps(len(train))
    model.compile(
        optimizer=adamw(config.learning_rate or RATE, steps, 0.1, 1e-3), loss=lambda _, error: ops.mean(error)
    )
    rows = [ArrayRows(part, np.zeros((len(part), 1), np.float32)) for part in (train, held)]
    return learn(model, *rows, plan, policy)


def _errors(detector: keras.Model, robust: bool = False) -> tuple:
    """Return the sums of squared errors of each column, `[n, d]`, and how many values they are of."""
    raw, values, expected = detector.get_layer("surprise").input
    seen = ops.cast(ops.logical_not(ops.isnan(raw)), "float32")
    if detector.get_layer("surprise").forecast:
        seen = seen * ops.cast(ops.cumsum(seen, axis=1) - seen > 0, "float32")
    gaps = ops.abs(values - expected)
    squares = ops.where(gaps < FAR, gaps * gaps, 2 * FAR * gaps - FAR * FAR) if robust else gaps * gaps
    return ops.sum(squares * seen, axis=1), ops.sum(seen, axis=1)


def _usual_errors(detector: keras.Model, held: np.ndarray) -> np.ndarray:
    """Return float64 `[d]`: the mean squared error of each column, in squared standard deviations, over windows."""
    model = keras.Model(detector.input, _errors(detector))
    total, counts = np.zeros(held.shape[2]), np.zeros(held.shape[2])
    for at in range(0, len(held), BLOCK):
        errors, seen = model.predict_on_batch(held[at : at + BLOCK])
        total, counts = total + np.asarray(errors, np.float64).sum(0), counts + np.asarray(seen, np.float64).sum(0)
    return np.maximum(total / np.maximum(counts, 1), LEAST_ERROR)
