"""Recordings of background noise, as a user has them, to be mixed in while a model learns."""

from pathlib import Path

import numpy as np

from horngate.pipelines.data.sources.blocks import Listing
from horngate.pipelines.data.sources.folders import walk
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.speech.audio.decoding import SUFFIXES, resampled, sound_of
from horngate.pipelines.system import progress

MOST = 600.0  # seconds that are kept of all recordings together
LONGEST = 4 * 3600.0  # seconds of one recording


def backgrounds(folder: str, rate: int) -> tuple[np.ndarray, ...]:
    """Return the recordings below a folder as samples float32 `[n]` at a rate, together at most ten minutes.

    Raises:
        UserError: no such folder, no recordings in it, or one that can't be read or is silent.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"--noises {folder} is no folder")
    names, found = list(walk(root, SUFFIXES, Listing())), []
    left = int(MOST * rate)
    for name in names:
        try:
            sound = sound_of((root / name).read_bytes(), LONGEST, Path(name).suffix)
        except (OSError, Unreadable) as reason:
            raise UserError(f"--noises {root / name} can't be read: {reason}") from None
        samples = resampled(sound.samples, sound.rate, rate)[:left]
        if left and not samples.any():
            raise UserError(f"--noises {root / name} is silent; take it out")
        found += [samples] if len(samples) else []
        left -= len(samples)
    if not found:
        raise UserError(f"--noises {folder} holds no recordings ({', '.join(SUFFIXES)})")
    if not left:
        progress.notice(f"of the noises in {folder}, the first {MOST:.0f} seconds are mixed in")
    return tuple(found)
