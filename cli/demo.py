"""The demo: every verb once, on data that ships with the package."""

from collections.abc import Iterator
from pathlib import Path

from horngate import pipelines
from horngate.cli.output import findings_table, report_tables, show
from horngate.pipelines.spec.recipe import merged
from horngate.pipelines.vision import Classify


def shown_verbs(output: str) -> Iterator[str]:
    """Run check, train, evaluate and predict on `sample:digits` below `output`; yield lines for people."""
    folder = Path(output)
    card = merged(Classify, "digits", flags={"output": str(folder / "runs")})
    yield "1. check: 1,797 real handwritten digits (horngate vision classify check sample:digits)"
    show(findings_table(pipelines.check(card)))
    yield "2. train: a small network from random weights — no pretrained ones are involved"
    yield "   (horngate vision classify train --recipe digits)"
    run = pipelines.train(card)
    yield "3. evaluate on rows that the training never saw (horngate evaluate RUN)"
    show(*report_tables(pipelines.evaluate(run).plain()))
    pictures, answers = folder / "pictures", folder / "answers.csv"
    _draw_pictures(pictures)
    yield "4. predict a folder of 40 pictures and one file that is none (horngate predict RUN pictures -o answers.csv)"
    done = pipelines.predict(run, [str(pictures)], answers, overwrite=True)
    yield from (f"   {line}" for line in answers.read_text("utf-8").splitlines()[:4])
    yield f"   … {done.rows} rows, {done.errors} with an error"
    yield ""
    yield f"run:      {run.folder}  (recipe, splits, model, history, evaluation)"
    yield f"report:   {run / 'evaluation/test/report.json'}"
    yield f"pictures: {pictures}"
    yield f"answers:  {answers}"
    yield "next:     horngate vision classify train --data YOUR_FOLDER --backbone mobilenet_v2 --weights FILE"
    yield f"look at:  {(run / 'evaluation/test/report.html').resolve()}"


def _draw_pictures(folder: Path) -> None:
    """Write some digits as PNG files, and one file that only pretends to be one."""
    from horngate.pipelines.data.samples import sample

    folder.mkdir(parents=True, exist_ok=True)
    (table,) = sample("digits")
    for row in range(0, table.num_rows, table.num_rows // 39):
        name = f"{table['id'][row].as_py()}-is-{table['target'][row].as_py()}.png"
        (folder / name).write_bytes(table["value"][row].as_py())
    (folder / "not-a-picture.png").write_text("this is a text file\n", "utf-8")
