"""The transfer ladder: probe on cached features, fine-tune from the probed head, or learn from a random start."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from horngate.models.learning import Keeper, Plan, Rows, learn
from horngate.models.network import Network, depths, thaw
from horngate.models.optimizer import adamw

PENALTIES = (0.003, 0.01, 0.03, 0.1)  # L2 on the probed head; the one with the lowest validation loss is kept
SHALLOWEST = 0.05  # share of the learning rate that the layers next to the input get in fine-tuning
SMOOTHING = 0.1  # of one-hot targets, where all layers learn (Szegedy et al. 2016, arXiv 1512.00567)


@dataclass(frozen=True)
class Settings:
    """What the user wished for; None leaves it to the method.

    Attributes:
        several: whether a row may have several labels (sigmoid and binary cross-entropy).
    """

    several: bool
    seed: int
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None


@dataclass(frozen=True)
class Probe:
    """A head learnt on features: logits = features @ kernel + bias."""

    kernel: np.ndarray
    bias: np.ndarray
    penalty: float
    history: list[dict[str, Any]]


class FeatureRows:
    """Cached features as training rows, centred and divided by one number so that every backbone looks alike.

    Args:
        features: float32 `[n, d]`, in memory or mapped into it.
        targets: float32 `[n, classes]`, one-hot or multi-hot.
        weights: float32 `[n]` or None.
        centre, spread: what to subtract from and divide features by.
    """

    def __init__(self, features, targets, weights, centre: np.ndarray, spread: float):
        self.features, self.targets, self.weights = features, targets, weights
        self.centre, self.spread, self.count = centre, spread, len(features)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        inputs = (self.features[rows] - self.centre) / self.spread
        return inputs, self.targets[rows], None if self.weights is None else self.weights[rows]


def probe(train: tuple, validation: tuple, settings: Settings, keeper: Keeper, penalties=PENALTIES, phase="probe") -> Probe:
    """Return the best of several regularised linear heads on frozen features.

    Args:
        train: features float32 `[n, d]`, targets float32 `[n, classes]`, weights float32 `[n]` or None.
        validation: likewise, without weights; it may have no rows, then the second penalty is taken.
        penalties: factors of the squared kernel to try.
    """
    centre, spread = _moments(train[0])
    rows = FeatureRows(*train, centre, spread)
    held = FeatureRows(*validation, None, centre, spread)
    tries = penalties if held.count else penalties[min(1, len(penalties) - 1) :][:1]
    best, best_loss, history = None, np.inf, []
    for penalty in tries:
        model, learnt = _head(rows, held, penalty, settings, keeper, f"{phase}-{penalty:g}")
        history += learnt
        loss = min((row["val_cross_entropy"] for row in learnt if "val_cross_entropy" in row), default=0.0)
        if loss < best_loss:
            best, best_loss = (penalty, [np.array(value) for value in model.get_weights()]), loss
    penalty, (kernel, bias) = best
    return Probe(kernel / spread, bias - centre @ kernel / spread, penalty, history)


def _head(rows: FeatureRows, held: FeatureRows, penalty: float, settings: Settings, keeper: Keeper, phase: str):
    keras.utils.set_random_seed(settings.seed)
    batch_size = settings.batch_size or int(np.clip(rows.count // 40, 64, 1024))
    plan = Plan(phase, settings.epochs or 30, batch_size, settings.seed, monitor="val_cross_entropy")
    inputs = keras.Input((rows.features.shape[1],))
    outputs = keras.layers.Dense(
        rows.targets.shape[1],
        kernel_initializer="zeros",
        kernel_regularizer=keras.regularizers.L2(penalty / 2),
        dtype="float32",
    )(inputs)
    model = keras.Model(inputs, outputs)
    optimizer = adamw(settings.learning_rate or 3e-3, plan.epochs * plan.steps(rows.count), 0.0, 0.0)
    _compile(model, optimizer, settings.several, 0.0)
    return model, learn(model, rows, held, plan, keeper)


def finetune(network: Network, train: Rows, validation: Rows, settings: Settings, keeper: Keeper) -> list[dict[str, Any]]:
    """Train all layers from the head that the network has, gently near the input; return the history.

    Starting from a probed head keeps the features from being torn before the head makes sense (LP-FT, Kumar et al. 2022,
    arXiv 2202.10054). Rates fall geometrically towards the input (Howard & Ruder 2018, arXiv 1801.06146).
    """
    thaw(network.encoder, norms=False)
    normed = any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.encoder._flatten_layers())
    plan = _plan("finetune", settings, epochs=10, batch_size=32)
    depth = depths(network.encoder)
    factors = [SHALLOWEST ** (1 - depth.get(variable.path, 1.0)) for variable in network.logits.trainable_variables]
    rate = settings.learning_rate or (4e-4 if normed else 1e-4)
    optimizer = adamw(rate, plan.epochs * plan.steps(train.count), 0.1, 0.05, factors)
    _compile(network.logits, optimizer, settings.several, SMOOTHING)
    return learn(network.logits, train, validation, plan, keeper)


def scratch(network: Network, train: Rows, validation: Rows, settings: Settings, keeper: Keeper) -> list[dict[str, Any]]:
    """Train all layers from a random start, batch normalisation included; return the history."""
    thaw(network.encoder, norms=True)
    plan = _plan("scratch", settings, epochs=30, batch_size=32)
    optimizer = adamw(settings.learning_rate or 2e-3, plan.epochs * plan.steps(train.count), 0.05, 0.05)
    _compile(network.logits, optimizer, settings.several, SMOOTHING)
    return learn(network.logits, train, validation, plan, keeper)


def features_of(encoder: keras.Model, batches, count: int, size: int, out: np.ndarray, done: Callable) -> None:
    """Fill `out` float32 `[count, d]` with the encoder's features of batches of at most `size` rows, in order.

    Every batch is padded to `size` rows, so that a row's features don't depend on where the batches were cut.
    """
    at = 0
    for inputs in batches:
        rows = len(inputs)
        padded = inputs if rows == size else np.concatenate([inputs, np.zeros((size - rows, *inputs.shape[1:]), inputs.dtype)])
        out[at : at + rows] = np.asarray(encoder.predict_on_batch(padded))[:rows]
        at += rows
        done(rows)
    if at != count:
        raise RuntimeError(f"{count} rows should have been encoded. Received: {at}")


def _plan(phase: str, settings: Settings, epochs: int, batch_size: int) -> Plan:
    epochs = settings.epochs or epochs
    return Plan(phase, epochs, settings.batch_size or batch_size, settings.seed, patience=max(3, epochs // 2))


def _compile(model: keras.Model, optimizer, several: bool, smoothing: float) -> None:
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


def _moments(features: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the mean per column and the mean standard deviation, in blocks, so that mapped features stay on disk."""
    total, squares = 0.0, 0.0
    for start in range(0, len(features), 4096):
        part = np.asarray(features[start : start + 4096], np.float64)
        total, squares = total + part.sum(0), squares + (part**2).sum(0)
    centre = total / len(features)
    spread = np.sqrt(np.maximum(squares / len(features) - centre**2, 0)).mean()
    return centre.astype(np.float32), float(spread) or 1.0
