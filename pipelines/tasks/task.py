"""A task: a card and seven parts, assembled of them and never subclassed."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from horngate import pipelines
from horngate.pipelines.runs.run import Run
from horngate.pipelines.runtimes import Runtime
from horngate.pipelines.spec.card import Data, task_name
from horngate.pipelines.spec.parts import Parts
from horngate.pipelines.tasks.parts import Display, Evaluator, Exporter, Fitted, Learner, Predictor, Reader, RowSource


@dataclass(frozen=True)
class Task:
    """A task with what is known of it so far; whatever is found next gives another `Task`, with parts of its own.

    Attributes:
        card: the knobs.
        named: where the parts are.
        fitted: what training found.
        options: the task's own options of the verb that is at work.
        runtime: what computes the forward pass instead of Keras, or None.
    """

    card: Data
    named: Parts
    fitted: Fitted = field(default_factory=Fitted)
    options: dict[str, Any] = field(default_factory=dict)
    runtime: Runtime | None = None

    @cached_property
    def rows(self) -> RowSource:
        return self._made("rows")

    @cached_property
    def reader(self) -> Reader:
        return self._made("reader")

    @cached_property
    def learner(self) -> Learner:
        return self._made("learner")

    @cached_property
    def predictor(self) -> Predictor:
        return self._made("predictor")

    @cached_property
    def evaluator(self) -> Evaluator:
        return self._made("evaluator")

    @cached_property
    def display(self) -> Display:
        return self._made("display")

    @cached_property
    def exporter(self) -> Exporter:
        return self._made("exporter")

    @property
    def unexportable(self) -> str | None:
        """Why the model can't be exported, in one sentence, or None."""
        return self.named.unexportable if self.named.exporter is None else self.exporter.unexportable

    def with_fitted(self, fitted: Fitted) -> "Task":
        """Return the task with what training found."""
        return replace(self, fitted=fitted)

    def recalled(self, folder: Path) -> "Task":
        """Return the task with schema and decisions from a run's or a bundle's folder; imports no TensorFlow.

        Raises:
            UserError: a file is missing or damaged.
        """
        return self.with_fitted(self.predictor.load_state(folder))

    def opened(self, run: Run) -> "Task":
        """Return the task with all that a run holds.

        Raises:
            UserError: a file is missing, damaged, not to be trusted, or doesn't belong to the others.
        """
        known = self.recalled(run.folder)
        return known.with_fitted(replace(known.fitted, model=known.predictor.load_model(run)))

    def configured(self, run: Run, options: dict[str, Any]) -> tuple["Task", dict[str, Any]]:
        """Return the task under its own options of a verb, and what they changed, for the report's `protocol`.

        Raises:
            UserError: options that don't go with this run.
        """
        fitted, changed = self.predictor.configure(run, options)
        return replace(self, fitted=fitted, options=options), changed

    def computing_with(self, runtime: Runtime | None) -> "Task":
        """Return the task with another runtime for its forward pass; None for Keras."""
        return replace(self, runtime=runtime)

    def _made(self, part: str) -> Any:
        module, _, name = getattr(self.named, part).rpartition(".")
        return getattr(import_module(f"{pipelines.__name__}.{module}"), name)(self)


def task_of(card: Data) -> Task:
    """Return the task of a card; its parts are imported when they are asked for."""
    domain, task = task_name(card)
    return Task(card, import_module(f"{pipelines.__name__}.{domain}.{task}").PARTS)
