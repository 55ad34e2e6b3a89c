"""Random views of whole utterances while a model learns to write them down."""

from collections.abc import Sequence

import numpy as np

from horngate.pipelines.speech.audio.decoding import resampled
from horngate.pipelines.speech.audio.views import LOUDER, noise

# strength -> widest change of speed, share of utterances with noise, lowest ratio of speech to noise in decibels
STRENGTHS = {"light": (0.1, 0.3, 15.0), "strong": (0.15, 0.6, 5.0)}
QUIETEST = 30.0  # decibels: highest ratio of speech to noise


def viewed(samples: np.ndarray, rate: int, strength: str, seed: Sequence[int]) -> np.ndarray:
    """Return a random view of an utterance float32 `[n]`: faster or slower (Ko et al. 2015), louder or softer, in noise.

    Args:
        strength: `light` or `strong`.
        seed: numbers that name the draw: the same give the same view.
    """
    draw = np.random.default_rng(seed)
    speed, noisy, lowest = STRENGTHS[strength]
    out = resampled(samples, round(rate * (1 + speed * draw.uniform(-1, 1))), rate)
    if draw.uniform() < noisy:
        power = float(np.square(out, dtype=np.float64).mean()) if len(out) else 0.0
        ratio, slope = draw.uniform(lowest, QUIETEST), draw.uniform(0, 2)
        out = out + noise(len(out), slope, power / 10 ** (ratio / 10), draw)
    return out * np.float32(10 ** (draw.uniform(-LOUDER, LOUDER) / 20))
