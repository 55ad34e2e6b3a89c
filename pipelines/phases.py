"""What every training by gradient tells and keeps while it runs, and when one phase counts as better than the one before."""

from typing import Any

import numpy as np

from horngate.models.checkpoint import DamagedCheckpoint, UnwrittenCheckpoint
from horngate.models.learning import Diverged, Keeper
from horngate.models.lora import NoAttention
from horngate.pipelines import progress
from horngate.pipelines.errors import UserError
from horngate.pipelines.files import write_rows
from horngate.pipelines.measure.intervals import bootstrap

HISTORY = [
    "phase",
    "epoch",
    "loss",
    "accuracy",
    "cross_entropy",
    "val_loss",
    "val_accuracy",
    "val_cross_entropy",
    "learning_rate",
]


USERS_TO_MEND = (DamagedCheckpoint, UnwrittenCheckpoint, Diverged, NoAttention)
TOLD = ("loss", "val_loss", "val_accuracy", "val_ndcg_at_10")


def gain_between(task: Any, before: Any, after: Any, groups: np.ndarray | None) -> tuple[bool, str]:
    """Return whether fine-tuning is surely better by the headline metric on the same rows, and by how much in words.

    What can't be measured is kept, since it was asked for.

    Args:
        before, after: outcomes of the task.
        groups: int64 `[n]` or None, as of `bootstrap`.
    """
    name, (spec, new) = next(iter(task.measures(after).items()))
    _, old = task.measures(before)[name]
    if isinstance(new, str) or isinstance(old, str):
        return True, f"{name} can't be computed on validation"
    sign = 1 if spec.higher_is_better else -1
    gain = {"gain": lambda weights: sign * (new(weights) - old(weights))}
    low, high = bootstrap(gain, len(after), groups, seed=task.card.seed)["gain"] or (float("nan"),) * 2
    value = gain["gain"](np.ones(len(after)))
    return low > 0, f"{name} on validation {value:+.4f} [{low:+.4f}, {high:+.4f}] from probe to finetune"


class told:
    """A context that gives a phase its keeper, with progress told by step.

    Args:
        ladder: has `run`, `history` (of the phases before) and its `columns`; what it calls its numbers, `renamed` says.

    Raises:
        UserError: at its end, for what a user can mend: a checkpoint that is damaged or can't be written, a loss that
            is no number, a method that the model doesn't take.
    """

    def __init__(self, ladder: Any, at_least: float = 5.0):
        self.ladder, self.at_least, self.jobs, self.patience = ladder, at_least, {}, progress.patiently()
        self.renamed = getattr(ladder, "renamed", list)

    def __enter__(self) -> Keeper:
        self.patience.__enter__()
        return Keeper(
            self.ladder.run / "checkpoints",
            at_least=self.at_least,
            stop=progress.stop,
            told=self._told,
            stepped=self._stepped,
        )

    def __exit__(self, kind: type | None, problem: BaseException | None, trace: Any) -> None:
        for job, _ in self.jobs.values():
            job.__exit__(kind, problem, trace)
        self.patience.__exit__(kind, problem, trace)
        if isinstance(problem, USERS_TO_MEND):
            raise UserError(str(problem)) from None

    def _stepped(self, phase: str, step: int, steps: int) -> None:
        if phase not in self.jobs:
            job = progress.job(f"learning: {phase}", steps)
            self.jobs[phase] = (job, [job.__enter__(), 0])
        state = self.jobs[phase][1]
        state[0](step - state[1])
        state[1] = step

    def _told(self, phase: str, history: list[dict[str, Any]]) -> None:
        rows = self.renamed(self.ladder.history + history)
        write_rows(self.ladder.run / "history.csv", rows, self.ladder.columns)
        row = rows[-1]
        shown = ", ".join(f"{name} {row[name]:.4f}" for name in TOLD if name in row)
        progress.detail(f"{phase} epoch {row['epoch']}: {shown}")
