"""Long recordings: cut at their silences into windows that a model can take, and put together again.

A cut lies in the longest silence of the second half of a window. Where there is none, it lies at the quietest moment, and
both sides are heard beyond it, so that no word is lost there.
"""

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np

STEP = 0.01  # seconds, of the levels that silences are looked for in
PAUSE = 0.15  # seconds: a shorter silence may lie inside a word
BELOW = 30.0  # dB under the loudest moments: quieter than that is silence
ABOVE = 10.0  # dB over the quietest moments: quieter than that is silence too, in a recording with noise
LEAST_RANGE = 6.0  # dB between quiet and loud moments, without which nothing counts as silence
CONTEXT = 1.0  # seconds that both sides of a cut without silence are heard beyond it
FADE = 0.2  # seconds that are heard beyond a silent cut


@dataclass(frozen=True)
class Window:
    """A part of a recording, in samples.

    Attributes:
        start, end: of what it stands for; windows follow each other without gaps.
        first, last: of what is heard: more than that, where there is more.
        silent: whether it begins at a silence (or at the beginning of the recording).
    """

    start: int
    end: int
    first: int
    last: int
    silent: bool


def windows(samples: np.ndarray, rate: int, longest: float) -> list[Window]:
    """Return the windows of a recording; a short one is one window.

    Args:
        samples: float32 `[n]`, of one channel; rate: per second.
        longest: seconds of a window at most.
    """
    most, total = int(longest * rate), len(samples)
    if total <= most:
        return [Window(0, total, 0, total, True)]
    room = most - 2 * int(min(CONTEXT, longest / 8) * rate)
    levels = _levels(samples, rate)
    quiet = levels < _silence(levels)
    cuts = [(0, True)]
    while total - cuts[-1][0] > room:
        start = cuts[-1][0]
        low, high = (int((start + share * room) / rate / STEP) for share in (0.5, 1.0))
        place, silent = _cut(levels[low:high], quiet[low:high])
        cuts.append((int((low + place) * STEP * rate), silent))
    return _heard([*cuts, (total, True)], rate, min(CONTEXT, longest / 8))


def _heard(cuts: list[tuple[int, bool]], rate: int, context: float) -> list[Window]:
    """Return the windows between cuts, each heard beyond its ends."""
    beyond = [int(min(FADE, context) * rate) if silent else int(context * rate) for _, silent in cuts]
    beyond[0] = beyond[-1] = 0
    return [
        Window(start, end, start - beyond[place], end + beyond[place + 1], silent)
        for place, ((start, silent), (end, _)) in enumerate(pairwise(cuts))
    ]


def _levels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the level in dB of each step, smoothed over five of them, float64."""
    size = max(int(STEP * rate), 1)
    whole = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.einsum("ij,ij->i", whole, whole).astype(np.float64) / size
    smooth = np.convolve(np.pad(power, 2, mode="edge"), np.full(5, 0.2), "valid")
    return 10 * np.log10(smooth + 1e-10)


def _silence(levels: np.ndarray) -> float:
    """Return the level in dB below which a recording is silent: far below its loudest moments, or near its quietest."""
    low, high = np.quantile(levels, [0.02, 0.98])
    if high - low < LEAST_RANGE:
        return -np.inf
    return max(high - BELOW, low + min(ABOVE, 0.4 * (high - low)))


def _cut(levels: np.ndarray, quiet: np.ndarray) -> tuple[int, bool]:
    """Return the middle of the longest silence and True, or the quietest step and False where no silence is long enough."""
    edges = np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    lengths = ends - starts
    if len(lengths) and lengths.max() * STEP >= PAUSE:
        longest = int(lengths.argmax())
        return int((starts[longest] + ends[longest]) // 2), True
    return int(levels.argmin()), False


def overlap(left: list[str], right: list[str], most: int = 12) -> tuple[int, int]:
    """Return how many words at the end of the left and at the beginning of the right to leave out, so that what both

    windows heard stands there once.

    The last words of the left are laid over the first of the right where the longest run of them agrees: up to its end the
    left counts, after it the right. Where nothing agrees, nothing is left out.

    Args:
        left, right: words of two windows that overlap.
        most: words at either side of the border that may be the same.
    """
    tail, head = left[-most:], right[:most]
    bare = [["".join(filter(str.isalnum, word.casefold())) for word in part] for part in (tail, head)]
    run = SequenceMatcher(None, *bare, autojunk=False).find_longest_match()
    if not run.size or not any(bare[0][run.a : run.a + run.size]):
        return 0, 0
    return len(tail) - run.a - run.size, run.b + run.size
