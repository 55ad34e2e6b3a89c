"""evaluate: predict on labelled rows, then measure the table of answers."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa

from horngate.pipelines.report.evaluation import Evaluation
from horngate.pipelines.runs.report import Report
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import device, progress
from horngate.pipelines.system.files import only_writer, read_json, write_table, write_text
from horngate.pipelines.tasks.task import task_of
from horngate.pipelines.verbs.answering import answered, with_runtime
from horngate.pipelines.verbs.drift import note_drift
from horngate.pipelines.verbs.scores import measured


def evaluate(
    run: str | os.PathLike,
    split: str | None = None,
    data: str | None = None,
    name: str | None = None,
    by: tuple[str, ...] | None = None,
    output: str | os.PathLike | None = None,
    runtime: str | None = None,
    **options,
) -> Report:
    """Evaluate a run on one of its splits, or on other labelled data, and write answers, report and page.

    Args:
        run: the run or its folder.
        split: `train`, `validation` or `test` (the default without `data`).
        data: another source; all its rows, or those of `split`.
        name: of the evaluation of `data`; default: the source's own name.
        by: columns to slice by; default: kept columns with 2 to 20 values.
        output: where to write instead of `<run>/evaluation/<split or name>`.
        runtime: `auto`, `tensorflow` or `litert`; default: as the run was trained with.
        options: the task's own, such as `sensitivity`, `conformal`, `grad_cam`.

    Raises:
        UserError: no such rows, or the data is not there any more.
    """
    run = Run.open(run)
    device.set_up(run.card.device, run.card.precision, run.card.seed)
    task, adjusted = task_of(run.card).opened(run).configured(run, options)
    if data is None:
        split = split or "test"
        table, leaking, same = task.rows.own_rows(run, split)
        where, beside = split, {title: scores[split] for title, scores in _references(run).items() if split in scores}
    else:
        table, leaking, same, beside = task.rows.other_rows(data, split), None, None, {}
        where = name or Path(data.replace(":", "-")).stem
        if where in ("train", "validation", "test"):
            raise UserError(f'an evaluation of other data can\'t be named "{where}"; give it a --name')
    beside = {} if "candidates" in adjusted else beside  # rivals were ranked among all
    folder = Path(output) if output is not None else run.inside("evaluation", _plain_name(where))
    blocks = (table.slice(start, 1024) for start in range(0, table.num_rows, 1024))
    task, blocks, verdict = with_runtime(task, run, blocks, runtime)
    blocks = answered(task, blocks, labelled=True)
    answers = pa.concat_tables(_counted(blocks, table.num_rows))
    if answers.num_rows != table.num_rows:
        raise RuntimeError(f"{table.num_rows} rows were listed. Received answers for {answers.num_rows}")
    protocol = run.summary["protocol"] | adjusted | {"runtime": verdict.plain()}
    report = measured(task, answers, run.folder.name, where, protocol, by, beside, leaking)
    if data is not None or split == "test":
        note_drift(report, task, run, table, same)
    given = {"split": split, "data": data, "name": name, "by": by, "output": output, "runtime": runtime} | options
    made = Evaluation(task, run, run.summary, table, answers, report, _command(run, given), data or run.card.data)
    with only_writer(folder, "writing the evaluation in"):
        write_evaluation(folder, made, options)
    return report


def _command(run: Run, given: dict[str, Any]) -> list[str]:
    """Return the words that repeat an evaluation."""
    words = ["horngate", "evaluate", str(run.folder)]
    for name, value in given.items():
        flag = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            for part in value if isinstance(value, tuple | list) else (value,):
                words += [flag, str(part)]
    return words


def _counted(blocks, total: int):
    with progress.job("evaluating", total) as done:
        for block in blocks:
            if progress.stop.is_set():
                raise KeyboardInterrupt
            yield block
            done(block.num_rows)


def _references(run: Run) -> dict:
    path = run / "references.json"
    return read_json(path) if path.is_file() else {}


def _plain_name(text: str) -> str:
    """Return a name that stays in its folder."""
    plain = "".join(sign if sign.isalnum() or sign in "-_. " else "_" for sign in text).strip(". ")
    if not plain:
        raise UserError(f'"{text}" can\'t name an evaluation; give it a --name of letters and digits')
    return plain


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
