"""Answers and truth drawn onto pictures, for people."""

from typing import TYPE_CHECKING, Any

import numpy as np

from horngate.pipelines.images.drawing import thumbnail
from horngate.pipelines.images.heat_maps import outlined
from horngate.pipelines.medical.scans.burned_in import likely_text
from horngate.pipelines.medical.segment.class_maps import UNLABELLED
from horngate.pipelines.report.plot import Shown

if TYPE_CHECKING:
    from horngate.pipelines.medical.segment.task import Pipeline

COLOURS = np.array(
    [[0, 0, 0], [230, 85, 60], [70, 140, 230], [90, 180, 90], [225, 170, 40], [160, 95, 200], [60, 190, 190]],
    np.float32,
)
TINT = 0.45  # share of the colour in an answer that is drawn onto a picture


def overlaid(task: "Pipeline", row: dict[str, Any]) -> Shown:
    """Return the plane of a labelled row in which most pixels are wrong: it, with answer and outlined truth, and the truth.

    Raises:
        Unreadable: the row can't be read any more.
    """
    volume, truth = task.opened(row["input"], row["value"], row["mask"])
    worst, most = None, -1
    kept: list[np.ndarray] = []

    def planes():
        for place, pixels in volume.greys():
            kept.append(pixels)
            yield place, task.typed(pixels)

    for place, answer in task.tiler.answers(planes()):
        wrong = int(((answer != truth[place]) & (truth[place] != UNLABELLED)).sum())
        pixels = kept.pop(0)
        if wrong > most:
            worst, most = (pixels, answer, truth[place]), wrong
    pixels, answer, own = worst
    burned = volume.first.burned_in
    if burned or (burned is None and likely_text(pixels)):
        return Shown(text="not shown: it may say whose it is")
    picture = np.clip(np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels, 0, 255).astype(np.uint8)
    drawn = tinted(picture, answer)
    for number in range(1, len(task.classes)):
        drawn = outlined(drawn, own == number)
    return Shown(thumbnail(picture), thumbnail(drawn), mask=thumbnail(tinted(np.zeros_like(picture), own, 1.0)))


def tinted(picture: np.ndarray, answer: np.ndarray, tint: float = TINT) -> np.ndarray:
    """Return a picture uint8 `[h, w, 3]` with the classes of `[h, w]` in colours; the background stays as it is."""
    known = (answer > 0) & (answer != UNLABELLED)
    colours = COLOURS[np.where(known, (answer.astype(int) - 1) % (len(COLOURS) - 1) + 1, 0)]
    mixed = picture * (1 - tint) + colours * tint
    return np.where(known[..., None], mixed, picture).astype(np.uint8)
