"""How recordings of any length become what a transcribing model hears."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from horngate.pipelines.data.reading import content
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.speech.audio.decoding import Sound, resampled, sound_of
from horngate.pipelines.speech.audio.facts import Facts, facts_of
from horngate.pipelines.speech.ctc.vocabulary import normalised
from horngate.pipelines.training.rows import read_again

LONGEST = 4 * 3600.0  # seconds
ADVICE = "; cut it into files"
LOOKED_AT = 60.0  # seconds from the middle of a long recording that stand for it in its facts
STEPS = ((2.0, 0.5), (8.0, 1.0), (np.inf, 4.0))  # up to so many seconds, lengths are filled up to multiples of so many


@dataclass(frozen=True)
class Spoken(Facts):
    """What was seen of one recording, and its transcript, normalised; None where it has none."""

    transcript: str | None = None


def spoken_of(data: bytes, suffix: str, transcript: str | None, normaliser: str) -> Spoken:
    """Return the facts of a recording and its transcript.

    Raises:
        Unreadable: it can't be read, or its transcript holds no word.
    """
    sound = sound_of(data, LONGEST, suffix, ADVICE)
    text = None if transcript is None else normalised(transcript, normaliser)
    if text == "":
        raise Unreadable(f"an empty transcript, once it is normalised: {transcript.strip()[:40]!r}")
    return Spoken(**vars(looked_at(sound)), transcript=text)


def looked_at(sound: Sound) -> Facts:
    """Return the facts of a recording; those of a long one are of its middle."""
    most = int(LOOKED_AT * sound.rate)
    if len(sound.samples) <= most:
        return facts_of(sound)
    start = (len(sound.samples) - most) // 2
    return replace(facts_of(replace(sound, samples=sound.samples[start : start + most])), seconds=sound.seconds)


def heard_at(data: bytes, rate: int) -> np.ndarray:
    """Return a recording's samples float32 `[n]` at a rate.

    Raises:
        Unreadable: with the reason.
    """
    sound = sound_of(data, LONGEST, "", ADVICE)
    return resampled(sound.samples, sound.rate, rate)


def learnt_from(row: tuple[str, str, Any], rate: int) -> np.ndarray:
    """Return the samples of a row (name, path, value) that could be read before, as `heard_at`.

    Raises:
        UserError: it can't any more.
    """
    name, *where = row
    return read_again(lambda: heard_at(content(*where), rate), name)


def filled(count: int, rate: int) -> int:
    """Return how many samples a batch has that holds so many: few different numbers, so that few shapes are compiled."""
    seconds = max(count, 1) / rate
    step = next(step for most, step in STEPS if seconds <= most)
    return int(np.ceil(seconds / step - 1e-9) * step * rate)


def together(tensors: list[np.ndarray | None], rate: int, rows: int | None = None) -> np.ndarray:
    """Return samples as one batch float32 `[rows, samples]`, filled up with zeros."""
    longest = max(len(tensor) for tensor in tensors if tensor is not None)
    batch = np.zeros((rows or len(tensors), filled(longest, rate)), np.float32)
    for place, tensor in enumerate(tensors):
        if tensor is not None:
            batch[place, : len(tensor)] = tensor
    return batch


def sounding(samples: np.ndarray) -> int:
    """Return how many samples there are up to the last that isn't zero."""
    there = np.flatnonzero(samples)
    return int(there[-1]) + 1 if len(there) else 0
