"""A searchable folder of texts and their embeddings: exact search, rows added and removed without building anew.

`index.json`, written last, says what counts: the blocks (`vectors-N.npy`, float32 of length 1, and `texts-N.parquet` with
`id` and `text`), the file of rows that were removed, and the graph, where one was wished for. A file that it doesn't name
was left by a killed process.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.nlp.similar import graph
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json, read_table, whole, write_json, write_table

FORMAT = 1
ROWS = 65_536  # of a block
SCANNED = 8192  # rows whose similarities are computed at once


@dataclass(frozen=True)
class Hit:
    """One text that was found, and the cosine of its embedding and the query's."""

    id: str
    text: str
    score: float


@dataclass(frozen=True)
class Index:
    """An index as `index.json` says it is.

    Attributes:
        model: fingerprint of the run that made the embeddings.
        run: where that run lay.
        dimensions: of an embedding.
        blocks: rows of each block, the removed ones among them.
        removed: name of the file of removed rows, or None.
        changes: how often the index was written.
        graph: file, bytes and rows (the removed ones among them) of the graph, or None.
    """

    folder: Path
    model: str
    run: str
    dimensions: int
    blocks: tuple[int, ...] = ()
    removed: str | None = None
    changes: int = 0
    graph: dict[str, Any] | None = None

    @classmethod
    def open(cls, folder: str | Path) -> "Index":
        """Open an index.

        Raises:
            UserError: none there, unfinished, damaged, or from a newer version.
        """
        folder = Path(folder)
        if not (folder / "index.json").is_file():
            raise UserError(f"{folder} is no index, or an unfinished one: it has no index.json")
        facts = read_json(folder / "index.json")
        try:
            if facts.pop("format") > FORMAT:
                raise UserError(f"{folder} was written by a newer horngate; update this one to open it")
            facts.pop("rows")
            return cls(folder, **facts | {"blocks": tuple(facts["blocks"])})
        except (KeyError, TypeError, AttributeError):
            raise UserError(f"{folder / 'index.json'} is damaged; build the index anew") from None

    def write(self) -> "Index":
        """Write `index.json`, from which moment on it counts, remove what it doesn't name, and return the index."""
        names = ("model", "run", "dimensions", "blocks", "removed", "changes", "graph")
        facts = {name: getattr(self, name) for name in names}
        write_json(self.folder / "index.json", {"format": FORMAT, "rows": self.rows} | facts)
        named = {self.removed, self.graph and self.graph["file"]}
        for path in (*self.folder.glob("removed-*.npy"), *self.folder.glob("graph-*.usearch")):
            if path.name not in named:
                path.unlink(missing_ok=True)
        return self

    @property
    def rows(self) -> int:
        """How many rows can be found."""
        return sum(self.blocks) - int(self.gone.sum())

    @cached_property
    def gone(self) -> np.ndarray:
        """bool `[all rows]`: which were removed."""
        if self.removed is None:
            return np.zeros(sum(self.blocks), bool)
        kept = _opened(self.folder / self.removed, (None,))
        return np.concatenate([kept, np.zeros(sum(self.blocks) - len(kept), bool)])

    @cached_property
    def ids(self) -> list[str]:
        """The ids of all rows, the removed ones among them."""
        return [name for block in range(len(self.blocks)) for name in self._texts(block)["id"].to_pylist()]

    def adding(self, batches: Iterable[tuple[list[str], list[str], np.ndarray]]) -> "Index":
        """Return the index with more rows, from batches of ids, texts and vectors float32 `[n, d]`; see `write`.

        Raises:
            UserError: an id that is there already, or stands twice.
        """
        known = {name for name, gone in zip(self.ids, self.gone, strict=True) if not gone}
        waiting, blocks = ([], [], []), list(self.blocks)
        for ids, texts, vectors in batches:
            for name in ids:
                if name in known:
                    raise UserError(
                        f'the id "{name}" is in the index already; --remove it first, or name an --id-column'
                    )
                known.add(name)
            for part, values in zip(waiting, (ids, texts, vectors), strict=True):
                part.extend(values)
            while len(waiting[0]) >= ROWS:
                blocks.append(self._keep(len(blocks), [part[:ROWS] for part in waiting]))
                waiting = tuple(part[ROWS:] for part in waiting)
        if waiting[0]:
            blocks.append(self._keep(len(blocks), waiting))
        return replace(self, blocks=tuple(blocks), changes=self.changes + 1)

    def removing(self, ids: Iterable[str]) -> "Index":
        """Return the index without some rows; see `write`.

        Raises:
            UserError: an id that isn't there.
        """
        wished, gone = set(ids), self.gone.copy()
        for row, name in enumerate(self.ids):
            if name in wished and not gone[row]:
                gone[row] = True
                wished.discard(name)
        if wished:
            raise UserError(f'no row "{min(wished)}" in {self.folder}; nothing was removed')
        name = f"removed-{self.changes + 1}.npy"
        _write_array(self.folder / name, gone)
        return replace(self, removed=name, changes=self.changes + 1)

    def graphed(self) -> "Index":
        """Return the index with a graph of all its rows; see `write`.

        Raises:
            UserError: the graph so far is damaged.
        """
        done, name = (self.graph or {}).get("rows", 0), f"graph-{self.changes:06d}.usearch"
        starts = np.cumsum((0, *self.blocks))
        added = ((int(starts[block]), self._vectors(block)) for block in range(len(self.blocks)))
        added = ((first, vectors) for first, vectors in added if first >= done)
        with whole(self.folder / name) as temporary:
            graph.write(temporary, self.dimensions, self._graph_file(), added, np.flatnonzero(self.gone))
        size = (self.folder / name).stat().st_size
        return replace(self, graph={"file": name, "bytes": size, "rows": int(starts[-1])})

    def _graph_file(self) -> Path | None:
        if self.graph is None:
            return None
        path = self.folder / self.graph["file"]
        if not path.is_file() or path.stat().st_size != self.graph["bytes"]:
            raise UserError(f"{path} is missing or damaged; search with --exact, or build the index anew")
        return path

    def likely(self, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what `nearest` returns, of those rows that the graph proposes."""
        rows = np.sort(graph.proposed(self._graph_file(), query, count))
        starts = np.cumsum((0, *self.blocks))
        blocks = np.searchsorted(starts, rows, "right") - 1
        scores = np.array(
            [self._vectors(block)[row - starts[block]] @ query for block, row in zip(blocks, rows, strict=True)]
        )
        order = np.lexsort((rows, -scores))[:count]
        return rows[order], scores[order]

    def nearest(self, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the nearest rows, the nearest first, and their cosines; exact.

        Args:
            query: float32 `[d]`, of length 1.
        """
        rows, scores, start = np.zeros(0, np.int64), np.zeros(0, np.float32), 0
        for block in range(len(self.blocks)):
            vectors = self._vectors(block)
            for first in range(0, len(vectors), SCANNED):
                part = vectors[first : first + SCANNED] @ query
                part[self.gone[start + first : start + first + len(part)]] = -np.inf
                best = np.argpartition(part, -count)[-count:] if len(part) > count else np.arange(len(part))
                rows, scores = np.concatenate([rows, start + first + best]), np.concatenate([scores, part[best]])
            start += len(vectors)
        order = np.lexsort((rows, -scores))[:count]
        order = order[np.isfinite(scores[order])]
        return rows[order], scores[order]

    def search(self, query: np.ndarray, count: int, exact: bool = True) -> list[Hit]:
        """Return the nearest texts, the nearest first; arguments as of `nearest`, and whether the graph is left alone."""
        rows, scores = self.nearest(query, count) if exact else self.likely(query, count)
        ends = np.cumsum((0, *self.blocks))
        found: list[Hit] = []
        for row, score in zip(rows, scores, strict=True):
            block = int(np.searchsorted(ends, row, "right")) - 1
            own = self._texts(block).slice(int(row - ends[block]), 1).to_pylist()[0]
            found.append(Hit(own["id"], own["text"], float(score)))
        return found

    def _keep(self, block: int, parts: Any) -> int:
        ids, texts, vectors = parts
        _write_array(self.folder / f"vectors-{block:06d}.npy", np.asarray(vectors, np.float32))
        table = pa.table({"id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.string())})
        write_table(self.folder / f"texts-{block:06d}.parquet", table)
        return len(ids)

    def _vectors(self, block: int) -> np.ndarray:
        return self._mapped[block]

    @cached_property
    def _mapped(self) -> list[np.ndarray]:
        names = (self.folder / f"vectors-{block:06d}.npy" for block in range(len(self.blocks)))
        return [
            np.asarray(_opened(path, (rows, self.dimensions))) for path, rows in zip(names, self.blocks, strict=True)
        ]

    def _texts(self, block: int) -> pa.Table:
        if block not in self._tables:
            self._tables[block] = read_table(self.folder / f"texts-{block:06d}.parquet")
        return self._tables[block]

    @cached_property
    def _tables(self) -> dict[int, pa.Table]:
        return {}


def _opened(path: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as problem:
        raise UserError(f"{path} can't be read ({problem}); build the index anew") from None
    if found.ndim != len(shape) or any(size not in (None, own) for size, own in zip(shape, found.shape, strict=True)):
        raise UserError(f"{path} doesn't belong to its index.json; build the index anew")
    return found


def _write_array(path: Path, array: np.ndarray) -> None:
    with whole(path) as temporary, temporary.open("wb") as out:
        np.save(out, array, allow_pickle=False)
