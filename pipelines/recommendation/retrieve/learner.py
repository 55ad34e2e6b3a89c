"""How models of who met what learn: matrix factorisation and the like, and EASE in closed form."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from horngate.models.recommendation.retrieval_learning import MANY, PHASES, RetrievalSettings, linear
from horngate.models.recommendation.settings import Learnt
from horngate.pipelines.recommendation.interactions.inspection import LogInspection
from horngate.pipelines.recommendation.interactions.side_files import SideTable
from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.recommendation.retrieval.baselines import MOST_OF_EASE, chosen_ease, product, validated
from horngate.pipelines.recommendation.retrieval.learner import RecommenderLearner
from horngate.pipelines.recommendation.retrieval.selection import ModelSelection, Selected
from horngate.pipelines.recommendation.retrieve.side_features import Features
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.task import Task

AUTO = ("mf", "multvae", "lightgcn")
KNOBS = ("seed", "dimension", "temperature", "correction", "negatives", "layers", "dropout")
KNOBS += ("epochs", "batch_size", "learning_rate")


class RetrieveLearner(RecommenderLearner):
    """Learns `horngate recommendation retrieve`."""

    def select(self, store: InteractionStore, seen: LogInspection, run: Run) -> Selected:
        found = RetrievalSelection(self.task, store, run, seen.tables).select()
        return replace(found, by_features=found.method == "towers")


def contenders(card: Any, items: int, judged: bool = True) -> tuple[str, ...]:
    """Return the models that a card lets learn from so many items.

    Args:
        judged: whether there are validation rows to choose on.

    Raises:
        UserError: towers without side tables; ease of too many items.
    """
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


class RetrievalSelection(ModelSelection):
    """Selects among models of who met what.

    Args:
        tables: side tables by role, which towers learn from.
    """

    def __init__(self, task: Task, store: InteractionStore, run: Run, tables: dict[str, SideTable]):
        super().__init__(task, store, run)
        self.tables = tables

    def contenders(self) -> tuple[str, ...]:
        return contenders(self.card, len(self.store.log.items), self.judged)

    def learn(self, name: str, phase: str, epochs: int | None) -> Learnt:
        if name == "ease":
            return self._closed()
        knobs = {knob: getattr(self.card, knob) for knob in KNOBS}
        knobs |= {} if epochs is None else {"epochs": epochs, "exactly": True}
        further = {"towers": lambda: [self._features()], "lightgcn": lambda: [compressed]}.get(name, list)()
        lists, held = self.lists()
        with self.monitor() as policy:
            return PHASES[name](lists, held, RetrievalSettings(phase=phase, **knobs), policy, *further)

    def _features(self) -> dict[str, tuple]:
        """Return by role tokens, numbers and how many tokens there are."""
        found, log = {}, self.store.log
        for role, table in self.tables.items():
            features = Features.of(table)
            ids = (log.users if role == "user" else log.items).to_pylist()
            found[role] = (*features.arrays(table, ids), features.tokens)
        return found

    def _closed(self) -> Learnt:
        store = self.store
        penalty, weights = chosen_ease(store)
        history = {"phase": "ease", "epoch": 1}
        if self.judged and not store.refit:
            history["val_loss"] = 1 - validated(store, lambda users: product(store.train, users, weights))
        progress.detail(f"ease: penalty {penalty:g}")
        return Learnt(linear(weights), [history])


def compressed(row: np.ndarray, column: np.ndarray, weight: np.ndarray, shape: tuple[int, int]) -> Callable:
    """Return what `models.propagation.summed` does: a function from float32 `[columns, d]` to its product."""
    indices = np.stack([row, column], axis=1).astype(np.int64)
    values = weight.astype(np.float32)

    def product(vectors):
        sparse = tf.raw_ops.SparseTensorToCSRSparseMatrix(indices=indices, values=values, dense_shape=shape)
        return tf.raw_ops.SparseMatrixMatMul(a=sparse, b=vectors)

    return product
