"""Reading rows in threads, in order, a bounded number ahead."""

import errno
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system import progress

LARGEST = 1 << 30  # bytes of one input
IN_MEMORY = 64 << 20  # bytes of files that are kept between epochs
AT_ONCE = 0.01  # seconds of reading that a thread is given at least; handing over a small row costs more than the row
Item = TypeVar("Item")
Result = TypeVar("Result")


def threads() -> int:
    """Return how many threads read: the cores that this process may use, and one more for waiting on disks."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


def in_order(work: Callable[[Item], Result], items: Iterable[Item], ahead: int = 64) -> Iterator[Result | Unreadable]:
    """Yield `work(item)` for each item, in order; at most `ahead` are under way. An `Unreadable` is yielded, not raised."""

    def tried(item: Item) -> Result | Unreadable:
        try:
            return work(item)
        except Unreadable as reason:
            return reason

    with ThreadPoolExecutor(threads(), "reader") as pool:
        waiting: deque = deque()
        try:
            for item in items:
                waiting.append(pool.submit(tried, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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
        try:
            return self.reader.read(self._content(row), seed)
        except Unreadable as reason:
            raise UserError(f"{self.ids[row].as_py()} could be read before, and can't any more: {reason}") from None

    def _content(self, row: int) -> bytes:
        """Return the bytes of a row's input; those of small files are read once."""
        data = self.files.get(row)
        if data is None:
            data = content(self.inputs[row].as_py(), self.values[row].as_py())
            if len(data) <= self.room:
                self.files[row], self.room = data, self.room - len(data)
        return data


def content(path: bytes | None, value: bytes | None, error: str | None = None) -> bytes:
    """Return the bytes of one row's input.

    Raises:
        Unreadable: with the reason: missing, a broken link, no permission, empty, too large, or the listing's own.
    """
    if error:
        raise Unreadable(error)
    if value is not None:
        data = value
    elif path is None:
        raise Unreadable("no input")
    else:
        data = _file(path)
    if not data:
        raise Unreadable("empty: 0 bytes")
    return data


def _file(path: bytes) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - names that are no UTF-8 are bytes
            size = os.fstat(file.fileno()).st_size
            if size > LARGEST:
                raise Unreadable(f"too large: {size:,} bytes")
            return file.read()
    except FileNotFoundError:
        raise Unreadable("broken link" if os.path.islink(path) else "missing") from None  # noqa: PTH114
    except PermissionError:
        raise Unreadable("no permission to read it") from None
    except ValueError:
        raise Unreadable("its name holds a NUL character") from None
    except OSError as problem:
        loop = problem.errno == errno.ELOOP
        raise Unreadable("a link that leads back to itself" if loop else str(problem.strerror)) from None


def rows_of(table: pa.Table, ids: list[str]) -> pa.Table:
    """Return the listed rows with these ids, in the order of the ids."""
    return table.take(pc.index_in(pa.array(ids, pa.string()), value_set=table["id"].combine_chunks()))


def inputs_of(rows: pa.Table) -> Iterator[bytes]:
    """Yield the bytes of listed rows' inputs.

    Raises:
        Unreadable: one of them can't be read any more.
    """
    for path, value in zip(rows["input"].to_pylist(), rows["value"].to_pylist(), strict=True):
        yield content(path, value)
