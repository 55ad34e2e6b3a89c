"""From rows to a table of answers: the one way for prediction, evaluation and training alike."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from horngate.pipelines.data.sources.blocks import CORE
from horngate.pipelines.runs.run import Run
from horngate.pipelines.runtimes.race import Track, Verdict, counted, sampled
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.tasks.parts import AnswerColumn, Said
from horngate.pipelines.tasks.task import Task

TRUTH = ("target", "group", "split")


def answered(task: Task, blocks: Iterable[pa.Table], labelled: bool) -> Iterator[pa.Table]:
    """Yield one table of answers per block of rows, in order: `id`, the answers, `error`, then the kept columns.

    Rows are read in threads ahead of the model, across the borders of blocks. A row that can't be read has nulls for
    answers and its reason as `error`.

    Args:
        labelled: whether `target`, `group` and `split` follow.
    """
    columns = task.predictor.columns()
    for said in task.predictor.predict(blocks, labelled):
        yield _table(task, columns, said, labelled)


def with_runtime(task: Task, run: Run, blocks: Iterable[pa.Table], wish: str | None) -> tuple[Task, Iterator, Verdict]:
    """Choose what computes the answers of all blocks; return the task computing with it, the blocks, and the verdict.

    Without a wish it is the card's, `auto` where the card has none.

    Raises:
        UserError: `wish` is `litert`, which can't be had or doesn't answer the same.
    """
    wish = wish or getattr(task.card, "runtime", "auto")
    if not task.predictor.raced:
        if wish == "litert":
            raise UserError("this task's answers are put together through TensorFlow; leave --runtime litert out")
        return task, iter(blocks), Verdict("tensorflow")
    rows, first, blocks = counted(blocks)
    track = Track(run.folder, "answers", task.predictor.core, task.predictor.batch_size, wish)
    runtime, verdict = track.choose(rows, lambda: sampled(task.reader, first))
    return task.computing_with(runtime), blocks, verdict


def _table(task: Task, columns: tuple[AnswerColumn, ...], said: Said, labelled: bool) -> pa.Table:
    """Return a block's table of answers."""
    block = said.block
    own = [column.name for column in columns if column.predicted]
    carried = [column.name for column in columns if column.role == "carried"]
    written = _columns([column for column in columns if column.name not in carried], said, labelled)
    left = ("mask",) if task.card.rows.private else ()  # it is a path
    kept = [name for name in block.column_names if name not in (*CORE, *own, *left)]
    written |= {name: _carried(block, name) for name in carried}
    table = {"id": block["id"]} | {name: written.pop(name) for name in own}
    table["error"] = pa.array(said.errors, pa.string())
    table |= (
        {name: block[name] for name in (TRUTH if labelled else ())} | written | {name: block[name] for name in kept}
    )
    return pa.table(table)


def _carried(block: pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
    return block[name] if name in block.column_names else pa.nulls(block.num_rows, pa.string())


def _columns(columns: list[AnswerColumn], said: Said, labelled: bool) -> dict[str, pa.Array]:
    """Return the answer columns in the order of the rows, with nulls where one couldn't be read.

    Args:
        labelled: whether the columns that are measured are wanted too.
    """
    wanted = [column for column in columns if labelled or column.role == "answer"]
    if said.columns is None:
        return {column.name: pa.nulls(len(said.errors), column.type) for column in wanted}
    of_row = np.zeros(len(said.errors), np.int64)
    of_row[said.places] = np.arange(len(said.places))
    taken = pa.array(of_row, mask=np.array([error is not None for error in said.errors], bool))
    return {column.name: pa.array(said.columns[column.name], column.type).take(taken) for column in wanted}
