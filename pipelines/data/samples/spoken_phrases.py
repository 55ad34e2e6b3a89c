"""The sample `spoken-phrases`: clips of `spoken-words` by one voice, one after the other, as short utterances."""

from io import BytesIO

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.samples import spoken_words
from horngate.pipelines.data.sources.blocks import block
from horngate.pipelines.spec.errors import needed

PHRASES = 5  # of each voice
WORDS = (2, 5)  # of a phrase, from the first number to below the second
PAUSES = (0.02, 0.3)  # seconds between two words


def table() -> pa.Table:
    """Return 80 utterances as WAV with what is said in them; the group is the voice. Words and pauses are drawn from seed 0.

    Raises:
        UserError: soundfile isn't installed.
    """
    words = spoken_words.table()
    voices: dict[str, list[int]] = {}
    for row, voice in enumerate(words["group"].to_pylist()):
        voices.setdefault(voice, []).append(row)
    values, targets = words["value"].to_pylist(), words["target"].to_pylist()
    draw = np.random.default_rng(0)
    columns: dict[str, list] = {"id": [], "value": [], "target": [], "group": []}
    for voice, rows in voices.items():
        for number in range(PHRASES):
            chosen = draw.choice(rows, draw.integers(*WORDS), replace=False).tolist()
            columns["id"].append(f"{voice}/{number}.wav")
            columns["value"].append(_joined([values[row] for row in chosen], draw))
            columns["target"].append(" ".join(targets[row] for row in chosen))
            columns["group"].append(voice)
    return block(columns)


def _joined(files: list[bytes], draw: np.random.Generator) -> bytes:
    """Return recordings in one WAV file, with silences between them."""
    soundfile = needed("soundfile", "sample:spoken-phrases", "speech")
    parts = []
    for file in files:
        samples, rate = soundfile.read(BytesIO(file), dtype="int16")
        parts += [np.zeros(int(draw.uniform(*PAUSES) * rate), np.int16), samples]
    out = BytesIO()
    soundfile.write(out, np.concatenate(parts[1:]), rate, "PCM_16", format="WAV")
    return out.getvalue()
