"""Clips with labels: which files they are, how they are read, and what may be wrong with them."""

from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.speech.audio import checks
from horngate.pipelines.speech.audio.audio_input import AudioInput, window_of
from horngate.pipelines.speech.audio.backgrounds import backgrounds
from horngate.pipelines.speech.audio.decoding import SUFFIXES, Sound, sound_of
from horngate.pipelines.speech.audio.facts import Facts, facts_of
from horngate.pipelines.speech.audio.views import View
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.classification.predictor import LabelledRows
from horngate.pipelines.tasks.parts import Fitted
from horngate.pipelines.tasks.task import Task

LONGEST = 60.0  # seconds of a clip
PRESET_RATE = 16_000  # samples per second that Whisper and Moonshine hear
MOST_KEPT = 256 << 20  # bytes of samples that are kept in memory between epochs
ADVICE = "; `horngate speech keywords listen` finds keywords in long recordings"


class ClipRows(LabelledRows):
    """Clips with labels."""

    suffixes = SUFFIXES

    def findings(self, table: pa.Table, facts: list[Facts], splits: np.ndarray | None) -> list[Finding]:
        found = super().findings(table, facts, splits) + checks.speaker_findings(table)
        return found + checks.sound_findings(table, facts)


class ClipReader(TensorReader):
    """Reads recordings as float32 `[samples]` at the model's rate."""

    def __init__(self, task: Task):
        super().__init__(task)
        if self.card.noises and self.card.augment == "none":
            raise UserError("--noises are mixed in by --augment light or strong, not by none")
        self.kept: dict[bytes, Sound] = {}
        self.room = MOST_KEPT

    @cached_property
    def noises(self) -> tuple[np.ndarray, ...]:
        """What is mixed in while a model learns."""
        return backgrounds(self.card.noises, self.schema["rate"]) if self.card.noises else ()

    @property
    def input(self) -> AudioInput:
        """What the model hears at once."""
        return AudioInput(self.schema["rate"], self.schema["samples"])

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return facts_of(sound_of(data, LONGEST, suffix, ADVICE))

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        rate = self._rate(facts)
        window = self.card.window or window_of([fact.seconds for fact in facts])
        return Fitted({"kind": "sound", "rate": rate, "samples": round(window * rate)})

    def _rate(self, facts: list[Facts]) -> int:
        if self.card.backbone is None:
            return self.card.rate or checks.common_rate(facts)
        if self.card.rate not in (None, PRESET_RATE):
            raise UserError(f"presets hear {PRESET_RATE:,} samples per second: leave --rate out, or the --backbone")
        return PRESET_RATE

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        view = None if seed is None else View(self.card.augment, seed, self.noises)
        return self.input.read(self._sound(data, view is not None), view)

    def _sound(self, data: bytes, again: bool) -> Sound:
        """Return the recording; what will be heard `again` is decoded once, as long as there is room."""
        sound = self.kept.get(data)
        if sound is None:
            sound = sound_of(data, LONGEST, "", ADVICE)
            if again and self.room > 0:
                self.kept[data] = sound
                self.room -= len(data) + sound.samples.nbytes
        return sound

    def statistics(self, data: bytes, tensor: Any) -> dict[str, float]:
        fact = facts_of(sound_of(data, LONGEST))
        return {
            "seconds": fact.seconds,
            "rate": float(fact.rate),
            "level": 20 * np.log10(max(fact.level, 1e-6)),
            "highest frequency": fact.highest,
        }
