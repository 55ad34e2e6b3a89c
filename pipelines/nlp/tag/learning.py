"""How a tagger learns: its words stand in texts, so that what is classified lies at places within rows."""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content, in_order
from horngate.pipelines.metrics.entities import Entities
from horngate.pipelines.nlp.tag.alignment import speaking
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system import progress
from horngate.pipelines.training.phases import HISTORY
from horngate.pipelines.training.transfer import Ladder

if TYPE_CHECKING:
    from horngate.pipelines.nlp.tag.spans import Span
    from horngate.pipelines.nlp.tag.task import Pipeline


class TaggedRows:
    """Windows of texts to learn from, tokenised once and kept, with a label for each word.

    Args:
        task: says how a row is read, and how tensors become a batch; its `tags` are known.
        table: rows in the schema of the sources, all of which could be read before.
        spans: of each row.

    Attributes:
        balance: float32 `[labels]`, what a word of each label weighs; None where all count alike.
        count: how many windows.
        owners: int64 `[count]`, the row of each window.
        tensors: each window as `read` gives it.
        places, words, tagged: of the words that each window speaks for: tokens, (start, end), and labels int32.
        starts: int64 `[count]`, how many words the windows before have.
        lengths: int64 `[count]`.
    """

    def __init__(self, task: "Pipeline", table: pa.Table, spans: "list[list[Span]]"):
        self.task, self.tensors, owners = task, [], []
        self.balance: np.ndarray | None = None
        inputs = zip(table["input"].to_pylist(), table["value"].to_pylist(), strict=True)
        for row, windows in enumerate(in_order(lambda one: task.read(content(*one)), inputs)):
            if isinstance(windows, Unreadable):
                raise UserError(f"{table['id'][row].as_py()} could be read before, and can't any more: {windows}")
            self.tensors += windows
            owners += [row] * len(windows)
        self.owners, self.count = np.array(owners, np.int64), len(owners)
        self.lengths = np.array([len(tensor) for tensor in self.tensors], np.int64)
        self.places, self.words = map(list, zip(*map(speaking, self.tensors), strict=True)) if self.count else ([], [])
        self.tagged = [task.tags.encode(spans[row], words) for row, words in zip(self.owners, self.words, strict=True)]
        ends = np.cumsum([0, *map(len, self.tagged)])
        self.starts, self.total = ends[:-1], int(ends[-1])

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs, one-hot targets float32 `[n, tokens, labels]`, and weights, 0 where a token speaks for no word."""
        inputs = self.task.stacked([self.tensors[row] for row in rows])
        targets = np.zeros((*inputs.shape, len(self.task.tags.labels)), np.float32)
        weights = np.zeros(inputs.shape, np.float32)
        for place, row in enumerate(rows):
            tokens, tags = self.places[row], self.tagged[row]
            targets[place, tokens, tags] = 1.0
            weights[place, tokens] = 1.0 if self.balance is None else self.balance[tags]
        return inputs, targets, weights

    def outputs(self, forward: Callable, done: Callable) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (window, what `forward` says of the words that it speaks for, float32 `[words, d]`), windows by length.

        Args:
            done: called with the number of windows of each batch.

        Raises:
            KeyboardInterrupt: a signal asked to stop.
        """
        order, size = np.argsort(self.lengths, kind="stable"), self.task.batch_size
        for start in range(0, self.count, size):
            if progress.stop.is_set():
                raise KeyboardInterrupt
            rows = order[start : start + size]
            said = np.asarray(forward(self.task.stacked([self.tensors[row] for row in rows], size)))
            yield from ((row, output[self.places[row]]) for row, output in zip(rows.tolist(), said, strict=False))
            done(len(rows))


class TagLadder(Ladder):
    """The ladder of a tagger: the probe classifies words, and what is compared and kept are entities."""

    several = False
    columns = (*HISTORY[:-1], "mislabelled", "val_mislabelled", HISTORY[-1])

    def _encoded(self, targets: list[str | None]) -> "list[list[Span]]":
        return self.task.spans_of(targets)

    def _read_rows(self, split: str) -> TaggedRows:
        if split == "train":
            self._tagged(split).balance = self._balance()
        return self._tagged(split)

    def _tagged(self, split: str) -> TaggedRows:
        if split not in self.tagged:
            rows = self.rows[split]
            table = self.table.take(pa.array(rows))
            self.tagged[split] = TaggedRows(self.task, table, [self.targets[row] for row in rows])
        return self.tagged[split]

    @cached_property
    def tagged(self) -> dict[str, TaggedRows]:
        """The rows of each split that were read."""
        return {}

    def _features(self, split: str, views: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return features, one-hot targets and weights of all words of a split."""
        rows, balance = self._tagged(split), self._balance()
        tagged = np.concatenate([np.zeros(0, np.int32), *rows.tagged])
        targets = np.eye(len(self.task.tags.labels), dtype=np.float32)[tagged]
        return self._joined(split, views, rows.total), targets, None if balance is None else balance[tagged]

    def _fill(self, split: str, view: int, forward: Callable, out: np.ndarray, done: Callable) -> None:
        rows = self._tagged(split)
        for window, features in rows.outputs(forward, done):
            out[rows.starts[window] : rows.starts[window] + len(features)] = features

    def _balance(self) -> np.ndarray | None:
        """Return float32 `[labels]` weights that give every label the same sum over the training words, if wished."""
        if self.card.class_weights == "none":
            return None
        count = len(self.task.tags.labels)
        words = np.bincount(np.concatenate(self._tagged("train").tagged), minlength=count)
        return (words.sum() / (np.maximum(words, 1) * (words > 0).sum())).astype(np.float32)

    def _validation(self) -> Entities:
        """Return the outcome of the network, as it stands, on the validation rows."""
        rows, forward = self._tagged("validation"), self.network.answers.predict_on_batch
        parts: list[list[tuple]] = [[] for _ in self.rows["validation"]]
        with progress.job("answers on validation", rows.count) as done:
            for window, scores in rows.outputs(forward, done):
                parts[rows.owners[window]].append((rows.words[window], scores))
        said = [self.task.tags.merged(own) for own in parts]
        return self.task.outcome_of(said, [self.table["target"][int(row)].as_py() for row in self.rows["validation"]])

    def _decided(self) -> dict[str, Any]:
        return {}
