"""Measures exact search in an index of random vectors, on one core, and holds its answers against a full sort.

python benchmarks/search.py [ROWS] [DIMENSIONS]
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench import keep
from threadpoolctl import threadpool_limits

from horngate.pipelines.nlp.similar.vectors import Index

QUERIES, NEAREST, WANTED = 50, 10, 0.030


def unit(draw: np.random.Generator, rows: int, dimensions: int) -> np.ndarray:
    """Return random vectors of length 1."""
    vectors = draw.normal(size=(rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def measure(rows: int, dimensions: int) -> None:
    """Build, search and keep the numbers."""
    draw = np.random.default_rng(0)
    vectors, queries = unit(draw, rows, dimensions), unit(draw, QUERIES, dimensions)
    names = [f"text {row}" for row in range(rows)]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        Index(Path(folder), "none", "none", dimensions).adding([(names, names, vectors)]).write()
        built, index, times = time.perf_counter() - started, Index.open(folder), []
        index.search(queries[0], NEAREST)  # maps the files
        for query in queries:
            started, busy = time.perf_counter(), time.thread_time()
            hits = index.search(query, NEAREST)
            times.append((time.perf_counter() - started, time.thread_time() - busy))
            wanted = np.argsort(-(vectors @ query), kind="stable")[:NEAREST]
            if [hit.id for hit in hits] != [names[row] for row in wanted]:
                raise SystemExit("the search is not exact")
    wall, busy = np.median(times, axis=0)
    found = {"queries": QUERIES, "median_ms": round(1000 * wall, 1), "median_cpu_ms": round(1000 * busy, 1)}
    found |= {"slowest_ms": round(1000 * max(times)[0], 1), "writing_s": round(built, 1), "exact": True}
    found["within"] = bool(wall <= WANTED)
    keep("search", f"{rows} x {dimensions}, {NEAREST} best, one core", found)


if __name__ == "__main__":
    with threadpool_limits(1):
        measure(*(int(word) for word in (sys.argv[1:] or ("100000", "384"))))
