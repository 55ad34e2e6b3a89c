"""Pictures into classes."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from PIL import Image

from horngate.pipelines import presets, progress
from horngate.pipelines.classifier import Classifier
from horngate.pipelines.data.reading import inputs_of, rows_of
from horngate.pipelines.errors import UserError
from horngate.pipelines.files import whole
from horngate.pipelines.labels import Labels
from horngate.pipelines.page.plot import Shown
from horngate.pipelines.pictures.drawing import beside, thumbnail, warmed
from horngate.pipelines.pictures.example import read_source
from horngate.pipelines.pictures.looks import statistics
from horngate.pipelines.pictures.reader import SUFFIXES, Change, Facts, Reader
from horngate.pipelines.report import Report

if TYPE_CHECKING:
    from horngate.models.network import Network

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

    def build(self, labels: Labels) -> "Network":
        from horngate.models.backbones import BackboneError, picture_encoder
        from horngate.models.network import Network

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
    def variation(self) -> str:
        return f"{self.card.augment} {self.card.flip}"

    @property
    def views(self) -> int:
        return self.card.views if self.variation != "none none" else 1

    ranges = {"inputs": (0, 255), "outputs": (0, 1)}

    def model_card(self) -> dict[str, str]:
        limits = (
            " A picture of something else gets a label too; conformal sets or a threshold help to abstain. An exported"
            " SavedModel decodes JPEG, PNG, GIF and BMP: no EXIF rotation, no TIFF or WebP, transparency is dropped."
        )
        card = super().model_card()
        return card | {"Limits": card["Limits"] + limits}

    def serving(self) -> Any:
        from horngate.pipelines.pictures.decoding import decoded
        from horngate.pipelines.runtimes.serving import labelled

        def serve(inputs: Any) -> dict[str, Any]:
            pixels = decoded(inputs, self.schema["size"], self.schema["resize"])
            return labelled(self.labels, self.core(pixels, training=False))

        return serve

    def encoded(self, tensor: np.ndarray) -> bytes:
        written = BytesIO()
        Image.fromarray(tensor).save(written, "PNG")
        return written.getvalue()

    def example(self) -> str:
        return read_source(self.schema["size"], self.schema["resize"])

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
        pixels = self._pixels(rows_of(table, [mistake["id"] for mistake in mistakes]))
        try:
            heats = self._heats(pixels, mistakes)
        except ValueError as problem:
            raise UserError(str(problem)) from None
        for rank, (mistake, picture, heat) in enumerate(zip(mistakes, pixels, heats, strict=True), 1):
            drawn = BytesIO()
            beside(picture, heat).save(drawn, "PNG")
            path = folder / "grad_cam" / f"{rank:03d}.png"
            with whole(path) as temporary:
                temporary.write_bytes(drawn.getvalue())
            mistake["picture"] = f"grad_cam/{path.name}"

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the pictures as the network sees them, with Grad-CAM of the answer where an open one has spatial maps."""
        pixels = self._pixels(rows)
        if not hasattr(self, "network"):
            return [Shown(thumbnail(picture)) for picture in pixels]
        try:
            heats = list(self._heats(pixels, answers))
        except ValueError:
            return [Shown(thumbnail(picture)) for picture in pixels]
        pairs = zip(pixels, heats, strict=True)
        return [Shown(thumbnail(picture), thumbnail(warmed(picture, heat))) for picture, heat in pairs]

    def _pixels(self, rows: pa.Table) -> np.ndarray:
        return np.stack([self.read(data) for data in inputs_of(rows)])

    def _heats(self, pixels: np.ndarray, answers: list[dict[str, Any]]) -> np.ndarray:
        """Return Grad-CAM of the answered class of each picture, as `grad_cam` does."""
        from horngate.models.grad_cam import grad_cam

        classes = np.array([self.labels.labels.index(answer["label"]) for answer in answers])
        return grad_cam(self.network.answers, pixels, classes)
