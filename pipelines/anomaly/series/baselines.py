"""Rivals of the detectors of series, fitted on the same windows: an isolation forest and principal components."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from horngate.pipelines.anomaly.series.task import Pipeline

BLOCK = 2048  # windows that are read at once
TREES = 100
EXPLAINED = 0.95
Scorer = Callable[[np.ndarray], np.ndarray]


def rivals(
    task: "Pipeline", table: pa.Table, splits: np.ndarray, train: np.ndarray, scale: tuple[np.ndarray, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """Return name → split → float64 `[n, 4]`: score, number of the series, seconds, whether an alarm was raised.

    Args:
        train: the windows that the detectors learnt from, float32 `[m, w, d]`.
        scale: mean and standard deviation of each column.
    """

    def flat(windows: np.ndarray) -> np.ndarray:
        values = np.nan_to_num((_filled(windows) - scale[0]) / scale[1])
        return values.reshape(len(values), -1).astype(np.float32)

    scorers = {"isolation_forest": _forest(flat(train), task.card.seed), "windowed_pca": _components(flat(train))}
    scored = {name: {} for name in scorers}
    for split in ("validation", "test"):
        rows = np.flatnonzero(splits == split)
        parts: dict[str, list] = {name: [] for name in scorers}
        for at in range(0, len(rows), BLOCK):
            windows = flat(task.windows(table.take(pa.array(rows[at : at + BLOCK])), f"rivals on {split}"))
            for name, scorer in scorers.items():
                parts[name].append(scorer(windows))
        if len(rows):
            own = table.take(pa.array(rows))
            for name, scores in parts.items():
                scored[name][split] = (np.concatenate(scores), own)
    return {name: _with_alarms(task, by_split) for name, by_split in scored.items()}


def _with_alarms(task: "Pipeline", by_split: dict[str, tuple]) -> dict[str, np.ndarray]:
    """Return a rival's columns by split, its threshold chosen on its normal validation rows, as the run's own."""
    if "validation" not in by_split:
        return {}
    scores, rows = by_split["validation"]
    truth = task.alarms.encode(rows["target"].to_pylist())
    if (truth == 1).all():
        return {}
    threshold = task.chosen(scores, truth, rows, task.card, True).threshold
    found: dict[str, Any] = {}
    for split, (own, table) in by_split.items():
        series, seconds = task.timeline(table)
        found[split] = np.stack([own, series, seconds, own >= threshold], axis=1).astype(np.float64)
    return found


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
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=TREES, random_state=seed).fit(train)
    return lambda windows: -forest.score_samples(windows)


def _components(train: np.ndarray) -> Scorer:
    from sklearn.decomposition import PCA

    found = PCA(EXPLAINED, svd_solver="full").fit(train)
    return lambda windows: np.sqrt(((windows - found.inverse_transform(found.transform(windows))) ** 2).mean(1))
