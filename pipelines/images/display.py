"""How sorted pictures are shown, in any domain: thumbnails, and Grad-CAM of what spoke for an answer."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from horngate.pipelines.data.reading import inputs_of, rows_of
from horngate.pipelines.images.heat_maps import beside, thumbnail, warmed
from horngate.pipelines.report.plot import Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import whole
from horngate.pipelines.tasks.task import Task


class ShownPictures:
    """Pictures of a task that sorts them, as the network sees them.

    Args:
        task: the task.
        drawn_from: lists in a report's details whose rows Grad-CAM is drawn of.
        showable: whether an input, given by its bytes, may be shown to people who look at reports.
    """

    def __init__(
        self,
        task: Task,
        drawn_from: tuple[str, ...] = ("mistakes",),
        showable: Callable[[bytes], bool] = lambda data: True,
    ):
        self.task, self.drawn_from, self.showable = task, drawn_from, showable
        self.fitted = task.fitted

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the pictures, with Grad-CAM of the answer where an open network has spatial maps."""
        pixels = self._pixels(rows)
        try:
            heats = list(self._heats(pixels, answers)) if self._explained else [None] * len(pixels)
        except ValueError:
            heats = [None] * len(pixels)
        parts = zip(inputs_of(rows), pixels, heats, strict=True)
        return [self._shown(data, as_picture(tensor), heat) for data, tensor, heat in parts]

    @property
    def _explained(self) -> bool:
        """Whether there is an open network, and labels that Grad-CAM can speak of."""
        return self.fitted.model is not None and hasattr(self.fitted.decisions, "labels")

    def files(self, report: Report, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:
        """Draw `grad_cam` of the most confident mistakes: the picture, and beside it what spoke for the wrong answer."""
        for name in self.drawn_from:
            chosen = report.details.get(name, [])[: options.get("grad_cam") or 0]
            kept = zip(chosen, inputs_of(rows_of(table, [row["id"] for row in chosen])), strict=True)
            chosen = [row for row, data in kept if self.showable(data)]
            if chosen:
                self._drawn(chosen, table, folder, "grad_cam" if name == "mistakes" else f"grad_cam_{name}")

    def _drawn(self, chosen: list[dict[str, Any]], table: pa.Table, folder: Path, name: str) -> None:
        pixels = self._pixels(rows_of(table, [row["id"] for row in chosen]))
        try:
            heats = self._heats(pixels, chosen)
        except ValueError as problem:
            raise UserError(str(problem)) from None
        for rank, (row, picture, heat) in enumerate(zip(chosen, pixels, heats, strict=True), 1):
            drawn = BytesIO()
            beside(as_picture(picture), heat).save(drawn, "PNG")
            path = folder / name / f"{rank:03d}.png"
            with whole(path) as temporary:
                temporary.write_bytes(drawn.getvalue())
            row["picture"] = f"{name}/{path.name}"

    def _shown(self, data: bytes, picture: np.ndarray, heat: np.ndarray | None) -> Shown:
        if not self.showable(data):
            return Shown(text="not shown: it may say whose it is")
        return Shown(thumbnail(picture), None if heat is None else thumbnail(warmed(picture, heat)))

    def _pixels(self, rows: pa.Table) -> np.ndarray:
        return np.stack([self.task.reader.read(data) for data in inputs_of(rows)])

    def _heats(self, pixels: np.ndarray, answers: list[dict[str, Any]]) -> np.ndarray:
        """Return Grad-CAM of the answered class of each picture, as `grad_cam` does."""
        from horngate.models.vision.grad_cam import grad_cam  # Keras, which comparing answers does without

        names = self.fitted.decisions.labels
        classes = np.array([names.index(answer["label"]) for answer in answers])
        return grad_cam(self.fitted.model.answers, pixels, classes)


def as_picture(tensor: np.ndarray) -> np.ndarray:
    """Return what was read of a picture as uint8 `[h, w, 3]`."""
    levels = tensor if tensor.dtype == np.uint8 else np.rint(tensor).astype(np.uint8)
    return np.repeat(levels, 3, axis=-1) if levels.shape[-1] == 1 else levels


def as_png(tensor: np.ndarray) -> bytes:
    """Return uint8 pixels `[h, w, 1 or 3]` as the bytes of a PNG file."""
    written = BytesIO()
    Image.fromarray(tensor[..., 0] if tensor.shape[-1] == 1 else tensor).save(written, "PNG")
    return written.getvalue()
