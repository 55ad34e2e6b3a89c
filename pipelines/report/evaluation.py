"""What one evaluation made, for those who write it down."""

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.tasks.task import Task


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation made.

    Attributes:
        task: the opened task.
        run: the run that was evaluated.
        summary: what its `run.json` says or will say.
        table: the listed rows.
        answers: the table of answers to them.
        report: what they measured.
        command: the words that repeat this evaluation.
        source: the data it was made on.
    """

    task: Task
    run: Run
    summary: dict[str, Any]
    table: pa.Table
    answers: pa.Table
    report: Report
    command: list[str] = field(default_factory=list)
    source: str = ""
