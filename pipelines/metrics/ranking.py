"""Measures of ranked lists: how high what was held out stands, and how much of the catalogue is ever shown."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from horngate.pipelines.statistics.intervals import ByRow, Measure, Spec, Uncomputable, prepared

CUTS = (10, 5, 20)
DEPTH = max(CUTS)


@dataclass(frozen=True)
class Ranking(ByRow):
    """Lists of items, one for each user, and what was held out of these users.

    Attributes:
        items: int32 `[n, 20]`, codes of items, the best first; -1 where a list is shorter.
        hits: bool `[n, 20]`, whether these are relevant.
        relevant: int64 `[n]`, how many items are relevant, at least 1.
        bits: float64 `[items]`, the self-information of each item: -log2 of its share of the training users; NaN for one
            that is never recommended, and so no part of the catalogue.
        popular: the same users' lists by popularity, or None where nobody knows them.
    """

    items: np.ndarray
    hits: np.ndarray
    relevant: np.ndarray
    bits: np.ndarray
    popular: "Ranking | None" = None

    shared = ("bits",)


def ranking(items: np.ndarray, held: tuple[np.ndarray, np.ndarray], bits: np.ndarray) -> Ranking:
    """Return the ranking of lists.

    Args:
        items: int `[n, k]`, codes, -1 behind the end of a list.
        held: offsets int64 `[n + 1]` and codes of the relevant items of each user; an item without a code is -1.
        bits: float64 `[items]`, as of `Ranking`.
    """
    count = len(items)
    lists = np.full((count, DEPTH), -1, np.int32)
    lists[:, : items.shape[1]] = items[:, :DEPTH]
    offsets, codes = held
    owner = np.repeat(np.arange(count), np.diff(offsets))
    size = len(bits) + 1
    keys = owner[codes >= 0] * size + codes[codes >= 0]
    hits = np.isin(np.arange(count)[:, None] * size + lists, keys) & (lists >= 0)
    return Ranking(lists, hits, np.diff(offsets), bits)


def ndcg(cut: int) -> Callable[[Ranking], np.ndarray]:
    """Return a function to float64 `[n]`: discounted gain over that of the best list (Järvelin & Kekäläinen 2002).

    The best list holds min(cut, relevant) relevant items.
    """
    discounts = 1 / np.log2(np.arange(2, cut + 2))
    best = np.concatenate([[0.0], np.cumsum(discounts)])
    return lambda found: found.hits[:, :cut] @ discounts / best[np.minimum(found.relevant, cut)]


def recall(cut: int) -> Callable[[Ranking], np.ndarray]:
    """Return a function to float64 `[n]`: the share of the relevant items that stand above the cut."""
    return lambda found: found.hits[:, :cut].sum(1) / found.relevant


def hit_rate(cut: int) -> Callable[[Ranking], np.ndarray]:
    """Return a function to float64 `[n]`: whether any relevant item stands above the cut."""
    return lambda found: found.hits[:, :cut].any(1).astype(np.float64)


def mrr(cut: int) -> Callable[[Ranking], np.ndarray]:
    """Return a function to float64 `[n]`: one by the place of the first relevant item, 0 where it stands below the cut."""
    return lambda found: np.max(found.hits[:, :cut] / np.arange(1, cut + 1), axis=1, initial=0.0)


def precision(cut: int) -> Callable[[Ranking], np.ndarray]:
    """Return a function to float64 `[n]`: the share of relevant items above the cut."""
    return lambda found: found.hits[:, :cut].mean(1)


def _averaged(values: Callable[[Ranking], np.ndarray]) -> Callable[[Ranking], Measure]:
    def prepare(found: Ranking) -> Measure:
        own = values(found).astype(np.float64)
        return lambda weights: float(weights @ own) / float(weights.sum())

    return prepare


def _shown(found: Ranking, cut: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from weights of users to how often each item of the catalogue is shown, float64 `[catalogue]`."""
    catalogue = np.isfinite(found.bits)
    items = found.items[:, :cut]
    owner, codes = np.nonzero(items >= 0)[0], items[items >= 0]
    if not len(codes):
        raise Uncomputable("no list holds an item")
    return lambda weights: np.bincount(codes, weights[owner], minlength=len(found.bits))[catalogue]


def coverage(found: Ranking) -> Measure:
    """Share of the catalogue that stands in the first ten of at least one user."""
    shown, count = _shown(found, 10), int(np.isfinite(found.bits).sum())
    return lambda weights: float(np.count_nonzero(shown(weights))) / count


def gini(found: Ranking) -> Measure:
    """How unevenly items are shown among the first ten: 0 where all are as often, near 1 where few are (Gini 1912)."""
    shown, count = _shown(found, 10), int(np.isfinite(found.bits).sum())
    ranks = 2 * np.arange(1, count + 1) - count - 1

    def measure(weights: np.ndarray) -> float:
        times = np.sort(shown(weights))
        return float(ranks @ times) / (count * float(times.sum()))

    return measure


def novelty(found: Ranking) -> Measure:
    """Bits that the first ten tell on average: the self-information of the items shown (Zhou et al. 2010)."""
    items = found.items[:, :10]
    there = items >= 0
    if not there.any():
        raise Uncomputable("no list holds an item")
    own, counts = np.where(there, found.bits[items], 0.0).sum(1), there.sum(1).astype(np.float64)
    return lambda weights: float(weights @ own) / float(weights @ counts)


MEASURES = {
    f"{values.__name__}_at_{cut}": Spec(_averaged(values(cut)))
    for cut in CUTS
    for values in (ndcg, recall, hit_rate, mrr, precision)
}
MEASURES |= {
    "coverage_at_10": Spec(coverage, raised=True),
    "gini_at_10": Spec(gini, higher_is_better=False, raised=True),
    "novelty_at_10": Spec(novelty, unit="bits"),
}


def measures(found: Ranking) -> dict[str, tuple[Spec, Measure | str]]:
    """Return the measures of a ranking."""
    return prepared(MEASURES, found)


def by_popularity(found: Ranking) -> Ranking:
    """Return what the most popular items score, or empty lists where nobody knows them."""
    if found.popular is not None:
        return found.popular
    return replace(found, items=np.full_like(found.items, -1), hits=np.zeros_like(found.hits))
