"""What an evaluation leaves in its folder: answers, report, page. The one way for `evaluate` and `train` alike."""

from pathlib import Path
from typing import Any

from horngate.pipelines.report.evaluation import Evaluation
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import write_table, write_text


def write_evaluation(folder: Path, evaluation: Evaluation, options: dict[str, Any] | None = None) -> None:
    """Write `answers.parquet`, the pictures that `options` ask for, `report.json`, and last `report.html`.

    A page that can't be drawn is told and left out; the report is kept, and a page of an older report is removed.
    """
    page = folder / "report.html"
    page.unlink(missing_ok=True)
    write_table(folder / "answers.parquet", evaluation.answers)
    evaluation.task.display.files(evaluation.report, evaluation.table, folder, options or {})
    evaluation.report.write(folder / "report.json")
    try:
        from horngate.pipelines.report.contents import page_of

        write_text(page, page_of(evaluation))
    except Exception as problem:  # whatever a drawing library raises: the scores are worth more than their page
        progress.notice(f"{page} could not be drawn ({type(problem).__name__}: {problem}); report.json is whole")
