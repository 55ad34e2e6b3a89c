"""Pictures into classes."""

import numpy as np

from horngate.pipelines.images.classifier import PictureClassifier
from horngate.pipelines.images.example import read_source
from horngate.pipelines.images.reader import SUFFIXES, Change, Facts, Reader
from horngate.pipelines.images.statistics import statistics


class Pipeline(PictureClassifier):
    """`horngate vision classify`."""

    suffixes = SUFFIXES

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return Reader(self.card.image_size or 64, self.card.resize).inspect(data, suffix)

    def settle(self, facts: list[Facts]) -> None:
        small = self.small_size([min(fact.width, fact.height) for fact in facts])
        self.schema = {"kind": "picture", "resize": self.card.resize, "small_size": small}

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        reader = Reader(self.schema["size"], self.schema["resize"])
        return reader.read(data, None if seed is None else Change(self.card.augment, self.card.flip, seed))

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        return statistics(data, tensor)

    def model_card(self) -> dict[str, str]:
        limits = (
            " A picture of something else gets a label too; conformal sets or a threshold help to abstain. An exported"
            " SavedModel decodes JPEG, PNG, GIF and BMP: no EXIF rotation, no TIFF or WebP, transparency is dropped."
        )
        card = super().model_card()
        return card | {"Limits": card["Limits"] + limits}

    def example(self) -> str:
        return read_source(self.schema["size"], self.schema["resize"])
