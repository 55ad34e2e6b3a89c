"""The sample `spoken-words`: eight English words by sixteen synthetic voices, with its makers and licence beside it."""

import json
import wave
from io import BytesIO
from pathlib import Path

import pyarrow as pa

from horngate.pipelines.data.sources.blocks import block
from horngate.pipelines.spec.errors import needed

HERE = Path(__file__).parent


def table() -> pa.Table:
    """Return 256 clips as WAV of 8,000 samples a second; the group is the voice. `_make_spoken_words.py` made them.

    Raises:
        UserError: soundfile isn't installed.
    """
    soundfile = needed("soundfile", "sample:spoken-words", "speech")
    samples, rate = soundfile.read(HERE / "spoken_words.flac", dtype="int16")
    columns: dict[str, list] = {"id": [], "value": [], "target": [], "group": []}
    start = 0
    for word, voice, take, end in json.loads((HERE / "spoken_words.json").read_text("utf-8")):
        columns["id"].append(f"{word}/{voice}-{take}.wav")
        columns["value"].append(_wav(samples[start:end].tobytes(), rate))
        columns["target"].append(word)
        columns["group"].append(voice)
        start = end
    return block(columns)


def _wav(frames: bytes, rate: int) -> bytes:
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(frames)
    return out.getvalue()
