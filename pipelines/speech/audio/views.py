"""Random views of recordings while a model learns: other speeds, places, levels and noises."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from horngate.pipelines.speech.audio.audio_input import loudest, placed
from horngate.pipelines.speech.audio.decoding import Sound, resampled

if TYPE_CHECKING:
    from collections.abc import Sequence

# strength -> widest change of speed, share of clips with noise, lowest and highest ratio of speech to noise in decibels
STRENGTHS = {"none": (0.0, 0.0, (0.0, 0.0)), "light": (0.08, 0.3, (10.0, 30.0)), "strong": (0.15, 0.7, (0.0, 25.0))}
LOUDER = 10.0  # decibels: widest change of level
SLOPES = (0.0, 0.5, 1.0, 1.5, 2.0)  # of the noises that are learnt with
LONG = 1 << 18  # samples of each of them that are kept
FLOOR = 1e-8  # power of what counts as silence


class View:
    """A random view of one recording, drawn from a seed sequence: the same numbers give the same view.

    A recording is played faster or slower (voice and tempo change together), lies elsewhere in the window, is louder or
    softer, and often has noise behind it, of a colour between white and brown (Ko et al. 2015; Park et al. 2019), or a part
    of a recording of noise.

    Args:
        strength: `none`, `light` or `strong`.
        seed: numbers that name the draw, such as (seed, epoch, row).
        noises: recordings of noise at the rate of the model, float32 `[n]` each; where there are some, every other noise is
            cut from one of them.
    """

    def __init__(self, strength: str, seed: "Sequence[int]", noises: "Sequence[np.ndarray]" = ()):
        self.speed, self.noisy, self.ratios = STRENGTHS[strength]
        self.noises = noises
        self.draw = np.random.default_rng(seed)

    def heard(self, sound: Sound, rate: int, length: int) -> np.ndarray:
        """Return float32 `[length]` at a rate."""
        factor = round(
            1 + self.speed * self.draw.uniform(-1, 1), 2
        )  # whole hundredths: soxr has short filters for them
        samples = loudest(resampled(sound.samples, round(sound.rate * factor), rate), length)
        share = self.draw.uniform() if self.speed else 0.5
        out = placed(samples, length, share)
        if self.noisy and self.draw.uniform() < self.noisy:
            power = float(np.square(samples, dtype=np.float64).mean()) if len(samples) else 0.0
            power /= 10 ** (self.draw.uniform(*self.ratios) / 10)
            slope = float(self.draw.choice(SLOPES))
            if self.noises and self.draw.uniform() < 0.5:
                out = out + _recorded(self.noises, length, power, self.draw)
            else:
                out = out + _kept_noise(length, slope, power, self.draw)
        if self.speed:
            out = out * np.float32(10 ** (self.draw.uniform(-LOUDER, LOUDER) / 20))
        return out


def _recorded(noises: "Sequence[np.ndarray]", length: int, power: float, draw: np.random.Generator) -> np.ndarray:
    """Return a random part of one of some recordings, float32 `[length]`, with a mean power; a short one is repeated."""
    whole = noises[int(draw.integers(len(noises)))]
    start = int(draw.integers(max(len(whole) - length, 0) + 1))
    part = np.resize(whole[start : start + length], length)
    return part * np.float32(np.sqrt(power / max(np.square(part, dtype=np.float64).mean(), FLOOR)))


def _kept_noise(length: int, slope: float, power: float, draw: np.random.Generator) -> np.ndarray:
    """Return what `noise` does, cut at random from noise that is made once."""
    kept = _long_noise(slope)
    if length >= len(kept):
        return noise(length, slope, power, draw)
    start = int(draw.integers(len(kept) - length))
    return kept[start : start + length] * np.float32(draw.choice([-1, 1]) * np.sqrt(power))


@cache
def _long_noise(slope: float) -> np.ndarray:
    return noise(LONG, slope, 1.0, np.random.default_rng(round(100 * slope)))


def noise(length: int, slope: float, power: float, draw: np.random.Generator) -> np.ndarray:
    """Return float32 `[length]` of noise with a mean power, whose spectrum falls as frequency to the power of `slope`:

    0 is white, 1 pink, 2 brown.
    """
    white = np.fft.rfft(draw.standard_normal(length, np.float32))
    white *= np.maximum(np.arange(len(white)), 1) ** (-slope / 2)
    made = np.fft.irfft(white, length).astype(np.float32)
    return made * np.float32(np.sqrt(power / max(np.square(made).mean(), FLOOR)))


def noisy(samples: np.ndarray, ratio: float, slope: float, draw: np.random.Generator) -> np.ndarray:
    """Return samples float32 `[n]` with noise behind them at a ratio in decibels to the power of what isn't silent."""
    sounding = samples[samples != 0]
    power = float(np.square(sounding, dtype=np.float64).mean()) if len(sounding) else 0.0
    return samples + noise(len(samples), slope, power / 10 ** (ratio / 10), draw)
