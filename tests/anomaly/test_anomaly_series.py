"""Anomalies in series: many files, gaps, streams, thresholds, and what is said of bad data."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from horngate.pipelines.data.samples.made_up_pumps import pump
from horngate.pipelines.system.files import read_table

pytestmark = pytest.mark.usefixtures("undrawn")

COLUMNS = ("flow", "pressure", "temperature")


def written(path, rows):
    """Write rows as CSV and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """A folder of two tables, each a series, and the run that learnt from it."""
    from horngate.pipelines import train
    from horngate.pipelines.anomaly import Series

    root = tmp_path_factory.mktemp("plant")
    for number in (1, 2):
        written(root / "data" / f"pump-{number}.csv", pump(number, 850))
    knobs = {"window": 16, "smooth": 4, "validation": 0.15, "test": 0.3, "detector": "linear"}
    return root / "data", train(Series(data=str(root / "data"), output=str(root / "runs"), **knobs))


@pytest.fixture
def said(plant, cli):
    """A function that predicts a table and returns its rows."""

    def predict(path):
        code, out, err = cli("predict", plant[1].folder, path, "-o", "-")
        assert code == 0, err
        return lines(out)

    return predict


def test_a_folder_of_tables_is_as_many_series_cut_by_time(plant):
    _, run = plant
    splits = run.splits.to_pylist()
    assert {row["group"] for row in splits} == {"pump-1.csv", "pump-2.csv"}
    assert splits[0]["id"] == "pump-1.csv: row 1"
    for name in ("pump-1.csv", "pump-2.csv"):
        sides = [row["split"] for row in splits if row["group"] == name]
        assert sides == sorted(sides, key=("train", "validation", "test").index)
        assert [sides.count(side) for side in ("train", "validation", "test")] == [467, 128, 255]
    assert run.summary["protocol"]["split_rule"] == "time-cut"


def test_rivals_on_the_same_rows_stand_beside_the_score(plant):
    report = json.loads((plant[1] / "evaluation/test/report.json").read_text())
    assert set(report["references"]) == {"isolation_forest", "windowed_pca"}
    rivals = [score["vus_pr"]["value"] for score in report["references"].values()]
    assert report["metrics"]["vus_pr"]["value"] > max(rivals) > report["metrics"]["vus_pr"]["baseline"]
    assert "blocks" in report["protocol"]["interval"] and report["groups"] == 2


def test_the_page_draws_signal_score_and_events(plant):
    folder = plant[1] / "evaluation/test"
    details, page = json.loads((folder / "report.json").read_text())["details"], (folder / "report.html").read_text()
    assert details["event_counts"]["found"] + details["event_counts"]["missed"] == len(details["events"]) == 4
    assert page.count("Signal and score of") == 2 and "labelled windows found" in page
    assert {row["begin"][:10] for row in details["events"]} == {"2024-01-02", "2024-01-03"}


def test_answers_name_the_time_and_the_columns(plant, said):
    rows = said(plant[0])
    assert len(rows) == 1700 and rows[0]["time"] == "2024-01-02 00:00:00" and rows[850]["id"] == "pump-2.csv: row 1"
    strange = max((row for row in rows if row["anomalous"]), key=lambda row: row["score"])
    assert {reason["column"] for reason in strange["reasons"]} <= set(COLUMNS)
    assert sum(reason["contribution"] for reason in strange["reasons"]) == pytest.approx(strange["score"], rel=1e-3)
    assert all(row["score"] > 0 for row in rows)


def test_a_stream_is_scored_as_it_comes_and_as_a_file_is(plant, said, tmp_path):
    rows = [{name: row[name] for name in ("temperature", "time", "pressure", "flow")} for row in pump(1, 90)]
    offline = said(written(tmp_path / "rows.csv", rows))
    told = [",".join(row.values()) for row in rows]
    words = [sys.executable, "-m", "horngate.cli", "predict", str(plant[1].folder), "-", "-o", "-", "-q"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write("temperature,time,pressure,flow\n")
        answers = []
        for line in told[:3]:  # each is answered before the next one is sent
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        process.stdin.write("\n".join(told[3:]))
        process.stdin.close()
        answers += lines(process.stdout.read())
    assert process.returncode == 0
    assert answers == offline


def test_json_lines_stream_too_and_nothing_is_one_line(plant, said, cli, tmp_path, monkeypatch):
    rows = [row | {"flow": float(row["flow"]), "target": None} for row in pump(1, 50)]
    offline = said(written(tmp_path / "rows.csv", rows))
    path, empty = tmp_path / "rows.jsonl", tmp_path / "empty"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\nno json\n")
    empty.touch()
    said_of = {}
    for source in (path, empty):
        with source.open() as stdin:
            monkeypatch.setattr(sys, "__stdin__", stdin)
            said_of[source] = cli("predict", plant[1].folder, "-", "-o", "-")
    code, out, err = said_of[path]
    assert code == 0 and lines(out)[:50] == offline and lines(out)[50]["error"] == "row 51 is no JSON", err
    assert said_of[empty][0] == 1 and "nothing came from standard input" in said_of[empty][2]


def test_a_gap_begins_the_series_anew(said, tmp_path):
    rows = pump(1, 80)
    late = [row | {"time": row["time"].replace("2024-01-02", "2024-01-05")} for row in rows[40:]]
    together, alone = said(written(tmp_path / "a.csv", rows[:40] + late)), said(written(tmp_path / "b.csv", late))
    unbroken = said(written(tmp_path / "c.csv", rows))
    assert [row["score"] for row in together[40:]] == [row["score"] for row in alone]
    assert together[40]["score"] != unbroken[40]["score"]


def test_columns_in_another_order_and_further_ones_change_nothing(said, tmp_path):
    rows = pump(1, 40)
    plain = said(written(tmp_path / "a.csv", rows))
    more = [{"machine": "A"} | {name: row[name] for name in reversed(row)} for row in rows]
    other = said(written(tmp_path / "b.csv", more))
    assert [row["score"] for row in plain] == [row["score"] for row in other]


def test_cells_that_hold_no_number_are_errors_and_empty_ones_are_not(said, tmp_path):
    rows = pump(1, 40)
    rows[10]["flow"], rows[12]["flow"], rows[14]["flow"], rows[16]["time"] = "inf", "broken", "", "yesterday"
    for name in COLUMNS:
        rows[18][name] = "NaN"
    answers = said(written(tmp_path / "a.csv", rows))
    assert [place for place, row in enumerate(answers) if row["error"]] == [10, 12, 16, 18]
    assert 'column "flow"' in answers[10]["error"] and 'column "flow"' in answers[12]["error"]
    assert "ISO 8601" in answers[16]["error"] and answers[18]["error"] == "no value in any column"
    assert all(row["score"] > 0 for row in answers if not row["error"])
    assert answers[10]["time"] == rows[10]["time"] and answers[10]["score"] is None


def test_a_parquet_file_with_dates_says_the_same_as_csv(said, tmp_path):
    from datetime import datetime

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pump(1, 30)
    typed = [
        {name: float(row[name]) for name in COLUMNS} | {"time": datetime.fromisoformat(row["time"])} for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(typed), tmp_path / "a.parquet")
    ours, theirs = said(tmp_path / "a.parquet"), said(written(tmp_path / "a.csv", rows))
    assert [(row["time"], row["score"]) for row in ours] == [(row["time"], row["score"]) for row in theirs]


def test_a_missing_column_is_the_error_of_every_row(said, tmp_path):
    rows = [{name: value for name, value in row.items() if name != "pressure"} for row in pump(1, 5)]
    answers = said(written(tmp_path / "less.csv", rows))
    assert {row["error"] for row in answers} == {'no column "pressure"'}


def test_three_points_are_answered_and_not_learnt_from(said, cli, tmp_path):
    path = written(tmp_path / "three.csv", pump(1, 3))
    assert [row["score"] > 0 and row["error"] is None for row in said(path)] == [True] * 3
    code, _, err = cli("anomaly", "series", "train", "--data", path, "-o", tmp_path / "runs")
    assert code == 1 and "too few" in err.strip().splitlines()[-1]


def test_nothing_that_changes_is_one_line(cli, tmp_path):
    still = [row | dict.fromkeys(COLUMNS, "1") for row in pump(1, 60)]
    code, _, err = cli("anomaly", "series", "train", "--data", written(tmp_path / "a.csv", still), "-o", tmp_path)
    assert code == 1 and "no column changes" in err.strip().splitlines()[-1]


def test_a_column_of_text_is_named_with_the_fix(cli, tmp_path):
    named = [row | {"machine": "A"} for row in pump(1, 60)]
    path = written(tmp_path / "a.csv", named)
    code, _, err = cli("anomaly", "series", "train", "--data", path, "-o", tmp_path)
    assert code == 1 and 'column "machine" holds no finite number' in err and "--drop-column" in err
    code, out, _ = cli("anomaly", "series", "check", path, "--drop-column", "machine", "--json")
    assert code == 0 and json.loads(out)["usable"] == 60


def test_check_finds_what_is_wrong_with_time_and_units(cli, tmp_path):
    rows = [row | {"constant": "7"} for row in pump(1, 400)]
    rows[100]["time"], rows[50]["time"] = rows[20]["time"], rows[49]["time"]
    rows = rows[:200] + [row | {"flow": str(float(row["flow"]) * 1000)} for row in rows[260:]]
    code, out, _ = cli("anomaly", "series", "check", written(tmp_path / "a.csv", rows), "--json")
    found = {finding["code"]: finding for finding in json.loads(out)["findings"]}
    assert code == 0
    assert {found[name]["grade"] for name in ("time_back", "same_time", "gaps", "constant_column", "unit_jump")} == {
        "warning"
    }
    assert found["time_back"]["ids"] == ["row 101"] and found["same_time"]["ids"] == ["row 51"]
    assert "column flow" in found["unit_jump"]["message"] and "constant" in found["constant_column"]["message"]


def test_rows_out_of_order_stop_a_training(cli, tmp_path):
    rows = pump(1, 120)
    shuffled = [rows[place] for place in np.random.default_rng(0).permutation(120)]
    code, _, err = cli("anomaly", "series", "train", "--data", written(tmp_path / "a.csv", shuffled), "-o", tmp_path)
    assert code == 1 and "sort the rows by time" in err


def test_check_of_good_series_has_no_warnings(plant, cli):
    code, out, _ = cli("anomaly", "series", "check", plant[0], "--json")
    assert code == 0 and {finding["grade"] for finding in json.loads(out)["findings"]} <= {"note"}


def test_a_budget_of_alarms_chooses_the_threshold_on_validation(plant, cli, tmp_path):
    def evaluated(*words):
        code, out, err = cli(
            "evaluate", plant[1].folder, "--split", "validation", "-o", tmp_path / "e", "--json", *words
        )
        return json.loads(out) if code == 0 else err

    few, many = evaluated("--alarms-per-day", "0"), evaluated("--alarms-per-day", "200")
    assert (
        few["metrics"]["false_alarms_per_day"]["value"] == 0
        and "0 alarms a day" in few["protocol"]["threshold_chosen_by"]
    )
    assert 0 < many["metrics"]["false_alarms_per_day"]["value"] <= 200
    assert many["protocol"]["threshold"] < few["protocol"]["threshold"]
    assert "only one" in evaluated("--alarms-per-day", "1", "--contamination", "0.1")


def test_a_killed_prediction_goes_on_where_it_was_cut(plant, cli, tmp_path, monkeypatch):
    from horngate.pipelines.verbs import predict

    code, _, _ = cli("predict", plant[1].folder, plant[0], "-o", tmp_path / "whole.parquet")
    write, written_parts = predict.Parts.write, []

    def killed(self, table, errors):
        write(self, table, errors)
        written_parts.append(table.num_rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(predict.Parts, "write", killed)
    cli("predict", plant[1].folder, plant[0], "-o", tmp_path / "cut.parquet")
    monkeypatch.setattr(predict.Parts, "write", write)
    again, _, err = cli("predict", plant[1].folder, plant[0], "-o", tmp_path / "cut.parquet")
    assert (code, again, written_parts) == (0, 0, [1024]), err
    assert read_table(tmp_path / "cut.parquet").equals(read_table(tmp_path / "whole.parquet"))


def test_series_in_one_table_are_told_apart_by_a_column(plant, cli, tmp_path):
    mixed = [row | {"pump": name} for pair in zip(pump(1, 60), pump(2, 60), strict=True)
             for name, row in zip("ab", pair, strict=True)]  # fmt: skip
    path = written(tmp_path / "mixed.csv", mixed)
    from horngate.pipelines.anomaly import Series
    from horngate.pipelines.data.sources.blocks import Listing
    from horngate.pipelines.data.sources.loader import unlabelled

    alone = written(tmp_path / "alone.csv", pump(2, 60))
    together = list(
        unlabelled([str(path)], Series(window=16, group_column="pump", drop_column=("target",)), (), Listing())
    )
    single = list(unlabelled([str(alone)], Series(window=16, drop_column=("target",)), (), Listing()))
    assert together[0]["value"].to_pylist()[1::2] == single[0]["value"].to_pylist()
    assert together[0]["group"].to_pylist()[:2] == ["a", "b"]


def test_times_may_be_numbers_of_a_unit(tmp_path):
    from horngate.pipelines.data.trailing import seconds_of

    assert seconds_of("1700000000000", "milliseconds") == seconds_of("2023-11-14T22:13:20", "seconds")
    assert seconds_of("2023-11-15T00:13:20+02:00", "days") == seconds_of("1700000000", "seconds")
    for bad in ("", None, "noon", "nan"):
        with pytest.raises(ValueError, match="time"):
            seconds_of(bad, "seconds")


def test_new_rows_of_an_inherited_split_go_to_the_test(plant):
    from dataclasses import replace

    from horngate.pipelines.data.sources.blocks import block
    from horngate.pipelines.data.splits import assign

    old = block({"id": [f"row {place}" for place in range(8)], "split": ["train"] * 6 + ["validation", "test"]})
    now = block({"id": [f"row {place}" for place in range(12)]})
    splits, notes = assign(now, np.zeros(12, int), replace(plant[1].card, splits="x"), old)
    assert splits.tolist() == ["train"] * 6 + ["validation", "test"] + ["test"] * 4
    assert "8 of 12" in notes[0]


def test_a_margin_raises_the_threshold_and_says_so(plant):
    from dataclasses import replace

    from horngate.pipelines.tasks.task import task_of

    card = replace(plant[1].card, false_alarm_rate=0.1, margin=1.5)
    predictor = task_of(card).opened(plant[1]).predictor
    answers = read_table(plant[1] / "evaluation/validation/answers.parquet")
    truth = predictor.fitted.decisions.encode(answers["target"].to_pylist())
    scores = answers["score"].to_numpy()
    raised = predictor.decided(scores, truth, answers, card, True)
    plain = predictor.decided(scores, truth, answers, replace(card, margin=1.0), True)
    assert raised.threshold == pytest.approx(1.5 * plain.threshold) and "times 1.5" in raised.chosen_by
