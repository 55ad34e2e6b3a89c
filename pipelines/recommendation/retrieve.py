"""What a user should see: items retrieved from all there are."""

import time
from typing import Any

import numpy as np

from horngate.pipelines import progress
from horngate.pipelines.errors import UserError
from horngate.pipelines.recommendation.recommender import Recommender
from horngate.pipelines.recommendation.splitting import TRAIN, VALIDATION
from horngate.pipelines.run import Run


class Pipeline(Recommender):
    """`horngate recommendation retrieve`."""

    def learn(self, run: Run) -> dict[str, Any]:
        from horngate.models.checkpoint import DamagedCheckpoint, UnwrittenCheckpoint
        from horngate.models.learning import Diverged

        self.run = run
        try:
            return self._chosen()
        except (DamagedCheckpoint, UnwrittenCheckpoint, Diverged) as problem:
            raise UserError(str(problem)) from None

    def _chosen(self) -> dict[str, Any]:
        """Learn each of the card's models and keep the best by validation."""
        from horngate.pipelines.phases import told
        from horngate.pipelines.recommendation.phases import contenders, lists_of, phase, wishes_of

        names, costs, found = contenders(self.card), {}, {}
        lists = [lists_of(self.known, side) for side in (TRAIN, VALIDATION)]
        for name in names:
            started = time.monotonic()
            with told(self, at_least=0.0) as keeper:
                found[name] = phase(name)(*lists, wishes_of(self.card), keeper)
            self.history += found[name].history
            costs[name] = round(time.monotonic() - started, 1)
            if found[name].best[0] is not None:
                progress.detail(f"{name}: ndcg_at_10 on validation {1 - found[name].best[0]:.4f}")
        scores = {name: one.best[0] for name, one in found.items() if one.best[0] is not None}
        method = min(scores, key=scores.get) if scores else names[0]
        why = "asked for" if len(names) == 1 else "best ndcg_at_10 on validation" if scores else "nothing to compare on"
        self.answers = found[method].answers
        shown = {name: round(1 - score, 4) for name, score in scores.items()}
        return {"method": method, "why": why, "costs": costs, "protocol": {"ndcg_at_10_on_validation": shown}}

    def scores(self, users: np.ndarray) -> np.ndarray:
        return np.asarray(self.answers.predict_on_batch(self._inputs(users)))

    def _inputs(self, users: np.ndarray) -> np.ndarray:
        """Return what the model takes for users: their codes, or what they met."""
        from horngate.pipelines.recommendation.phases import lists_of_matrix

        if len(self.answers.inputs[0].shape) == 1:
            return users.astype(np.int32)
        lists = lists_of_matrix(self.known.learnt)
        return lists.padded(users, 1 << int(max(lists.longest, 1) - 1).bit_length())

    def item_vectors(self) -> np.ndarray:
        from horngate.models.retrieval import item_vectors

        return item_vectors(self.answers)
