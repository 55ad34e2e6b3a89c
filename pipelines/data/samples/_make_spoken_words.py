"""Makes `spoken_words.flac`, the clips of `sample:spoken-words`, with the free synthesiser eSpeak NG.

python _make_spoken_words.py     (needs the command espeak-ng, numpy, soundfile and soxr; the sample was made with 1.51)

All clips stand one after the other in one file of 10 bits, 8,000 samples a second; their ends are in `spoken_words.json`.
"""

import json
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
import soxr

WORDS = ("yes", "no", "up", "down", "left", "right", "stop", "go")
ACCENTS = ("en-us", "en-gb-x-rp", "en-gb-scotland", "en-029")
VARIANTS = ("", "+m7", "+f2", "+f5")
TAKES = ((150, 50), (190, 60))  # words a minute, pitch from 0 to 99
RATE, KEPT = 8000, 10  # samples a second, bits
QUIET = 0.01  # of full scale: what is softer at either end is cut off


def spoken(word: str, voice: str, speed: int, pitch: int) -> np.ndarray:
    """Return one word as int16, without silence at its ends."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", word]
    samples, rate = soundfile.read(BytesIO(subprocess.run(command, capture_output=True, check=True).stdout))
    heard = np.flatnonzero(np.abs(samples) > QUIET)
    cut = soxr.resample(samples[max(heard[0] - 200, 0) : heard[-1] + 200], rate, RATE)
    step = 1 << (16 - KEPT)
    return (np.rint(0.9 * cut / np.abs(cut).max() * 32767 / step).clip(-511, 511) * step).astype(np.int16)


def make(folder: Path) -> None:
    """Write the clips and their list."""
    rows, parts, end = [], [], 0
    for voice in (accent + variant for accent in ACCENTS for variant in VARIANTS):
        for take, (speed, pitch) in enumerate(TAKES):
            for word in WORDS:
                parts.append(spoken(word, voice, speed, pitch))
                end += len(parts[-1])
                rows.append([word, voice, take, end])
    soundfile.write(folder / "spoken_words.flac", np.concatenate(parts), RATE, "PCM_16", compression_level=1.0)
    (folder / "spoken_words.json").write_text(json.dumps(rows, separators=(",", ":")), "utf-8")


if __name__ == "__main__":
    make(Path(__file__).parent)
