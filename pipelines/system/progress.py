"""What a long job tells while it runs. Silent by default; the command line plugs in its own teller."""

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")


class Teller:
    """Takes notices and progress; this one says nothing."""

    def notice(self, line: str) -> None:
        """Tell one line that the user should see."""

    def detail(self, line: str) -> None:
        """Tell one line that only a curious user wants."""

    @contextmanager
    def task(self, label: str, total: int | None) -> Iterator[Any]:
        """Open a job of `total` steps; yields a function that reports steps done."""
        yield lambda steps=1, note="": None


stop = threading.Event()  # set by a signal: long jobs end at the next place from which they can go on
_teller = Teller()


_patience = 0


@contextmanager
def patiently() -> Iterator[None]:
    """Mark work that ends by itself, with its state saved, soon after `stop` is set."""
    global _patience
    _patience += 1
    try:
        yield
    finally:
        _patience -= 1


def is_patient() -> bool:
    """Whether the running work looks at `stop` by itself and must not be torn out."""
    return _patience > 0


def tell_through(teller: Teller) -> None:
    """Send notices and progress to `teller` from now on."""
    global _teller
    _teller = teller


def notice(line: str) -> None:
    """Tell one line that the user should see."""
    _teller.notice(line)


def detail(line: str) -> None:
    """Tell one line that only a curious user wants."""
    _teller.detail(line)


def job(label: str, total: int | None = None):
    """Open a job of `total` steps: `with job("reading", n) as done: … done()`."""
    return _teller.task(label, total)


def tracked(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items, reporting each as one step."""
    with job(label, total) as done:
        for item in items:
            yield item
            done()


@contextmanager
def hushed() -> Iterator[None]:
    """Hold back what libraries write to the process's stderr, unless all is to be seen; an error shows it after all."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    import tempfile  # which help does without

    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
