"""How a segmenter learns: the decoder on a frozen encoder, then all layers; or all from a random start. Resumable."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.models import checkpoint
from horngate.models.learning import Plan, learn
from horngate.models.network import depths
from horngate.models.optimizer import adamw
from horngate.pipelines.errors import UserError
from horngate.pipelines.files import whole, write_rows
from horngate.pipelines.measure.intervals import numbered
from horngate.pipelines.medical.learning_rows import PatchRows, shares
from horngate.pipelines.phases import gain_between, told
from horngate.pipelines.run import Run

if TYPE_CHECKING:
    from horngate.pipelines.medical.segment import Pipeline

HISTORY = ["phase", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
EPOCHS = {"scratch": 40, "probe": 15, "finetune": 20}
RATES = {"scratch": 2e-3, "probe": 2e-3, "finetune": 4e-4}
SHALLOWEST = 0.1  # of the rate of fine-tuning, next to the input
BATCH = 8  # patches
DECAY = 1e-4


class Learning:
    """One training of a segmenter, phase after phase; those that were finished before only load their weights.

    Args:
        task: the pipeline, with its untrained network.
        table: all rows, with their splits beside.
        run, device: where it is kept and computed.
    """

    columns = HISTORY

    def __init__(self, task: "Pipeline", table: pa.Table, splits: np.ndarray, run: Run, device: Any):
        self.task, self.card, self.network, self.run, self.device = task, task.card, task.network, run, device
        self.held_table = table.take(pa.array(np.flatnonzero(splits == "validation")))
        self.rows = PatchRows(task, table.take(pa.array(np.flatnonzero(splits == "train"))), self.card.patches)
        self.held = PatchRows(task, self.held_table, None)
        self.history: list[dict[str, Any]] = []
        self.costs: dict[str, float] = {}

    def climb(self) -> dict[str, Any]:
        """Learn by the card's method, choose, save the model, and return the summary."""
        with self.device.scope():
            kept, why = self._learnt()
        with whole(self.run / "model.keras") as temporary:
            self.network.answers.save(temporary, include_optimizer=False)
        write_rows(self.run / "history.csv", self.history, self.columns)
        protocol = {"method": kept, "chosen_because": why, "refit": False}
        return {"method": kept, "costs_seconds": self.costs, "protocol": protocol}

    def _learnt(self) -> tuple[str, str]:
        """Learn; return the phase that is kept and why."""
        method = self.card.method
        if not self.task.pretrained:
            if method in ("probe", "finetune"):
                raise UserError(
                    f"--method {method} needs pretrained weights: name a --backbone and its --weights, or use scratch"
                )
            self._phase("scratch", lambda: self.network.thaw(norms=True))
            return "scratch", "asked for" if method == "scratch" else "no pretrained weights"
        if method == "scratch":
            raise UserError("--method scratch starts from random weights: say --weights none, or leave --backbone out")
        self._phase("probe", self.network.freeze)
        if method == "probe":
            return "probe", "asked for"
        before = self._standing() if method == "auto" else None
        self._phase("finetune", lambda: self.network.thaw(norms=False))
        return ("finetune", "asked for") if before is None else self._better(*before)

    def _phase(self, name: str, prepare: Callable[[], None]) -> None:
        started = time.monotonic()
        prepare()
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
        self.costs[name] = round(time.monotonic() - started, 1)

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

    def _better(self, weights: list[np.ndarray], before: Any) -> tuple[str, str]:
        """Keep the probe unless fine-tuning is better on validation beyond its interval."""
        if not len(before):
            return "finetune", "no validation rows to compare on"
        after = self.task.judged(self.held_table)
        sure, said = gain_between(self.task, before, after, numbered(self.held_table["group"].to_pylist()))
        if sure:
            return "finetune", said
        checkpoint.assign(self.network.logits.weights, weights)
        return "probe", f"{said}: no sure gain"
