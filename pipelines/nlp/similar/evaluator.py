"""How good similarities are: their order against that of scores, or how far up a text finds its own second."""

from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics import similarity
from horngate.pipelines.metrics.similarity import Outcome
from horngate.pipelines.nlp.similar.pairs import float_of, similarities
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tasks.bases import TableEvaluator

SURPRISES = 20  # in a report


class PairEvaluator(TableEvaluator):
    """Measures similarities of pairs."""

    def outcome(self, answers: pa.Table) -> Outcome:
        targets = answers["target"].to_pylist()
        if any(target is not None for target in targets):
            scores = scores_of(targets, answers["id"].to_pylist())
            return Outcome(answers["similarity"].to_numpy().astype(np.float64), scores)
        sides = [answers[name].combine_chunks() for name in ("embedding", "pair_embedding")]
        first, second = (side.flatten().to_numpy().reshape(len(targets), -1) for side in sides)
        return outcome_of(similarities(first, second, scored=False), targets)

    def trivial(self, outcome: Outcome) -> Outcome:
        """Say one similarity of all pairs."""
        return similarity.by_chance(outcome)

    def metrics(self, outcome: Outcome) -> dict[str, tuple[Any, Any]]:
        return similarity.measures(outcome)

    def details(self, answers: pa.Table, outcome: Outcome) -> dict[str, Any]:
        ids = answers["id"].to_pylist()
        if outcome.targets is not None:
            ones = np.ones(len(ids))
            ranks = [similarity.ranked(values)(ones) for values in (outcome.scores, outcome.targets)]
            surprise, said = np.abs(ranks[0] - ranks[1]), [f"score {target:g}" for target in outcome.targets]
        else:
            surprise = 1 - outcome.reciprocal
            said = [f"place {1 / share:.0f} of {outcome.candidates:,}" for share in outcome.reciprocal]
        rows = [row for row in np.argsort(-surprise, kind="stable")[:SURPRISES] if surprise[row] > 0]
        mean = {"mean_similarity": float(outcome.scores.mean()), "candidates": outcome.candidates or None}
        listed = [
            {"id": ids[row], "target": said[row], "label": "similarity", "score": float(outcome.scores[row])}
            for row in rows
        ]
        return mean | {"mistakes": listed} | self.task.reader.lengths.told(self.fitted.schema["length"], cut=True)


def outcome_of(outputs: np.ndarray, targets: list[str | None]) -> Outcome:
    """Return the outcome of what `similarities` says of pairs."""
    if any(target is not None for target in targets):
        return Outcome(outputs[:, 0], scores_of(targets))
    return Outcome(outputs[:, 0], None, outputs[:, 1], outputs[:, 2], len(outputs))


def scores_of(targets: list[str | None], ids: list[str] | None = None) -> np.ndarray:
    """Return targets as scores float64 `[n]`.

    Args:
        ids: of their rows, which name a wrong one.

    Raises:
        UserError: one is no number.
    """
    values = [None if target is None else float_of(target) for target in targets]
    bad = next((row for row, value in enumerate(values) if value is None), None)
    if bad is not None:
        name = "" if ids is None else f" of {ids[bad]}"
        raise UserError(f"the score{name} should be a number. Received: {targets[bad]}")
    return np.array(values, np.float64)
