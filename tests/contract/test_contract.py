"""The promises that every task of every domain keeps. A new task inherits these tests by existing."""

import csv
import json
import math
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import run_here

from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.card import task_name
from horngate.pipelines.spec.discovery import card_class, domains
from horngate.pipelines.spec.recipe import merged, read_card, to_yaml
from horngate.pipelines.system.files import read_table
from horngate.pipelines.tasks.task import task_of

TASKS = [(domain, task) for domain, cards in domains().items() for task in cards]
HEAVY = (
    "tensorflow",
    "keras",
    "keras_hub",
    "keras_rs",
    "numpy",
    "pyarrow",
    "tensorflow_datasets",
    "sklearn",
    "PIL",
    "rich",
    "jinja2",
    "matplotlib",
)
TENSORFLOW = ("--runtime", "tensorflow")  # two races may end differently, and their answers differ in the last bits
every_task = pytest.mark.parametrize(("domain", "task"), TASKS, ids=[" ".join(names) for names in TASKS])


def inputs_of(run: Run) -> list[str]:
    """Return inputs that `predict` can take: the sample the run learnt from."""
    return [run.card.data]


@pytest.fixture(scope="session")
def predicted(tiny_runs, tmp_path_factory):
    """A function that predicts the rows that a task's run learnt from, once, and returns the Parquet file of answers."""
    made = {}

    def answers(domain: str, task: str, *words: str):
        if (domain, task, *words) not in made:
            run, path = tiny_runs(domain, task), tmp_path_factory.mktemp("answers") / "all.parquet"
            code, out, err = run_here("predict", run.folder, *inputs_of(run), *words, "-o", path)
            assert (code, out.strip()) == (0, str(path)), err
            made[domain, task, *words] = path
        return made[domain, task, *words]

    return answers


@every_task
def test_help_needs_nothing_heavy(domain, task):
    verbs = ("", "check", "train", "evaluate", "predict", "export")
    pages = [["horngate", domain, task, *([verb] if verb else []), "--help"] for verb in verbs]
    code = f"""
import sys
from horngate.cli.main import main
for words in {pages!r}:
    sys.argv = words
    try:
        main()
    except SystemExit as wish:
        assert not wish.code
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.__stderr__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.strip().endswith("[]")
    assert done.stdout.count("Usage: horngate") == len(pages)


@every_task
def test_the_card_is_light_and_documented(domain, task):
    from dataclasses import fields

    card = card_class(domain, task)
    assert task_name(card) == (domain, task)
    assert card.__doc__ and not card.__doc__.startswith(f"{card.__name__}(")
    assert card.metrics and card.rows.roles and "tiny" in card.recipes
    assert all(spec.metadata["help"].endswith(".") for spec in fields(card))


@every_task
def test_a_dry_run_prints_yaml_that_reads_back_to_an_equal_card(domain, task, cli, tmp_path):
    code, out, _ = cli(domain, task, "train", "--recipe", "tiny", "--seed", "7", "--dry-run")
    path = tmp_path / "recipe.yaml"
    path.write_text(out)
    card = merged(card_class(domain, task), "tiny", flags={"seed": 7})
    assert code == 0
    assert read_card(path) == card == merged(card_class(domain, task), config=path)
    assert to_yaml(card) == out


@every_task
def test_an_unknown_knob_names_the_nearest(domain, task, cli, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("sede: 3\n")
    code, out, err = cli(domain, task, "train", "-c", path, "--dry-run")
    assert (code, out) == (1, "")
    assert 'unknown knob "sede"' in err and '"seed"' in err
    code, _, err = cli(domain, task, "train", "--sede", "3")
    assert code == 2 and "--seed" in err


@every_task
def test_a_run_folder_explains_itself(domain, task, tiny_runs):
    run = tiny_runs(domain, task)
    names = {path.name for path in run.folder.iterdir()}
    wanted = {"recipe.yaml", "splits.parquet", "quarantine.csv", "model.keras", "history.csv", "references.json"}
    assert wanted | {"environment.json", "schema.json", "evaluation", "run.json"} <= names
    assert {"answers.parquet", "report.json", "report.html"} <= {
        path.name for path in (run / "evaluation/test").iterdir()
    }
    summary = json.loads((run / "run.json").read_text())
    assert (summary["format"], summary["domain"], summary["task"]) == (1, domain, task)
    assert run.card == merged(
        card_class(domain, task), "tiny", flags={"output": run.card.output, "data": run.card.data}
    )
    environment = json.loads((run / "environment.json").read_text())
    assert environment["packages"]["keras"] and environment["seed"] == 0 and environment["device"]


@every_task
def test_every_score_has_its_neighbours(domain, task, tiny_runs):
    run = tiny_runs(domain, task)
    report = json.loads((run / "evaluation/test/report.json").read_text())
    keys = {
        "format",
        "domain",
        "task",
        "run",
        "split",
        "rows",
        "groups",
        "quarantined",
        "metrics",
        "references",
        "slices",
    }
    assert keys | {"protocol"} <= report.keys()
    assert report["rows"] == (run.splits["split"].to_pylist()).count("test")
    assert next(iter(report["metrics"])) in card_class(domain, task).metrics
    for score in report["metrics"].values():
        if score["value"] is None:
            assert score["reason"]
            continue
        assert score["low"] <= score["value"] <= score["high"]
        assert math.isfinite(score["baseline"])
    assert "bootstrap" in report["protocol"]["interval"]


@every_task
def test_evaluate_repeats_what_training_measured(domain, task, tiny_runs, cli, tmp_path):
    run = tiny_runs(domain, task)
    code, out, _ = cli("evaluate", run.folder, "--json", "-o", tmp_path / "again")
    again, before = json.loads(out), json.loads((run / "evaluation/test/report.json").read_text())
    columns = task_of(run.card).opened(run).predictor.columns()
    timed = {"real_time_factor"} | {column.name for column in columns if column.timed}  # a metric of such columns
    metrics = [
        {name: score for name, score in part["metrics"].items() if name not in timed} for part in (again, before)
    ]
    folders = (tmp_path / "again", run / "evaluation/test")
    tables = [read_table(folder / "answers.parquet") for folder in folders]
    tables = [table.select([name for name in table.column_names if name not in timed]) for table in tables]
    assert code == 0
    assert again["metrics"].keys() == before["metrics"].keys() and metrics[0] and metrics[0] == metrics[1]
    assert tables[0].equals(tables[1])


@every_task
def test_prediction_and_evaluation_give_the_same_answers(domain, task, tiny_runs, predicted):
    run = tiny_runs(domain, task)
    answers = pq.read_table(predicted(domain, task, *TENSORFLOW))
    measured = read_table(run / "evaluation/test/answers.parquet")
    by_id = {row["id"]: row for row in answers.to_pylist()}
    names = pipeline_answers(run)
    assert answers.column_names[: len(names) + 2] == ["id", *names, "error"]
    for row in measured.to_pylist():
        assert {name: row[name] for name in names} == {name: by_id[row["id"]][name] for name in names}


def pipeline_answers(run: Run) -> list[str]:
    return [column.name for column in task_of(run.card).opened(run).predictor.columns() if column.predicted]


@every_task
def test_three_formats_hold_the_same_rows_in_order(domain, task, tiny_runs, predicted, cli, tmp_path):
    run = tiny_runs(domain, task)
    for suffix in ("jsonl", "csv"):
        assert cli("predict", run.folder, *inputs_of(run), *TENSORFLOW, "-o", tmp_path / f"out.{suffix}")[0] == 0
    rows = pq.read_table(predicted(domain, task, *TENSORFLOW)).to_pylist()
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    with (tmp_path / "out.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert rows == lines
    assert [row["id"] for row in rows] == [row["id"] for row in cells]
    assert not list(tmp_path.glob("*.parts"))
    manifest = json.loads((tmp_path / "out.csv.manifest.json").read_text())
    assert (manifest["rows"], manifest["errors"]) == (len(rows), 0)
    code, out, _ = cli("predict", run.folder, *inputs_of(run), *TENSORFLOW, "-o", "-")
    assert code == 0 and [json.loads(line) for line in out.splitlines()] == rows


@every_task
def test_a_moved_run_answers_the_same_in_another_process(domain, task, tiny_runs, predicted, elsewhere, tmp_path):
    run = tiny_runs(domain, task)
    moved = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(run.folder, moved)
    code, out, err = elsewhere(tmp_path, "predict", moved, *inputs_of(run), "-o", tmp_path / "moved.parquet")
    assert (code, out) == (0, f"{tmp_path / 'moved.parquet'}\n"), err
    assert (tmp_path / "moved.parquet").read_bytes() == predicted(domain, task).read_bytes()


@every_task
def test_a_row_that_cannot_be_read_is_an_error_row_in_its_place(domain, task, tiny_runs, cli, tmp_path):
    run = tiny_runs(domain, task)
    code, out, err = cli("predict", run.folder, tmp_path / "is-not-there.png", "-o", "-")
    (row,) = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and row["error"] == "missing" and "1 of 1" in err
    assert all(row[name] is None for name in pipeline_answers(run))
    code, _, err = cli(
        "predict", run.folder, tmp_path / "is-not-there.png", "-o", tmp_path / "o.jsonl", "--max-errors", "0.5"
    )
    assert code == 1 and "--max-errors" in err and (tmp_path / "o.jsonl").exists()


@every_task
@pytest.mark.parametrize("kind", ["saved_model", "onnx", "litert"])
def test_an_export_answers_as_its_run_or_says_why_there_is_none(
    domain, task, kind, tiny_runs, predicted, cli, tmp_path
):
    run = tiny_runs(domain, task)
    code, out, err = cli("export", run.folder, "--format", kind, "-o", tmp_path / "bundle")
    if code == 1:
        assert task_of(run.card).unexportable in err and len(err.strip().splitlines()) == 1
        return
    assert code == 0 and out.strip() == str(tmp_path / "bundle"), err
    code, out, err = cli(domain, task, "predict", tmp_path / "bundle", *inputs_of(run), "-o", tmp_path / "a.parquet")
    assert code == 0, err
    ours, theirs = (read_table(path) for path in (tmp_path / "a.parquet", predicted(domain, task)))
    assert ours.schema == theirs.schema and ours["id"] == theirs["id"] and ours["error"] == theirs["error"]


@every_task
def test_check_reports_json(domain, task, cli):
    code, out, _ = cli(domain, task, "check", card_class(domain, task).recipes["tiny"]["data"], "--json")
    seen = json.loads(out)
    assert code == 0 and seen["listed"] == seen["usable"] + len(seen["quarantined"])
    assert {"grade", "code", "message", "rows", "ids"} <= seen["findings"][0].keys() if seen["findings"] else True


@every_task
def test_resuming_a_finished_run_prints_its_folder(domain, task, tiny_runs, cli):
    run = tiny_runs(domain, task)
    assert cli(domain, task, "train", "--resume", run.folder)[:2] == (0, f"{run.folder}\n")


@every_task
def test_data_is_asked_for_in_one_line(domain, task, cli, tmp_path):
    code, out, err = cli(domain, task, "train", "-o", tmp_path, "--seed", "1")
    assert (code, out) == (1, "") and "--data" in err and len(err.strip().splitlines()) == 1
    code, _, err = cli(domain, task, "train", "--data", tmp_path / "nowhere", "-o", tmp_path)
    assert code == 1 and "doesn't exist" in err


def test_a_run_of_another_task_prints_the_right_command(cli, tmp_path):
    (tmp_path / "recipe.yaml").write_text("domain: astrology\ntask: predict\n")
    code, _, err = cli("evaluate", tmp_path)
    assert code == 1 and 'no domain "astrology"' in err


def test_a_newer_run_is_refused_in_one_line(tiny_runs, cli, tmp_path):
    run = tiny_runs(*TASKS[0])
    newer = tmp_path / "newer"
    shutil.copytree(run.folder, newer)
    (newer / "run.json").write_text(json.dumps(run.summary | {"format": 2}))
    code, _, err = cli("evaluate", newer)
    assert code == 1 and "newer horngate" in err


@every_task
def test_answers_are_arrow_of_plain_types(domain, task, tiny_runs):
    answers = read_table(tiny_runs(domain, task) / "evaluation/test/answers.parquet")
    assert not any(pa.types.is_dictionary(field.type) for field in answers.schema)
