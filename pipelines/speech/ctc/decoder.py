"""From the log-probabilities of a recording's windows to its words, with times."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from horngate.pipelines.speech.ctc.decoding import Heard, heard, needed
from horngate.pipelines.speech.ctc.language import UnitDecoder
from horngate.pipelines.speech.ctc.vocabulary import CtcVocabulary
from horngate.pipelines.speech.transcribe.subtitles import Timed, Transcript
from horngate.pipelines.speech.transcribe.windows import Window

FILES = ("labels.json", "language.json")


@dataclass(frozen=True)
class CtcDecoder:
    """Writes down what a CTC network heard.

    Attributes:
        vocabulary: what it spells in.
        decoder: how units are found.
        stride: frames of 10 ms that one frame of the log-probabilities stands for.
        rate: samples per second.
    """

    vocabulary: CtcVocabulary
    decoder: UnitDecoder
    stride: int
    rate: int

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return round(0.01 * self.rate) * self.stride

    def write(self, folder: Path) -> None:
        """Write `FILES`."""
        self.vocabulary.write(folder / "labels.json")
        self.decoder.write(folder / "language.json")

    @classmethod
    def read(cls, folder: Path, schema: dict[str, Any]) -> "CtcDecoder":
        """Return what `write` wrote.

        Args:
            schema: holds `stride` and `rate`.

        Raises:
            UserError: missing or damaged.
        """
        vocabulary = CtcVocabulary.read(folder / "labels.json")
        decoder = UnitDecoder.read(folder / "language.json", vocabulary)
        return cls(vocabulary, decoder, schema["stride"], schema["rate"])

    def transcript(self, windows: list[Window], outputs: list[np.ndarray]) -> Transcript:
        """Return the transcript of a recording.

        Windows that no silence parts are decoded as one, each of its frames from the window that it lies in; others each
        for themselves.

        Args:
            outputs: log-probabilities float32 `[frames, units + 1]` of each window, filled up behind.
        """
        words: list[Timed] = []
        runs: list[list[int]] = []
        for number, window in enumerate(windows):
            if window.silent or not runs:
                runs.append([])
            runs[-1].append(number)
        sureness, silences = [], []
        for run in runs:
            scores = np.concatenate([self._inner(windows[number], outputs[number]) for number in run])
            found = heard(scores, self._units(scores))
            words += self._words(found, windows[run[0]].start)
            sureness.append(found.sureness)
            silences.append(found.silence)
        text = " ".join(word for *_, word in words)
        whole = Heard((), np.zeros((0, 2), np.int64), np.concatenate(sureness), float(np.mean(silences)))
        return Transcript(text, whole.confidence, words)

    def _inner(self, window: Window, scores: np.ndarray) -> np.ndarray:
        """Return the frames of a window that it stands for."""
        start, end = ((place - window.first) / self.hop for place in (window.start, window.end))
        return scores[round(start) : round(end)]

    def _units(self, scores: np.ndarray) -> tuple[int, ...]:
        """Return the units of some frames; fewer where a search asks for more than the frames can hold."""
        numbers = self.decoder.units(scores)
        while needed(numbers) > len(scores):
            numbers = numbers[:-1]
        return numbers

    def _words(self, found: Heard, start: int) -> list[Timed]:
        """Return the words of a run that begins at a sample: start and end in seconds, and the word."""
        seconds = (start + found.frames * self.hop) / self.rate
        if self.vocabulary.kind == "words":
            names = [self.vocabulary.names[number - 1] for number in found.numbers]
            return [(float(low), float(high), name) for (low, high), name in zip(seconds, names, strict=True)]
        words: list[Timed] = []
        fresh = True
        for (low, high), number in zip(seconds, found.numbers, strict=True):
            sign = self.vocabulary.names[number - 1]
            if sign == " ":
                fresh = True
            elif fresh:
                words.append((float(low), float(high), sign))
                fresh = False
            else:
                words[-1] = (words[-1][0], float(high), words[-1][2] + sign)
        return words
