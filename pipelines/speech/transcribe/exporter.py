"""How a network of transcription is used without horngate."""

from typing import Any

import numpy as np

from horngate.pipelines.speech.ctc.decoding import greedy
from horngate.pipelines.tasks.bases import ModelExporter

READING = """import numpy as np
import soundfile
import soxr

RATE = {rate}


def read(path):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(1), rate, RATE).astype(np.float32)
"""
SPELLING = """def answer(path, outputs):  # the likeliest unit of each frame, repeats merged, without blanks
    best = outputs.argmax(-1)
    heard = best[np.diff(best, prepend=-1) != 0]
    return [{glue!r}.join(names[unit] for unit in heard if unit)]
"""


class TranscriptExporter(ModelExporter):
    """Hands a CTC network over: it takes samples, and gives log-probabilities of units."""

    ranges = {"inputs": (None, None), "outputs": (None, 0)}

    @property
    def unexportable(self) -> str | None:
        if self.card.backbone is None:
            return None
        return "Moonshine writes a text token by token, which an exported forward pass alone doesn't do"

    def acted_on(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return the text of each row by the best path, as an export's own example finds it."""
        return [{"text": self.fitted.decisions.vocabulary.text(greedy(scores))} for scores in outputs]

    def reading(self) -> str:
        return READING.format(rate=self.fitted.schema["rate"])

    def answering(self) -> str:
        return SPELLING.format(glue=" " if self.fitted.decisions.vocabulary.kind == "words" else "")
