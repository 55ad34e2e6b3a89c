"""Two samples: statistics under permutation of who belongs to which side, and correction for many tests.

`sides` is float64 `[draws + 1, n]`, 1 for a row that counts as new; its first line is how it is, the others are drawn. Each
statistic returns one number per line.
"""

import numpy as np
from scipy.spatial.distance import cdist


def sides_of(new: np.ndarray, known: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Return float64 `[draws + 1, n]`, 1 for a row that counts as new; the first line is how it is."""
    _, first = np.unique(new, return_inverse=True)
    _, second = np.unique(known, return_inverse=True)
    count = first.max() + 1
    units = np.concatenate([first, second + count])
    truth = (np.arange(units.max() + 1) < count).astype(np.float64)
    drawn = np.random.default_rng(seed).permuted(np.tile(truth, (draws, 1)), axis=1)
    return np.concatenate([truth[None], drawn])[:, units]


def judged(found: np.ndarray) -> tuple[float, float]:
    """Return the first value, and the share of all that are as large: the p-value of a permutation test."""
    return float(found[0]), float(np.mean(found >= found[0] - 1e-12))


def energy(points: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return the energy coefficient of each line of sides, unbiased at 0 (Székely & Rizzo 2013, J. Stat. Plan. Inference).

    It is (2 E|X−Y| − E|X−X'| − E|Y−Y'|) / 2 E|X−Y|; with the kernel −|x−y| this is the maximum mean discrepancy of Gretton
    et al. 2012 (JMLR 13), without a bandwidth to choose.
    """
    distances = cdist(points, points)
    count, ones = sides.sum(1), distances.sum(1)
    other = sides.shape[1] - count
    near = sides @ distances
    within = (near * sides).sum(1)
    across = sides @ ones - within
    rest = ones.sum() - 2 * across - within
    between = across / (count * other)
    inner = within / np.maximum(count * (count - 1), 1) + rest / np.maximum(other * (other - 1), 1)
    return (2 * between - inner) / np.maximum(2 * between, 1e-12)


def gap(values: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return the widest gap between the cumulative shares of the two sides, for each line of sides."""
    values = np.nan_to_num(values, nan=-np.inf)
    order = np.argsort(values, kind="stable")
    ends = np.append(np.flatnonzero(values[order][1:] != values[order][:-1]), len(values) - 1)  # ties count as one step
    count = sides.sum(1, keepdims=True)
    passed = np.cumsum(sides[:, order], 1)[:, ends]
    return np.abs(passed / count - (ends + 1 - passed) / (len(values) - count)).max(1)


def chi_squared(hot: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return Pearson's chi-squared of labels against sides, for each line of sides."""
    count, total = sides.sum(1, keepdims=True), hot.sum(0)
    expected = count * total / len(hot)
    squared = (sides @ hot - expected) ** 2
    return (squared / expected + squared / (total - expected)).sum(1)
