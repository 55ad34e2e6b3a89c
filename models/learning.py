"""The one gradient loop: Keras's `fit`, made resumable. What happens at a step depends on (seed, epoch, step) alone."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from horngate.models import checkpoint

POOL = 50  # batches whose rows are sorted by length among themselves, so that order stays random on the whole


class Rows(Protocol):
    """Training rows: how many, and any batch of them as (inputs, targets, weights or None).

    Rows of uneven length have an attribute `lengths`, int64 `[count]`: batches are made of rows of about the same length.
    """

    count: int

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return the rows' inputs, targets and weights; `epoch` seeds random views, None asks for the plain rows."""


class Diverged(ValueError):
    """The loss is no number any more; one line that says what to do."""


class Interrupted(KeyboardInterrupt):
    """Raised after a wish to stop was honoured: the checkpoint is written."""


@dataclass
class Keeper:
    """Where and how often states are kept, and who is told.

    Attributes:
        folder: holds one file per phase; None keeps nothing.
        every: seconds between checkpoints within long epochs.
        at_least: seconds between checkpoints at the ends of short epochs.
        stop: set it to end after the running step with a checkpoint.
        told: called with the history so far at the end of each epoch.
    """

    folder: Path | None = None
    every: float = 120.0
    at_least: float = 5.0
    stop: threading.Event | None = None
    told: Callable[[str, list[dict[str, Any]]], None] = lambda phase, history: None
    stepped: Callable[[str, int, int], None] = lambda phase, step, steps: None

    def path(self, phase: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{phase}.npz"


@dataclass(frozen=True)
class Plan:
    """How one phase learns.

    Attributes:
        phase: names it in the history and the checkpoint.
        patience: epochs without a lower `monitor` before it stops; None never stops early.
        monitor: the validation measure that says which epoch is best (lower is better); None keeps the last epoch.
    """

    phase: str
    epochs: int
    batch_size: int
    seed: int
    patience: int | None = None
    monitor: str | None = "val_loss"

    def steps(self, rows: int) -> int:
        """Return the steps of one epoch; batches are as equal as can be, none larger than `batch_size`."""
        return max(1, math.ceil(rows / self.batch_size))


class ArrayRows:
    """Rows whose inputs are arrays in memory (or mapped into it)."""

    def __init__(self, inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None):
        self.inputs, self.targets, self.weights, self.count = inputs, targets, weights, len(inputs)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        weights = None if self.weights is None else self.weights[rows]
        return self.inputs[rows], self.targets[rows], weights


def learn(model: keras.Model, rows: Rows, validation: Rows, plan: Plan, keeper: Keeper) -> list[dict[str, Any]]:
    """Train a compiled model and leave in it the weights of the best epoch by `plan.monitor`.

    A phase that was finished before only loads its weights; one that was cut goes on at the step after its checkpoint.

    Returns:
        The history: one row per epoch with `phase`, `epoch`, the training and validation measures, `learning_rate`.

    Raises:
        Interrupted: `keeper.stop` was set; the checkpoint is written.
        DamagedCheckpoint: the checkpoint can't be read or doesn't fit.
    """
    model.optimizer.build(model.trainable_variables)
    state = _State(model, plan, keeper, plan.steps(rows.count))
    state.load()
    while not state.done:
        left = state.steps - state.step
        batches = _Batches(rows, plan, state.epoch, state.step, state.steps)
        ends = state.epoch + 1 if state.step else plan.epochs
        try:
            model.fit(
                batches,
                initial_epoch=state.epoch,
                epochs=ends,
                steps_per_epoch=left,
                validation_data=_Plain(validation, plan.batch_size) if validation.count else None,
                callbacks=[state],
                shuffle=False,
                verbose=0,
            )
        finally:
            batches.close()
        state.check_stop()
    state.finish()
    return state.history


class _Batches(keras.utils.PyDataset):
    """All training batches from (epoch, step) on, in one sequence that `fit` cuts into epochs; a few are made ahead."""

    AHEAD = 3

    def __init__(self, rows: Rows, plan: Plan, epoch: int, step: int, steps: int):
        super().__init__(workers=1)
        self.rows, self.plan, self.steps = rows, plan, steps
        self.first = epoch * steps + step
        self.order = lru_cache(2)(self._order)
        self.pool = ThreadPoolExecutor(2, "batches")
        self.made: dict[int, Future] = {}
        self.peek = _Peek(rows)

    def __len__(self) -> int:
        return self.plan.epochs * self.steps - self.first

    def __getitem__(self, index: int) -> tuple:
        for ahead in range(index, min(index + self.AHEAD, len(self))):
            if ahead not in self.made:
                self.made[ahead] = self.pool.submit(self._batch, ahead)
        self.made.pop(index - 2, None)  # Keras looks at the first two batches before it begins
        return self.peek.widened(index, self.made[index].result())

    def close(self) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)

    def _batch(self, index: int) -> tuple:
        epoch, step = divmod(self.first + index, self.steps)
        return _present(self.rows.batch(self.order(epoch)[step], epoch))

    def _order(self, epoch: int) -> list[np.ndarray]:
        draw = np.random.default_rng((self.plan.seed, epoch))
        order = draw.permutation(self.rows.count)
        lengths = getattr(self.rows, "lengths", None)
        if lengths is None:
            return np.array_split(order, self.steps)
        pools = np.array_split(order, math.ceil(self.steps / POOL))
        even = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
        batches = np.array_split(even, self.steps)
        return [batches[place] for place in draw.permutation(self.steps)]


class _Plain(keras.utils.PyDataset):
    """All rows once, in order or by length, without random views."""

    def __init__(self, rows: Rows, batch_size: int):
        super().__init__(workers=1)
        self.rows, self.batch_size = rows, batch_size
        lengths = getattr(rows, "lengths", None)
        self.order = np.arange(rows.count) if lengths is None else np.argsort(lengths, kind="stable")
        self.peek = _Peek(rows)

    def __len__(self) -> int:
        return math.ceil(self.rows.count / self.batch_size)

    def __getitem__(self, index: int) -> tuple:
        start = index * self.batch_size
        batch = _present(self.rows.batch(self.order[start : start + self.batch_size], None))
        return self.peek.widened(index, batch)


class _Peek:
    """Makes Keras see that lengths vary: it looks at the first two batches, unused, and takes what they share as fixed."""

    def __init__(self, rows: Rows):
        self.due = getattr(rows, "lengths", None) is not None

    def widened(self, index: int, batch: tuple) -> tuple:
        """Return the batch; where it is the second that is looked at, with what has its inputs' length one longer."""
        if not self.due or index != 1:
            return batch
        self.due = False
        by_token = len(batch) == 3 and batch[2].ndim > 1  # weights of each token, and so targets of each
        parts = batch if by_token else batch[:1]
        wider = (np.pad(part, [(0, 0), (0, 1), *[(0, 0)] * (part.ndim - 2)]) for part in parts)
        return (*wider, *batch[len(parts) :])


def _present(batch: tuple) -> tuple:
    return tuple(part for part in batch if part is not None)


class _State(keras.callbacks.Callback):
    """What a cut training needs to go on as if it had not been cut."""

    def __init__(self, model: keras.Model, plan: Plan, keeper: Keeper, steps: int):
        super().__init__()
        self.set_model(model)
        self.plan, self.keeper, self.steps = plan, keeper, steps
        self.path = keeper.path(plan.phase)
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
        self.keeper.stepped(self.plan.phase, self.epoch * self.steps + self.step, self.plan.epochs * self.steps)
        if self.step < self.steps and (self._stopping() or time.monotonic() - self.saved_at > self.keeper.every):
            self.save()
            if self._stopping():
                raise Interrupted

    def on_epoch_end(self, epoch, logs=None):
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row = {"phase": self.plan.phase, "epoch": epoch + 1} | {name: float(value) for name, value in logs.items()}
        self.history.append(row | {"learning_rate": rate})
        self.epoch, self.step = epoch + 1, 0
        self._compare(row["loss"], row.get(self.plan.monitor))
        if not self.done and (self._stopping() or time.monotonic() - self.saved_at > self.keeper.at_least):
            self.save()
        self.keeper.told(self.plan.phase, self.history)
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
        return self.keeper.stop is not None and self.keeper.stop.is_set()


def _listed(arrays: dict[str, np.ndarray], kind: str) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays) if name.startswith(f"{kind}-")]
