"""Baselines of the detectors of tables: fitted by scikit-learn, or in a few lines, on the same training rows."""

from collections.abc import Callable

import numpy as np
from scipy.stats import skew
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

MOST_FITTED = 50_000  # rows
MOST_STORED = 10_000  # rows that the nearest neighbours are looked for among
K = 5  # the distance to the fifth neighbour: what published tables use
Scores = Callable[[np.ndarray], np.ndarray]


def fitted_baselines(rows: np.ndarray, categories: list[int], seed: int) -> dict[str, Scores]:
    """Return fitted baselines by name: each a function from rows float `[n, columns]` to scores float64 `[n]`.

    Args:
        rows: training rows, NaN for gaps and codes for categories.
        categories: for each column how many codes it has; 0 for numbers.
        seed: of the forest and of the draw of very many rows.
    """
    draw = np.random.default_rng(seed).permutation(len(rows))
    plain = _plain(rows, categories)
    train = plain(rows[np.sort(draw[:MOST_FITTED])])
    stored = plain(rows[np.sort(draw[:MOST_STORED])])
    made = {
        "isolation_forest": _forest(train, seed),
        "ecod": _tails(train),
        "knn": _neighbours(stored),
        "pca": _axes(train),
    }
    return {name: lambda asked, score=score: score(plain(asked)) for name, score in made.items()}


def _plain(rows: np.ndarray, categories: list[int]) -> Scores:
    """Return what makes plain features of rows: gaps filled with the median, numbers standardised, codes one-hot."""
    numbers = [place for place, count in enumerate(categories) if not count]
    own = rows[:, numbers].astype(np.float64)
    gone = np.isnan(own).all(0)
    medians = np.where(gone, 0.0, np.nanmedian(np.where(gone, 0.0, own), axis=0))
    filled = np.where(np.isnan(own), medians, own)
    means, spreads = filled.mean(0), filled.std(0)
    spreads[spreads < 1e-12] = 1.0

    def features(asked: np.ndarray) -> np.ndarray:
        values = asked[:, numbers].astype(np.float64)
        parts = [(np.where(np.isnan(values), medians, values) - means) / spreads]
        parts += [asked[:, [place]] == np.arange(count + 1) for place, count in enumerate(categories) if count]
        return np.concatenate(parts, axis=1).astype(np.float64)

    return features


def _forest(train: np.ndarray, seed: int) -> Scores:
    forest = IsolationForest(random_state=seed).fit(train)
    return lambda rows: -forest.score_samples(rows)


def _tails(train: np.ndarray) -> Scores:
    """Return ECOD (Li et al. 2022) as PyOD computes it: minus the logarithms of tail probabilities, summed over columns.

    Of a column that leans to neither side both tails count, else the rarer one.
    """
    ordered, count = np.sort(train, axis=0), len(train)
    with np.errstate(all="ignore"):
        upright = np.abs(np.nan_to_num(skew(train, axis=0))) < 1

    def score(rows: np.ndarray) -> np.ndarray:
        total = np.zeros(len(rows))
        for place in range(rows.shape[1]):
            low = np.searchsorted(ordered[:, place], rows[:, place], "right")
            high = count - np.searchsorted(ordered[:, place], rows[:, place], "left")
            left, right = (-np.log((part + 1) / (count + 2)) for part in (low, high))
            total += left + right if upright[place] else np.maximum(left, right)
        return total

    return score


def _neighbours(stored: np.ndarray) -> Scores:
    near = NearestNeighbors(n_neighbors=min(K, len(stored)), algorithm="brute").fit(stored)

    def score(rows: np.ndarray) -> np.ndarray:
        parts = [near.kneighbors(rows[at : at + 4096])[0][:, -1] for at in range(0, len(rows), 4096)]
        return np.concatenate(parts) if parts else np.zeros(0)

    return score


def _axes(train: np.ndarray) -> Scores:
    """Return the sum of squared standardised principal components (Shyu et al. 2003)."""
    model = PCA().fit(train)
    kept = model.explained_variance_ > 1e-8 * model.explained_variance_.sum()
    return lambda rows: (model.transform(rows)[:, kept] ** 2 / model.explained_variance_[kept]).sum(1)
