"""From rows to a table of answers: the one way for prediction, evaluation and training alike."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice

import numpy as np
import pyarrow as pa

from horngate.pipelines.base import Pipeline
from horngate.pipelines.data.reading import content, in_order
from horngate.pipelines.data.sources import CORE
from horngate.pipelines.errors import Unreadable
from horngate.pipelines.run import Run
from horngate.pipelines.runtimes.race import Track, Verdict, counted, sampled

TRUTH = ("target", "group", "split")


def answered(pipeline: Pipeline, blocks: Iterable[pa.Table], labelled: bool) -> Iterator[pa.Table]:
    """Yield one table of answers per block of rows, in order: `id`, the answers, `error`, then the kept columns.

    Rows are read in threads ahead of the model, across the borders of blocks. A row that can't be read has nulls for
    answers and its reason as `error`.

    Args:
        labelled: whether `target`, `group` and `split` follow.
    """
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
        yield _answers(pipeline, block, chain([first], islice(stream, block.num_rows - 1)), labelled)


def with_runtime(
    pipeline: Pipeline, run: Run, blocks: Iterable[pa.Table], wish: str | None
) -> tuple[Iterator, Verdict]:
    """Choose what computes the answers of all blocks; return the blocks again, and the verdict.

    Without a wish it is the card's, `auto` where the card has none.

    Raises:
        UserError: `wish` is `litert`, which can't be had or doesn't answer the same.
    """
    wish = wish or getattr(pipeline.card, "runtime", "auto")
    rows, first, blocks = counted(blocks)
    track = Track(run.folder, "answers", pipeline.core, pipeline.batch_size, wish)
    pipeline.runtime, verdict = track.choose(rows, lambda: sampled(lambda row: pipeline.read(content(*row)), first))
    return blocks, verdict


def _answers(pipeline: Pipeline, block: pa.Table, tensors: Iterator, labelled: bool) -> pa.Table:
    outputs, errors = [], []
    while batch := list(islice(tensors, pipeline.batch_size)):
        errors += [str(tensor) if isinstance(tensor, Unreadable) else None for tensor in batch]
        outputs.append(_forward(pipeline, batch))
    good = np.array([error is None for error in errors], bool)
    answers = _columns(pipeline, [part for part in outputs if part is not None], good)
    kept = [name for name in block.column_names if name not in CORE]
    columns = {"id": block["id"]} | answers | {"error": pa.array(errors, pa.string())}
    columns |= {name: block[name] for name in (TRUTH if labelled else ())} | {name: block[name] for name in kept}
    return pa.table(columns)


def _forward(pipeline: Pipeline, batch: list) -> np.ndarray | None:
    """Return outputs for the readable tensors of a batch; it is always filled up to whole steps and in the same places,

    so that an answer depends neither on its neighbours nor on where a job was cut.
    """
    good = [place for place, tensor in enumerate(batch) if not isinstance(tensor, Unreadable)]
    if not good:
        return None
    if len(good) == len(batch) and len(batch) % pipeline.step == 0:
        return pipeline.forward(np.stack(batch))
    first = batch[good[0]]
    padded = np.zeros((-(-len(batch) // pipeline.step) * pipeline.step, *first.shape), first.dtype)
    for place in good:
        padded[place] = batch[place]
    return pipeline.forward(padded)[good]


def _columns(pipeline: Pipeline, outputs: list[np.ndarray], good: np.ndarray) -> dict[str, pa.Array]:
    """Return the answer columns with nulls where a row couldn't be read."""
    schema = pipeline.answer_schema()
    if not outputs:
        return {field.name: pa.nulls(len(good), field.type) for field in schema}
    rows = pipeline.rows(np.concatenate(outputs))
    places = pa.array(np.where(good, np.cumsum(good) - 1, 0), mask=~good)
    return {field.name: pa.array(rows[field.name], field.type).take(places) for field in schema}
