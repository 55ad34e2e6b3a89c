"""Between a run's interactions and the models that learn from them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from horngate.pipelines.recommendation.cases import matrix
from horngate.pipelines.recommendation.tables import Known

AUTO = ("mf",)


def contenders(card: Any) -> tuple[str, ...]:
    """Return the models that a card lets learn."""
    return AUTO if card.model == "auto" else (card.model,)


def phase(name: str) -> Callable:
    """Return the function that learns a model."""
    from horngate.models import retrieval_learning

    return {"mf": retrieval_learning.factorised}[name]


def wishes_of(card: Any) -> Any:
    """Return how a card wishes to learn."""
    from horngate.models.retrieval_learning import Wishes

    names = ("dimension", "temperature", "correction", "layers", "dropout", "epochs", "batch_size", "learning_rate")
    return Wishes(seed=card.seed, **{name: getattr(card, name) for name in names})


def lists_of(known: Known, side: int) -> Any:
    """Return who met what on one side of the split, as models take it."""
    return lists_of_matrix(matrix(known.log, known.sides == side))


def lists_of_matrix(rows: csr_array) -> Any:
    """Return a sparse matrix as models take it."""
    from horngate.models.retrieval_learning import Lists

    return Lists(rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.shape[1], rows.data)
