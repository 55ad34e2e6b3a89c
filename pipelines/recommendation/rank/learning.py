"""How a ranker learns: one network after the other, chosen on validation, averaged, and refitted where that is wished."""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from horngate.models.recommendation.fields import Answer
from horngate.models.recommendation.rankers import Forgetting, Layout, Shape, averaged, compiled, ranker, scaling_of
from horngate.models.training.learning import Plan
from horngate.models.training.optimizer import adamw
from horngate.pipelines.runs.run import Run
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.phases import PhaseRunner

KINDS = ("deepfm", "dcn")
DECAYS = {"deepfm": 0.28, "dcn": 0.14}
RATE = 2e-3
PATIENCE = 5  # epochs
SEEN = 2_000_000  # rows in all epochs together, by default


@dataclass(frozen=True)
class Rows:
    """Rows to learn from: inputs float32 `[n, width]` and targets float32 `[n, 1]`."""

    inputs: np.ndarray
    targets: np.ndarray

    def joined(self, other: "Rows") -> "Rows":
        """Return these rows and others."""
        return Rows(np.concatenate([self.inputs, other.inputs]), np.concatenate([self.targets, other.targets]))


class RankTraining(PhaseRunner):
    """One training, resumable: a finished phase is found again, a cut one goes on.

    Args:
        task, run: whose training it is, and where it is kept.
        layout: of the rows.
        train, held: rows of the splits train and validation; `held` may be empty.
        answer: what makes answers of logits.
        start: logit that networks begin with.
    """

    def __init__(self, task: Task, run: Run, layout: Layout, train: Rows, held: Rows, answer: Answer, start: float):
        super().__init__(task, run)
        self.layout, self.train, self.held, self.answer, self.start = layout, train, held, answer, start

    def learnt(self) -> tuple[keras.Model, dict[str, Any]]:
        """Return the model from rows to answers, and the summary: `method`, `chosen_because`, …

        Raises:
            UserError: a checkpoint that is damaged or can't be written, or a loss that is no number.
        """
        self.scaled = scaling_of(self.layout, self.train.inputs)
        kinds = KINDS if self.card.model == "auto" else (self.card.model,)
        if not len(self.held.inputs):
            kinds = kinds[:1]
        first = {kind: self._member(kind, 0) for kind in kinds}
        losses = {kind: loss for kind, (_, loss, _) in first.items()}
        kind = min(losses, key=losses.get)
        members = [first[kind]] + [self._member(kind, number) for number in range(1, self.card.members)]
        epochs = [best for _, _, best in members]
        if self.card.refit and len(self.held.inputs):
            self.scaled = scaling_of(self.layout, (whole := self.train.joined(self.held)).inputs)
            members = [self._member(kind, number, whole, best) for number, best in enumerate(epochs)]
        said = ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
        why = "asked for" if self.card.model != "auto" else f"the lowest loss on validation rows: {said}"
        if self.card.model == "auto" and not len(self.held.inputs):
            why = "no validation rows to choose on"
        summary = {"method": kind, "chosen_because": why, "members": len(members), "epochs": epochs}
        return averaged([model for model, _, _ in members], self.answer), summary

    def _member(
        self, kind: str, number: int, rows: Rows | None = None, epochs: int | None = None
    ) -> tuple[keras.Model, float, int]:
        """Learn one network; return it, its lowest loss on validation rows, and the epoch of that.

        Args:
            number: of the network among those that are averaged.
            rows: of a refit, which ends after `epochs`.
        """
        card = self.card
        phase = ("refit " if rows else "") + kind + (f" {number + 1}" if number else "")
        learnt, seed = rows or self.train, card.seed + 1000 * number
        planned = card.epochs or self._epochs(len(learnt.inputs))
        plan = Plan(
            phase, epochs or planned, self._batch_size, seed, None if rows else PATIENCE, None if rows else "val_loss"
        )
        keras.utils.set_random_seed(seed)  # of the first weights, whatever was made before
        model = ranker(kind, self.layout, Shape(card.embedding, card.dropout), self.scaled, f"{kind}_{number}")
        model.get_layer("logits").bias.assign([self.start])
        steps, rate = plan.steps(len(learnt.inputs)), card.learning_rate or RATE
        decay = (DECAYS[kind] if card.decay is None else card.decay) / (rate * steps)
        compiled(model, adamw(rate, planned * steps, 0.05, decay), self.answer.clicks)
        none = Rows(learnt.inputs[:0], learnt.targets[:0])
        own, held = (
            Forgetting(part.inputs, part.targets, self.layout.entries, card.forget, seed)
            for part in (learnt, none if rows else self.held)
        )
        with self.timed(phase):
            history = self.learn_phase(model, own, held, plan, at_least=5.0)
        losses = [row.get("val_loss", math.inf) for row in history]
        best = int(np.argmin(losses)) + 1 if math.isfinite(min(losses)) else len(losses)
        return model, min(losses), best

    @property
    def _batch_size(self) -> int:
        """By default a power of two with at least 64 steps an epoch where there are rows enough, 32 to 1,024."""
        usual = 2 ** int(np.clip(math.log2(max(len(self.train.inputs), 1) / 64), 5, 10))
        return self.card.batch_size or usual

    def _epochs(self, rows: int) -> int:
        return int(np.clip(SEEN / max(rows, 1), 3, 20))
