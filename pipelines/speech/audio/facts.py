"""What the first look at a recording sees, and how one stands on a page: to be heard, beside its spectrum."""

from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise

import numpy as np
from PIL import Image

from horngate.pipelines.report.plot import Shown
from horngate.pipelines.speech.audio.decoding import Sound, resampled, written

SIDE = 32  # of the thumbnail: mel bands, and steps in time
FRAME = 0.032  # seconds
RANGE = 60.0  # decibels below the loudest cell that a thumbnail shows
SILENT = 10 ** (-60 / 20)  # of full scale: a root mean square below it is silence
CLIPPED = 0.999  # of the peak: samples so near to it, several in a row, were cut off
RUN = 3  # samples


@dataclass(frozen=True)
class Facts:
    """What was seen of one recording.

    Attributes:
        seconds: its length.
        rate, channels, kind, converted: as of `Sound`.
        peak, level: of full scale: the largest sample, and the root mean square.
        offset: the mean sample (DC), of full scale.
        clipped: share of the samples that stand in a row at the peak, of files of whole numbers.
        highest: Hz, the frequency below which 99.9 % of the energy lies.
        thumbnail: uint8 `[32, 32]`: mel bands by time, 60 decibels wide.
    """

    seconds: float
    rate: int
    channels: int
    kind: str
    converted: tuple[str, ...]
    peak: float
    level: float
    offset: float
    clipped: float
    highest: float
    thumbnail: np.ndarray

    @property
    def silent(self) -> bool:
        return self.level < SILENT


def facts_of(sound: Sound) -> Facts:
    """Return the facts of a recording."""
    samples = sound.samples.astype(np.float64)
    powers = powers_of(samples, sound.rate)
    by_frequency = np.cumsum(powers.mean(0))
    total = by_frequency[-1]
    place = int(np.searchsorted(by_frequency, 0.999 * total)) if total > 0 else 0
    return Facts(
        seconds=sound.seconds,
        rate=sound.rate,
        channels=sound.channels,
        kind=sound.kind,
        converted=sound.converted,
        peak=float(np.abs(samples).max()),
        level=float(np.sqrt(np.square(samples).mean())),
        offset=float(samples.mean()),
        clipped=_clipped(samples) if sound.whole and sound.channels == 1 else 0.0,
        highest=place * sound.rate / 2 / (powers.shape[1] - 1),
        thumbnail=_thumbnail(powers, sound.rate),
    )


def _clipped(samples: np.ndarray) -> float:
    """Return the share of samples that stand, three or more in a row, at the largest value of either sign."""
    peak = np.abs(samples).max()
    if peak < 0.1:
        return 0.0
    at = np.abs(samples) >= CLIPPED * peak
    edges = np.flatnonzero(np.diff(np.concatenate([[0], at.astype(np.int8), [0]])))
    lengths = edges[1::2] - edges[::2]
    return float(lengths[lengths >= RUN].sum() / len(samples))


def powers_of(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the power spectra of frames of 32 ms, half overlapping, without their mean, float64 `[frames, bins]`."""
    length = max(64, int(FRAME * rate))
    samples = np.pad(samples - samples.mean(), (0, max(0, length - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[:: length // 2]
    return np.abs(np.fft.rfft(frames * np.hanning(length), axis=1)) ** 2


def _thumbnail(powers: np.ndarray, rate: int) -> np.ndarray:
    """Return mel bands by time as 8-bit greys; those up to 4 kHz, so that one recording at two rates looks the same."""
    bands = powers @ mel_bands(SIDE, powers.shape[1], rate, 60.0, 3800.0).T
    edges = np.linspace(0, len(bands), SIDE + 1)
    means = [bands[int(start) : max(int(np.ceil(end)), int(start) + 1)].mean(0) for start, end in pairwise(edges)]
    levels = 10 * np.log10(np.maximum(np.array(means), 1e-12))
    return np.clip((levels - levels.max() + RANGE) * 255 / RANGE, 0, 255).astype(np.uint8).T.copy()


def mel_bands(count: int, bins: int, rate: int, low: float, high: float) -> np.ndarray:
    """Return triangular filters float64 `[count, bins]` that lie evenly on the mel scale (O'Shaughnessy's), each with sum 1

    where it holds a bin at all.
    """
    edges = 700 * (10 ** (np.linspace(_mel(low), _mel(high), count + 2) / 2595) - 1)
    frequencies = np.linspace(0, rate / 2, bins)[None]
    lower, middle, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - lower) / (middle - lower), (upper - frequencies) / (upper - middle)
    filters = np.maximum(0, np.minimum(rising, falling))
    return filters / np.maximum(filters.sum(1, keepdims=True), 1e-9)


def _mel(frequency: float) -> float:
    return 2595 * np.log10(1 + frequency / 700)


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
