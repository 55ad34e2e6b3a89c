"""What all models of sound share: from samples to log-mel spectra inside the model, and random views of these."""

import keras
import numpy as np
from keras import layers, ops

LEAST = 1e-7  # power of a mel band, of full scale, below which nothing is told apart


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

    def get_config(self):
        names = ("rate", "bands", "window", "hop", "low", "high", "span")
        return super().get_config() | {name: getattr(self, name) for name in names}

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
        stretch: how far frequencies are stretched or squeezed at most, as a share.
        seed: of the draws.
    """

    def __init__(self, times=2, bands=2, time_share=0.15, band_share=0.2, stretch=0.0, seed=0, **kwargs):
        super().__init__(**kwargs | {"dtype": "float32"})
        self.times, self.bands, self.time_share, self.band_share = times, bands, time_share, band_share
        self.stretch, self.seed = stretch, seed
        self.draws = keras.random.SeedGenerator(seed)

    def call(self, levels, training=None):
        """Return float32 of the same shape `[n, frames, bands]`."""
        if not training:
            return levels
        if self.stretch:
            levels = self._stretched(levels)
        shape = ops.shape(levels)
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

    def _stretched(self, levels):
        """Return levels whose bands lie at other frequencies, by one factor for each clip, linearly interpolated."""
        count, bands = ops.shape(levels)[0], levels.shape[-1]
        factor = 1 + keras.random.uniform((count, 1), -self.stretch, self.stretch, seed=self.draws)
        at = ops.clip(ops.cast(ops.arange(bands), "float32")[None] * factor, 0.0, bands - 1.0)
        near = 1 - ops.abs(ops.expand_dims(at, 1) - ops.cast(ops.arange(bands), "float32")[None, :, None])
        return ops.matmul(levels, ops.maximum(near, 0.0))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = ("times", "bands", "time_share", "band_share", "stretch", "seed")
        return super().get_config() | {name: getattr(self, name) for name in names}
