"""What `fit` is fed with: batches that depend on (seed, epoch, step) alone, made a few ahead."""

import math
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Protocol

import keras
import numpy as np

from horngate.models.training.phase import Plan

POOL = 50  # batches whose rows are sorted by length among themselves, so that order stays random on the whole


class Rows(Protocol):
    """Training rows: how many, and any batch of them as (inputs, targets, weights or None).

    Rows of uneven length have an attribute `lengths`, int64 `[count]`: batches are made of rows of about the same length.
    """

    count: int

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return the rows' inputs, targets and weights; `epoch` seeds random views, None asks for the plain rows."""


class ArrayRows:
    """Rows whose inputs are arrays in memory (or mapped into it)."""

    def __init__(self, inputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None):
        self.inputs, self.targets, self.weights, self.count = inputs, targets, weights, len(inputs)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        weights = None if self.weights is None else self.weights[rows]
        return self.inputs[rows], self.targets[rows], weights


class Batches(keras.utils.PyDataset):
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


class PlainBatches(keras.utils.PyDataset):
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
