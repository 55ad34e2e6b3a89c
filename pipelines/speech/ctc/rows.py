"""Recordings and their transcripts, as a CTC network learns from them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from horngate.models.speech.transcription import frames
from horngate.pipelines.data.reading import threads
from horngate.pipelines.speech.audio.decoding import resampled
from horngate.pipelines.speech.audio.views import LOUDER, noise
from horngate.pipelines.speech.ctc.decoding import needed
from horngate.pipelines.speech.ctc.vocabulary import all_normalised
from horngate.pipelines.speech.transcribe.recordings import learnt_from, sounding, together
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.task import Task

KEPT = 1 << 31  # bytes of samples that stay in memory
# strength -> widest change of speed, share of utterances with noise, lowest ratio of speech to noise in decibels
STRENGTHS = {"light": (0.1, 0.3, 15.0), "strong": (0.15, 0.6, 5.0)}
QUIETEST = 30.0  # decibels: highest ratio of speech to noise


class SpokenRows:
    """Recordings to learn from, with their transcripts as numbers of units.

    Args:
        task: what it was fitted with says at which rate they are heard, and in which units transcripts are spelt.
        table: rows in the schema of the sources.
        augment: how strong random views are.
        what: what the rows are called, when some are left out.

    Attributes:
        count: how many can be learnt from: those whose transcript fits into their frames, and that fit into a window.
        lengths: int64 `[count]`, samples.
    """

    def __init__(self, task: Task, table: pa.Table, augment: str, what: str):
        self.card, self.fitted, self.augment, self.rate = task.card, task.fitted, augment, task.fitted.schema["rate"]
        self.pool = ThreadPoolExecutor(threads(), "reader")
        self.inputs = list(zip(*(table[name].to_pylist() for name in ("id", "input", "value")), strict=True))
        texts = all_normalised(table["target"].to_pylist(), self.card.normaliser)
        self.numbers = [self.fitted.decisions.vocabulary.encoded(text) for text in texts]
        self.kept: list[np.ndarray | None] = []
        lengths = []
        for samples in progress.tracked(self.pool.map(self._read, range(table.num_rows)), f"reading {what}"):
            lengths.append(len(samples))
            self.kept.append(samples if sum(lengths) * 4 < KEPT else None)
        self.rows = np.array(self._usable(lengths, what), np.int64)
        self.count, self.lengths = len(self.rows), np.array(lengths, np.int64)[self.rows]
        self.width = 1 + max((len(self.numbers[row]) for row in self.rows), default=0)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return samples float32 `[n, samples]`, targets as `CtcLoss` takes them, and no weights."""
        heard = list(self.pool.map(lambda row: self._heard(int(row), epoch), rows))
        targets = np.zeros((len(rows), self.width), np.int32)
        for place, row in enumerate(rows):
            numbers = self.numbers[self.rows[row]]
            targets[place, 0] = self._frames(heard[place])
            targets[place, 1 : 1 + len(numbers)] = numbers
        return together(heard, self.rate), targets, None

    def _heard(self, row: int, epoch: int | None) -> np.ndarray:
        """Return a recording, or a random view of it that its transcript still fits into."""
        place = int(self.rows[row])
        samples = self.kept[place] if self.kept[place] is not None else self._read(place)
        if epoch is None or self.augment == "none":
            return samples
        view = viewed(samples, self.rate, self.augment, (self.card.seed, epoch, row))
        return view if self._fits(view, self.numbers[place]) else samples

    def _usable(self, lengths: list[int], what: str) -> list[int]:
        most = int(self.fitted.schema["window"] * self.rate)
        long = {row for row, length in enumerate(lengths) if length > most}
        if long:
            progress.notice(
                f"{len(long)} {what} recordings are longer than --window {self.fitted.schema['window']:g} seconds and are "
                "left out: nothing says which of their words lie where"
            )
        tight = {row for row in range(len(lengths)) if row not in long and not self._long_enough(row)}
        if tight:
            progress.notice(f"{len(tight)} {what} recordings are too short for their transcripts and are left out")
        return [row for row in range(len(lengths)) if row not in long | tight and self.numbers[row]]

    def _long_enough(self, row: int) -> bool:
        samples = self.kept[row] if self.kept[row] is not None else self._read(row)
        return self._fits(samples, self.numbers[row])

    def _fits(self, samples: np.ndarray, numbers: list[int]) -> bool:
        return needed(numbers) <= self._frames(samples)

    def _frames(self, samples: np.ndarray) -> int:
        mel = self.fitted.model.answers.get_layer("log_mel")
        return max(int(frames(sounding(samples), mel.length, mel.step, self.fitted.schema["stride"])), 0)

    def _read(self, row: int) -> np.ndarray:
        return learnt_from(self.inputs[row], self.rate)


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
