"""Pictures into classes."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.models.backbones import BackboneError, picture_encoder
from horngate.models.grad_cam import grad_cam
from horngate.models.network import Network
from horngate.pipelines import presets, progress
from horngate.pipelines.classifier import Classifier
from horngate.pipelines.data.reading import content
from horngate.pipelines.errors import UserError
from horngate.pipelines.files import whole
from horngate.pipelines.labels import Labels
from horngate.pipelines.report import Report
from horngate.pipelines.vision.drawing import beside
from horngate.pipelines.vision.looks import statistics
from horngate.pipelines.vision.pictures import SUFFIXES, Change, Facts, Reader

SMALLEST, LARGEST = 32, 128  # pixels: the side that the small network gets, between these, from the pictures' own
MOST_FITTED = 5000  # rows that the reference is fitted on


class Pipeline(Classifier):
    """`horngate vision classify`."""

    suffixes = SUFFIXES
    batch_size = 32

    def inspect(self, data: bytes, suffix: str) -> Facts:
        return Reader(self.card.image_size or 64, self.card.resize).inspect(data, suffix)

    def settle(self, facts: list[Facts]) -> None:
        side = np.median([min(fact.width, fact.height) for fact in facts])
        self.schema = {
            "kind": "picture",
            "resize": self.card.resize,
            "small_size": int(np.clip(side, SMALLEST, LARGEST)),
        }

    def build(self, labels: Labels) -> Network:
        card = self.card
        try:
            encoder = picture_encoder(
                presets.found(card.backbone), card.weights, card.image_size, card.alpha, self.schema["small_size"]
            )
        except BackboneError as problem:
            raise UserError(str(problem)) from None
        self.schema["size"] = encoder.input_shape[1]
        if not self.pretrained:
            progress.notice(f"no pretrained weights: {card.backbone or 'a small network'} starts from random weights")
        return Network.around(encoder, len(labels.labels), labels.several, seed=card.seed)

    @property
    def pretrained(self) -> bool:
        """Whether the encoder starts from pretrained weights."""
        return self.card.backbone not in (None, "small") and self.card.weights != "none"

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        reader = Reader(self.schema["size"], self.schema["resize"])
        return reader.read(data, None if seed is None else Change(self.card.augment, self.card.flip, seed))

    def statistics(self, data: bytes, tensor: np.ndarray) -> dict[str, float]:
        return statistics(data, tensor)

    @property
    def varied(self) -> bool:
        """Whether a random view of a picture differs from the plain one."""
        return self.card.augment != "none" or self.card.flip != "none"

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Facts]) -> dict[str, dict[str, np.ndarray]]:
        """Fit a logistic regression on grey 32 × 32 thumbnails, at most 5,000 of them: what needs no network at all."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        thumbnails = np.stack([fact.thumbnail for fact in facts]).reshape(len(facts), -1)
        targets = self.labels.encode(table["target"].to_pylist())
        train = np.flatnonzero(splits == "train")
        train = np.random.default_rng(self.card.seed).permutation(train)[:MOST_FITTED]
        model = LogisticRegression(C=0.1, max_iter=300)
        model = OneVsRestClassifier(model) if self.labels.several else model
        wanted = targets[train] if self.labels.several else targets[train].argmax(1)
        model.fit(thumbnails[train] / np.float32(255) - 0.5, wanted)
        outputs = {}
        for split in ("validation", "test"):
            rows = np.flatnonzero(splits == split)
            if len(rows):
                outputs[split] = self._scores(model, thumbnails[rows] / np.float32(255) - 0.5)
        return {"thumbnail_logistic": outputs}

    def _scores(self, model: Any, inputs: np.ndarray) -> np.ndarray:
        """Return the scores in the order of all labels; a class that the reference never saw gets 0."""
        scores = np.zeros((len(inputs), len(self.labels.labels)), np.float32)
        known = np.arange(scores.shape[1]) if self.labels.several else model.classes_
        scores[:, known] = model.predict_proba(inputs)
        return scores

    def pictured(self, report: Report, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:
        """Draw `grad_cam` of the most confident mistakes: the picture, and beside it what spoke for the wrong answer."""
        mistakes = report.details.get("mistakes", [])[: options.get("grad_cam") or 0]
        if not mistakes:
            return
        places = {name: row for row, name in enumerate(table["id"].to_pylist())}
        inputs = [
            content(*(table[name][places[mistake["id"]]].as_py() for name in ("input", "value")))
            for mistake in mistakes
        ]
        pixels = np.stack([self.read(data) for data in inputs])
        classes = np.array([self.labels.labels.index(mistake["label"]) for mistake in mistakes])
        try:
            heats = grad_cam(self.network.answers, pixels, classes)
        except ValueError as problem:
            raise UserError(str(problem)) from None
        for rank, (mistake, picture, heat) in enumerate(zip(mistakes, pixels, heats, strict=True), 1):
            drawn = BytesIO()
            beside(picture, heat).save(drawn, "PNG")
            path = folder / "grad_cam" / f"{rank:03d}.png"
            with whole(path) as temporary:
                temporary.write_bytes(drawn.getvalue())
            mistake["picture"] = f"grad_cam/{path.name}"
