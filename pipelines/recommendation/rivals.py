"""Rivals without gradients: what is popular, neighbours of items, and a linear model in closed form."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from horngate.pipelines.recommendation import ranked
from horngate.pipelines.recommendation.tables import Known

Lister = Callable[[np.ndarray, csr_array], np.ndarray]  # users, what is masked -> int32 [n, 20]
DEPTH = 20


def rivals(known: Known, card: Any, rankable: np.ndarray) -> dict[str, Lister]:
    """Return by name what lists the items of users."""

    def popular(users: np.ndarray, seen: csr_array) -> np.ndarray:
        return ranked.by_popularity(known.counts, users, seen, rankable, DEPTH)[0]

    return {"popularity": popular}
