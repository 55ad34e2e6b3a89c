"""How good the scores of a ranker are."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics import scoring
from horngate.pipelines.metrics.scoring import Outcome
from horngate.pipelines.recommendation.rank.target_encoder import TargetEncoder
from horngate.pipelines.statistics.intervals import numbered
from horngate.pipelines.tasks.bases import TableEvaluator
from horngate.pipelines.tasks.task import Task

TOP = 20  # rows with the highest losses, and users
LEAST_ROWS = 5  # of a user among the worst


class RankEvaluator(TableEvaluator):
    """Measures scores against clicks or ratings."""

    def __init__(self, task: Task):
        super().__init__(task)
        self.encoder: TargetEncoder = task.fitted.decisions

    def outcome(self, answers: pa.Table) -> Outcome:
        targets = self.encoder.encode(answers["target"].to_pylist(), answers["id"].to_pylist())
        users = numbered(answers["user"].to_pylist()) if self.fitted.schema["roles"]["user"] else None
        return Outcome(answers["score"].to_numpy().astype(np.float64), targets, users, self.encoder.clicks)

    def trivial(self, outcome: Outcome) -> Outcome:
        """Say of every row the mean target of the training rows: the prevalence of clicks, or the mean rating."""
        return Outcome(np.full(len(outcome), self.encoder.mean), outcome.targets, outcome.users, outcome.clicks)

    def metrics(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        return scoring.measures(outcome)

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        found: dict[str, Any] = {
            "kind": self.encoder.kind,
            "mean_target": float(outcome.targets.mean()),
            "mean_score": float(outcome.scores.mean()),
            "reliability": scoring.reliability(outcome),
            "mistakes": self._farthest(answers, outcome),
        }
        if outcome.users is not None:
            found |= self._of_users(answers, outcome)
        if "unseen" in answers.column_names:
            values, counts = np.unique(answers["unseen"].to_pylist(), return_counts=True)
            found["unseen"] = {str(name): int(count) for name, count in zip(values, counts, strict=True)}
        return found

    def _of_users(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        """Return how many users there are, how many of them have rows of one class, and the worst."""
        first = dict(zip(outcome.users.tolist(), answers["user"].to_pylist(), strict=True))
        loss = "log loss" if outcome.clicks else "mean squared error"
        worst = scoring.worst_users(outcome, LEAST_ROWS, TOP)
        rows = [[first[user], count, value, mean] for user, count, value, mean in worst]
        table = {
            "title": "Worst users",
            "said": f"Users with {LEAST_ROWS} rows or more whose {loss} is highest.",
            "columns": ["user", "rows", loss, "mean target"],
            "rows": rows,
        }
        found = {"users": int(outcome.units.max()) + 1, "tables": [table] if rows else []}
        if outcome.clicks:
            found["users_of_one_class"] = int(np.isnan(scoring.areas(outcome)[0]).sum())
        return found

    def _farthest(self, answers: pa.Table, outcome: Outcome) -> list[dict[str, Any]]:
        order = np.argsort(-scoring.losses_of(outcome), kind="stable")[:TOP]
        rows = answers.select(["id", "target", "score"]).take(pa.array(order)).to_pylist()
        return [row | {"label": "score"} for row in rows]

    def labels_in(self, target: str | None) -> list[str] | None:
        return None if not self.encoder.clicks else [] if target is None else [target]

    def incomparable(self, other: Task) -> str | None:
        mine, theirs = self.encoder, other.fitted.decisions
        if (mine.kind, mine.names) != (theirs.kind, theirs.names):
            return f"one was trained on {mine.said} and the other on {theirs.said}"
        return None
