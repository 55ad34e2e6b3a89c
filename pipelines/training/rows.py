"""Rows to learn from, as they are read while a training runs."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content, in_order, threads
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system import progress

IN_MEMORY = 64 << 20  # bytes of files that are kept between epochs
AT_ONCE = 0.01  # seconds of reading that a thread is given at least; handing over a small row costs more than the row


class ReadRows:
    """Labelled rows to learn from, read in threads when they are needed, each epoch in a random view of its own.

    Tensors of uneven length are small: they are read once and kept, and batches hold rows of about the same length.

    Args:
        reader: says how a row is read, and how tensors become a batch.
        table: rows in the schema of the sources.
        targets: float32 `[n, classes]`.
        weights: float32 `[n]` or None.

    Attributes:
        count: how many rows.
        lengths: int64 `[n]`, of the tensors, where these are uneven; else None.
    """

    def __init__(self, reader, table: pa.Table, targets: np.ndarray, weights: np.ndarray | None = None):
        self.inputs, self.values, self.ids = table["input"], table["value"], table["id"]
        self.reader, self.targets, self.weights, self.count = reader, targets, weights, table.num_rows
        self.pool = ThreadPoolExecutor(threads(), "reader")
        self.seconds = AT_ONCE  # that a row takes, as far as is known
        self.files: dict[int, bytes] = {}
        self.room = 0 if reader.size_of is not None else IN_MEMORY  # uneven tensors are kept themselves
        self.kept, self.lengths = None, None
        if reader.size_of is not None:
            self.kept = list(self.pool.map(lambda row: self._read(row, None), range(self.count)))
            self.lengths = np.array([len(tensor) for tensor in self.kept], np.int64)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return inputs, targets and weights of some rows; `epoch` seeds random views, None asks for plain ones."""
        size = int(np.clip(AT_ONCE / self.seconds, 1, len(rows)))
        parts = [rows[at : at + size].tolist() for at in range(0, len(rows), size)]
        tensors = [tensor for part in self.pool.map(lambda part: self._part(part, epoch), parts) for tensor in part]
        return self.reader.collate(tensors), self.targets[rows], None if self.weights is None else self.weights[rows]

    def in_turn(self, size: int, view: int | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (rows, inputs) of all rows once, `size` of them at a time; the last inputs are filled up to `size`.

        Args:
            view: seeds random views; None asks for the plain ones.

        Raises:
            KeyboardInterrupt: a signal asked to stop.
        """
        order = range(self.count) if self.lengths is None else np.argsort(self.lengths, kind="stable").tolist()
        rows = iter(order)
        tensors = in_order(lambda row: self._row(row, view), order, ahead=4 * size)
        while batch := list(islice(tensors, size)):
            if progress.stop.is_set():
                raise KeyboardInterrupt
            yield np.array(list(islice(rows, len(batch)))), self.reader.collate(batch, size)

    def _part(self, rows: list[int], epoch: int | None) -> list[np.ndarray]:
        """Return the tensors of some rows, and learn how long they take."""
        started = time.perf_counter()
        tensors = [self._row(row, epoch) for row in rows]
        self.seconds += 0.1 * ((time.perf_counter() - started) / len(rows) - self.seconds)
        return tensors

    def _row(self, row: int, epoch: int | None) -> np.ndarray:
        return self.kept[row] if self.kept is not None else self._read(row, epoch)

    def _read(self, row: int, epoch: int | None) -> np.ndarray:
        seed = None if epoch is None else (self.reader.card.seed, epoch, row)
        return read_again(lambda: self.reader.read(self._content(row), seed), self.ids[row].as_py())

    def _content(self, row: int) -> bytes:
        """Return the bytes of a row's input; those of small files are read once."""
        data = self.files.get(row)
        if data is None:
            data = content(self.inputs[row].as_py(), self.values[row].as_py())
            if len(data) <= self.room:
                self.files[row], self.room = data, self.room - len(data)
        return data


def read_rows(read: Callable[[bytes], Any], table: pa.Table) -> Iterator[Any]:
    """Yield what is read of listed rows that could be read before, in their order.

    Raises:
        UserError: one can't any more.
    """
    rows = zip(*(table[name].to_pylist() for name in ("id", "input", "value")), strict=True)
    return in_order(lambda row: read_again(lambda: read(content(*row[1:])), row[0]), rows)


def read_again(read: Callable[[], Any], name: str) -> Any:
    """Return what is read of a row that could be read before.

    Raises:
        UserError: it can't any more.
    """
    try:
        return read()
    except Unreadable as reason:
        raise UserError(f"{name} could be read before, and can't any more: {reason}") from None
