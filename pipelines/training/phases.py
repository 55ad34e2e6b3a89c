"""What every training by gradient tells and keeps while it runs, and when one phase counts as better than the one before."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from horngate.models.training import checkpoint
from horngate.models.training.checkpoint import DamagedCheckpoint, UnwrittenCheckpoint
from horngate.models.training.learning import Diverged, Keeper
from horngate.models.training.lora import NoAttention
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics.intervals import bootstrap, numbered
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import write_rows

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


class Training:
    """One training, phase after phase; subclasses say what the phases are. Finished phases are found again, not repeated.

    Args:
        task: the pipeline, with its card and what it measures.
        run: where history, checkpoints and the model are kept.

    Attributes:
        history: rows of history.csv so far, with these `columns`.
        costs: seconds by phase.
    """

    columns = HISTORY

    def __init__(self, task: Any, run: Run):
        self.task, self.card, self.run = task, task.card, run
        self.history: list[dict[str, Any]] = []
        self.costs: dict[str, float] = {}

    def timed(self, phase: str, work: Callable[[], Any]) -> Any:
        """Do a phase's work, return what it returns, and note its seconds."""
        started = time.monotonic()
        result = work()
        self.costs[phase] = round(time.monotonic() - started, 1)
        return result

    def better(
        self, model: Any, weights: list[np.ndarray], outcomes: tuple, groups: list, untuned: str
    ) -> tuple[str, str]:
        """Keep fine-tuned weights only where they are better on validation rows beyond the interval; return which, and why.

        Args:
            model: holds the fine-tuned weights, and gets back what is kept.
            weights: those before, as of `checkpoint.values_of`.
            outcomes: of the task on validation rows, before and after.
            groups: of these rows.
            untuned: what the phase before is called.
        """
        if not len(outcomes[0]):
            return "finetune", "no validation rows to compare on"
        sure, said = _gain(self.task, *outcomes, numbered(groups), f"from {untuned} to finetune")
        if sure:
            return "finetune", said
        checkpoint.assign(model.weights, weights)
        return untuned, f"{said}: no sure gain"

    def finish(self, model: Any, kept: str, why: str, **decided: Any) -> dict[str, Any]:
        """Write the model and the history; return the summary.

        Args:
            decided: what else the protocol says.
        """
        self.run.keep_model(model)
        write_rows(self.run / "history.csv", self.history, self.columns)
        protocol = {"method": kept, "chosen_because": why, "refit": False} | decided
        return {"method": kept, "costs_seconds": self.costs, "protocol": protocol}


def _gain(task: Any, before: Any, after: Any, groups: np.ndarray | None, step: str) -> tuple[bool, str]:
    """Return whether an outcome is surely better by the headline metric on the same rows, and by how much in words.

    What can't be measured is kept, since it was asked for.

    Args:
        groups: int64 `[n]` or None, as of `bootstrap`.
        step: what happened between both.
    """
    name, (spec, new) = next(iter(task.evaluator.metrics(after).items()))
    _, old = task.evaluator.metrics(before)[name]
    if isinstance(new, str) or isinstance(old, str):
        return True, f"{name} can't be computed on validation"
    sign = 1 if spec.higher_is_better else -1
    gain = {"gain": lambda weights: sign * (new(weights) - old(weights))}
    low, high = bootstrap(gain, len(after), groups, seed=task.card.seed)["gain"] or (float("nan"),) * 2
    value = gain["gain"](np.ones(len(after)))
    return low > 0, f"{name} on validation {value:+.4f} [{low:+.4f}, {high:+.4f}] {step}"


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
