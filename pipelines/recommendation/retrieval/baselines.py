"""Baselines without gradients: what is popular, neighbours of items, and a linear model of items on items."""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from horngate.models.recommendation.closed_form import ease, nearest, neighbours
from horngate.pipelines.metrics import ranking
from horngate.pipelines.recommendation.interactions.cases import matrix
from horngate.pipelines.recommendation.interactions.splits import VALIDATION
from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.recommendation.retrieval import ranked_lists
from horngate.pipelines.recommendation.retrieval.ranked_lists import Lister
from horngate.pipelines.system import progress

MOST_OF_EASE = 20_000  # items
PENALTIES = (100.0, 200.0, 400.0, 800.0, 1600.0)  # that EASE is tried with
FEW_PENALTIES = (200.0, 800.0)  # of more than MANY items
MANY = 6_000
MOST_JUDGED = 10_000  # users on whom something is chosen
NEAREST = (20, 50, 100, 200)  # items that count as neighbours


def fitted_baselines(store: InteractionStore) -> dict[str, Lister]:
    """Return by name what lists the items of users; ease is left out, and that is told, where items are too many."""
    popular = partial(ranked_lists.by_popularity, store.counts, allowed=store.rankable, depth=ranking.DEPTH)
    found: dict[str, Lister] = {"popularity": lambda users, seen, past: popular(users=users, seen=seen)[0]}
    found["item_knn"] = _lister(store, chosen(store, NEAREST, _neighbours(), "item_knn")[1])
    if (items := len(store.log.items)) > MOST_OF_EASE:
        progress.notice(
            f"reference ease is left out: {items:,} items, and its closed form takes up to {MOST_OF_EASE:,}"
        )
    else:
        found["ease"] = _lister(store, chosen_ease(store)[1])
    return found


def chosen_ease(store: InteractionStore) -> tuple[float, np.ndarray]:
    """Return the penalty of EASE that is best on validation, and its weights, float32 `[items, items]`."""
    return chosen(store, PENALTIES if len(store.log.items) <= MANY else FEW_PENALTIES, ease, "ease")


def chosen(store: InteractionStore, values: tuple, fitted: Callable, name: str) -> tuple:
    """Return the value that has the best ndcg_at_10 on validation, and what is fitted with it to all that is learnt from.

    Without validation rows it is the one in the middle.

    Args:
        fitted: from a matrix `[users, items]` and a value to weights `[items, items]`.
    """
    best, kept = (-1.0, values[len(values) // 2]), None
    if (store.sides == VALIDATION).any():
        for value in progress.tracked(values, f"choosing {name} on validation", len(values)):
            if progress.stop.is_set():
                raise KeyboardInterrupt
            weights = fitted(store.train, value)
            score = validated(store, lambda users, weights=weights: product(store.train, users, weights))
            if score > best[0]:
                best, kept = (score, value), weights
    if kept is None or store.refit:
        kept = fitted(store.learnt, best[1])
    return best[1], kept


def validated(store: InteractionStore, scorer: ranked_lists.Scorer) -> float:
    """Return the ndcg_at_10 of a scorer on the validation interactions of up to 10,000 users who were learnt from."""
    held = matrix(store.log, store.sides == VALIDATION)
    users = np.flatnonzero((np.diff(held.indptr) > 0) & (np.diff(store.train.indptr) > 0))
    users = np.sort(np.random.default_rng(0).permutation(users)[:MOST_JUDGED])
    codes, _ = ranked_lists.lists(scorer, users, store.train, store.counts > 0, 10)
    own = held[users]
    found = ranking.ranking(codes, (own.indptr.astype(np.int64), own.indices), store.bits)
    return float(ranking.ndcg(10)(found).mean()) if len(users) else 0.0


def product(rows: csr_array, users: np.ndarray, weights: np.ndarray | csr_array) -> np.ndarray:
    """Return the scores of users by weights of items on items: float32 `[n, items]`."""
    found = rows[users] @ weights
    return np.asarray(found.toarray() if hasattr(found, "toarray") else found, np.float32)


def _neighbours() -> Callable[[csr_array, int], csr_array]:
    """Return a function that fits ItemKNN; the neighbours of the last matrix are kept for other counts of them."""
    kept: dict[int, tuple] = {}

    def fitted(rows: csr_array, count: int) -> csr_array:
        if id(rows) not in kept:
            kept.clear()
            kept[id(rows)] = neighbours(rows, max(NEAREST))
        return nearest(*kept[id(rows)], count)

    return fitted


def _lister(store: InteractionStore, weights: np.ndarray | csr_array) -> Lister:
    def listed(users: np.ndarray, seen: csr_array, past: csr_array) -> np.ndarray:
        codes = ranked_lists.by_popularity(store.counts, users, seen, store.rankable, ranking.DEPTH)[0]
        able = (users >= 0) & store.learnt_users[users]
        scorer = partial(product, past, weights=weights)
        if able.any():
            codes[able] = ranked_lists.lists(scorer, users[able], seen, store.rankable, ranking.DEPTH)[0]
        return codes

    return listed
