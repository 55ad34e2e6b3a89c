"""Sorting pictures, in any domain: the network on a backbone of pictures, its reference, its heat maps, its page."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import inputs_of, rows_of
from horngate.pipelines.images.drawing import beside, png, thumbnail, warmed
from horngate.pipelines.report.plot import Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import pretrained, progress
from horngate.pipelines.system.files import whole
from horngate.pipelines.tasks.classifier import Classifier
from horngate.pipelines.tasks.labels import Labels

if TYPE_CHECKING:
    from horngate.models.network import Network

SMALLEST, LARGEST = 32, 128  # pixels: the side that the small network gets, between these, from the pictures' own
MOST_FITTED = 5000  # rows that the reference is fitted on


class PictureClassifier(Classifier):
    """What tasks share that sort pictures. A task adds how to inspect, settle and read; its card is `Pictured`.

    `schema` holds `small_size`, and where pictures aren't uint8 RGB, `channels` and `dtype` of the tensors that are read.
    """

    batch_size = 32
    ranges = {"inputs": (0, 255), "outputs": (0, 1)}
    drawn_from = ("mistakes",)  # lists in a report's details whose rows Grad-CAM is drawn of

    def small_size(self, sides: list[int]) -> int:
        """Return the side that the small network gets, from the shorter sides of the training pictures in pixels."""
        return int(np.clip(np.median(sides), SMALLEST, LARGEST))

    def build(self, labels: Labels) -> "Network":
        from horngate.models.backbones.pictures import BackboneError, picture_encoder
        from horngate.models.network import Network

        card = self.card
        pixels = self.schema.get("channels", 3), self.schema.get("dtype", "uint8")
        try:
            encoder = picture_encoder(
                pretrained.found(card.backbone),
                card.weights,
                card.image_size,
                card.alpha,
                self.schema["small_size"],
                pixels,
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

    @property
    def variation(self) -> str:
        return f"{self.card.augment} {self.card.flip}"

    @property
    def views(self) -> int:
        return self.card.views if self.variation != "none none" else 1

    def serving(self) -> Any:
        from horngate.pipelines.export.serving import labelled
        from horngate.pipelines.images.decoding import decoded

        def serve(inputs: Any) -> dict[str, Any]:
            pixels = decoded(inputs, self.schema["size"], self.schema["resize"], self.schema.get("channels", 3))
            return labelled(self.labels, self.core(pixels, training=False))

        return serve

    def encoded(self, tensor: np.ndarray) -> bytes:
        return png(tensor[..., 0] if tensor.shape[-1] == 1 else tensor)

    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Any]) -> dict[str, dict[str, np.ndarray]]:
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
            beside(self.as_picture(picture), heat).save(drawn, "PNG")
            path = folder / name / f"{rank:03d}.png"
            with whole(path) as temporary:
                temporary.write_bytes(drawn.getvalue())
            row["picture"] = f"{name}/{path.name}"

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return the pictures as the network sees them, with Grad-CAM of the answer where an open one has spatial maps."""
        pixels = self._pixels(rows)
        try:
            heats = list(self._heats(pixels, answers)) if hasattr(self, "network") else [None] * len(pixels)
        except ValueError:
            heats = [None] * len(pixels)
        parts = zip(inputs_of(rows), pixels, heats, strict=True)
        return [self._shown(data, self.as_picture(tensor), heat) for data, tensor, heat in parts]

    def _shown(self, data: bytes, picture: np.ndarray, heat: np.ndarray | None) -> Shown:
        if not self.showable(data):
            return Shown(text="not shown: it may say whose it is")
        return Shown(thumbnail(picture), None if heat is None else thumbnail(warmed(picture, heat)))

    def showable(self, data: bytes) -> bool:
        """Whether an input may be shown to people who look at reports."""
        return True

    def as_picture(self, tensor: np.ndarray) -> np.ndarray:
        """Return what `read` made of a picture as uint8 `[h, w, 3]`."""
        levels = tensor if tensor.dtype == np.uint8 else np.rint(tensor).astype(np.uint8)
        return np.repeat(levels, 3, axis=-1) if levels.shape[-1] == 1 else levels

    def _pixels(self, rows: pa.Table) -> np.ndarray:
        return np.stack([self.read(data) for data in inputs_of(rows)])

    def _heats(self, pixels: np.ndarray, answers: list[dict[str, Any]]) -> np.ndarray:
        """Return Grad-CAM of the answered class of each picture, as `grad_cam` does."""
        from horngate.models.vision.grad_cam import grad_cam

        classes = np.array([self.labels.labels.index(answer["label"]) for answer in answers])
        return grad_cam(self.network.answers, pixels, classes)
