"""How a row is read: its volume and mask as a whole, the pixels that the network sees, and a tile that stands for it."""

from typing import Any

import numpy as np

from horngate.pipelines.images.statistics import LUMA, looks_of
from horngate.pipelines.medical.scans.scan import window_named
from horngate.pipelines.medical.scans.volumes import Volume, volume_of
from horngate.pipelines.medical.segment.class_maps import Classes, fitting, read_mask
from horngate.pipelines.medical.segment.facts import Facts, facts_of, sized
from horngate.pipelines.medical.segment.views import View
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.tasks.bases import TensorReader
from horngate.pipelines.tasks.parts import Fitted
from horngate.pipelines.tasks.task import Task

COARSEST, LARGEST = 32, 256  # pixels: a tile's side is a multiple of the first, and at most the second unless asked for
MARGIN = 8  # a tile's margin is its side over this


class MaskReader(TensorReader):
    """Reads pictures and volumes, and their masks as class numbers."""

    def __init__(self, task: Task):
        super().__init__(task)
        self.classes: Classes | None = task.fitted.decisions

    def inspect(self, data: bytes, suffix: str, *beside: str | None) -> Facts:
        return facts_of(data, beside[0] if beside else None, self.card.window)

    def fit_schema(self, facts: list[Facts]) -> Fitted:
        classes = Classes.named(self.card.classes, self.card.background, [fact.counts for fact in facts])
        colour, deep = any(fact.colour for fact in facts), any(fact.deep for fact in facts)
        side = self.card.image_size or _natural([min(fact.shape[1:]) for fact in facts])
        if side % COARSEST:
            raise UserError(f"--image-size should be a multiple of {COARSEST}. Received: {side}")
        schema = {
            "kind": "scan",
            "window": self.card.window,
            "channels": 3 if colour else 1,
            "dtype": "float32" if deep else "uint8",
            "size": side,
            "margin": side // MARGIN,
            "classes": classes.plain(),
        }
        return Fitted(schema, decisions=classes)

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        """Return a tile from the middle of the middle plane, `[s, s, c]`: what stands for a row among others."""
        volume = volume_of(None, data).shown_by(window_named(self.schema["window"]))
        wanted = volume.shape[0] // 2
        pixels = next(pixels for place, pixels in volume.greys() if place == wanted)
        middle = (pixels.shape[0] // 2, pixels.shape[1] // 2)
        return self.typed(View().cut(pixels, np.zeros(pixels.shape[:2], np.uint8), middle, self.schema["size"])[0])

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        planes, height, width = volume_of(None, data).shape
        shape = {"width": float(width), "height": float(height)} | ({"planes": float(planes)} if planes > 1 else {})
        shown = np.clip(tensor, 0, 255).astype(np.uint8)
        return shape | looks_of(np.repeat(shown, 3, axis=-1) if shown.shape[-1] == 1 else shown)

    def opened(self, row: dict[str, Any], labelled: bool = True) -> tuple[Volume, np.ndarray | None]:
        """Return a listed row's volume and, where it is labelled, its class numbers uint8 `[planes, h, w]`.

        Raises:
            Unreadable: with the reason.
        """
        volume = sized(volume_of(row["input"], row["value"], row.get("error")))
        volume = volume.shown_by(window_named(self.schema["window"]))
        if not labelled:
            return volume, None
        if row.get("mask") is None:
            raise Unreadable("no mask")
        return volume, self.classes.numbers(fitting(read_mask(row["mask"]), volume))

    def pixels(self, row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return all pixels of a labelled row as the network sees them, `[planes, h, w, c]`, and its class numbers."""
        volume, truth = self.opened(row)
        pixels = np.zeros((*volume.shape, self.schema["channels"]), self.schema["dtype"])
        for place, plane in volume.greys():
            pixels[place] = self.typed(plane)
        return pixels, truth

    def typed(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels `[…, c]` in 0…255 with the channels and the dtype that the network takes."""
        channels, dtype = self.schema["channels"], self.schema["dtype"]
        if pixels.shape[-1] == 3 and channels == 1:
            pixels = pixels.astype(np.float32) @ LUMA[:, None]
        elif pixels.shape[-1] == 1 and channels == 3:
            pixels = np.repeat(pixels, 3, axis=-1)
        if dtype == "uint8" and pixels.dtype != np.uint8:
            return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
        return pixels.astype(dtype, copy=False)


def _natural(sides: list[int]) -> int:
    """Return the side of a tile for pictures of these smaller sides: it holds the usual one, if that isn't large."""
    return int(np.clip(-(-np.median(sides) // COARSEST) * COARSEST, COARSEST, LARGEST))
