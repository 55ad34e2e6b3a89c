"""How a recording becomes what a keyword model hears: one rate, one length."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from horngate.pipelines.speech.audio.decoding import Sound, resampled

if TYPE_CHECKING:
    from horngate.pipelines.speech.audio.views import View

NEARLY_ALL = 0.98  # of the training clips fit into the window
SHORTEST, LONGEST = 0.3, 10.0  # seconds of a window
STEP = 0.05  # seconds that a window is a multiple of


def window_of(seconds: list[float]) -> float:
    """Return the seconds that nearly all clips have."""
    wanted = np.ceil(np.quantile(seconds, NEARLY_ALL) / STEP - 1e-6) * STEP
    return float(round(np.clip(wanted, SHORTEST, LONGEST), 2))


@dataclass(frozen=True)
class AudioInput:
    """Hears recordings as one model does.

    Attributes:
        rate: samples per second.
        samples: how many are heard at once.
    """

    rate: int
    samples: int

    def read(self, sound: Sound, view: "View | None" = None) -> np.ndarray:
        """Return float32 `[samples]`: a shorter recording in the middle of silence, of a longer one the loudest part.

        `view` draws a random view of it.
        """
        if view is not None:
            return view.heard(sound, self.rate, self.samples)
        heard = resampled(sound.samples, sound.rate, self.rate)
        return placed(loudest(heard, self.samples), self.samples)


def loudest(samples: np.ndarray, length: int) -> np.ndarray:
    """Return the `length` samples in a row with the most energy, or all where there are no more."""
    if len(samples) <= length:
        return samples
    sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    start = int((sums[length:] - sums[:-length]).argmax())
    return samples[start : start + length]


def placed(samples: np.ndarray, length: int, share: float = 0.5) -> np.ndarray:
    """Return samples between zeros, float32 `[length]`; `share` of the zeros come before them."""
    out = np.zeros(length, np.float32)
    start = round((length - len(samples)) * share)
    out[start : start + len(samples)] = samples
    return out
