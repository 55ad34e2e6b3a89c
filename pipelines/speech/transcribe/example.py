"""How an exported network of transcription is used without horngate."""

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


def spelling(kind: str) -> str:
    """Return the source of `answer(path, outputs)` for units of a kind."""
    return SPELLING.format(glue=" " if kind == "words" else "")
