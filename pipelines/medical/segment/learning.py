"""How a segmenter learns: the decoder on a frozen encoder, then all layers; or all from a random start. Resumable."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.models.network import depths
from horngate.models.training import checkpoint
from horngate.models.training.learning import Plan, learn
from horngate.models.training.optimizer import adamw
from horngate.pipelines.medical.segment.rows import PatchRows, shares
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.training.phases import Training, told

if TYPE_CHECKING:
    from horngate.pipelines.medical.segment.task import Pipeline

HISTORY = ["phase", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
EPOCHS = {"scratch": 40, "probe": 15, "finetune": 20}
RATES = {"scratch": 2e-3, "probe": 2e-3, "finetune": 4e-4}
SHALLOWEST = 0.1  # of the rate of fine-tuning, next to the input
BATCH = 8  # patches
DECAY = 1e-4


class Learning(Training):
    """One training of a segmenter, phase after phase; those that were finished before only load their weights.

    Args:
        task: the pipeline, with its untrained network.
        table: all rows, with their splits beside.
        run, device: where it is kept and computed.
    """

    columns = HISTORY

    def __init__(self, task: "Pipeline", table: pa.Table, splits: np.ndarray, run: Run, device: Any):
        super().__init__(task, run)
        self.network, self.device = task.network, device
        self.held_table = table.take(pa.array(np.flatnonzero(splits == "validation")))
        self.rows = PatchRows(task, table.take(pa.array(np.flatnonzero(splits == "train"))), self.card.patches)
        self.held = PatchRows(task, self.held_table, None)

    def climb(self) -> dict[str, Any]:
        """Learn by the card's method, choose, save the model, and return the summary."""
        with self.device.scope():
            kept, why = self._learnt()
        return self.finish(self.network.answers, kept, why)

    def _learnt(self) -> tuple[str, str]:
        """Learn; return the phase that is kept and why."""
        method = self.card.method
        if not self.task.pretrained:
            if method in ("probe", "finetune"):
                raise UserError(
                    f"--method {method} needs pretrained weights: name a --backbone and its --weights, or use scratch"
                )
            self.timed("scratch", lambda: self._phase("scratch"))
            return "scratch", "asked for" if method == "scratch" else "no pretrained weights"
        if method == "scratch":
            raise UserError("--method scratch starts from random weights: say --weights none, or leave --backbone out")
        self.timed("probe", lambda: self._phase("probe"))
        if method == "probe":
            return "probe", "asked for"
        before = self._standing() if method == "auto" else None
        self.timed("finetune", lambda: self._phase("finetune"))
        if before is None:
            return "finetune", "asked for"
        weights, outcome = before
        outcomes = (outcome, self.task.judged(self.held_table))
        return self.better(self.network.logits, weights, outcomes, self.held_table["group"].to_pylist(), "probe")

    def _phase(self, name: str) -> None:
        if name == "probe":
            self.network.freeze()
        else:
            self.network.thaw(norms=name == "scratch")
        plan = self._plan(name)
        factors = None
        if name == "finetune":
            deep = depths(self.network.encoder)
            variables = self.network.logits.trainable_variables
            factors = [SHALLOWEST ** (1 - deep.get(variable.path, 1.0)) for variable in variables]
        rate, steps = self.card.learning_rate or RATES[name], plan.epochs * plan.steps(self.rows.count)
        optimizer = adamw(rate, steps, 0.05, DECAY, factors)
        self.network.compile(optimizer, self.card.dice_weight, self._balance())
        with told(self, at_least=0.0) as keeper:
            self.history += learn(self.network.logits, self.rows, self.held, plan, keeper)

    def _plan(self, name: str) -> Plan:
        """Return the plan of a phase; on the way to fine-tuning, the user's epochs are meant for that."""
        own = name != "probe" or self.card.method == "probe"
        epochs = (self.card.epochs if own else None) or EPOCHS[name]
        monitor = "val_loss" if self.held.count else None
        return Plan(name, epochs, self.card.batch_size or BATCH, self.card.seed, max(8, epochs // 2), monitor)

    def _balance(self) -> list[float] | None:
        """Return weights that give every class the same sum over the training pixels, if wished."""
        if self.card.class_weights == "none":
            return None
        found = shares(self.rows, len(self.task.classes))
        weights = np.where(found > 0, 1 / np.maximum(found, 1e-6), 0.0)
        return (weights / (weights * found).sum()).tolist()

    def _standing(self) -> tuple[list[np.ndarray], Any]:
        """Return the weights and how they answer the validation rows."""
        return checkpoint.values_of(self.network.logits.weights), self.task.judged(self.held_table)
