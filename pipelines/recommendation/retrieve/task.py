"""What a user should see: items retrieved from all there are."""

from typing import Any

import numpy as np

from horngate.pipelines.recommendation.retrieval.baselines import product
from horngate.pipelines.recommendation.retrieval.recommender import Recommender
from horngate.pipelines.recommendation.retrieval.selection import Contest, lists_of_matrix
from horngate.pipelines.runs.run import Run


class Pipeline(Recommender):
    """`horngate recommendation retrieve`."""

    def learn(self, run: Run) -> dict[str, Any]:
        self.run = run
        return Contest(self).held()

    def scores(self, users: np.ndarray) -> np.ndarray:
        if self.schema["reads"] == "user":
            return self.forward(users.astype(np.int32))
        learnt = self.known.learnt
        kernel = None if self.runtime else getattr(self.answers.layers[-1], "kernel", None)
        if kernel is not None:
            return product(learnt, users, np.asarray(kernel))  # a list is short: a sparse product is much faster
        lists = lists_of_matrix(learnt)
        width = 1 << int(max(lists.longest, 1) - 1).bit_length()
        return self.forward(lists.padded(users, width))

    def item_vectors(self) -> np.ndarray:
        from horngate.models.recommendation.retrieval import item_vectors

        return item_vectors(self.answers)
