"""How Moonshine's texts of windows become transcripts of recordings."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from horngate.pipelines.speech.audio.facts import SILENT
from horngate.pipelines.speech.transcribe.subtitles import Transcript
from horngate.pipelines.speech.transcribe.windows import Window, overlap

if TYPE_CHECKING:
    from horngate.models.speech.moonshine import Moonshine


def written(model: "Moonshine", batch: np.ndarray) -> list[tuple[str, float]]:
    """Return text and confidence of each window of a batch float32 `[n, samples]`; silence says nothing, surely.

    The model makes words up where there is nothing to hear, so that it isn't asked there.
    """
    levels = np.sqrt(np.square(batch, dtype=np.float64).mean(1))
    if (levels < SILENT).all():
        return [("", 1.0)] * len(batch)
    found = model.written(batch)
    return [("", 1.0) if level < SILENT else one for one, level in zip(found, levels, strict=True)]


@dataclass(frozen=True)
class MoonshineDecoder:
    """Puts texts of windows together.

    Attributes:
        rate: samples per second.
    """

    rate: int

    def transcript(self, windows: list[Window], outputs: list[tuple[str, float]]) -> Transcript:
        """Return the transcript of a recording: one segment for each window, words that two windows heard only once."""
        parts: list[list[str]] = []
        for window, (text, _) in zip(windows, outputs, strict=True):
            words = text.split()
            if parts and not window.silent:
                behind, before = overlap(parts[-1], words)
                parts[-1] = parts[-1][: len(parts[-1]) - behind]
                words = words[before:]
            parts.append(words)
        times = [(window.start / self.rate, window.end / self.rate) for window in windows]
        segments = [(*ends, " ".join(words)) for ends, words in zip(times, parts, strict=True) if words]
        said = [sure for (_, sure), words in zip(outputs, parts, strict=True) if words]
        confidence = float(np.exp(np.mean(np.log(np.maximum(said, 1e-12))))) if said else 1.0
        return Transcript(" ".join(text for *_, text in segments), confidence, segments)
