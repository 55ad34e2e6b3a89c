"""How masks are shown: plots of the scores, and answers and truth drawn onto pictures."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.images.heat_maps import outlined, thumbnail
from horngate.pipelines.medical.scans.checks import NO_DEVICE
from horngate.pipelines.medical.scans.facts import likely_text
from horngate.pipelines.medical.segment.class_maps import UNLABELLED
from horngate.pipelines.medical.segment.plots import plots
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.tasks.bases import PageDisplay
from horngate.pipelines.tasks.parts import Titles
from horngate.pipelines.tasks.task import Task

COLOURS = np.array(
    [[0, 0, 0], [230, 85, 60], [70, 140, 230], [90, 180, 90], [225, 170, 40], [160, 95, 200], [60, 190, 190]],
    np.float32,
)
TINT = 0.45  # share of the colour in an answer that is drawn onto a picture


class MaskDisplay(PageDisplay):
    """Shows the plane of a row in which most pixels are wrong."""

    titles = Titles(
        caution=NO_DEVICE,
        mistakes="Worst cases",
        mistakes_said="cases with the lowest Dice coefficients",
        heat_said="the answer (in colours) inside the outline of the truth (white)",
    )

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        return plots(self.task.evaluator.outcome(answers), self.fitted.decisions.names)

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        if self.fitted.model is None:
            return []
        return [overlaid(self.task, row) for row in rows.to_pylist()]

    def model_card(self) -> dict[str, str]:
        said = (
            f" The network sees tiles of {self.fitted.schema['size']} pixels; classes are "
            f"{', '.join(self.fitted.decisions.names)}, the first of which is the background. Volumes are answered plane by "
            "plane, each without its neighbours."
        )
        card = super().model_card()
        return {"Not a medical device": NO_DEVICE} | card | {"Limits": card["Limits"] + said}


def overlaid(task: Task, row: dict[str, Any]) -> Shown:
    """Return the plane of a labelled row in which most pixels are wrong: it, with answer and outlined truth, and the truth.

    Raises:
        Unreadable: the row can't be read any more.
    """
    volume, truth = task.reader.opened(row)
    worst, most = None, -1
    kept: list[np.ndarray] = []

    def planes() -> Iterator[tuple[int, np.ndarray]]:
        for place, pixels in volume.greys():
            kept.append(pixels)
            yield place, task.reader.typed(pixels)

    for place, answer in task.predictor.tiler.answers(planes()):
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
    for number in range(1, len(task.fitted.decisions)):
        drawn = outlined(drawn, own == number)
    return Shown(thumbnail(picture), thumbnail(drawn), mask=thumbnail(tinted(np.zeros_like(picture), own, 1.0)))


def tinted(picture: np.ndarray, answer: np.ndarray, tint: float = TINT) -> np.ndarray:
    """Return a picture uint8 `[h, w, 3]` with the classes of `[h, w]` in colours; the background stays as it is."""
    known = (answer > 0) & (answer != UNLABELLED)
    colours = COLOURS[np.where(known, (answer.astype(int) - 1) % (len(COLOURS) - 1) + 1, 0)]
    mixed = picture * (1 - tint) + colours * tint
    return np.where(known[..., None], mixed, picture).astype(np.uint8)
