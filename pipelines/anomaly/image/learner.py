"""How detectors of pictures learn: which detector, and between which values and on which grid their maps are drawn."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from horngate.pipelines.anomaly.image.fitting import PictureTraining
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.anomaly_detection.learner import AnomalyLearner, DetectionRows, Learnt
from horngate.pipelines.tasks.parts import LearningData

NEIGHBOUR = 5  # whose distance the baseline goes by
MOST_FITTED = 2_000  # thumbnails that the baseline keeps


class PictureLearner(AnomalyLearner):
    """Fits the detector that the card asks for, or the one that goes with its backbone."""

    def learn(self, rows: DetectionRows, run: Run) -> Learnt:
        training = PictureTraining(self.task, run, rows.taken(rows.train), rows.taken(rows.usual))
        detector, why = chosen_detector(self.card)
        model, said = training.fitted(detector)
        found = Learnt(model, detector, why, {"size": model.input_shape[1]}, history=training.history, protocol=said)
        return replace(found, schema=found.schema | self._scale(found, rows))

    def baselines(self, data: LearningData) -> dict[str, dict[str, Any]]:
        """Return the distance to the fifth nearest training picture in grey 32 × 32 thumbnails: what needs no network."""
        thumbnails = np.stack([fact.thumbnail for fact in data.facts])
        learnt = np.flatnonzero(self.learnt_from(data))
        found = distances_of_thumbnails(thumbnails, learnt, data.held_out, self.card.seed)
        return {"thumbnail_neighbours": self.outcomes(found, data)}

    def _scale(self, found: Learnt, rows: DetectionRows) -> dict[str, Any]:
        """Return between which values heat maps are drawn, and the grid of the maps."""
        task = self.task.with_fitted(self.task.fitted.having(schema=found.schema, model=found.model))
        usual = rows.taken(rows.usual if len(rows.usual) else rows.train)
        maps = task.predictor.outputs(usual, "heat maps of usual pictures")[:, 1:]
        if not np.isfinite(maps).all():
            raise UserError("the detector gave no numbers; with --precision float32 it may")
        side = round(maps.shape[1] ** 0.5)
        return {"grid": [side, side], "heat": [float(np.median(maps)), float(np.quantile(maps, 0.999))]}


def chosen_detector(card: Any) -> tuple[str, str]:
    """Return the name of the method that fits a detector, and why it is that one.

    Raises:
        UserError: a detector that looks through a backbone, and none is named.
    """
    named = card.backbone not in (None, "small")
    pretrained = named and card.weights != "none"
    if card.detector == "auto":
        if not pretrained:
            progress.notice("no pretrained weights: an autoencoder learns from the pictures alone; see --backbone")
        return ("patch_core", "pretrained weights") if pretrained else ("autoencoder", "no pretrained weights")
    if card.detector != "autoencoder" and not named:
        raise UserError(f"--detector {card.detector} looks through a --backbone; name one, or use autoencoder")
    if card.detector != "autoencoder" and not pretrained:
        progress.notice(f"no pretrained weights: {card.backbone} looks with random ones")
    return card.detector.replace("patchcore", "patch_core"), "asked for"


def distances_of_thumbnails(
    thumbnails: np.ndarray, train: np.ndarray, rows: dict[str, np.ndarray], seed: int
) -> dict[str, np.ndarray]:
    """Return the distance of some pictures to the fifth nearest training picture, by thumbnails uint8 `[n, 32, 32]`.

    Args:
        train: places of the training pictures; at most 2,000 of them are kept.
        rows: places of those to score, by split; a split without any is left out.
    """
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32) / 255
    kept = np.random.default_rng(seed).permutation(train)[:MOST_FITTED]
    model = NearestNeighbors(n_neighbors=min(NEIGHBOUR, len(kept))).fit(flat[kept])
    return {name: model.kneighbors(flat[own])[0][:, -1] for name, own in rows.items() if len(own)}
