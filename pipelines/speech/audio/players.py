"""How a recording stands on a page: something to press and hear, and a picture of its spectrum."""

from io import BytesIO

import numpy as np
from PIL import Image

from horngate.pipelines.report.plot import Shown
from horngate.pipelines.speech.audio.decoding import resampled, written
from horngate.pipelines.speech.audio.facts import mel_bands, powers_of

LONGEST = 10.0  # seconds that are played
HIGHEST = 16_000  # samples per second that are played: enough for speech, and small
BANDS, WIDE, HIGH = 48, 240, 96  # of the picture: mel bands, and pixels
RANGE = 70.0  # decibels


def shown(samples: np.ndarray, rate: int) -> Shown:
    """Return samples float32 `[n]` to be played and looked at; silence at their ends is left out."""
    heard = np.flatnonzero(samples)
    samples = samples[heard[0] : heard[-1] + 1] if len(heard) else samples
    samples = samples[: int(LONGEST * rate)]
    if rate > HIGHEST:
        samples, rate = resampled(samples, rate, HIGHEST), HIGHEST
    peak = float(np.abs(samples).max(initial=0.0)) or 1.0
    return Shown(picture=spectrum(samples, rate), sound=written(0.9 * samples / peak, rate))


def spectrum(samples: np.ndarray, rate: int) -> bytes:
    """Return the mel spectra of samples as a PNG: time to the right, frequency upwards, loud is dark."""
    powers = powers_of(samples.astype(np.float64), rate)
    bands = powers @ mel_bands(BANDS, powers.shape[1], rate, 60.0, 0.475 * rate).T
    levels = 10 * np.log10(np.maximum(bands, 1e-12))
    greys = 255 - np.clip((levels - levels.max() + RANGE) * 255 / RANGE, 0, 255)
    picture = Image.fromarray(greys.astype(np.uint8).T[::-1]).resize((WIDE, HIGH), Image.Resampling.BILINEAR)
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
