"""Which models a run lets learn, which of them is kept, and what they learn from."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from horngate.pipelines.recommendation.interactions.cases import matrix
from horngate.pipelines.recommendation.interactions.splits import TRAIN, VALIDATION
from horngate.pipelines.recommendation.interactions.store import Known
from horngate.pipelines.recommendation.retrieval.baselines import MOST_OF_EASE
from horngate.pipelines.recommendation.retrieval.sparse_product import compressed
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress

AUTO = ("mf", "multvae", "lightgcn")
KNOBS = ("dimension", "temperature", "correction", "negatives", "layers", "dropout")
KNOBS += ("epochs", "batch_size", "learning_rate")


def contenders(card: Any, items: int, judged: bool = True) -> tuple[str, ...]:
    """Return the models that a card lets learn from so many items.

    Args:
        judged: whether there are validation rows to choose on.

    Raises:
        UserError: towers without side tables; ease of too many items.
    """
    from horngate.models.recommendation.retrieval_learning import MANY

    if card.model == "towers" and not (card.users or card.items):
        raise UserError(
            "--model towers learns from side features: name their tables with --users and --items, or take mf"
        )
    if card.model == "ease" and items > MOST_OF_EASE:
        raise UserError(
            f"--model ease takes up to {MOST_OF_EASE:,} items, and the log has {items:,}; take mf or lightgcn"
        )
    if card.model != "auto":
        return (card.model,)
    if not judged:
        progress.notice(f"no validation rows to choose a model on: {AUTO[0]} is taken")
        return AUTO[:1]
    names = (*AUTO, "towers") if card.users or card.items else AUTO
    if items > MANY:
        progress.notice(f"multvae is left out: it holds two matrices of all items, and there are {items:,}")
        return tuple(name for name in names if name != "multvae")
    return names


def lists_of(known: Known, sides: np.ndarray) -> Any:
    """Return who met what in some interactions (a mask), as models take it."""
    return lists_of_matrix(matrix(known.log, sides))


def lists_of_matrix(rows: csr_array) -> Any:
    """Return a sparse matrix as models take it."""
    from horngate.models.recommendation.interactions import Lists

    return Lists(rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.shape[1], rows.data)


class Contest:
    """Learns the models of a card from a run's interactions, and says which is kept.

    Args:
        task: the pipeline, with `known`, `run` and `history`.
    """

    def __init__(self, task: Any):
        self.task, self.card, self.known = task, task.card, task.known
        self.costs: dict[str, float] = {}
        self.scores: dict[str, float] = {}  # ndcg_at_10 on validation

    def held(self) -> dict[str, Any]:
        """Learn, and return `method`, `why`, `costs` and `protocol`; the best model becomes the task's `answers`.

        Raises:
            UserError: a checkpoint that can't be read or written, or a loss that is no number.
        """
        names = self.contenders()
        found = {name: self._timed(name) for name in names}
        method = max(self.scores, key=self.scores.get) if self.scores else names[0]
        why = "asked for" if len(names) == 1 else "best ndcg_at_10 on validation" if self.scores else "the first"
        self.task.answers = found[method].answers
        if self.card.refit and (self.known.sides == VALIDATION).any():
            self.task.known = self.known = replace(self.known, refit=True)
            self.task.answers = self._timed(method, found[method].best[1]).answers
        shown = {name: round(score, 4) for name, score in self.scores.items()}
        return {
            "method": method,
            "why": why,
            "costs": self.costs,
            "protocol": {"ndcg_at_10_on_validation": shown},
            "by_features": method == "towers",
        }

    def contenders(self) -> tuple[str, ...]:
        """Return the models that the card lets learn."""
        judged = bool((self.known.sides == VALIDATION).any())
        return contenders(self.card, len(self.known.log.items), judged)

    def _timed(self, name: str, epochs: int | None = None) -> Any:
        """Learn one model; with `epochs` for exactly so many, from training and validation rows."""
        phase, started = name if epochs is None else f"{name}-refit", time.monotonic()
        found = self._closed(name) if name == "ease" else self._learnt(name, phase, epochs)
        self.task.history += found.history
        self.costs[phase] = round(time.monotonic() - started, 1)
        if epochs is None and found.best[0] is not None:
            self.scores[name] = 1 - found.best[0]
            progress.detail(f"{name}: ndcg_at_10 on validation {self.scores[name]:.4f}")
        return found

    def _learnt(self, name: str, phase: str, epochs: int | None) -> Any:
        from horngate.models.recommendation.retrieval_learning import PHASES, Wishes
        from horngate.pipelines.training.phases import told

        sides, learnt = self.known.sides, TRAIN if epochs is None else VALIDATION
        lists = lists_of(self.known, sides <= learnt)
        held = lists_of(self.known, (sides == VALIDATION) & (learnt == TRAIN))
        wishes = Wishes(seed=self.card.seed, phase=phase, **{knob: getattr(self.card, knob) for knob in KNOBS})
        wishes = wishes if epochs is None else replace(wishes, epochs=epochs, exactly=True)
        further = {"towers": lambda: [self._features()], "lightgcn": lambda: [compressed]}.get(name, list)()
        with told(self.task, at_least=0.0) as keeper:
            return PHASES[name](lists, held, wishes, keeper, *further)

    def _features(self) -> dict[str, tuple]:
        """Return by role tokens, numbers and how many tokens there are."""
        from horngate.pipelines.recommendation.retrieval.side_features import Features

        found, log = {}, self.known.log
        for role, table in self.task.looked.tables.items():
            features = Features.of(table)
            ids = (log.users if role == "user" else log.items).to_pylist()
            found[role] = (*features.arrays(table, ids), features.tokens)
        return found

    def _closed(self, name: str) -> Any:
        from horngate.models.recommendation.retrieval_learning import linear
        from horngate.models.recommendation.settings import Learnt
        from horngate.pipelines.recommendation.retrieval.baselines import chosen_ease, product, validated

        penalty, weights = chosen_ease(self.known)
        history = {"phase": name, "epoch": 1}
        if (self.known.sides == VALIDATION).any() and not self.known.refit:
            history["val_loss"] = 1 - validated(self.known, lambda users: product(self.known.train, users, weights))
        progress.detail(f"ease: penalty {penalty:g}")
        return Learnt(linear(weights), [history])
