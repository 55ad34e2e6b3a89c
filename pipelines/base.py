"""A pipeline is one task of one domain: it answers questions and never orchestrates. The verbs ask."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.card import Data
from horngate.pipelines.data.checks import Finding
from horngate.pipelines.errors import UserError
from horngate.pipelines.measure.intervals import Measure
from horngate.pipelines.page.plot import Plot, Shown
from horngate.pipelines.report import Report
from horngate.pipelines.run import Run
from horngate.pipelines.runtimes import Runtime


def tensors_of(row: Any) -> tuple[np.ndarray, ...]:
    """Return the tensors of what `Pipeline.read` returned: several, or one."""
    return row if isinstance(row, tuple) else (row,)


class Pipeline(ABC):
    """The questions that every task answers.

    Attributes:
        card: the task's knobs.
        schema: what the reader needs to know beside the card; kept in the run's `schema.json`.
        suffixes: file suffixes (lower case) that are inputs of this task.
        batch_size: rows per forward pass of prediction.
        runtime: what computes the forward pass instead of Keras, or None.
    """

    suffixes: tuple[str, ...] = ()
    batch_size = 32
    handed_over: tuple[str, ...] = ("labels.json",)  # files of a run that `recall` needs beside schema.json

    def __init__(self, card: Data):
        self.card = card
        self.schema: dict[str, Any] = {}
        self.runtime: Runtime | None = None

    # What is a row?

    def survey(self) -> Any:
        """Return what the first look at all rows of the card's data sees: a `Survey`."""
        from horngate.pipelines.data.survey import survey

        return survey(self)

    def assigned(self, seen: Any, run: Run) -> tuple[np.ndarray, list[str]]:
        """Return the split of each row of a survey, and sentences on what had to be decided."""
        from horngate.pipelines.data.splits import drawn_or_given

        old = Run.open(self.card.splits, finished=False).splits if self.card.splits else None
        return drawn_or_given(seen, self.card, old, self.sort_of)

    def own_rows(self, run: Run, split: str) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        """Return the listed rows of one of a run's splits, for each the id of a training row that shows the same (or

        None), and numbers that are equal where rows show the same as each other.

        Raises:
            UserError: no such rows, or they can't be listed any more.
        """
        from horngate.pipelines.data.listed_again import own_rows

        return own_rows(run, self.suffixes, split)

    def other_rows(self, data: str, split: str | None) -> pa.Table:
        """Return the listed rows of other labelled data, or those of one of its splits."""
        from horngate.pipelines.data.listed_again import other_rows

        return other_rows(self.card, self.suffixes, data, split)

    beside: tuple[str, ...] = ()  # further columns of a row, such as its mask, that `inspect` looks at

    @abstractmethod
    def inspect(self, data: bytes, suffix: str, *beside: str | None) -> Any:
        """Return facts of one input for `check`: `converted` (texts) and `thumbnail` (uint8 [32, 32] or None).

        Args:
            suffix: of the file that held the bytes, in lower case; empty where there was none.
            beside: the row's cells of the columns that `beside` names; none for a task that names none.

        Raises:
            Unreadable: with the reason.
        """

    @abstractmethod
    def findings(self, table: pa.Table, splits: np.ndarray | None) -> list[Finding]:
        """Return what is wrong with the targets of readable rows."""

    def input_findings(self, table: pa.Table, facts: list[Any]) -> list[Finding]:
        """Return what is wrong with the inputs of readable rows, by their facts."""
        return []

    @abstractmethod
    def settle(self, facts: list[Any]) -> None:
        """Fix `schema` from the facts of the training rows, before anything is read for learning."""

    @abstractmethod
    def read(self, data: bytes, seed: tuple[int, ...] | None = None) -> np.ndarray:
        """Return the tensor of one input; `seed` asks for a random view of it.

        Raises:
            Unreadable: with the reason.
        """

    def begin(self, labelled: bool = True) -> None:  # noqa: B027
        """Forget what was counted of rows that were read before: a pass over other rows begins.

        Args:
            labelled: whether their answers will be measured.
        """

    def remarks(self) -> list[str]:
        """Return what should be told of the rows that were read since `begin`, one line each."""
        return []

    # Equal inputs are the same thing, seen once and kept on one side of a split; events that repeat are each their own.
    repeating = False

    # A row may hold several tensors (two texts that are compared, windows of a long one): `read` returns a tuple of them
    # then. Each is computed by itself, and the outputs of a row are joined; `rows` takes a list of what they make.
    parted = False

    def joined(self, outputs: list[np.ndarray], tensors: list[np.ndarray]) -> Any:
        """Return what one row's outputs make together; both lists hold one entry per tensor of the row, in its order."""
        (output,) = outputs
        return output

    # Tensors whose first axis differs in length (texts, sounds) are batched with others that are filled up as far.
    uneven = False

    def size_of(self, tensor: np.ndarray) -> int:
        """Return the length that an uneven tensor is filled up to."""
        return len(tensor)

    def stacked(self, tensors: Sequence[np.ndarray | None], rows: int | None = None) -> np.ndarray:
        """Return tensors as one batch of `rows` (default: as many as there are); where there is none, it is filled up."""
        if rows in (None, len(tensors)) and not any(tensor is None for tensor in tensors):
            return np.stack(tensors)
        first = next(tensor for tensor in tensors if tensor is not None)
        batch = np.zeros((rows or len(tensors), *first.shape), first.dtype)
        for place, tensor in enumerate(tensors):
            if tensor is not None:
                batch[place] = tensor
        return batch

    # How does it learn?

    def sort_of(self, target: str) -> str:
        """Return what rows are counted and stratified by."""
        return target

    @abstractmethod
    def fit(
        self, table: pa.Table, splits: np.ndarray, fingerprints: list[str], run: Run, device: Any
    ) -> dict[str, Any]:
        """Learn from the rows whose split is train, choose on validation, leave model and decisions in the run.

        Returns:
            The summary: `method`, `costs` (seconds by phase), `protocol`, `parameters`.
        """

    @abstractmethod
    def references(self, table: pa.Table, splits: np.ndarray, facts: list[Any]) -> dict[str, dict[str, np.ndarray]]:
        """Return the answers of real rivals fitted on the training rows: name → split → what `outcome_of` takes."""

    # What does it say?

    def open(self, run: Run) -> None:
        """Take schema, decisions and model from a run.

        Raises:
            UserError: a file is missing, damaged, not to be trusted, or doesn't belong to the others.
        """
        self.recall(run.folder)
        self.load(run)

    @abstractmethod
    def recall(self, folder: Path) -> None:
        """Take schema and decisions from a run's or a bundle's folder; imports no TensorFlow."""

    @abstractmethod
    def load(self, run: Run) -> None:
        """Take the model from a run."""

    def kept_model(self, run: Run) -> Any:
        """Return the Keras model of a run.

        Raises:
            UserError: missing, damaged, or not to be trusted.
        """
        from horngate.models.saving import Untrusted, open_model

        try:
            return open_model(run / "model.keras")
        except Untrusted as problem:
            raise UserError(str(problem)) from None

    @property
    @abstractmethod
    def core(self) -> Any:
        """The Keras model from a batch of `read`'s tensors to outputs: what is exported and what other runtimes run."""

    def forward(self, batch: np.ndarray) -> np.ndarray:
        """Return outputs for a batch of tensors, from the runtime that was chosen, else from Keras."""
        if self.runtime is not None:
            return self.runtime.run(batch)
        return np.asarray(self.core.predict_on_batch(batch))

    @property
    def step(self) -> int:
        """Rows that are computed together: batches are filled up to a multiple of it."""
        if self.runtime is not None:
            return self.runtime.batch
        return min(self.batch_size, 8) if self.uneven else self.batch_size

    @abstractmethod
    def answer_schema(self) -> pa.Schema:
        """Return the answer columns, in order."""

    # A task may answer whole blocks of rows by itself, instead of reading them one by one for its core model.
    blockwise = False

    def said(self, block: pa.Table, labelled: bool) -> tuple[dict[str, Any] | None, list[int], list[str | None]]:
        """Return the answer columns of a block's rows that can be answered, the places of these, and why others can't."""
        raise NotImplementedError(f"{type(self).__module__} answers rows one by one")

    carried: tuple[str, ...] = ()  # answer columns that stand in the listed rows already, such as a time

    def measured_schema(self) -> pa.Schema:
        """Return columns beside the answers that only rows get whose answers will be measured."""
        return pa.schema([])

    slicing: tuple[str, ...] = ()  # those of `measured_schema` that scores are sliced by

    @abstractmethod
    def rows(self, outputs: Sequence) -> dict[str, list]:
        """Return the answer columns of outputs (joined ones, where rows are parted), and those of `measured_schema`."""

    def answered(self, listed: pa.Table, outputs: np.ndarray) -> dict[str, list]:
        """Return what `rows` does, for a task whose answers need the listed rows themselves, one for each output."""
        return self.rows(outputs)

    # How is it handed over?

    def made_up(self, count: int) -> np.ndarray:
        """Return made-up tensors `[count, …]` of the shape that the model takes, for golden rows where rows are private.

        Each is noise of its own level and width within `ranges` (unbounded: 0 to 1), drawn from the card's seed.
        """
        entry, draw = self.core.inputs[0], np.random.default_rng(self.card.seed)
        low, high = self.ranges["inputs"]
        low, high = 0.0 if low is None else low, 1.0 if high is None else high
        shape = (count, *(length or 1 for length in entry.shape[1:]))
        levels = draw.uniform(size=(count, *(1,) * (len(shape) - 1)))
        widths = draw.uniform(0.05, 1, size=levels.shape)
        noise = levels + widths * (draw.uniform(size=shape) - 0.5)
        return (low + np.clip(noise, 0, 1) * (high - low)).astype(entry.dtype)

    unexportable: str | None = None  # one sentence, for a task whose model can't be exported

    @property
    def ranges(self) -> dict[str, tuple[float | None, float | None]]:
        """The least and greatest values of the exported model's `inputs` and `outputs`; None where unbounded."""
        return {"inputs": (None, None), "outputs": (None, None)}

    def serving(self) -> Any:
        """Return a TensorFlow function from encoded inputs (string `[n]`) to `label`, `score`, `scores`; None for none."""
        return None

    def encoded(self, tensor: np.ndarray) -> bytes | None:
        """Return an encoded input that `serving` decodes to exactly this tensor; None where there is no such form."""
        return None

    def acted_on(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return what a user acts on in bare outputs, one dict each: answers without their numbers, as JSON has them."""
        kinds = {field.name: str(field.type) for field in self.answer_schema() if field.name not in self.carried}
        kept = [name for name, kind in kinds.items() if "float" not in kind and "double" not in kind]
        if not kept:
            return [{} for _ in outputs]
        found = self.rows(outputs)
        columns = [json.loads(json.dumps(found[name], default=lambda left: left.tolist())) for name in kept]
        return [dict(zip(kept, row, strict=True)) for row in zip(*columns, strict=True)]

    def saying(self) -> str:
        """Return the source of a Python function `answer(path, outputs)` that gives the texts to print of one file."""
        return 'def answer(path, outputs):\n    return [*(f"{number:.4f}" for number in np.ravel(outputs)[:8]), "…"]\n'

    def example(self) -> str:
        """Return the source of a Python function `read(path)` that gives the exported model's tensor, without horngate."""
        return "import numpy as np\n\n\ndef read(path):\n    return np.load(path)\n"

    def adjust(self, run: Run, options: dict[str, Any]) -> dict[str, Any]:
        """Take the task's own options of a verb; return what they changed, for the report's `protocol`.

        Raises:
            UserError: options that don't go with this run.
        """
        return {}

    # How do rows compare with those of the training?

    def statistics(self, data: bytes, tensor: Any) -> dict[str, float]:
        """Return plain numbers of one input that may drift, by name; `tensor` is what `read` made of it."""
        return {}

    def features(self, batch: np.ndarray) -> np.ndarray | None:
        """Return the features `[n, d]` of a batch of tensors by the run's own encoder; None where a task has none."""
        return None

    def label_names(self, target: str) -> list[str] | None:
        """Return the labels in a target; None where the task's targets are no labels."""
        return None

    def pictured(self, report: Any, table: pa.Table, folder: Path, options: dict[str, Any]) -> None:  # noqa: B027
        """Write the pictures that an evaluation was asked for into its folder."""

    # How good is it?

    @abstractmethod
    def outcome(self, answers: pa.Table) -> Any:
        """Return answers and targets in the form that the measures take; it has `at(rows)` and a length.

        Where it has `units` (int64 `[n]`), a bootstrap draws those instead of rows or groups.
        """

    @abstractmethod
    def outcome_of(self, outputs: np.ndarray, targets: list[str | None]) -> Any:
        """Return the outcome of bare outputs, or of what a rival answered."""

    @abstractmethod
    def guess(self, outcome: Any) -> Any:
        """Return what a trivial guess would have said on the same rows."""

    @abstractmethod
    def measures(self, outcome: Any) -> dict[str, tuple[Any, Measure | str]]:
        """Return the measures by name: how each is read, and its function of row weights or why there is none."""

    @abstractmethod
    def details(self, answers: pa.Table, outcome: Any) -> dict[str, Any]:
        """Return what a report shows beside the scores; `mistakes`, if any, hold `id`, `target`, `label` and `score`."""

    # What does its page show?

    caution = ""  # what readers of any page of this task must know first
    mistakes_title = "Surest mistakes"
    mistakes_said = "wrong answers with the highest scores"
    heat_said = "what spoke for the answer (Grad-CAM, red for most)"

    def plots(self, answers: pa.Table, report: Report) -> list[Plot]:
        """Return what the page of an evaluation draws.

        Args:
            answers: readable rows, or a sample where there are very many; counts of all rows are in the report.
        """
        return []

    def shown(self, rows: pa.Table, answers: list[dict[str, Any]]) -> list[Shown]:
        """Return rows as people look at them, one for each of the listed rows; none where a task has nothing to show.

        Args:
            rows: listed rows, as `read` gets them.
            answers: what was said of them: `id`, `target`, `label`, `score`.
        """
        return []

    def model_card(self) -> dict[str, str]:
        """Return what a task says of its models on every page: title → text."""
        return {
            "Intended use": "Rows of the kind that the training data holds, gathered in the same way. A score holds for "
            "rows like those it was measured on, and for no others.",
            "Limits": "Nothing here says how the model behaves on other sources, devices, times or groups of people than "
            "those in the data. Measure it on your own rows (horngate evaluate RUN --data …) before relying on it.",
        }

    # Which of two runs is better?

    def unlike(self, other: "Pipeline") -> str | None:
        """Return why the answers of another run of this task can't be held against this one's, or None."""
        return None

    def right(self, answers: pa.Table) -> np.ndarray | None:
        """Return bool `[n]`: which answers of a labelled table are right; None for a task without right and wrong."""
        return None
