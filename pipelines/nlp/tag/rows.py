"""Windows of texts to learn from: what is classified lies at places within rows."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from horngate.pipelines.nlp.tag.alignment import speaking
from horngate.pipelines.nlp.tag.spans import Span
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.rows import read_rows


class TaggedRows:
    """Windows of texts to learn from, tokenised once and kept, with a label for each word.

    Args:
        task: its reader says how a row is read and how tensors become a batch; its decisions are the tags.
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

    def __init__(self, task: Task, table: pa.Table, spans: list[list[Span]]):
        self.reader, self.tags, self.size = task.reader, task.fitted.decisions, task.predictor.batch_size
        self.tensors, owners = [], []
        self.balance: np.ndarray | None = None
        for row, windows in enumerate(read_rows(self.reader.read, table)):
            self.tensors += windows
            owners += [row] * len(windows)
        self.owners, self.count = np.array(owners, np.int64), len(owners)
        self.lengths = np.array([len(tensor) for tensor in self.tensors], np.int64)
        self.places, self.words = map(list, zip(*map(speaking, self.tensors), strict=True)) if self.count else ([], [])
        self.tagged = [self.tags.encode(spans[row], words) for row, words in zip(self.owners, self.words, strict=True)]
        ends = np.cumsum([0, *map(len, self.tagged)])
        self.starts, self.total = ends[:-1], int(ends[-1])

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs, one-hot targets float32 `[n, tokens, labels]`, and weights, 0 where a token speaks for no word."""
        inputs = self.reader.collate([self.tensors[row] for row in rows])
        targets = np.zeros((*inputs.shape, len(self.tags.labels)), np.float32)
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
        order, size = np.argsort(self.lengths, kind="stable"), self.size
        for start in range(0, self.count, size):
            if progress.stop.is_set():
                raise KeyboardInterrupt
            rows = order[start : start + size]
            said = np.asarray(forward(self.reader.collate([self.tensors[row] for row in rows], size)))
            yield from ((row, output[self.places[row]]) for row, output in zip(rows.tolist(), said, strict=False))
            done(len(rows))
