"""Fast, approximate search beside the exact one: a navigable small-world graph of vectors, kept by usearch.

The method is HNSW (Malkov & Yashunin 2016, arXiv 1603.09320). The graph only proposes rows: their cosines are computed
exactly afterwards, from the vectors that the index keeps.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from horngate.pipelines.spec.errors import UserError

MISSING = "usearch is not installed; install horngate[search]"
PROPOSED = 4  # rows that the graph proposes for each one that is wished for
LEAST = 64  # rows that it proposes


def available() -> bool:
    """Return whether graphs can be written and searched here."""
    return find_spec("usearch") is not None


def write(path: Path, dimensions: int, before: Path | None, added: Iterable[tuple[int, np.ndarray]], gone) -> None:
    """Write a graph to a path.

    Args:
        before: the graph to go on with, or None.
        added: numbers of the first row and vectors float32 `[n, dimensions]` of each block to add.
        gone: int64 `[n]`, rows that were removed.

    Raises:
        UserError: the graph before is damaged.
    """
    from usearch.index import Index

    graph = Index(ndim=dimensions, metric="ip", dtype="f16")
    if before is not None:
        _loaded(graph.load, before)
    for first, vectors in added:
        graph.add(np.arange(first, first + len(vectors), dtype=np.uint64), np.asarray(vectors))
    held = np.asarray(gone, np.uint64)
    if len(held):
        held = held[graph.contains(held)]
    if len(held):
        graph.remove(held)
    graph.save(str(path))


def proposed(path: Path, query: np.ndarray, count: int) -> np.ndarray:
    """Return int64 `[m]`: rows that are likely among the `count` nearest of a query float32 `[d]`, and others.

    Raises:
        UserError: the graph is damaged.
    """
    from usearch.index import Index

    graph = Index(ndim=len(query), metric="ip", dtype="f16")
    _loaded(graph.view, path)
    found = graph.search(query, max(PROPOSED * count, LEAST))
    return np.asarray(found.keys, np.int64)


def _loaded(load: Any, path: Path) -> None:
    try:
        load(str(path))
    except (OSError, RuntimeError, ValueError) as problem:
        raise UserError(f"{path} can't be read ({problem}); build the index anew") from None
