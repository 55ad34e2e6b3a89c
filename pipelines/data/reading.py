"""Reading rows in threads, in order, a bounded number ahead."""

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from horngate.pipelines.spec.errors import Unreadable

LARGEST = 1 << 30  # bytes of one input
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
