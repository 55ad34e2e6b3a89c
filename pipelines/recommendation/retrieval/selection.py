"""Which models a run lets learn, which of them is kept, and what they learn from."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from horngate.models.recommendation.interactions import Lists
from horngate.models.recommendation.settings import Learnt
from horngate.pipelines.recommendation.interactions.splits import TRAIN, VALIDATION
from horngate.pipelines.recommendation.interactions.store import InteractionStore
from horngate.pipelines.runs.run import Run
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.phases import PhaseRunner


@dataclass(frozen=True)
class Selected:
    """The model that is kept.

    Attributes:
        method, why: its name, and why it was chosen.
        costs: seconds by phase.
        protocol: what the report says of the choice.
        refit: whether it learnt from the validation interactions too.
        by_features: whether it answers for what side tables alone know.
    """

    model: keras.Model
    method: str
    why: str
    costs: dict[str, float]
    protocol: dict[str, Any] = field(default_factory=dict)
    refit: bool = False
    by_features: bool = False


class ModelSelection(PhaseRunner, ABC):
    """Learns the models of a card from a run's interactions, and says which is kept.

    What is minimised on validation is 1 - ndcg_at_10, which history.csv holds, and no loss of the other kind.
    """

    columns = ("phase", "epoch", "loss", "val_ndcg_at_10", "learning_rate")

    def __init__(self, task: Task, store: InteractionStore, run: Run):
        super().__init__(task, run)
        self.store = store
        self.scores: dict[str, float] = {}  # ndcg_at_10 on validation

    @abstractmethod
    def contenders(self) -> tuple[str, ...]:
        """Return the models that the card lets learn.

        Raises:
            UserError: one that doesn't go with the data.
        """

    @abstractmethod
    def learn(self, name: str, phase: str, epochs: int | None) -> Learnt:
        """Learn one model; with `epochs` for exactly so many, since a choice was made before."""

    def select(self) -> Selected:
        """Learn, and return the best model on validation.

        Raises:
            UserError: a checkpoint that can't be read or written, or a loss that is no number.
        """
        names = self.contenders()
        found = {name: self._learnt(name) for name in names}
        method = max(self.scores, key=self.scores.get) if self.scores else names[0]
        why = "asked for" if len(names) == 1 else "best ndcg_at_10 on validation" if self.scores else "the first"
        kept = found[method]
        if self.card.refit and self.judged:
            self.store = replace(self.store, refit=True)
            kept = self._learnt(method, kept.best[1])
        self.write_history(self.history)
        shown = {name: round(score, 4) for name, score in self.scores.items()}
        protocol = {"ndcg_at_10_on_validation": shown}
        return Selected(kept.answers, method, why, self.costs, protocol, self.store.refit)

    @property
    def judged(self) -> bool:
        """Whether there are validation interactions to choose on."""
        return bool((self.store.sides == VALIDATION).any())

    def lists(self) -> tuple[Lists, Lists]:
        """Return who met what: what is learnt from, and what is held out for validation (nothing in a refit)."""
        sides, refit = self.store.sides, self.store.refit
        learnt = sides <= (VALIDATION if refit else TRAIN)
        return self.store.lists(learnt), self.store.lists((sides == VALIDATION) & (not refit))

    def renamed(self, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
        bare = [{name: value for name, value in row.items() if name != "val_loss"} for row in history]
        judged = [{"val_ndcg_at_10": 1 - row["val_loss"]} if "val_loss" in row else {} for row in history]
        return [row | found for row, found in zip(bare, judged, strict=True)]

    def _learnt(self, name: str, epochs: int | None = None) -> Learnt:
        phase = name if epochs is None else f"{name}-refit"
        with self.timed(phase):
            found = self.learn(name, phase, epochs)
        self.history += found.history
        if epochs is None and found.best[0] is not None:
            self.scores[name] = 1 - found.best[0]
            progress.detail(f"{name}: ndcg_at_10 on validation {self.scores[name]:.4f}")
        return found
