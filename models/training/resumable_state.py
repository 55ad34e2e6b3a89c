"""What a cut training goes on from."""

import math
import time
from typing import Any

import keras
import numpy as np

from horngate.models.training import checkpoint
from horngate.models.training.phase import CheckpointPolicy, Diverged, Interrupted, Plan


class ResumableState(keras.callbacks.Callback):
    """What a cut training needs to go on as if it had not been cut."""

    def __init__(self, model: keras.Model, plan: Plan, policy: CheckpointPolicy, steps: int):
        super().__init__()
        self.set_model(model)
        self.plan, self.policy, self.steps = plan, policy, steps
        self.path = policy.path(plan.phase)
        self.epoch, self.step, self.first = 0, 0, 0
        self.history: list[dict[str, Any]] = []
        self.best: list[np.ndarray] | None = None
        self.best_loss, self.waited, self.ended = math.inf, 0, False
        self.sums: list[np.ndarray] | None = None
        self.saved_at = time.monotonic()

    @property
    def done(self) -> bool:
        return self.ended or self.epoch >= self.plan.epochs

    def load(self) -> None:
        if self.path is None or not self.path.exists():
            return
        arrays, facts = checkpoint.load(self.path)
        taken = {kind: _listed(arrays, kind) for kind in ("model", "optimizer", "best", "sums")}
        checkpoint.assign(self._weights(), taken["model"])
        if not facts["ended"]:
            checkpoint.assign(self.model.optimizer.variables, taken["optimizer"])
        self.epoch, self.step, self.history = facts["epoch"], facts["step"], facts["history"]
        self.best_loss, self.waited, self.ended = facts["best_loss"], facts["waited"], facts["ended"]
        self.best, self.sums = taken["best"] or None, taken["sums"] or None

    def save(self) -> None:
        self.saved_at = time.monotonic()
        if self.path is None:
            return
        kinds = {"model": checkpoint.values_of(self._weights())}
        if not self.ended:
            kinds["optimizer"] = checkpoint.values_of(self.model.optimizer.variables)
            kinds["best"] = self.best or []
            kinds["sums"] = checkpoint.values_of(self.model.metrics_variables) if self.step else []
        arrays = {f"{kind}-{place:05d}": value for kind, values in kinds.items() for place, value in enumerate(values)}
        facts = {"epoch": self.epoch, "step": self.step, "history": self.history, "ended": self.ended}
        checkpoint.save(self.path, arrays, facts | {"best_loss": self.best_loss, "waited": self.waited})

    def on_epoch_begin(self, epoch, logs=None):
        self.first = self.step

    def on_train_batch_end(self, batch, logs=None):
        if (
            self.sums is not None
        ):  # what the measures had summed up in this epoch before the cut; they exist from here on
            now = checkpoint.values_of(self.model.metrics_variables)
            summed = [value + before for value, before in zip(now, self.sums, strict=True)]
            checkpoint.assign(self.model.metrics_variables, summed)
            self.sums = None
        self.step = self.first + batch + 1
        self.policy.stepped(self.plan.phase, self.epoch * self.steps + self.step, self.plan.epochs * self.steps)
        if self.step < self.steps and (self._stopping() or time.monotonic() - self.saved_at > self.policy.every):
            self.save()
            if self._stopping():
                raise Interrupted

    def on_epoch_end(self, epoch, logs=None):
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row = {"phase": self.plan.phase, "epoch": epoch + 1} | {name: float(value) for name, value in logs.items()}
        self.history.append(row | {"learning_rate": rate})
        self.epoch, self.step = epoch + 1, 0
        self._compare(row["loss"], row.get(self.plan.monitor))
        if not self.done and (self._stopping() or time.monotonic() - self.saved_at > self.policy.at_least):
            self.save()
        self.policy.told(self.plan.phase, self.history)
        self.model.stop_training = self.ended or self._stopping()

    def check_stop(self) -> None:
        if self._stopping() and not self.done:
            raise Interrupted

    def finish(self) -> None:
        """Leave the best weights in the model, and keep them."""
        if self.best is not None:
            checkpoint.assign(self._weights(), self.best)
        if not self.ended or self.best is not None:
            self.ended, self.best = True, None
            self.save()

    def _compare(self, loss: float, measure: float | None) -> None:
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} in epoch {self.epoch} of {self.plan.phase}; lower --learning-rate")
        if measure is None:  # no validation rows, or no wish to choose: the last epoch's weights are the result
            return
        if measure < self.best_loss:
            self.best_loss, self.waited, self.best = measure, 0, checkpoint.values_of(self._weights())
        else:
            self.waited += 1
            self.ended = self.plan.patience is not None and self.waited > self.plan.patience

    def _weights(self) -> list:
        """Return the model's variables without the sums of its measures."""
        sums = {id(variable) for variable in self.model.metrics_variables}
        return [variable for variable in self.model.variables if id(variable) not in sums]

    def _stopping(self) -> bool:
        return self.policy.stop is not None and self.policy.stop.is_set()


def _listed(arrays: dict[str, np.ndarray], kind: str) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays) if name.startswith(f"{kind}-")]
