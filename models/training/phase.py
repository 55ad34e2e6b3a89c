"""One phase of learning by gradient: how it learns, where its states are kept, and how it may end."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from horngate.models.errors import UserError


class Diverged(UserError, ValueError):
    """The loss is no number any more; one line that says what to do."""


class Interrupted(KeyboardInterrupt):
    """Raised after a wish to stop was honoured: the checkpoint is written."""


@dataclass
class CheckpointPolicy:
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
