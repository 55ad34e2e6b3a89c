"""What every training by gradient tells and keeps while it runs, and when one phase counts as better than the one before."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import pyarrow as pa

from horngate.models.training import checkpoint
from horngate.models.training.learning import CheckpointPolicy, Plan, Rows, learn
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics.intervals import bootstrap, numbered
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import write_rows
from horngate.pipelines.tasks.task import Task

HISTORY = ["phase", "epoch", "loss", "val_loss", "learning_rate"]
TOLD = ("loss", "val_loss", "val_accuracy", "val_ndcg_at_10")


class PhaseRunner:
    """One training, phase after phase; subclasses say what the phases are. Finished phases are found again, not repeated.

    Args:
        task: with its card, and the evaluator of what it measures.
        run: where history, checkpoints and the model are kept.

    Attributes:
        history: rows of history.csv so far, with these `columns`.
        costs: seconds by phase.
    """

    columns = HISTORY

    def __init__(self, task: Task, run: Run):
        self.task, self.card, self.run = task, task.card, run
        self.history: list[dict[str, Any]] = []
        self.costs: dict[str, float] = {}

    def method(self, pretrained: bool) -> str:
        """Return the card's method; where there are no pretrained weights, that is to learn from scratch.

        Raises:
            UserError: it needs some.
        """
        if not pretrained and self.card.method not in ("auto", "scratch"):
            raise UserError(
                f"--method {self.card.method} needs pretrained weights: name a --backbone and its --weights, or use scratch"
            )
        return self.card.method if pretrained else "scratch"

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Note the seconds of a phase."""
        started = time.monotonic()
        yield
        self.costs[phase] = round(time.monotonic() - started, 1)

    @contextmanager
    def monitor(self, at_least: float = 0.0) -> Iterator[CheckpointPolicy]:
        """Give a phase its checkpoint policy, and tell its steps and epochs."""
        jobs: dict[str, list] = {}  # what tells each phase's steps, and how many were told

        def stepped(phase: str, step: int, steps: int) -> None:
            if phase not in jobs:
                jobs[phase] = [running.enter_context(progress.job(f"learning: {phase}", steps)), 0]
            done, before = jobs[phase]
            done(step - before)
            jobs[phase][1] = step

        def told(phase: str, history: list[dict[str, Any]]) -> None:
            row = self.write_history(self.history + history)[-1]
            shown = ", ".join(f"{name} {row[name]:.4f}" for name in TOLD if name in row)
            progress.detail(f"{phase} epoch {row['epoch']}: {shown}")

        with progress.patiently(), ExitStack() as running:
            yield CheckpointPolicy(
                self.run / "checkpoints", at_least=at_least, stop=progress.stop, told=told, stepped=stepped
            )

    def learn_phase(
        self, model: keras.Model, rows: Rows, held: Rows, plan: Plan, at_least: float = 0.0
    ) -> list[dict[str, Any]]:
        """Learn one phase as `models.training.learning.learn`; return its history, and add it to that of all.

        Raises:
            UserError: a checkpoint that is damaged or can't be written, a loss that is no number, a method that the model
                doesn't take.
        """
        with self.monitor(at_least) as policy:
            found = learn(model, rows, held, plan, policy)
        self.history += found
        return found

    def finetuned(
        self, model: keras.Model, work: Callable[[], Any], validated: Callable[[], Any], held: pa.Table, before: str
    ) -> tuple[str, str]:
        """Fine-tune, which is kept where it was asked for or is surely better; return what is kept, and why.

        Args:
            model: holds the weights of the phase before, and gets back what is kept.
            work: fine-tunes it.
            validated: returns the task's outcome on validation rows, by the weights as they stand.
            held: these rows.
            before: what the phase before is called.
        """
        if self.card.method != "auto":
            with self.timed("finetune"):
                work()
            return "finetune", "asked for"
        weights, outcome = checkpoint.values_of(model.weights), validated()
        with self.timed("finetune"):
            work()
        return self.better(model, weights, (outcome, validated()), held["group"].to_pylist(), before)

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

    def renamed(self, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return rows of history as they are written and told."""
        return history

    def write_history(self, history: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write rows to history.csv; return them as written."""
        rows = self.renamed(history)
        write_rows(self.run / "history.csv", rows, self.columns)
        return rows

    def finish(self, model: Any, kept: str, why: str, **decided: Any) -> dict[str, Any]:
        """Write the model and the history; return the summary.

        Args:
            decided: what else the protocol says.
        """
        self.run.keep_model(model)
        self.write_history(self.history)
        protocol = {"method": kept, "chosen_because": why, "refit": False} | decided
        return {"method": kept, "costs_seconds": self.costs, "protocol": protocol}


def _gain(task: Task, before: Any, after: Any, groups: np.ndarray | None, step: str) -> tuple[bool, str]:
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
