"""What all models of sound share: from samples to log-mel spectra inside the model, and random views of these."""

import keras
import numpy as np
from keras import layers, ops

WHISPER_RATE = 16_000  # samples per second, of all its presets
LEAST = 1e-10  # power of a mel band, of full scale, below which nothing is told apart


@keras.saving.register_keras_serializable("horngate")
class LogMel(layers.Layer):
    """Log-mel spectra of samples at a known rate, by one fixed convolution and one product, so that every runtime has them.

    Each clip is levelled by its loudest cell: what lies `span` decibels below it counts as nothing, so that neither the
    level of a recording nor the zeros beside it matter.

    Args:
        rate: samples per second.
        bands: mel filters, evenly on the mel scale from `low` Hz to `high` (default: nearly half the rate).
        window, hop: seconds, of a frame and from one to the next.
        span: decibels below the loudest cell of a clip that count; None leaves levels as they are, in decibels / 10.
    """

    def __init__(self, rate, bands=40, window=0.025, hop=0.01, low=60.0, high=None, span=60.0, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.rate, self.bands, self.window, self.hop = rate, bands, window, hop
        self.low, self.high, self.span = low, high, span
        self.length, self.step = round(window * rate), round(hop * rate)
        self.kernel, self.filters = self._constants()

    def call(self, samples):
        """Return float32 `[n, frames, bands]` from samples float32 `[n, samples]`."""
        waves = ops.conv(ops.expand_dims(samples, -1), self.kernel, strides=self.step, padding="valid")
        half = self.kernel.shape[-1] // 2
        powers = ops.square(waves[..., :half]) + ops.square(waves[..., half:])
        levels = ops.log(ops.maximum(ops.matmul(powers, self.filters), LEAST)) / np.log(10.0)
        if self.span is None:
            return levels
        loudest = ops.max(levels, axis=(1, 2), keepdims=True)
        return ops.maximum(levels - loudest, -self.span / 10) * (20 / self.span) + 1

    def compute_output_shape(self, input_shape):
        frames = None if input_shape[1] is None else 1 + (input_shape[1] - self.length) // self.step
        return (input_shape[0], frames, self.bands)

    def _constants(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the cosines and sines of the frequencies that the filters reach `[length, 1, 2k]`, and the filters."""
        points = 2 ** int(np.ceil(np.log2(self.length)))
        filters = mel_filters(self.bands, points // 2 + 1, self.rate, self.low, self.high or 0.475 * self.rate)
        reached = np.flatnonzero(filters.sum(1) > 0)
        angles = 2 * np.pi * np.outer(np.arange(self.length), reached) / points
        waves = np.concatenate([np.cos(angles), np.sin(angles)], 1) * np.hanning(self.length)[:, None]
        return (waves[:, None] * (2 / self.length)).astype(np.float32), filters[reached].astype(np.float32)


def mel_filters(bands: int, bins: int, rate: int, low: float, high: float) -> np.ndarray:
    """Return triangular filters float64 `[bins, bands]` that lie evenly on the mel scale, with a peak of 1."""
    edges = 700 * (10 ** (np.linspace(_mel(low), _mel(high), bands + 2) / 2595) - 1)
    frequencies = np.linspace(0, rate / 2, bins)[:, None]
    lower, middle, upper = edges[:-2], edges[1:-1], edges[2:]
    width = rate / 2 / (bins - 1)
    rising = (frequencies - lower) / np.maximum(middle - lower, width)
    falling = (upper - frequencies) / np.maximum(upper - middle, width)
    filters = np.maximum(0, np.minimum(rising, falling))
    for band in np.flatnonzero(filters.sum(0) == 0):  # narrower than a bin: the nearest one
        filters[np.abs(frequencies[:, 0] - middle[band]).argmin(), band] = 1.0
    return filters


def _mel(frequency: float) -> float:
    return 2595 * np.log10(1 + frequency / 700)


@keras.saving.register_keras_serializable("horngate")
class Masking(layers.Layer):
    """Random views of log-mel spectra while learning: SpecAugment's masks (Park et al. 2019, arXiv 1904.08779), and

    frequencies stretched as a longer or shorter vocal tract would (Jaitly & Hinton 2013). Nothing happens otherwise.

    Args:
        times, bands: how many masks of each kind; their widths are drawn up to `time_share` and `band_share` of all.
        stretch, tempo: how far frequencies and times are stretched or squeezed at most, as a share.
        tilt: how far low frequencies are raised against high ones at most, or the other way, as another microphone would.
        seed: of the draws.
    """

    def __init__(
        self, times=2, bands=2, time_share=0.15, band_share=0.2, stretch=0.0, tempo=0.0, tilt=0.0, seed=0, **kwargs
    ):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.times, self.bands, self.time_share, self.band_share = times, bands, time_share, band_share
        self.stretch, self.tempo, self.tilt, self.seed = stretch, tempo, tilt, seed
        self.draws = keras.random.SeedGenerator(seed)

    def call(self, levels, training=None):
        """Return float32 of the same shape `[n, frames, bands]`."""
        if not training:
            return levels
        shape = ops.shape(levels)
        if self.stretch:
            levels = ops.matmul(levels, self._stretching(shape[0], shape[2], self.stretch, 0.0))
        if self.tempo:
            levels = ops.matmul(ops.transpose(self._stretching(shape[0], shape[1], self.tempo, 0.5), (0, 2, 1)), levels)
        if self.tilt:
            slope = keras.random.uniform((shape[0], 1, 1), -self.tilt, self.tilt, seed=self.draws)
            levels = levels + slope * ops.cast(ops.linspace(-1.0, 1.0, levels.shape[-1]), "float32")
        nothing = ops.min(levels, axis=(1, 2), keepdims=True)
        kept = ops.ones_like(levels[:, :1, :1])
        for _ in range(self.times):
            kept = kept * ops.expand_dims(self._mask(shape[0], shape[1], self.time_share), -1)
        for _ in range(self.bands):
            kept = kept * ops.expand_dims(self._mask(shape[0], shape[2], self.band_share), 1)
        return kept * levels + (1 - kept) * nothing

    def _mask(self, count, length, share: float):
        """Return float32 `[count, length]`, 0 where a mask lies."""
        whole = ops.cast(length, "float32")
        width = keras.random.uniform((count, 1), 0.0, share, seed=self.draws) * whole
        start = keras.random.uniform((count, 1), seed=self.draws) * (whole - width)
        place = ops.cast(ops.arange(length), "float32")[None]
        return 1 - ops.cast((place >= start) & (place < start + width), "float32")

    def _stretching(self, count, length, most: float, middle: float):
        """Return float32 `[count, length, length]`: what each place is made of when a clip is stretched by a random factor

        around a share of the length, linearly interpolated.
        """
        places = ops.cast(ops.arange(length), "float32")
        factor = 1 + keras.random.uniform((count, 1), -most, most, seed=self.draws)
        last = ops.cast(length - 1, "float32")
        at = ops.clip((places[None] - middle * last) * factor + middle * last, 0.0, last)
        return ops.maximum(1 - ops.abs(at[:, None] - places[None, :, None]), 0.0)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("horngate")
class WhisperMel(LogMel):
    """The log-mel spectra that Whisper was trained on (Radford et al. 2022), as KerasHub's converter makes them."""

    def __init__(self, bands=80, **kwargs):
        kwargs = {key: value for key, value in kwargs.items() if key in ("name", "trainable", "dtype")}
        super().__init__(WHISPER_RATE, bands, 0.025, 0.01, 0.0, WHISPER_RATE / 2, 80.0, **kwargs)

    def call(self, samples):
        """Return float32 `[n, frames, bands]` from samples float32 `[n, samples]`."""
        half = self.length // 2
        before, after = samples[:, 1 : half + 1], samples[:, -half - 1 : -1]
        samples = ops.concatenate([ops.flip(before, 1), samples, ops.flip(after, 1)], 1)
        waves = ops.conv(ops.expand_dims(samples, -1), self.kernel, strides=self.step, padding="valid")[:, :-1]
        part = self.kernel.shape[-1] // 2
        powers = ops.matmul(ops.square(waves[..., :part]) + ops.square(waves[..., part:]), self.filters)
        levels = ops.log(ops.maximum(powers, 1e-10)) / np.log(10.0)
        return (ops.maximum(levels, ops.max(levels, axis=(1, 2), keepdims=True) - 8.0) + 4.0) / 4.0

    def compute_output_shape(self, input_shape):
        return (input_shape[0], None if input_shape[1] is None else input_shape[1] // self.step, self.bands)

    def _constants(self) -> tuple[np.ndarray, np.ndarray]:
        from keras_hub.layers import WhisperAudioConverter

        angles = 2 * np.pi * np.outer(np.arange(self.length), np.arange(self.length // 2 + 1)) / self.length
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.length) / self.length)
        waves = np.concatenate([np.cos(angles), np.sin(angles)], 1) * window[:, None]
        filters = WhisperAudioConverter(num_mels=self.bands).mel_filters
        return waves[:, None].astype(np.float32), np.asarray(filters, np.float32)


@keras.saving.register_keras_serializable("horngate")
class AllHeard(layers.Layer):
    """Makes the mask of samples none of which is padding."""

    def call(self, samples):
        """Return bool `[n, samples]`, all true."""
        return ops.ones_like(samples, dtype="bool")

    def compute_output_shape(self, input_shape):
        return input_shape
