"""What speech can be sorted by without a network: the rival that a report's scores stand beside."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from scipy.fft import dct
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import pairwise_distances

from horngate.pipelines.tasks.classification.labels import Labels
from horngate.pipelines.tasks.parts import LearningData

MOST_FITTED = 4000  # rows
COEFFICIENTS = 13  # of a cepstrum
PENALTY = 0.1


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
