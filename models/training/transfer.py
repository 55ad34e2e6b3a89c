"""The transfer ladder: probe on cached features, fine-tune from the probed head, or learn from a random start."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from horngate.models.network import Network, depths, thaw
from horngate.models.training.learning import CheckpointPolicy, Plan, Rows, learn
from horngate.models.training.lora import adapt
from horngate.models.training.optimizer import adamw

PENALTIES = (
    0.0003,
    0.001,
    0.003,
    0.01,
    0.03,
    0.1,
)  # L2 on the probed head; the one with the lowest validation loss is kept
LEAST_STEPS = 1000  # of a probe, where its epochs are not given
RATE = 4e-4  # peak of fine-tuning a network with batch normalisation, and the most for any
BY_WIDTH = 0.0768  # of a transformer, over its width: 2e-4 at 384, 1e-4 at 768 (Yang et al. 2022, arXiv 2203.03466)
SMOOTHING = 0.1  # of one-hot targets, where all layers learn (Szegedy et al. 2016, arXiv 1512.00567)


@dataclass(frozen=True)
class Settings:
    """What the user wished for; None leaves it to the method.

    Attributes:
        several: whether a row may have several labels (sigmoid and binary cross-entropy).
        finetune_epochs: of fine-tuning, where `epochs` is None.
        scratch_epochs, scratch_rate: of learning from a random start, where `epochs` or `learning_rate` is None.
    """

    several: bool
    seed: int
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    finetune_epochs: int = 10
    scratch_epochs: int = 30
    scratch_rate: float = 2e-3


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


def probe(
    train: tuple, validation: tuple, settings: Settings, policy: CheckpointPolicy, penalties=PENALTIES, phase="probe"
) -> Probe:
    """Return the best of several regularised linear heads on frozen features, all learnt to convergence in one pass.

    Args:
        train: features float32 `[n, d]`, targets float32 `[n, classes]`, weights float32 `[n]` or None.
        validation: likewise, without weights; it may have no rows, then a penalty in the middle is taken.
        penalties: factors of half the squared kernel to try; the lowest cross-entropy on validation wins.
    """
    centre, spread = _moments(train[0])
    rows = FeatureRows(*train, centre, spread)
    held = FeatureRows(*validation, None, centre, spread)
    penalties = penalties if held.count else (penalties[len(penalties) // 2],)
    batch_size = settings.batch_size or int(np.clip(rows.count // 40, 64, 1024))
    epochs = settings.epochs or int(np.clip(LEAST_STEPS * batch_size // max(rows.count, 1), 30, 100))
    plan = Plan(phase, epochs, batch_size, settings.seed, monitor=None)
    model = _heads(rows, penalties, settings, plan.epochs * plan.steps(rows.count))
    history = learn(model, rows, held, plan, policy)
    kernels, biases = model.get_weights()
    losses = _held_losses(held, kernels, biases, settings.several) if held.count else np.zeros(1)
    best = int(losses.argmin())
    kernel, bias = kernels[:, best], biases[best]
    return Probe(kernel / spread, bias - centre @ kernel / spread, penalties[best], history)


class _Heads(keras.layers.Layer):
    """One dense layer per penalty on the same features, learnt side by side: each sees its own loss alone."""

    def __init__(self, classes: int, penalties, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.classes, self.penalties = classes, penalties

    def build(self, input_shape):
        count = len(self.penalties)
        self.kernel = self.add_weight(shape=(input_shape[-1], count, self.classes), initializer="zeros", name="kernel")
        self.bias = self.add_weight(shape=(count, self.classes), initializer="zeros", name="bias")

    def call(self, features):
        """Return logits `[n, penalties, classes]` from features `[n, d]`."""
        squares = ops.sum(ops.square(self.kernel), (0, 2)) * ops.array(self.penalties, "float32")
        self.add_loss(ops.mean(squares) / 2)
        return ops.einsum("nd,dpc->npc", features, self.kernel) + self.bias


def _heads(rows: FeatureRows, penalties, settings: Settings, steps: int) -> keras.Model:
    """Return the compiled model of all heads; its loss is the mean of theirs."""
    keras.utils.set_random_seed(settings.seed)

    def loss(targets, logits):
        targets = ops.broadcast_to(targets[:, None], ops.shape(logits))
        if settings.several:
            return ops.mean(ops.binary_crossentropy(targets, logits, from_logits=True), (1, 2))
        return ops.mean(ops.categorical_crossentropy(targets, logits, from_logits=True), 1)

    inputs = keras.Input((rows.features.shape[1],))
    model = keras.Model(inputs, _Heads(rows.targets.shape[1], penalties)(inputs))
    model.compile(optimizer=adamw(settings.learning_rate or 1e-2, steps, 0.0, 0.0), loss=loss)
    return model


def _held_losses(held: FeatureRows, kernels: np.ndarray, biases: np.ndarray, several: bool) -> np.ndarray:
    """Return the cross-entropy of each head on validation rows, `[penalties]`, without its penalty."""
    total = np.zeros(kernels.shape[1])
    for start in range(0, held.count, 4096):
        inputs, targets, _ = held.batch(np.arange(start, min(start + 4096, held.count)), None)
        logits = np.einsum("nd,dpc->npc", inputs, kernels) + biases
        if several:
            total += (np.logaddexp(0, logits) - targets[:, None] * logits).mean(2).sum(0)
        else:
            total += (np.logaddexp.reduce(logits, 2) - (targets[:, None] * logits).sum(2)).sum(0)
    return total / held.count


def finetune(
    network: Network, train: Rows, validation: Rows, settings: Settings, policy: CheckpointPolicy
) -> list[dict[str, Any]]:
    """Train all layers from the head that the network has, gently near the input; return the history.

    Starting from a probed head keeps the features from being torn before the head makes sense (LP-FT, Kumar et al. 2022,
    arXiv 2202.10054). Rates fall geometrically towards the input (Howard & Ruder 2018, arXiv 1801.06146).
    """
    thaw(network.encoder, norms=False)
    plan = _plan("finetune", network, settings, epochs=settings.finetune_epochs, batch_size=32)
    depth, (peak, shallowest) = depths(network.encoder), network.gentle or _gentle(network.encoder)
    factors = [shallowest ** (1 - depth.get(variable.path, 1.0)) for variable in network.logits.trainable_variables]
    rate = settings.learning_rate or peak
    optimizer = adamw(rate, plan.epochs * plan.steps(train.count), 0.1, 0.05, factors)
    network.compile(optimizer, SMOOTHING)
    return learn(network.logits, train, validation, plan, policy)


def _gentle(encoder: keras.Model) -> tuple[float, float]:
    """Return the peak rate of fine-tuning, and the share of it that the layers next to the input get.

    In a network with batch normalisation those see edges and colours, which hold for all pictures; in a transformer they
    have more to learn.
    """
    if any(isinstance(layer, keras.layers.BatchNormalization) for layer in encoder._flatten_layers()):
        return RATE, 0.05
    return min(RATE, BY_WIDTH / encoder.output_shape[-1]), 0.3


def lora(
    network: Network, train: Rows, validation: Rows, settings: Settings, policy: CheckpointPolicy
) -> list[dict[str, Any]]:
    """Train factors beside the encoder's attention, and the head that the network has; return the history.

    `models.lora.merged` gives the network without factors afterwards.

    Raises:
        NoAttention: the encoder has nothing that LoRA goes beside.
    """
    adapt(network.encoder)
    plan = _plan("lora", network, settings, epochs=settings.finetune_epochs, batch_size=32)
    optimizer = adamw(settings.learning_rate or 1e-3, plan.epochs * plan.steps(train.count), 0.1, 0.01)
    network.compile(optimizer, SMOOTHING)
    return learn(network.logits, train, validation, plan, policy)


def scratch(
    network: Network, train: Rows, validation: Rows, settings: Settings, policy: CheckpointPolicy
) -> list[dict[str, Any]]:
    """Train all layers from a random start, batch normalisation included; return the history."""
    thaw(network.encoder, norms=True)
    plan = _plan("scratch", network, settings, epochs=settings.scratch_epochs, batch_size=32)
    optimizer = adamw(
        settings.learning_rate or settings.scratch_rate, plan.epochs * plan.steps(train.count), 0.05, 0.05
    )
    network.compile(optimizer, SMOOTHING)
    return learn(network.logits, train, validation, plan, policy)


def features_of(forward: Callable, batches, out: np.ndarray, done: Callable) -> None:
    """Fill `out` float32 `[n, d]` with what `forward` gives.

    Args:
        batches: yields (rows, inputs): places in `out`, and their inputs, filled up to any number of rows, so that a
            row's features don't depend on where the batches were cut.
        done: called with the number of rows of each batch.
    """
    filled = 0
    for rows, inputs in batches:
        out[rows] = np.asarray(forward(inputs))[: len(rows)]
        filled += len(rows)
        done(len(rows))
    if filled != len(out):
        raise RuntimeError(f"{len(out)} rows should have been encoded. Received: {filled}")


def _plan(phase: str, network: Network, settings: Settings, epochs: int, batch_size: int) -> Plan:
    epochs, batch_size = settings.epochs or epochs, settings.batch_size or batch_size
    return Plan(phase, epochs, batch_size, settings.seed, max(3, epochs // 2), network.monitor)


def _moments(features: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the mean per column and the mean standard deviation, in blocks, so that mapped features stay on disk."""
    total, squares = 0.0, 0.0
    for start in range(0, len(features), 4096):
        part = np.asarray(features[start : start + 4096], np.float64)
        total, squares = total + part.sum(0), squares + (part**2).sum(0)
    centre = total / len(features)
    spread = np.sqrt(np.maximum(squares / len(features) - centre**2, 0)).mean()
    return centre.astype(np.float32), float(spread) or 1.0
