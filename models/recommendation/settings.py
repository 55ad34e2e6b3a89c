"""What all recommenders take and leave that learn by gradient."""

from dataclasses import dataclass, field
from typing import Any

import keras


@dataclass(frozen=True)
class LearningSettings:
    """How to learn; None leaves it to the model.

    Attributes:
        dimension: numbers that stand for an item.
        epochs: at most; with `exactly`, so many, since a choice was made before.
        phase: names checkpoints and history; default: the model.
    """

    seed: int = 0
    dimension: int | None = None
    dropout: float | None = None
    negatives: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    exactly: bool = False
    phase: str | None = None


@dataclass(frozen=True)
class Learnt:
    """What a phase made: the model from users (or their items) to scores, and its history."""

    answers: keras.Model
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best(self) -> tuple[float | None, int]:
        """The lowest validation loss, 1 - ndcg_at_10 (None where nothing was validated), and its epoch."""
        found = [(row["val_loss"], row["epoch"]) for row in self.history if "val_loss" in row]
        return min(found) if found else (None, len(self.history))
