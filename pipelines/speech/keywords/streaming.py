"""A stream of samples as overlapping windows, and their scores as events; the same however the stream was cut."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

REMEMBERED = 10.0  # seconds in which the quietest moment counts as the background
WAITED = 3  # windows without a better score after which an event is told
QUIET = 1e-6  # power: what is softer (-60 dB) is silence


@dataclass
class Windows:
    """Cuts a stream of samples into windows that end every `hop` samples; before its start and behind its end is silence.

    Attributes:
        length, hop: samples of a window, and from the end of one to the end of the next.
    """

    length: int
    hop: int
    kept: np.ndarray = field(init=False)
    seen: int = field(default=0, init=False)

    def __post_init__(self):
        self.kept = np.zeros(self.length - self.hop, np.float32)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Return the windows that these samples, float32 `[n]`, complete: float32 `[windows, length]`."""
        self.kept = np.concatenate([self.kept, samples])
        count = max((len(self.kept) - self.length) // self.hop + 1, 0)
        if not count:
            return np.zeros((0, self.length), np.float32)
        views = np.lib.stride_tricks.sliding_window_view(self.kept, self.length)[: count * self.hop : self.hop]
        found = views[:count].copy()
        self.kept = self.kept[count * self.hop :]
        self.seen += count
        return found

    def end(self) -> np.ndarray:
        """Return the last windows, those whose middle lies before the end of the stream."""
        return self.push(np.zeros(self.length // 2 + self.hop - 1, np.float32))


@dataclass(frozen=True)
class Manner:
    """How scores become events; times are seconds.

    Attributes:
        hop: from one window to the next.
        threshold: the smoothed score from which on a keyword counts as heard.
        smoothing: over which scores are averaged.
        refractory: after an event, in which no other one is told.
        gate: decibels by which a window's end must be louder than the quietest moment of the last ten seconds.
    """

    hop: float = 0.1
    threshold: float = 0.6
    smoothing: float = 0.3
    refractory: float = 0.7
    gate: float = 6.0


class Events:
    """Turns scores of windows, one after the other, into events.

    A keyword's smoothed score has to reach the threshold; the event is told where it is highest, as soon as three windows
    have not been better.

    Args:
        labels: names of the scores.
        ignored: places of labels that are no keywords.
        seconds: that a window lasts.
    """

    def __init__(self, labels: tuple[str, ...], ignored: list[int], seconds: float, manner: Manner):
        self.labels, self.ignored, self.seconds, self.manner = labels, ignored, seconds, manner
        self.recent: deque = deque(maxlen=max(1, round(manner.smoothing / manner.hop)))
        self.powers: deque = deque(maxlen=max(1, round(REMEMBERED / manner.hop)))
        self.number, self.quiet_until = 0, -np.inf
        self.best: dict[str, Any] | None = None
        self.waited = 0

    def push(self, scores: np.ndarray, powers: np.ndarray) -> list[dict[str, Any]]:
        """Return the events that are certain now.

        Args:
            scores: float32 `[windows, labels]`.
            powers: float64 `[windows]`: mean squares of the last hop of each window.
        """
        found = []
        for score, power in zip(scores, powers, strict=True):
            event = self._step(score, float(power))
            if event is not None:
                found.append(event)
        return found

    def end(self) -> list[dict[str, Any]]:
        """Return the event that was still waited for, if there is one."""
        best, self.best = self.best, None
        return [] if best is None else [best]

    def _step(self, score: np.ndarray, power: float) -> dict[str, Any] | None:
        self.number += 1
        self.powers.append(power)
        self.recent.append(score.astype(np.float64))
        mean = np.mean(self.recent, 0)
        mean[self.ignored] = 0.0
        place, now = int(mean.argmax()), self.number * self.manner.hop
        heard = mean[place] >= self.manner.threshold and now >= self.quiet_until and self._sounding()
        if heard and (self.best is None or mean[place] > self.best["score"]):
            self.best, self.waited = self._event(place, float(mean[place]), now), 0
            return None
        if self.best is None:
            return None
        self.waited += 1
        if self.waited < WAITED:
            return None
        best, self.best, self.waited = self.best, None, 0
        self.quiet_until = best["time"] + self.seconds / 2 + self.manner.refractory
        return best

    def _sounding(self) -> bool:
        """Whether something in the last window was louder than the background."""
        count = max(1, round(self.seconds / self.manner.hop))
        loudest = max(list(self.powers)[-count:])
        return loudest > QUIET and loudest >= min(self.powers) * 10 ** (self.manner.gate / 10)

    def _event(self, place: int, score: float, now: float) -> dict[str, Any]:
        middle = now - (self.seconds + self.manner.hop * (len(self.recent) - 1)) / 2
        start = max(middle - self.seconds / 2, 0.0)
        times = {
            "time": round(max(middle, 0.0), 3),
            "start": round(start, 3),
            "end": round(middle + self.seconds / 2, 3),
        }
        return times | {"label": self.labels[place], "score": round(score, 6)}
