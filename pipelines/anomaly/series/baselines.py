"""Baselines of the detectors of series, fitted on the same windows: an isolation forest and principal components."""

from collections.abc import Callable

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

TREES = 100
EXPLAINED = 0.95
BASELINES = ("isolation_forest", "windowed_pca")
Scorer = Callable[[np.ndarray], np.ndarray]
Scorers = Callable[[np.ndarray], dict[str, np.ndarray]]


def fitted_baselines(train: np.ndarray, scale: tuple[np.ndarray, np.ndarray], seed: int) -> Scorers:
    """Return a function from windows float32 `[n, w, d]` to scores `[n]` by name, of each of `BASELINES`.

    Args:
        train: the windows that the detectors learnt from, float32 `[m, w, d]`.
        scale: mean and standard deviation of each column.
        seed: of the forest.
    """

    def flat(windows: np.ndarray) -> np.ndarray:
        values = np.nan_to_num((_filled(windows) - scale[0]) / scale[1])
        return values.reshape(len(values), -1).astype(np.float32)

    learnt = flat(train)
    scorers = dict(zip(BASELINES, (_forest(learnt, seed), _components(learnt)), strict=True))

    def score(windows: np.ndarray) -> dict[str, np.ndarray]:
        values = flat(windows)
        return {name: scorer(values) for name, scorer in scorers.items()}

    return score


def _filled(windows: np.ndarray) -> np.ndarray:
    """Return windows with the last value before it for what is missing, else the first one after it."""
    windows = windows.copy()
    for _ in range(2):
        for row in range(1, windows.shape[1]):
            gaps = np.isnan(windows[:, row])
            windows[:, row][gaps] = windows[:, row - 1][gaps]
        windows = windows[:, ::-1]
    return windows


def _forest(train: np.ndarray, seed: int) -> Scorer:
    forest = IsolationForest(n_estimators=TREES, random_state=seed).fit(train)
    return lambda windows: -forest.score_samples(windows)


def _components(train: np.ndarray) -> Scorer:
    found = PCA(EXPLAINED, svd_solver="full").fit(train)
    return lambda windows: np.sqrt(((windows - found.inverse_transform(found.transform(windows))) ** 2).mean(1))
