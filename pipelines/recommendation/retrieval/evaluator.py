"""What a recommender's lists are worth: metrics, the trivial guess, cases that were missed."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics import ranking
from horngate.pipelines.metrics.ranking import DEPTH, Ranking
from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.recommendation.retrieval import ranked_lists
from horngate.pipelines.recommendation.retrieval.candidates import Candidates
from horngate.pipelines.tasks.bases import TableEvaluator
from horngate.pipelines.tasks.task import Task


class RankingEvaluator(TableEvaluator):
    """Measures lists of items against those that were held out."""

    def __init__(self, task: Task):
        super().__init__(task)
        self.store: InteractionStore = task.fitted.decisions

    def outcome(self, answers: pa.Table) -> Ranking:
        shown = answers["items"].combine_chunks()
        shown = shown.chunk(0) if isinstance(shown, pa.ChunkedArray) else shown
        sizes = np.diff(shown.offsets.to_numpy())
        codes = np.full((len(sizes), DEPTH), -1, np.int64)
        flat = self.store.items_of(shown.flatten())
        owner = np.repeat(np.arange(len(sizes)), sizes)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        codes[owner[nth < DEPTH], nth[nth < DEPTH]] = flat[nth < DEPTH]
        users, split, targets = self.store.users_of(answers["id"]), answers["split"][0].as_py(), answers["target"]
        candidates, targets = Candidates(self.task), targets.to_pylist()
        seen = candidates.masked(split)
        only = candidates.drawn(users, targets, seen)
        usual, _ = ranked_lists.by_popularity(self.store.counts, users, seen, self.store.rankable, DEPTH, only)
        return replace(self.ranking(codes, targets), popular=self.ranking(usual, targets))

    def ranking(self, codes: np.ndarray, targets: list[str]) -> Ranking:
        """Return the outcome of lists.

        Args:
            codes: `[n, depth]` of items, -1 behind the end of a list.
            targets: JSON lists of what was held out.
        """
        bits = np.where(self.store.rankable, self.store.bits, np.nan)  # nothing is told by what is never shown
        return ranking.ranking(codes, self.store.items_in(targets), bits)

    def trivial(self, outcome: Ranking) -> Ranking:
        """Say to everyone what is popular."""
        return ranking.by_popularity(outcome)

    def metrics(self, outcome: Ranking) -> dict[str, tuple[Any, Any]]:
        return ranking.measures(outcome)

    def details(self, answers: pa.Table, outcome: Ranking) -> dict[str, Any]:
        fallback = answers["fallback"].null_count
        missed = np.flatnonzero(~outcome.hits[:, :10].any(1))
        worst = missed[np.argsort(-outcome.relevant[missed], kind="stable")][:20]
        rows = answers.take(pa.array(worst)).to_pylist()
        return {
            "fallback_users": answers.num_rows - fallback,
            "mistakes": [
                {
                    "id": row["id"],
                    "target": ", ".join(json.loads(row["target"])[:10]),
                    "label": ", ".join(row["items"][:5]),
                    "score": row["scores"][0] if row["scores"] else None,
                }
                for row in rows
            ],
        }
