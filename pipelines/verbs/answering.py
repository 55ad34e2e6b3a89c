"""From rows to a table of answers: the one way for prediction, evaluation and training alike."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.reading import content, in_order
from horngate.pipelines.data.sources.loader import CORE
from horngate.pipelines.export.race import Track, Verdict, counted, sampled
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.tasks.base import Pipeline, tensors_of
from horngate.pipelines.tasks.row_by_row import RowByRow

TRUTH = ("target", "group", "split")


def answered(pipeline: Pipeline, blocks: Iterable[pa.Table], labelled: bool) -> Iterator[pa.Table]:
    """Yield one table of answers per block of rows, in order: `id`, the answers, `error`, then the kept columns.

    Rows are read in threads ahead of the model, across the borders of blocks. A row that can't be read has nulls for
    answers and its reason as `error`.

    Args:
        labelled: whether `target`, `group` and `split` follow.
    """
    pipeline.begin(labelled)
    if isinstance(pipeline, RowByRow):
        said = _row_by_row(pipeline, blocks)
    else:
        said = ((block, *pipeline.said(block, labelled)) for block in blocks)
    yield from (_table(pipeline, *one, labelled) for one in said)


def _row_by_row(pipeline: RowByRow, blocks: Iterable[pa.Table]) -> Iterator[tuple]:
    """Yield each block with what was said of its rows, as `BlockByBlock.said` tells it."""
    waiting: deque[pa.Table] = deque()

    def rows() -> Iterator[tuple]:
        for block in blocks:
            waiting.append(block)
            yield from zip(*(block[name].to_pylist() for name in ("input", "value", "error")), strict=True)

    def read(row: tuple) -> np.ndarray:
        return pipeline.read(content(*row))

    stream = in_order(read, rows(), ahead=4 * pipeline.batch_size)
    for first in stream:
        block = waiting.popleft()
        yield block, *_answers(pipeline, block, chain([first], islice(stream, block.num_rows - 1)))


def with_runtime(
    pipeline: Pipeline, run: Run, blocks: Iterable[pa.Table], wish: str | None
) -> tuple[Iterator, Verdict]:
    """Choose what computes the answers of all blocks; return the blocks again, and the verdict.

    Without a wish it is the card's, `auto` where the card has none.

    Raises:
        UserError: `wish` is `litert`, which can't be had or doesn't answer the same.
    """
    wish = wish or getattr(pipeline.card, "runtime", "auto")
    if not isinstance(pipeline, RowByRow):
        if wish == "litert":
            raise UserError("this task's answers are put together through TensorFlow; leave --runtime litert out")
        return iter(blocks), Verdict("tensorflow")
    rows, first, blocks = counted(blocks)
    track = Track(run.folder, "answers", pipeline.core, pipeline.batch_size, wish)
    pipeline.runtime, verdict = track.choose(rows, lambda: sampled(pipeline, first))
    return blocks, verdict


def _answers(pipeline: RowByRow, block: pa.Table, tensors: Iterator) -> tuple:
    """Return what `BlockByBlock.said` returns, from the tensors of a block's rows."""
    outputs, computed, errors = [], [], [None] * block.num_rows
    for batch in _batches(pipeline, _each(tensors)):
        for (place, _), tensor in batch:
            if isinstance(tensor, Unreadable):
                errors[place] = str(tensor)
        outputs.append(_forward(pipeline, [tensor for _, tensor in batch]))
        good = [(key, tensor) for key, tensor in batch if errors[key[0]] is None]
        computed += good if pipeline.parted else [(key, None) for key, _ in good]  # whole pictures would fill memory
    together, places = _by_row(pipeline, [part for part in outputs if part is not None], computed)
    rows = None if together is None else pipeline.answered(block.take(pa.array(places)), together)
    return rows, places, errors


def _table(
    pipeline: Pipeline,
    block: pa.Table,
    rows: dict[str, list] | None,
    places: list[int],
    errors: list[str | None],
    labelled: bool,
) -> pa.Table:
    """Return a block's table of answers; the arguments are those of `_columns`."""
    said = _columns(pipeline, rows, places, errors, labelled)
    own = pipeline.answer_schema().names
    left = ("mask",) if pipeline.card.private else ()  # it is a path
    kept = [name for name in block.column_names if name not in (*CORE, *pipeline.carried, *own, *left)]
    said |= {name: _carried(block, name) for name in pipeline.carried}
    columns = {"id": block["id"]} | {name: said.pop(name) for name in own} | {"error": pa.array(errors, pa.string())}
    columns |= {name: block[name] for name in (TRUTH if labelled else ())} | said | {name: block[name] for name in kept}
    return pa.table(columns)


def _carried(block: pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
    return block[name] if name in block.column_names else pa.nulls(block.num_rows, pa.string())


def _each(rows: Iterator) -> Iterator[tuple]:
    """Yield ((place of the row, number in it), tensor) for each tensor of each row, or the reason why there is none."""
    for place, row in enumerate(rows):
        for number, tensor in enumerate(tensors_of(row)):
            yield (place, number), tensor


def _by_row(pipeline: RowByRow, outputs: list[np.ndarray], computed: list[tuple]) -> tuple[Sequence | None, list[int]]:
    """Return one output a row, and the row of each.

    Args:
        outputs: of each batch.
        computed: (key, tensor) of each output, in the same order; tensors only where rows are parted.
    """
    if not outputs:
        return None, []
    if not pipeline.parted:
        return np.concatenate(outputs), [place for (place, _), _ in computed]
    parts: dict[int, list[tuple]] = {}
    entries = zip(computed, (output for part in outputs for output in part), strict=True)
    for ((place, _), tensor), output in sorted(entries, key=lambda entry: entry[0][0]):
        parts.setdefault(place, []).append((output, tensor))
    return [pipeline.joined(*map(list, zip(*own, strict=True))) for own in parts.values()], list(parts)


def _batches(pipeline: RowByRow, tensors: Iterator[tuple]) -> Iterator[list[tuple]]:
    """Yield lists of (key, tensor): in turn, or of one size where tensors are uneven."""
    sized: dict[int, list] = {0: []}
    for place, tensor in tensors:
        uneven = pipeline.uneven and not isinstance(tensor, Unreadable)
        waiting = sized.setdefault(pipeline.size_of(tensor) if uneven else 0, [])
        waiting.append((place, tensor))
        if len(waiting) == pipeline.batch_size:
            yield waiting.copy()
            waiting.clear()
    yield from (waiting for waiting in sized.values() if waiting)


def _forward(pipeline: RowByRow, batch: list) -> np.ndarray | None:
    """Return outputs for the readable tensors of a batch; it is always filled up to whole steps and in the same places,

    so that an answer depends neither on its neighbours nor on where a job was cut.
    """
    tensors = [None if isinstance(tensor, Unreadable) else tensor for tensor in batch]
    good = [place for place, tensor in enumerate(tensors) if tensor is not None]
    if not good:
        return None
    return pipeline.forward(pipeline.stacked(tensors, -(-len(batch) // pipeline.step) * pipeline.step))[good]


def _columns(
    pipeline: Pipeline, rows: dict[str, list] | None, places: list[int], errors: list[str | None], labelled: bool
) -> dict[str, pa.Array]:
    """Return the answer columns in the order of the rows, with nulls where one couldn't be read.

    Args:
        rows: the columns of the rows that could be read; None where there are none.
        places: the place in the block of each of these.
        labelled: whether the columns for measuring are wanted too.
    """
    schema = [*pipeline.answer_schema(), *(pipeline.measured_schema() if labelled else ())]
    schema = [field for field in schema if field.name not in pipeline.carried]
    if rows is None:
        return {field.name: pa.nulls(len(errors), field.type) for field in schema}
    of_row = np.zeros(len(errors), np.int64)
    of_row[places] = np.arange(len(places))
    taken = pa.array(of_row, mask=np.array([error is not None for error in errors], bool))
    return {field.name: pa.array(rows[field.name], field.type).take(taken) for field in schema}
