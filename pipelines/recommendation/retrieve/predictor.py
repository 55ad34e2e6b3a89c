"""Lists for users by models of who met what, in whatever order."""

from typing import TYPE_CHECKING

import numpy as np

from horngate.pipelines.recommendation.interactions.cases import lists_of
from horngate.pipelines.recommendation.retrieval.baselines import product
from horngate.pipelines.recommendation.retrieval.predictor import RecommenderPredictor

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class RetrievePredictor(RecommenderPredictor):
    """Scores users by their codes, or by all items that the model learnt of them."""

    def scores(self, users: np.ndarray, past: "csr_array") -> np.ndarray:
        if self.fitted.schema["reads"] == "user":
            return self.forward(users.astype(np.int32))
        learnt = self.store.learnt
        kernel = None if self.task.runtime else getattr(self.core.layers[-1], "kernel", None)
        if kernel is not None:
            return product(learnt, users, np.asarray(kernel))  # a list is short: a sparse product is much faster
        lists = lists_of(learnt)
        width = 1 << int(max(lists.longest, 1) - 1).bit_length()
        return self.forward(lists.padded(users, width))
