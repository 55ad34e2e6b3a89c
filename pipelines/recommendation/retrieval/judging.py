"""What a recommender's lists are worth: measures, the trivial guess, cases that were missed, plots."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics import ranking
from horngate.pipelines.metrics.ranking import DEPTH, Ranking
from horngate.pipelines.recommendation.interactions.store import Known
from horngate.pipelines.recommendation.retrieval import plots as drawn
from horngate.pipelines.report.plot import Plot
from horngate.pipelines.runs.report import Report


class Judging:
    """The part of a recommender that is measured; the whole has `known`, `rankable`, `sampled`, `only` and `popular`."""

    known: Known
    rankable: np.ndarray
    mistakes_title = "Missed most"
    mistakes_said = "users of whom most was held out and nothing found"

    def outcome(self, answers: pa.Table) -> Ranking:
        shown = answers["items"].combine_chunks()
        shown = shown.chunk(0) if isinstance(shown, pa.ChunkedArray) else shown
        sizes = np.diff(shown.offsets.to_numpy())
        codes = np.full((len(sizes), DEPTH), -1, np.int64)
        flat = self.known.items_of(shown.flatten())
        owner = np.repeat(np.arange(len(sizes)), sizes)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        codes[owner[nth < DEPTH], nth[nth < DEPTH]] = flat[nth < DEPTH]
        held = self.held(answers["target"].to_pylist())
        users, split = self.known.users_of(answers["id"]), answers["split"][0].as_py()
        seen = self.masked(split)
        only = self.only(users, held, seen) if self.sampled else None
        usual, _ = self.popular(users, seen, self.rankable, DEPTH, only)
        popular = ranking.ranking(usual, held, self.bits)
        return replace(ranking.ranking(codes, held, self.bits), popular=popular)

    def outcome_of(self, outputs: np.ndarray, targets: list[str | None]) -> Ranking:
        return ranking.ranking(outputs, self.held(targets), self.bits)

    @property
    def bits(self) -> np.ndarray:
        """float64 `[items]`: what it tells to be shown each item, NaN for those that never are."""
        return np.where(self.rankable, self.known.bits, np.nan)

    def held(self, targets: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return offsets int64 `[n + 1]` and codes of the items in JSON lists, -1 for those that the run doesn't know."""
        found = [json.loads(target) for target in targets]
        offsets = np.concatenate([[0], np.cumsum([len(names) for names in found])])
        return offsets, self.known.items_of(pa.array([name for names in found for name in names], pa.string()))

    def guess(self, outcome: Ranking) -> Ranking:
        """Say to everyone what is popular."""
        return ranking.by_popularity(outcome)

    def measures(self, outcome: Ranking) -> dict[str, tuple[Any, Any]]:
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

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        return drawn.plots(self.outcome(answers))
