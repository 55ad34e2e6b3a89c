"""From the log-probabilities of a CTC network (Graves et al. 2006) to the units it heard, and when it heard them."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

BLANK = 0


@dataclass(frozen=True)
class Heard:
    """Units heard in one recording.

    Attributes:
        numbers: of the units, in order.
        frames: int64 `[units, 2]`: the first frame of each, and the one after its last.
        sureness: float64 `[units]`: the highest probability of each in its frames.
        silence: mean probability of the blank over all frames; 1 where there are none.
    """

    numbers: tuple[int, ...]
    frames: np.ndarray
    sureness: np.ndarray
    silence: float

    @property
    def confidence(self) -> float:
        """Geometric mean of the sureness of all units; where none was heard, how sure the silence is."""
        if not len(self.sureness):
            return self.silence
        return float(np.exp(np.mean(np.log(np.maximum(self.sureness, 1e-12)))))


def greedy(scores: np.ndarray) -> tuple[int, ...]:
    """Return the best path's units: the likeliest of each frame, repeats merged, blanks dropped.

    Args:
        scores: log-probabilities float32 `[frames, units + 1]`, the blank first.
    """
    best = scores.argmax(-1) if len(scores) else np.zeros(0, np.int64)
    changed = np.diff(best, prepend=-1) != 0
    return tuple(int(unit) for unit in best[changed] if unit != BLANK)


def needed(numbers: tuple[int, ...] | list[int]) -> int:
    """Return the least frames that a CTC path for these units has: repeats need a blank between them."""
    return len(numbers) + sum(left == right for left, right in pairwise(numbers))


def heard(scores: np.ndarray, numbers: tuple[int, ...]) -> Heard:
    """Return units with their frames, by the likeliest CTC path (Viterbi) that spells them.

    Args:
        scores: log-probabilities float32 `[frames, units + 1]`; there must be `needed(numbers)` frames or more.
    """
    silence = float(np.exp(scores[:, BLANK]).mean()) if len(scores) else 1.0
    if not numbers:
        return Heard((), np.zeros((0, 2), np.int64), np.zeros(0), silence)
    path = _path(scores.astype(np.float64), numbers)
    spans, sureness = [], []
    for place, unit in enumerate(numbers):
        own = np.flatnonzero(path == 2 * place + 1)
        spans.append((own[0], own[-1] + 1))
        sureness.append(np.exp(scores[own, unit].max()))
    return Heard(tuple(numbers), np.array(spans, np.int64), np.array(sureness, np.float64), silence)


def _path(scores: np.ndarray, numbers: tuple[int, ...]) -> np.ndarray:
    """Return the state of each frame on the likeliest path through blank, unit, blank, …, blank."""
    states = np.full(2 * len(numbers) + 1, BLANK)
    states[1::2] = numbers
    skips = np.zeros(len(states), bool)  # states that may follow the one before the last: another unit
    skips[3::2] = states[3::2] != states[1:-2:2]
    best = np.full(len(states), -np.inf)
    best[:2] = scores[0, states[:2]]
    came = np.zeros((len(scores), len(states)), np.int8)
    for frame in range(1, len(scores)):
        one, two = np.full_like(best, -np.inf), np.full_like(best, -np.inf)
        one[1:], two[2:] = best[:-1], np.where(skips[2:], best[:-2], -np.inf)
        ways = np.stack([best, one, two])
        came[frame] = ways.argmax(0)
        best = ways.max(0) + scores[frame, states]
    state = len(states) - 1 - int(best[-2] > best[-1])
    path = np.zeros(len(scores), np.int64)
    for frame in range(len(scores) - 1, -1, -1):
        path[frame] = state
        state -= came[frame, state]
    return path
