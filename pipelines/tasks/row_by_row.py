"""From rows to answers one by one: rows are read in threads ahead of the model, and batches are always of one size."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content, in_order
from horngate.pipelines.spec.errors import Unreadable
from horngate.pipelines.tasks.parts import Reader, Said, tensors_of

if TYPE_CHECKING:
    from horngate.pipelines.tasks.predictor import ModelPredictor


def row_by_row(
    reader: Reader, predictor: "ModelPredictor", blocks: Iterable[pa.Table], labelled: bool
) -> Iterator[Said]:
    """Yield what is said of each block of rows, in order; they are read ahead across the borders of blocks."""
    waiting: deque[pa.Table] = deque()

    def rows() -> Iterator[tuple]:
        for block in blocks:
            waiting.append(block)
            yield from zip(*(block[name].to_pylist() for name in ("input", "value", "error")), strict=True)

    def read(row: tuple) -> Any:
        return reader.read(content(*row))

    stream = in_order(read, rows(), ahead=4 * predictor.batch_size)
    for first in stream:
        block = waiting.popleft()
        yield _said(reader, predictor, block, chain([first], islice(stream, block.num_rows - 1)), labelled)


def _said(reader: Reader, predictor: "ModelPredictor", block: pa.Table, read: Iterator, labelled: bool) -> Said:
    """Return what is said of a block, from what was read of its rows: tensors, or the reason why there are none."""
    outputs, computed, errors = [], [], [None] * block.num_rows
    for batch in _batches(reader, predictor.batch_size, _each(read)):
        for (place, _, _), tensor in batch:
            if isinstance(tensor, Unreadable):
                errors[place] = str(tensor)
        outputs.append(_forward(reader, predictor, [tensor for _, tensor in batch]))
        # Tensors are needed again where a row has several; whole pictures would fill memory.
        computed += [(key, tensor if key[2] else None) for key, tensor in batch if errors[key[0]] is None]
    together, places = _by_row(predictor, [part for part in outputs if part is not None], computed)
    if together is None:
        return Said(block, None, [], errors)
    return Said(block, predictor.answers(block.take(pa.array(places)), together, labelled), places, errors)


def _each(rows: Iterator) -> Iterator[tuple]:
    """Yield ((place of the row, number in it, whether it has several), tensor) for each tensor, or why there is none."""
    for place, row in enumerate(rows):
        for number, tensor in enumerate(tensors_of(row)):
            yield (place, number, isinstance(row, tuple)), tensor


def _batches(reader: Reader, size: int, tensors: Iterator[tuple]) -> Iterator[list[tuple]]:
    """Yield lists of (key, tensor): in turn, or of one length where tensors are uneven."""
    sized: dict[int, list] = {0: []}
    for key, tensor in tensors:
        uneven = reader.size_of is not None and not isinstance(tensor, Unreadable)
        waiting = sized.setdefault(reader.size_of(tensor) if uneven else 0, [])
        waiting.append((key, tensor))
        if len(waiting) == size:
            yield waiting.copy()
            waiting.clear()
    yield from (waiting for waiting in sized.values() if waiting)


def _forward(reader: Reader, predictor: "ModelPredictor", batch: list) -> np.ndarray | None:
    """Return outputs for the readable tensors of a batch; it is always filled up to whole steps and in the same places,

    so that an answer depends neither on its neighbours nor on where a job was cut.
    """
    tensors = [None if isinstance(tensor, Unreadable) else tensor for tensor in batch]
    good = [place for place, tensor in enumerate(tensors) if tensor is not None]
    if not good:
        return None
    step = predictor.step
    return predictor.forward(reader.collate(tensors, -(-len(batch) // step) * step))[good]


def _by_row(
    predictor: "ModelPredictor", outputs: list[np.ndarray], computed: list[tuple]
) -> tuple[Sequence | None, list[int]]:
    """Return one output a row, and the row of each.

    Args:
        outputs: of each batch.
        computed: (key, tensor) of each output, in the same order; tensors only of rows that have several.
    """
    if not outputs:
        return None, []
    if not any(several for (_, _, several), _ in computed):
        return np.concatenate(outputs), [place for (place, _, _), _ in computed]
    parts: dict[int, list[tuple]] = {}
    entries = zip(computed, (output for part in outputs for output in part), strict=True)
    for ((place, _, _), tensor), output in sorted(entries, key=lambda entry: entry[0][0]):
        parts.setdefault(place, []).append((output, tensor))
    return [predictor.join(*map(list, zip(*own, strict=True))) for own in parts.values()], list(parts)
