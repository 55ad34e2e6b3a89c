"""How pictures are learnt to be sorted, in any domain: a network on a backbone of pictures, and its baseline."""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from horngate.models.backbones.pictures import picture_encoder
from horngate.models.network import Network
from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.system import pretrained, progress
from horngate.pipelines.tasks.classification.learner import LabelLearner
from horngate.pipelines.tasks.parts import Fitted, LearningData

MOST_FITTED = 5000  # rows that the baseline is fitted on


class PictureLearner(LabelLearner):
    """Learns to sort pictures.

    The schema holds `small_size`, and where pictures aren't uint8 RGB, `channels` and `dtype` of the tensors that are read;
    the network adds `size`, the side of the square that it sees.
    """

    @property
    def pretrained(self) -> bool:
        return self.card.backbone not in (None, "small") and self.card.weights != "none"

    @property
    def variation(self) -> str:
        return f"{self.card.augment} {self.card.flip}"

    @property
    def views(self) -> int:
        return self.card.views if self.variation != "none none" else 1

    def build(self, fitted: Fitted) -> Fitted:
        card, schema, labels = self.card, fitted.schema, fitted.decisions
        pixels = schema.get("channels", 3), schema.get("dtype", "uint8")
        name = pretrained.found(card.backbone)
        encoder = picture_encoder(name, card.weights, card.image_size, card.alpha, schema["small_size"], pixels)
        if not self.pretrained:
            progress.notice(f"no pretrained weights: {card.backbone or 'a small network'} starts from random weights")
        network = Network.around(encoder, len(labels.labels), labels.several, seed=card.seed)
        return fitted.having(schema={"size": encoder.input_shape[1]}, model=network)

    def baselines(self, data: LearningData) -> dict[str, dict[str, Outcome]]:
        """Fit a logistic regression on grey 32 × 32 thumbnails, at most 5,000 of them: what needs no network at all."""
        labels = self.task.fitted.decisions
        thumbnails = np.stack([fact.thumbnail for fact in data.facts]).reshape(len(data.facts), -1)
        targets = labels.encode(data.table["target"].to_pylist())
        train = np.random.default_rng(self.card.seed).permutation(data.places("train"))[:MOST_FITTED]
        model = LogisticRegression(C=0.1, max_iter=300)
        model = OneVsRestClassifier(model) if labels.several else model
        model.fit(_levels(thumbnails[train]), targets[train] if labels.several else targets[train].argmax(1))
        known = np.arange(len(labels.labels)) if labels.several else model.classes_
        return {
            "thumbnail_logistic": self.scored_by(
                data, known, lambda places: model.predict_proba(_levels(thumbnails[places]))
            )
        }


def _levels(thumbnails: np.ndarray) -> Any:
    return thumbnails / np.float32(255) - 0.5
