"""Networks that spell sounds: samples → log-mel spectra → convolution and recurrence or attention → units of each frame.

What is exactly zero at the end of the samples is no part of a recording: frames there are left out of everything, so that
batches can be filled up, and an answer doesn't depend on how far.
"""

from dataclasses import dataclass

import keras
from keras import layers, ops

from horngate.models.speech.spectra import LogMel, Masking

KERNEL = 5  # frames of the first convolution
# Of the spectra while learning; wider masks hide whole words, and keep small sets from being learnt.
MASKED = {"times": 2, "bands": 1, "time_share": 0.015, "band_share": 0.15}
UNHEARD = -30.0  # log-probability of any unit in a frame that isn't heard


@dataclass(frozen=True)
class TranscriberConfig:
    """How a network of transcription is built.

    Attributes:
        rate: samples per second.
        units: how many there are, without the blank.
        stride: frames of 10 ms that one frame of the answer stands for.
        network: `convolution`, `recurrent` or `conformer`.
        width, depth: channels, and blocks.
        dropout: share that is dropped while learning.
        masked: whether spectra are masked while learning (SpecAugment).
        seed: of weights, dropout and masks.
    """

    rate: int
    units: int
    stride: int = 4
    network: str = "convolution"
    width: int = 96
    depth: int = 4
    dropout: float = 0.1
    masked: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Transcriber:
    """A network of transcription and its parts, which share their weights.

    Attributes:
        answers: samples float32 `[n, samples]` → log-probabilities float32 `[n, frames, units + 1]`; what is saved.
        logits: samples → logits of the same shape; what is trained.
    """

    answers: keras.Model
    logits: keras.Model

    @classmethod
    def around(cls, config: TranscriberConfig) -> "Transcriber":
        """Return a network from a random start."""
        keras.utils.set_random_seed(config.seed)
        samples = keras.Input((None,), dtype="float32", name="samples")
        mel = LogMel(config.rate, name="log_mel")
        followed = ops.pad(samples, [[0, 0], [0, mel.length]])  # so that the shortest sound has a frame
        levels = mel(followed)
        there = Sounding(mel.length, mel.step, config.stride, name="sounding")(followed)
        if config.masked:
            levels = Masking(**MASKED, seed=config.seed, name="masking")(levels)
        found = _body(_stem(levels, config) * there, there, config)
        found = layers.LayerNormalization(name="features", dtype="float32")(found)
        logits = layers.Dense(config.units + 1, dtype="float32", name="logits")(found)
        scores = UnitScores(name="scores")(logits, there)
        return cls(keras.Model(samples, scores, name="answers"), keras.Model(samples, logits, name="logits"))

    @classmethod
    def within(cls, answers: keras.Model) -> "Transcriber":
        """Return the parts of a saved network."""
        return cls(answers, keras.Model(answers.input, answers.get_layer("logits").output, name="logits"))

    def features(self) -> keras.Model:
        """Return the model from samples to features `[n, d]`: the mean of the last features over the frames with sound."""
        there = self.answers.get_layer("sounding").output
        found = self.answers.get_layer("features").output
        return keras.Model(self.answers.input, SoundingMean(name="sounding_mean")(found, there))

    def compile(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Make the logits ready to learn from targets as `CtcLoss` takes them."""
        self.logits.compile(optimizer=optimizer, loss=CtcLoss())


@keras.saving.register_keras_serializable("horngate")
class Sounding(layers.Layer):
    """Which frames of the answer hold sound: those that begin before the last sample that isn't zero.

    Args:
        length, step: samples of a frame of the spectra, and from one to the next.
        stride: of these frames, how many one frame of the answer stands for.
    """

    def __init__(self, length, step, stride, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.length, self.step, self.stride = length, step, stride

    def call(self, samples):
        """Return float32 `[n, frames, 1]`, 1 where there is sound, from samples `[n, samples]`."""
        count = ops.shape(samples)[1]
        numbers = ops.arange(1, count + 1, dtype="int32")
        last = ops.max(ops.where(ops.not_equal(samples, 0.0), numbers[None], 0), axis=1)
        places = ops.arange(0, frames(count, self.length, self.step, self.stride), dtype="int32")
        heard = places[None] * (self.stride * self.step) + self.length <= last[:, None]
        return ops.expand_dims(ops.cast(heard, "float32"), -1)

    def compute_output_shape(self, input_shape):
        count = input_shape[1]
        return (input_shape[0], None if count is None else frames(count, self.length, self.step, self.stride), 1)


def frames(samples, length: int, step: int, stride: int):
    """Return how many frames of the answer so many samples make (at least as many as a frame of the spectra has).

    Args:
        length, step, stride: as of `Sounding`.
    """
    return (samples - length) // (step * stride) + 1


@keras.saving.register_keras_serializable("horngate")
class SoundingMean(layers.Layer):
    """The mean of features over the frames with sound; zeros where there are none."""

    def call(self, features, there):
        """Return `[n, d]` from features `[n, frames, d]` and `[n, frames, 1]` of 0 and 1."""
        return ops.sum(features * there, 1) / ops.maximum(ops.sum(there, 1), 1.0)

    def compute_output_shape(self, features_shape, there_shape):
        return (features_shape[0], features_shape[-1])


@keras.saving.register_keras_serializable("horngate")
class UnitScores(layers.Layer):
    """Turns logits into log-probabilities; frames without sound are surely blank."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})

    def call(self, logits, there):
        """Return float32 `[n, frames, units + 1]` from logits of that shape and `[n, frames, 1]` of 0 and 1."""
        scores = ops.log_softmax(ops.cast(logits, "float32"))
        first = ops.cast(ops.arange(scores.shape[-1]) == 0, "float32")
        return there * scores + (1 - there) * UNHEARD * (1 - first)

    def compute_output_shape(self, logits_shape, there_shape):
        return logits_shape


def _stem(levels, config: TranscriberConfig):
    """Return `[n, frames, width]`: one frame for each `stride`, padded by hand so that the length doesn't move anything."""
    padded = layers.ZeroPadding1D((KERNEL // 2, KERNEL // 2))(levels)
    found = layers.Conv1D(config.width, KERNEL, strides=config.stride, name="stem")(padded)
    return layers.Activation("silu")(layers.LayerNormalization()(found))


def _body(found, there, config: TranscriberConfig):
    for number in range(config.depth):
        if config.network == "conformer":
            found = _conformer(found, there, config, f"block_{number}")
        else:
            found = _convolved(found, there, config, f"block_{number}")
    return _recurrent(found, there, config) if config.network == "recurrent" else found


def _convolved(found, there, config: TranscriberConfig, name: str, kernel: int = 9):
    """Return a residual block of a convolution in time for each channel, and one of all channels."""
    inner = layers.LayerNormalization(name=f"{name}_norm")(found) * there
    inner = layers.DepthwiseConv1D(kernel, padding="same", name=f"{name}_time")(inner)
    inner = layers.Dense(2 * config.width, activation="silu", name=f"{name}_wide")(inner)
    inner = layers.Dense(config.width, name=f"{name}_narrow")(inner)
    return (found + layers.Dropout(config.dropout, seed=config.seed)(inner)) * there


def _recurrent(found, there, config: TranscriberConfig):
    """Return what two gated recurrences (Cho et al. 2014) make of it, one in each direction."""
    inner = layers.LayerNormalization(name="recurrent_norm")(found)
    inner = layers.Dropout(config.dropout, seed=config.seed)(inner)
    heard = ops.squeeze(there, -1) > 0.5
    both = layers.Bidirectional(layers.GRU(config.width, return_sequences=True), name="recurrent")(inner, mask=heard)
    both = layers.Dropout(config.dropout, seed=config.seed + 1)(both)
    return (found + layers.Dense(config.width, name="recurrent_narrow")(both)) * there


def _conformer(found, there, config: TranscriberConfig, name: str):
    """Return a Conformer block (Gulati et al. 2020, arXiv 2005.08100); its convolutions are what tells places apart."""
    found = found + 0.5 * _forward(found, config, f"{name}_first")
    inner = layers.LayerNormalization(name=f"{name}_attention_norm")(found)
    heard = ops.squeeze(there, -1) > 0.5
    heads = max(config.width // 32, 1)
    attention = layers.MultiHeadAttention(heads, config.width // heads, dropout=config.dropout, seed=config.seed)
    found = found + attention(inner, inner, attention_mask=ops.expand_dims(heard, 1))
    found = _convolved(found, there, config, f"{name}_convolution", kernel=15)
    found = found + 0.5 * _forward(found, config, f"{name}_second")
    return layers.LayerNormalization(name=f"{name}_norm")(found) * there


def _forward(found, config: TranscriberConfig, name: str):
    inner = layers.Dense(4 * config.width, activation="silu", name=f"{name}_wide")(layers.LayerNormalization()(found))
    inner = layers.Dense(config.width, name=f"{name}_narrow")(inner)
    return layers.Dropout(config.dropout, seed=config.seed)(inner)


@keras.saving.register_keras_serializable("horngate")
class CtcLoss(keras.losses.Loss):
    """The negative log-probability of the units, over all ways to spread them over the frames that hold sound.

    Connectionist temporal classification (Graves et al. 2006), with the lengths that padding must not change. Targets are
    int32 `[n, 1 + units]`: the frames that are heard, then the units' numbers from 1 on, filled up with 0, which
    is the blank. Answers are logits float32 `[n, frames, units + 1]`.
    """

    def __init__(self, name="ctc", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, targets, logits):
        """Return float32 `[n]`, in nats per unit of the target."""
        targets = ops.cast(targets, "int32")
        frames, units = targets[:, 0], targets[:, 1:]
        lengths = ops.sum(ops.cast(units > 0, "int32"), axis=-1)
        losses = ops.ctc_loss(units, ops.cast(logits, "float32"), lengths, frames, mask_index=0)
        return losses / ops.cast(ops.maximum(lengths, 1), "float32")
