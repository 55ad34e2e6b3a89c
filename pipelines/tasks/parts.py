"""The seven parts of a task, as protocols: what each is asked, and what goes from one to the next.

A part is made of the `Task` that it belongs to, from which it takes the card, what training found, and its neighbours; it
assigns nothing of theirs. Whatever a part counts or keeps while it works is its own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.checks import Finding
from horngate.pipelines.report.plot import Plot, Shown
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.statistics.intervals import Measure

if TYPE_CHECKING:
    from horngate.pipelines.tasks.task import Task


@dataclass(frozen=True)
class Fitted:
    """What training found.

    Attributes:
        schema: what the reader needs to know beside the card; kept in the run's `schema.json`.
        lookup: what the reader looks inputs up in, such as a tokenizer or side tables; None where there is no such thing.
        decisions: what turns outputs into answers, such as labels with their threshold.
        model: the model; None where another runtime computes, or nothing does.
        files: names of the files that hold lookup and decisions; with model and schema, all that answers depend on.
    """

    schema: dict[str, Any] = field(default_factory=dict)
    lookup: Any = None
    decisions: Any = None
    model: Any = None
    files: tuple[str, ...] = ()

    def having(self, **found: Any) -> "Fitted":
        """Return this with some of its fields replaced; `schema` is added to what the schema holds."""
        schema = self.schema | found.pop("schema", {})
        return replace(self, schema=schema, **found)


@dataclass(frozen=True)
class AnswerColumn:
    """A column of a table of answers.

    Attributes:
        role: `answer`; `carried`, an answer that stands in the listed rows already, such as a time; `measured`, which only
            rows have whose answers are measured; or `slice`, a measured one that scores are sliced by.
        timed: whether it depends on the machine and the moment.
        wide: names of the columns that `predict --wide` makes of its lists; none where it stays one column.
    """

    name: str
    type: pa.DataType
    role: str = "answer"
    timed: bool = False
    wide: tuple[str, ...] = ()

    @property
    def predicted(self) -> bool:
        """Whether `predict` writes it too, and not an evaluation alone."""
        return self.role in ("answer", "carried")


@dataclass(frozen=True)
class Titles:
    """What a task calls things on its page.

    Attributes:
        caution: what readers of any page of this task must know first.
        mistakes, mistakes_said: title of the rows worth a look, and which these are.
        heat_said: what a heat map beside a row shows.
    """

    caution: str = ""
    mistakes: str = "Surest mistakes"
    mistakes_said: str = "wrong answers with the highest scores"
    heat_said: str = "what spoke for the answer (Grad-CAM, red for most)"


@dataclass(frozen=True)
class LearningData:
    """What a training learns from.

    Attributes:
        seen: the survey; its `table`, `facts` and `fingerprints` hold all usable rows, in one order.
        splits: object `[n]`, the split of each row.
    """

    seen: Any
    splits: np.ndarray

    @property
    def table(self) -> pa.Table:
        """All usable rows as they were listed."""
        return self.seen.table

    @property
    def facts(self) -> list[Any]:
        """What the reader's `inspect` said of each row."""
        return self.seen.facts

    def places(self, split: str) -> np.ndarray:
        """Return the places of a split's rows, int64 `[n]`."""
        return np.flatnonzero(self.splits == split)

    @property
    def held_out(self) -> dict[str, np.ndarray]:
        """The places of the rows of validation and test, int64 `[n]` by split; a split without rows is left out."""
        return {split: self.places(split) for split in ("validation", "test") if len(self.places(split))}

    def rows(self, split: str) -> pa.Table:
        """Return a split's rows as they were listed."""
        return self.table.take(pa.array(self.places(split)))


class RowSource(Protocol):
    """Where rows come from, how they are split, and what is wrong with them."""

    suffixes: tuple[str, ...]  # of files (lower case) that are inputs of the task

    def survey(self) -> Any:
        """Return what the first look at all rows of the card's data sees: a `Survey`."""

    def assign(self, seen: Any, run: Run) -> tuple[np.ndarray, list[str]]:
        """Return the split of each row of a survey, and sentences on what had to be decided."""

    def findings(self, table: pa.Table, facts: list[Any], splits: np.ndarray | None) -> list[Finding]:
        """Return what is wrong with readable rows: with their inputs by their facts, and with their targets."""

    def stratum(self, target: str) -> str:
        """Return what rows with a target are counted and stratified by."""

    def own_rows(self, run: Run, split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        """Return the listed rows of one of a run's splits, for each the id of a training row that shows the same (or

        None), and numbers that are equal where rows show the same as each other.

        Raises:
            UserError: no such rows, or they can't be listed any more.
        """

    def other_rows(self, data: str, split: str | None) -> pa.Table:
        """Return the listed rows of other labelled data, or those of one of its splits."""


class Reader(Protocol):
    """How a row becomes tensors: the same way for training, evaluation, prediction and bundles."""

    # The length that a tensor is filled up to in a batch with others; None where all tensors have one shape.
    size_of: Callable[[np.ndarray], int] | None

    def inspect(self, data: bytes, suffix: str, *beside: str | None) -> Any:
        """Return facts of one input for `check`: `converted` (texts) and `thumbnail` (uint8 [32, 32] or None).

        Args:
            suffix: of the file that held the bytes, in lower case; empty where there was none.
            beside: the row's cells of the columns that the card's `rows.beside` names.

        Raises:
            Unreadable: with the reason.
        """

    def fit_schema(self, facts: list[Any]) -> Fitted:
        """Return schema and lookup from the facts of the training rows, before anything is read for learning."""

    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray | tuple[np.ndarray, ...]:
        """Return the tensor of one input, or a tuple of several; `seed` asks for a random view of it.

        Raises:
            Unreadable: with the reason.
        """

    def collate(self, tensors: Sequence[np.ndarray | None], rows: int | None = None) -> np.ndarray:
        """Return tensors as one batch of `rows` (default: as many as there are); where there is none, it is filled up."""

    def statistics(self, data: bytes, tensor: Any) -> dict[str, float]:
        """Return plain numbers of one input that may drift, by name; `tensor` is what `read` made of it."""


class Learner(Protocol):
    """How a task learns; it alone may import what trains."""

    def fit(self, data: LearningData, run: Run, device: Any) -> tuple[Fitted, dict[str, Any]]:
        """Learn from the training rows, choose on validation, and leave model and decisions in the run.

        Returns:
            What was found, and the summary: `method`, `costs_seconds` (by phase), `protocol`, `parameters`; and
            `baselines`, where some were measured on the way, such as the untrained model: as `baselines` returns them.
        """

    def baselines(self, data: LearningData) -> dict[str, dict[str, Any]]:
        """Return what real rivals answer that were fitted on the training rows: name → split → outcome."""


class Predictor(Protocol):
    """What a task says of rows."""

    core: Any  # the Keras model from a batch of tensors to outputs: what is exported and what other runtimes run

    def columns(self) -> tuple[AnswerColumn, ...]:
        """Return the columns of answers, in order."""

    def load_state(self, folder: Path) -> Fitted:
        """Return schema, lookup and decisions from a run's or a bundle's folder; imports no TensorFlow.

        Raises:
            UserError: a file is missing or damaged.
        """

    def load_model(self, run: Run) -> Any:
        """Return the run's model.

        Raises:
            UserError: missing, damaged, not to be trusted, or of another run than what `load_state` returned.
        """

    def configure(self, run: Run, options: dict[str, Any]) -> tuple[Fitted, dict[str, Any]]:
        """Return what holds under the task's own options of a verb, and what they changed, for the report's `protocol`.

        Raises:
            UserError: options that don't go with this run.
        """

    def predict(self, blocks: Iterable[pa.Table], labelled: bool) -> Iterator["Said"]:
        """Yield what is said of each block of rows, in order; rows are read ahead across the borders of blocks.

        Args:
            labelled: whether the answers will be measured.
        """

    def features(self, batch: np.ndarray) -> np.ndarray | None:
        """Return the features `[n, d]` of a batch of tensors by the run's own encoder; None where a task has none."""

    def remarks(self) -> list[str]:
        """Return what should be told of the rows that were predicted, one line each."""


@dataclass(frozen=True)
class Said:
    """What is said of a block of rows.

    Attributes:
        block: the listed rows.
        columns: the answer columns, and those that are measured, of the rows that could be answered; None for no row.
        places: the place in the block of each of these.
        errors: for each row why it couldn't be answered, or None.
    """

    block: pa.Table
    columns: dict[str, Any] | None
    places: Sequence[int]
    errors: list[str | None]


class Evaluator(Protocol):
    """How good answers are."""

    def outcome(self, answers: pa.Table) -> Any:
        """Return answers and targets in the form that the metrics take; it has `at(rows)` and a length.

        Where it has `units` (int64 `[n]`), a bootstrap draws those instead of rows or groups.
        """

    def trivial(self, outcome: Any) -> Any:
        """Return what a trivial guess would have said on the same rows."""

    def metrics(self, outcome: Any) -> dict[str, tuple[Any, Measure | str]]:
        """Return the metrics by name: how each is read, and its function of row weights or why there is none."""

    def details(self, answers: pa.Table, outcome: Any) -> dict[str, Any]:
        """Return what a report shows beside the scores; `mistakes`, if any, hold `id`, `target`, `label` and `score`."""

    def labels_in(self, target: str | None) -> list[str] | None:
        """Return the labels in a target; None where the task's targets are no labels."""

    def correct(self, answers: pa.Table) -> np.ndarray | None:
        """Return bool `[n]`: which answers of a labelled table are right; None for a task without right and wrong."""

    def incomparable(self, other: "Task") -> str | None:
        """Return why the answers of another run of this task can't be held against this one's, or None."""


class Display(Protocol):
    """How a task shows itself on pages."""

    titles: Titles

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        """Return what the page of an evaluation draws.

        Args:
            answers: readable rows, or a sample where there are very many; counts of all rows are in the report.
        """

    def rows(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return rows as people look at them, one for each of the listed rows; none where a task has nothing to show.

        Args:
            rows: listed rows, as the reader gets them.
            answers: what was said of them: `id`, `target`, `label`, `score`.
        """

    def files(self, report: Report, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:
        """Write what an evaluation was asked for beside its report, such as pictures, and add it to the details."""

    def model_card(self) -> dict[str, str]:
        """Return what a task says of its models on every page: title → text."""


@dataclass(frozen=True)
class Serving:
    """How a SavedModel answers encoded inputs.

    Attributes:
        answer: a TensorFlow function from encoded inputs (string `[n]`) to `label`, `score`, `scores`.
        encode: returns an encoded input that `answer` decodes to exactly a tensor.
    """

    answer: Callable[[Any], dict[str, Any]]
    encode: Callable[[np.ndarray], bytes]


class Exporter(Protocol):
    """How a task's model is used without horngate, and what proves it."""

    unexportable: str | None  # why the card's kind of model can't be exported though others can, in one sentence
    ranges: dict[str, tuple[float | None, float | None]]  # of the exported `inputs` and `outputs`; None where unbounded

    def golden(self, run: Run, data: str | None, count: int, splits: tuple[str, ...]) -> np.ndarray:
        """Return up to `count` real tensors, drawn from the rows of these splits in their order, then from others.

        Args:
            data: where to take them from; None for the run's own.

        Raises:
            UserError: there are none.
        """

    def acted_on(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return what a user acts on in bare outputs, one dict each: answers without their numbers, as JSON has them."""

    def reading(self) -> str:
        """Return the source of a Python function `read(path)` that gives the exported model's tensor, without horngate."""

    def answering(self) -> str:
        """Return the source of a Python function `answer(path, outputs)` that gives the texts to print of one file."""

    def serving(self) -> "Serving | None":
        """Return how a SavedModel answers encoded inputs, such as JPEG files; None where it takes tensors alone."""


def tensors_of(row: Any) -> tuple[np.ndarray, ...]:
    """Return the tensors of what a reader's `read` returned: several, or one."""
    return row if isinstance(row, tuple) else (row,)
