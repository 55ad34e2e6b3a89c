"""How an exported keyword model is used without horngate: the source of a function that reads one file."""

SOURCE = '''import numpy as np
import soundfile
import soxr

RATE, SAMPLES = {rate}, {samples}


def read(path):
    """Float32 [samples], one channel, at the model's rate: the loudest part, or all of it in the middle of silence."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = samples.mean(1)
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE, "HQ").astype(np.float32)
    if len(samples) > SAMPLES:
        sums = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
        start = int((sums[SAMPLES:] - sums[:-SAMPLES]).argmax())
        samples = samples[start : start + SAMPLES]
    out = np.zeros(SAMPLES, np.float32)
    start = round((SAMPLES - len(samples)) * 0.5)
    out[start : start + len(samples)] = samples
    return out
'''


def read_source(rate: int, samples: int) -> str:
    """Return the source of `read(path)`; channels that cancel each other are the one thing that it doesn't look for."""
    return SOURCE.format(rate=rate, samples=samples)
