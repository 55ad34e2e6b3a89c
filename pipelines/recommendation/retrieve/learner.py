"""How models of who met what learn: matrix factorisation and the like, and EASE in closed form."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from horngate.models.recommendation.retrieval_learning import MANY, PHASES, RetrievalSettings, linear
from horngate.models.recommendation.settings import Learnt
from horngate.pipelines.recommendation.interactions.inspection import LogInspection
from horngate.pipelines.recommendation.interactions.side_files import SideTable, floats_of
from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.recommendation.retrieval.baselines import MOST_OF_EASE, chosen_ease, product, validated
from horngate.pipelines.recommendation.retrieval.learner import RecommenderLearner
from horngate.pipelines.recommendation.retrieval.selection import ModelSelection, Selected
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.task import Task

AUTO = ("mf", "multvae", "lightgcn")
KNOBS = ("seed", "dimension", "temperature", "correction", "negatives", "layers", "dropout")
KNOBS += ("epochs", "batch_size", "learning_rate")
WORDS = 2000  # of a column, the most frequent ones
WORDS_OF_CELL = 16
NUMBERS_FROM = 10  # different values, from which on a column of numbers counts as numbers


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


@dataclass(frozen=True)
class Features:
    """How the columns of a side table become numbers, fixed by those who were learnt from.

    Attributes:
        numbers: column → mean and spread.
        words: (column, word) → token, from 1 on; a category is a word of its own.
    """

    numbers: dict[str, tuple[float, float]]
    words: dict[str, dict[str, int]]

    @classmethod
    def of(cls, side: SideTable) -> "Features":
        """Return the features of a side table: numbers where all cells are some, words of texts and categories else."""
        numbers, words, token = {}, {}, 1
        for name, cells in side.columns.items():
            values = floats_of(cells)
            if values is not None and len(np.unique(values[np.isfinite(values)])) >= NUMBERS_FROM:
                known = values[np.isfinite(values)]
                numbers[name] = (float(known.mean()), float(known.std()) or 1.0)
                continue
            counts = Counter(word for cell in cells for word in _words(cell))
            kept = [word for word, _ in counts.most_common(WORDS)]
            words[name] = {word: token + place for place, word in enumerate(kept)}
            token += len(kept)
        return cls(numbers, words)

    @property
    def tokens(self) -> int:
        """How many tokens there are, with 0 for none."""
        return 1 + sum(len(words) for words in self.words.values())

    def arrays(self, side: SideTable, ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return tokens int32 `[n, t]` (0 for none) and numbers float32 `[n, g]` (0 where unknown) of some ids."""
        rows = {name: row for row, name in enumerate(side.ids)}
        places = [rows.get(name) for name in ids]
        width = max(1, WORDS_OF_CELL * len(self.words))
        tokens, numbers = (
            np.zeros((len(ids), width), np.int32),
            np.zeros((len(ids), max(1, len(self.numbers))), np.float32),
        )
        for column, (name, (mean, spread)) in enumerate(self.numbers.items()):
            values = floats_of(side.columns[name])
            for row, place in enumerate(places):
                if place is not None and np.isfinite(values[place]):
                    numbers[row, column] = np.clip((values[place] - mean) / spread, -5, 5)
        for column, (name, words) in enumerate(self.words.items()):
            for row, place in enumerate(places):
                found = [
                    words[word]
                    for word in _words(None if place is None else side.columns[name][place])
                    if word in words
                ]
                found = found[:WORDS_OF_CELL]
                tokens[row, column * WORDS_OF_CELL : column * WORDS_OF_CELL + len(found)] = found
        return tokens, numbers


def _words(cell: str | None) -> list[str]:
    return [] if cell is None else re.findall(r"[^\s,;|/]+", cell.casefold())
