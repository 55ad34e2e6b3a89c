"""Detectors that learn by gradient: each a network from features to a score, and the task that it is trained on."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

BINS = 7  # of the diffusion times that are told apart
TIMES = 400  # steps of the diffusion
MARGIN = 5.0  # standard deviations that known anomalies should stand above the rest
SWAPPED = 0.15  # share of cells that the denoising autoencoder has to repair


@dataclass(frozen=True)
class Lesson:
    """A network to train, and what is fed to it.

    Attributes:
        scoring: from features float32 `[n, d]` to float32 `[n, 1 + d]`, the score and its parts; shares its weights with
            `training`.
        training: what is trained.
        loss: of targets and outputs.
        spoilt: from features, truth and a random generator to inputs and targets of a batch.
    """

    scoring: keras.Model
    training: keras.Model
    loss: Callable
    spoilt: Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


class Fed:
    """Rows to learn from, whose batches a lesson spoils at random.

    Few rows are passed several times in what counts as one epoch.

    Args:
        features: float32 `[n, d]`.
        truth: bool `[n]`, known anomalies.
        least: rows of an epoch.
        share: of known anomalies in a batch, or None to take rows as they come.
    """

    def __init__(
        self,
        lesson: Lesson,
        features: np.ndarray,
        truth: np.ndarray,
        seed: int,
        least: int = 0,
        share: float | None = None,
    ):
        self.lesson, self.features, self.truth, self.seed, self.share = lesson, features, truth, seed, share
        self.count = max(len(features), least)
        self.anomalies = np.flatnonzero(truth)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs, targets and no weights; what is random depends on seed, epoch and rows alone."""
        draw = np.random.default_rng((self.seed, 0 if epoch is None else epoch + 1, int(rows[0])))
        own = rows % len(self.features)
        if self.share is not None and len(self.anomalies):
            taken = draw.random(len(own)) < self.share
            own[taken] = draw.choice(self.anomalies, int(taken.sum()))
        return *self.lesson.spoilt(self.features[own], self.truth[own], draw), None


def _dense(x, widths: tuple[int, ...], name: str):
    for place, width in enumerate(widths):
        x = layers.Dense(width, activation="relu", name=f"{name}_{place}")(x)
    return x


def _widths(size: int) -> tuple[int, int, int]:
    """Return the widths of an encoder for so many features."""
    return min(max(2 * size, 16), 256), min(max(size, 12), 128), min(max(size // 3, 2), 32)


def _errors(features, rebuilt):
    """Return float32 `[n, 1 + d]`: the root of the mean squared error, and the squared error of each feature."""
    apart = (features - rebuilt) ** 2
    return ops.concatenate([ops.sqrt(ops.mean(apart, axis=1, keepdims=True)), apart], axis=1)


def _squared(targets, outputs):
    """Return the mean squared error, large ones less than squared so that few rows don't rule."""
    apart = ops.abs(targets - outputs)
    return ops.mean(ops.where(apart < 3.0, apart * apart, 6.0 * apart - 9.0), axis=-1)


def autoencoder(size: int) -> Lesson:
    """Return a denoising autoencoder (Vincent et al. 2008): some cells come from other rows, all have noise."""
    wide, middle, narrow = _widths(size)
    inputs = keras.Input((size,))
    code = layers.Dense(narrow, name="code")(_dense(inputs, (wide, middle), "encoder"))
    rebuilt = layers.Dense(size, name="rebuilt")(_dense(code, (middle, wide), "decoder"))
    training = keras.Model(inputs, rebuilt)

    def spoilt(features: np.ndarray, truth: np.ndarray, draw: np.random.Generator) -> tuple:
        others = np.take_along_axis(features, draw.integers(0, len(features), features.shape), axis=0)
        swapped = np.where(draw.random(features.shape) < SWAPPED, others, features)
        return swapped + draw.normal(0, 0.1, features.shape).astype("float32"), features

    scoring = keras.Model(inputs, _errors(inputs, rebuilt), name="autoencoder")
    return Lesson(scoring, training, _squared, spoilt)


def variational(size: int) -> Lesson:
    """Return a variational autoencoder (Kingma & Welling 2014); scores are by the mean code (An & Cho 2015)."""
    wide, middle, narrow = _widths(size)
    encoder_input = keras.Input((size,))
    coded = layers.Dense(2 * narrow, name="code")(_dense(encoder_input, (wide, middle), "encoder"))
    encoder = keras.Model(encoder_input, coded, name="encoder")
    code_input = keras.Input((narrow,))
    decoded = layers.Dense(size, name="rebuilt")(_dense(code_input, (middle, wide), "decoder"))
    decoder = keras.Model(code_input, decoded, name="decoder")
    both = keras.Input((size + narrow,))
    code = encoder(both[:, :size])
    mean, log_variance = code[:, :narrow], ops.clip(code[:, narrow:], -10.0, 10.0)
    rebuilt = decoder(mean + both[:, size:] * ops.exp(0.5 * log_variance))
    gone = _divergence(mean, log_variance)
    training = keras.Model(both, ops.concatenate([rebuilt, gone], axis=1))

    def loss(targets, outputs):
        return _squared(targets, outputs[:, :size]) + 0.1 * outputs[:, size] / size

    def spoilt(features: np.ndarray, truth: np.ndarray, draw: np.random.Generator) -> tuple:
        noise = draw.normal(size=(len(features), narrow)).astype("float32")
        return np.concatenate([features, noise], axis=1), features

    features = keras.Input((size,))
    code = encoder(features)
    mean, log_variance = code[:, :narrow], ops.clip(code[:, narrow:], -10.0, 10.0)
    said = _errors(features, decoder(mean))
    score = said[:, :1] + 0.1 * ops.sqrt(_divergence(mean, log_variance) / size + 1e-6)
    scoring = keras.Model(features, ops.concatenate([score, said[:, 1:]], axis=1), name="vae")
    return Lesson(scoring, training, loss, spoilt)


def _divergence(mean, log_variance):
    return 0.5 * ops.sum(mean**2 + ops.exp(log_variance) - log_variance - 1, axis=1, keepdims=True)


def adversarial(size: int) -> Lesson:
    """Return an autoencoder whose judge learns to tell rows from rebuilt ones, after ALAD and GANomaly.

    The judge sees a row beside its rebuilt self, and scores are by what it sees of both (Zenati et al. 2018); codes of
    rows and of rebuilt rows should agree (Akçay et al. 2018). Its gradient reaches the autoencoder with its sign turned
    (Ganin et al. 2016), so that one step trains both sides.
    """
    wide, middle, narrow = _widths(size)
    inputs = keras.Input((size,))
    entry = keras.Input((size,))
    encoder = keras.Model(entry, layers.Dense(narrow)(_dense(entry, (wide, middle), "encoder")), name="encoder")
    code = encoder(inputs)
    rebuilt = layers.Dense(size, name="rebuilt")(_dense(code, (middle, wide), "decoder"))
    again = encoder(rebuilt)
    pair = keras.Input((2 * size,))
    seen = _dense(pair, (wide, middle), "judge")
    judge = keras.Model(pair, [seen, layers.Dense(1, name="verdict")(seen)], name="judge")
    true_seen, true_verdict = judge(ops.concatenate([inputs, inputs], axis=1))
    turned = 1.1 * ops.stop_gradient(rebuilt) - 0.1 * rebuilt  # the same value, the gradient times -0.1
    _, false_verdict = judge(ops.concatenate([inputs, turned], axis=1))
    gap = ops.mean((code - again) ** 2, axis=1, keepdims=True)
    training = keras.Model(inputs, ops.concatenate([rebuilt, gap, true_verdict, false_verdict], axis=1))

    def loss(targets, outputs):
        judged = ops.softplus(-outputs[:, size + 1]) + ops.softplus(outputs[:, size + 2])
        return _squared(targets, outputs[:, :size]) + 0.1 * outputs[:, size] + 0.1 * judged

    false_seen, _ = judge(ops.concatenate([inputs, rebuilt], axis=1))
    said = _errors(inputs, rebuilt)
    score = said[:, :1] + 0.5 * ops.sqrt(ops.mean((true_seen - false_seen) ** 2, axis=1, keepdims=True) + 1e-9)
    scoring = keras.Model(inputs, ops.concatenate([score, said[:, 1:]], axis=1), name="adversarial")
    return Lesson(scoring, training, loss, _plain)


def diffusion_time(size: int) -> Lesson:
    """Return a network that guesses how long a row was diffused, into 7 bins (DTE, Livernoche et al. 2024).

    What lies away from the training rows looks diffused: the score is the expected bin.
    """
    inputs = keras.Input((size,))
    hidden = _dense(inputs, (min(8 * size, 256), 128, 64), "hidden")
    logits = layers.Dense(BINS, name="bins")(hidden)
    training = keras.Model(inputs, logits)
    kept = np.cumprod(1 - np.linspace(1e-4, 1e-2, TIMES))

    def spoilt(features: np.ndarray, truth: np.ndarray, draw: np.random.Generator) -> tuple:
        time = draw.integers(0, TIMES, len(features))
        left = kept[time][:, None]
        noisy = np.sqrt(left) * features + np.sqrt(1 - left) * draw.normal(size=features.shape)
        return noisy.astype("float32"), (time * BINS // TIMES).astype("float32")[:, None]

    def loss(targets, outputs):
        return keras.losses.sparse_categorical_crossentropy(targets[:, 0], outputs, from_logits=True)

    expected = ops.sum(ops.softmax(logits) * np.arange(BINS, dtype="float32"), axis=1, keepdims=True)
    scoring = keras.Model(inputs, ops.concatenate([expected, inputs * inputs], axis=1), name="dte")
    return Lesson(scoring, training, loss, spoilt)


def deviation(size: int) -> Lesson:
    """Return a network that learns from known anomalies to score them far above the rest (DevNet, Pang et al. 2019)."""
    inputs = keras.Input((size,))
    hidden = _dense(inputs, (min(max(2 * size, 16), 128), 32), "hidden")
    score = layers.Dense(1, name="score")(hidden)
    training = keras.Model(inputs, score)

    def loss(targets, outputs):
        known, apart = targets[:, 0], outputs[:, 0]
        return (1 - known) * ops.abs(apart) + known * ops.relu(MARGIN - apart)

    def spoilt(features: np.ndarray, truth: np.ndarray, draw: np.random.Generator) -> tuple:
        return features, truth.astype("float32")[:, None]

    scoring = keras.Model(inputs, ops.concatenate([score, inputs * inputs], axis=1), name="deviation")
    return Lesson(scoring, training, loss, spoilt)


def _plain(features: np.ndarray, truth: np.ndarray, draw: np.random.Generator) -> tuple:
    return features, features


LESSONS: dict[str, Callable[[int], Lesson]] = {
    "autoencoder": autoencoder,
    "vae": variational,
    "adversarial": adversarial,
    "dte": diffusion_time,
    "deviation": deviation,
}
