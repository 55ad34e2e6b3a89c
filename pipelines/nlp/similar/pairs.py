"""Rows that are one text or two: how they are read, and how they are learnt from and embedded."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.metrics.similarity import found
from horngate.pipelines.nlp.text.texts import inspected, texts_of
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.system import progress
from horngate.pipelines.tasks.parts import Reader
from horngate.pipelines.tasks.task import Task
from horngate.pipelines.training.rows import read_rows


def float_of(text: str) -> float | None:
    """Return the finite number that a text says, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Facts:
    """What was seen of a pair: both texts, both with a blank between, and what was converted."""

    first: str
    second: str
    text: str
    converted: tuple[str, ...]
    thumbnail: None = None


def one_or_two(data: bytes, encoding: str) -> tuple[str, str | None]:
    """Return the texts of a row: two where it is a JSON list of two texts, as tables with a second column give it.

    Raises:
        Unreadable: as `texts_of`.
    """
    text, _ = texts_of(data, False, encoding)
    return texts_of(data, True, encoding) if _is_pair(text) else (text, None)


def _is_pair(text: str) -> bool:
    if not text.startswith("["):
        return False
    try:
        parts = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(parts, list) and len(parts) == 2 and all(isinstance(part, str) for part in parts)


def inspected_pair(data: bytes, encoding: str) -> Facts:
    """Return what `check` wants to know of a pair.

    Raises:
        Unreadable: as `texts_of`, or a row of one text.
    """
    first, second = one_or_two(data, encoding)
    if second is None:
        raise Unreadable("no second text: learning and measuring take pairs, from a table; name --pair-column")
    seen = inspected(data, True, encoding)
    return Facts(first, second, seen.text, seen.converted)


class TokenisedPairs:
    """Pairs to learn from, tokenised once and kept; a batch holds both texts of each, filled up to one length.

    Args:
        reader: says how a row is read, and how token ids become a batch.
        table: rows in the schema of the sources, all of them pairs that could be read before.
        targets: float32 `[n, k]`.

    Attributes:
        firsts, seconds: token ids int32 `[length]` of each text.
        lengths: int64 `[n]`, of the longer text of each pair.
    """

    def __init__(self, reader: Reader, table: pa.Table, targets: np.ndarray):
        self.reader, self.targets, self.count = reader, targets, table.num_rows
        read = list(read_rows(reader.read, table))
        self.firsts, self.seconds = ([tensors[side] for tensors in read] for side in (0, 1))
        self.lengths = np.array([max(map(len, tensors)) for tensors in read], np.int64)

    def batch(self, rows: np.ndarray, epoch: int | None) -> tuple:
        """Return token ids int32 `[n, length, 2]`, targets and None; pairs have no random views."""
        both = [self.firsts[row] for row in rows] + [self.seconds[row] for row in rows]
        ids = self.reader.collate(both)
        return np.stack(np.split(ids, 2), axis=-1), self.targets[rows], None


def embedded(task: Task, tensors: list[np.ndarray], label: str) -> np.ndarray:
    """Return float32 `[n, d]`: the embeddings of token ids, in batches of about one length, in the order given."""
    model, size = task.predictor.core, task.predictor.batch_size
    order = np.argsort([len(tensor) for tensor in tensors], kind="stable")
    out = np.zeros((len(tensors), model.output_shape[-1]), np.float32)
    with progress.job(label, len(tensors)) as done:
        for start in range(0, len(order), size):
            if progress.stop.is_set():
                raise KeyboardInterrupt
            rows = order[start : start + size]
            batch = task.reader.collate([tensors[row] for row in rows], size)
            out[rows] = np.asarray(model.predict_on_batch(batch))[: len(rows)]
            done(len(rows))
    return out


def numbered(texts: list[str]) -> np.ndarray:
    """Return float32 `[n]`; equal texts have equal numbers."""
    places: dict[str, int] = {}
    return np.array([places.setdefault(text, len(places)) for text in texts], np.float32)


def similarities(first: Any, second: Any, scored: bool) -> np.ndarray:
    """Return float64 `[n, 3]`: similarity of each pair, and where pairs have no scores, the places that `found` says."""
    product = first.multiply(second) if hasattr(first, "multiply") else first * second
    outputs = np.full((first.shape[0], 3), np.nan)
    outputs[:, 0] = np.asarray(product.sum(1)).ravel()
    if not scored and len(outputs):
        outputs[:, 1], outputs[:, 2] = found(first, second)
    return outputs
