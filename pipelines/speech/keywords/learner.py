"""How keywords are learnt: a network from a random start, or a head on a pretrained encoder of speech."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pyarrow as pa
from scipy.fft import dct
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import pairwise_distances

from horngate.models.network import Network
from horngate.models.speech.encoders import speech_encoder
from horngate.models.speech.keywords import keyword_encoder
from horngate.models.speech.spectra import Masking
from horngate.pipelines.metrics.classification import Outcome
from horngate.pipelines.system import pretrained, progress
from horngate.pipelines.tasks.classification.labels import Labels
from horngate.pipelines.tasks.classification.learner import LabelLearner
from horngate.pipelines.tasks.parts import Fitted, LearningData

# --augment -> what is masked, stretched and tilted of the spectra while a network learns
MASKED: dict[str, dict[str, Any]] = {"none": {"times": 0, "bands": 0}, "light": {"times": 1, "bands": 1}}
MASKED["strong"] = {"times": 1, "bands": 1, "time_share": 0.1, "band_share": 0.15}
MASKED["strong"] |= {"stretch": 0.15, "tempo": 0.15, "tilt": 0.1}
LEAST_STEPS = 3000  # of learning from a random start, where its epochs are not given
MOST_FITTED = 4000  # rows
COEFFICIENTS = 13  # of a cepstrum
PENALTY = 0.1


class KeywordLearner(LabelLearner):
    """Learns keywords."""

    scratch_rate = 6e-3

    @property
    def variation(self) -> str:
        return self.card.augment + (f" in {self.card.noises}" if self.card.noises else "")

    @property
    def views(self) -> int:
        return self.card.views if self.card.augment != "none" else 1

    def scratch_epochs(self, rows: int) -> int:
        return int(np.clip(LEAST_STEPS * (self.card.batch_size or 32) / max(rows, 1), 30, 200))

    def build(self, fitted: Fitted) -> Fitted:
        labels = fitted.decisions
        encoder = self._started(fitted) if self.card.backbone is None else self._preset(fitted)
        if not self.pretrained:
            name = self.card.backbone or self.card.model
            progress.notice(f"no pretrained weights: {name} starts from random weights")
        return fitted.having(model=Network.around(encoder, len(labels.labels), labels.several, seed=self.card.seed))

    def _started(self, fitted: Fitted) -> keras.Model:
        masking = Masking(**MASKED[self.card.augment], seed=self.card.seed, name="masking")
        return keyword_encoder(self.card.model, fitted.schema["rate"], fitted.schema["samples"], masking)

    def _preset(self, fitted: Fitted) -> keras.Model:
        return speech_encoder(pretrained.found(self.card.backbone), fitted.schema["samples"], self.pretrained)

    def baselines(self, data: LearningData) -> dict[str, dict[str, Outcome]]:
        labels = self.task.fitted.decisions
        known = np.arange(len(labels.labels))
        return {"mfcc_kernel_ridge": self.scored_by(data, known, kernel_ridge(labels, data, self.card.seed))}


def kernel_ridge(labels: Labels, data: LearningData, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return kernel ridge regression on mel cepstra of 32 steps in time: from places of rows to float32 `[n, classes]`.

    It is fitted on at most 4,000 training rows; its squared distances are scaled by their median.
    """
    facts = data.facts
    levels = np.stack([fact.thumbnail for fact in facts]).astype(np.float32) / 255
    cepstra = dct(levels, axis=1, norm="ortho")[:, :COEFFICIENTS].reshape(len(facts), -1)
    train = np.random.default_rng(seed).permutation(data.places("train"))[:MOST_FITTED]
    centre, spread = cepstra[train].mean(0), cepstra[train].std(0) + 1e-6
    inputs = (cepstra - centre) / spread
    some = inputs[train[:500]]
    middle = float(np.median(pairwise_distances(some) ** 2)) or 1.0
    model = KernelRidge(alpha=PENALTY, kernel="rbf", gamma=1 / middle)
    model.fit(inputs[train], labels.encode(data.table["target"].take(pa.array(train)).to_pylist()))
    return lambda places: _scores(model.predict(inputs[places]), labels.several)


def _scores(values: np.ndarray, several: bool) -> np.ndarray:
    """Return values near 0 and 1 as scores, and where a row has one label as shares of 1."""
    kept = np.clip(values, 1e-3, 1)
    return (kept if several else kept / kept.sum(1, keepdims=True)).astype(np.float32)
