"""`anomaly table` beyond what all tasks promise: types and gaps, protocols, labels, thresholds, reasons, bad input."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from horngate.pipelines import check, compare, evaluate, export, predict, train
from horngate.pipelines.anomaly import Table
from horngate.pipelines.runtimes.golden import replayed
from horngate.pipelines.spec.errors import Unreadable, UserError
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import read_json, read_table
from horngate.pipelines.tables.columns import cells_of, settled, vector_of
from horngate.pipelines.tasks.task import task_of

pytestmark = pytest.mark.usefixtures("undrawn")

NAMES = ["size", "heat", "kind", "note", "label", "split"]


def machine_rows(count: int = 240, seed: int = 0) -> list[dict[str, str]]:
    """Return rows of machines: heat follows size, but in every twelfth row, which is an anomaly."""
    draw = np.random.default_rng(seed)
    rows = []
    for place in range(count):
        bad, size = place % 12 == 5, draw.normal(10, 2)
        heat = 3 * size + draw.normal(0, 0.3) + (12 if bad else 0)
        cells = {"size": f"{size:.4f}", "heat": f"{heat:.4f}", "kind": "ABC"[place % 3], "note": f"n{place}"}
        cells["heat"] = "" if place % 20 == 7 else cells["heat"]
        rows.append(
            cells | {"label": "yes" if bad else "no", "split": "test" if place % 4 == 0 or place % 24 == 5 else ""}
        )
    return rows


def written(path: Path, rows: list[dict[str, str]], names: list[str] | None = None) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, names or list(rows[0]), extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def given(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return rows that all have a split: two thirds of what is no test row trains."""
    sides = ["train", "train", "validation"]
    return [row | {"split": row["split"] or sides[place // 12 % 3]} for place, row in enumerate(rows)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("machines")


def card_of(folder: Path, name: str, rows: list[dict[str, str]], **knobs) -> Table:
    path = written(folder / f"{name}.csv", rows)
    given = {"split_column": "split", "drop_column": ("note",), "positive": "yes", "output": str(folder / name)}
    return Table(data=path, **given | knobs)


@pytest.fixture(scope="module")
def auto(folder):
    """A run of `auto` on machines; labels are there, and not learnt from."""
    return train(card_of(folder, "auto", given(machine_rows())))


def asked(run, rows: list[dict], folder: Path, names: list[str] | None = None) -> list[dict]:
    """Return the answers to rows."""
    predict(
        run, written(folder / "asked.csv", rows, names), folder / "answers.jsonl", overwrite=True, runtime="tensorflow"
    )
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]


def test_the_schema_keeps_types_from_training_rows(auto):
    columns = read_json(auto / "schema.json")["columns"]
    assert [column["name"] for column in columns] == ["size", "heat", "kind"]
    assert [column["type"] for column in columns] == ["number", "number", "category"]
    assert sorted(columns[2]["categories"]) == ["A", "B", "C"]


def test_scores_part_anomalies_and_name_the_columns(auto):
    report = read_json(auto / "evaluation/test/report.json")
    assert report["metrics"]["auroc"]["value"] > 0.9
    assert set(report["references"]) == {"isolation_forest", "ecod", "knn", "pca"}
    assert report["protocol"]["protocol"] == "contaminated" and report["protocol"]["learnt_anomalies"] == 0
    cases = report["details"]["mistakes"]
    assert [case["score"] for case in cases] == sorted((case["score"] for case in cases), reverse=True)
    top = next(case for case in cases[:3] if case["target"] == "yes")
    assert top["reasons"][0]["column"] in ("heat", "size")
    assert sum(reason["contribution"] for reason in top["reasons"]) == pytest.approx(1, abs=1e-2)
    page = (auto / "evaluation/test/report.html").read_text()
    assert "Top cases" in page and "Thresholds" in page and "contaminated: " in page and "prevalence" in page


def test_columns_may_come_in_any_order_beside_others(auto, tmp_path):
    rows = machine_rows(8, seed=1)
    straight = asked(auto, rows, tmp_path)
    turned = asked(auto, [row | {"more": "x"} for row in rows], tmp_path, ["more", "kind", "heat", "size"])
    assert [row["score"] for row in straight] == [row["score"] for row in turned]


def test_a_bad_cell_is_an_error_row_and_a_strange_one_a_high_score(folder, tmp_path):
    near = train(card_of(folder, "near", given(machine_rows()), detector="knn"))
    good = {"size": "10", "heat": "30", "kind": "A"}
    bad = [{"size": "wide"}, {"heat": "inf"}, {"heat": "-1e400"}, {}, {"kind": "Z"}, {"size": ""}, {"heat": "nan"}]
    said = asked(near, [good | cells for cells in bad], tmp_path)
    assert [row["error"] and row["error"][:30] for row in said[:3]] == [
        'column "size" should be a numb',
        'column "heat" is infinite, or ',
        'column "heat" is infinite, or ',
    ]
    assert said[0]["score"] is None and said[0]["reasons"] is None
    usual, new_kind, no_size, no_heat = said[3:]
    assert not usual["anomalous"] and usual["error"] is None
    assert new_kind["score"] > usual["score"] and new_kind["reasons"][0]["column"] == "kind"
    assert no_size["anomalous"] and no_size["reasons"][0]["column"] == "size"  # it never had a gap
    assert no_heat["score"] < no_size["score"]  # it had some


def test_a_missing_column_is_named_in_every_row(auto, tmp_path):
    said = asked(auto, machine_rows(3), tmp_path, ["size", "kind"])
    assert {row["error"] for row in said} == {'column "heat" is missing'}


def test_json_lines_and_parquet_answer_as_csv_does(auto, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row for row in machine_rows(30, seed=2) if row["heat"]]
    typed = [{"size": float(row["size"]), "heat": float(row["heat"]), "kind": row["kind"]} for row in rows]
    pq.write_table(pa.Table.from_pylist(typed), tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in typed))
    wanted = [row["score"] for row in asked(auto, rows, tmp_path)]
    for name in ("rows.parquet", "rows.jsonl"):
        predict(auto, tmp_path / name, tmp_path / f"{name}.answers.parquet")
        assert read_table(tmp_path / f"{name}.answers.parquet")["score"].to_pylist() == wanted


def test_contaminated_training_does_not_look_at_labels(auto, folder):
    rows = [row | ({"label": "no"} if row["split"] == "train" else {}) for row in given(machine_rows())]
    other = train(card_of(folder, "unlabelled", rows))
    paths = [run / "evaluation/test/answers.parquet" for run in (auto, other)]
    assert read_table(paths[0])["score"].equals(read_table(paths[1])["score"])


def test_one_class_training_remembers_no_known_anomaly(folder, auto):
    rows = given(machine_rows())
    run = train(card_of(folder, "one-class", rows, protocol="one-class", detector="knn"))
    usual = [row for row in rows if (row["split"], row["label"]) == ("train", "no")]
    known = [row for row in rows if (row["split"], row["label"]) == ("train", "yes")]
    protocol = run.summary["protocol"]
    assert (protocol["protocol"], protocol["left_out_anomalies"]) == ("one-class", len(known))
    predictor = task_of(run.card).opened(run).predictor
    remembered = np.asarray(predictor.core.get_layer("knn").memory)
    assert len(remembered) == len(usual) == protocol["learnt_rows"]
    sizes = [np.float32(row["size"]) for row in known]
    features = predictor.features(np.array([[size, 30, 0] for size in sizes], np.float32))
    assert np.abs(features[:, :1] - remembered[:, 0]).min() > 0  # no remembered row has the size of a known anomaly
    with pytest.raises(UserError, match="contaminated rows and the other on one-class"):
        compare(auto, run)


def test_known_anomalies_are_learnt_from_where_that_is_wished(folder, tmp_path):
    rows = [
        row | ({"label": ""} if row["split"] == "train" and row["label"] == "no" else {})
        for row in given(machine_rows())
    ]
    run = train(card_of(folder, "labelled", rows, labelled=True))
    assert run.summary["protocol"]["learnt_anomalies"] > 5
    assert run.summary["metrics"]["test"]["average_precision"]["value"] > 0.9
    bundle = export(run, "onnx", tmp_path / "bundle")
    assert replayed(bundle).problems == []
    (tmp_path / "row.json").write_text('{"size": 10, "heat": 90, "kind": null}')
    said = subprocess.run(
        [sys.executable, bundle / "example.py", tmp_path / "row.json"], capture_output=True, text=True
    )
    assert "alarm" in said.stdout, said.stderr


def test_what_needs_known_anomalies_says_so_in_one_line(folder):
    rows = [row | {"label": ""} for row in given(machine_rows())]
    for knobs in ({"detector": "deviation"}, {"labelled": True}):
        with pytest.raises(UserError, match="no training row is one"):
            train(card_of(folder, "none", rows, positive=None, **knobs))
    with pytest.raises(UserError, match="can't learn from known anomalies"):
        train(card_of(folder, "knn", given(machine_rows()), detector="knn", labelled=True))


def test_without_targets_nothing_is_measured_until_rows_have_some(auto, tmp_path):
    card = Table(data=written(tmp_path / "bare.csv", machine_rows(), ["size", "heat", "kind"]), output=str(tmp_path))
    run = train(replace(card, detector="knn"))
    report = evaluate(run).plain()
    assert report["metrics"]["auroc"]["value"] is None and report["metrics"]["auroc"]["reason"] == "no row has a target"
    assert read_json(run / "alarms.json")["threshold"] > 0
    page = (run / "evaluation/test/report.html").read_text()
    assert "no row has a target" in page and "is <b>None" not in page
    later = evaluate(run, data=written(tmp_path / "later.csv", machine_rows(seed=3)), output=tmp_path / "later")
    assert later.metrics["auroc"].value > 0.8 and later.details["anomalies"] == 20
    odd = [row | {"label": "x" if row["label"] == "yes" else "y"} for row in machine_rows(seed=3)]
    with pytest.raises(UserError, match="--positive"):
        evaluate(run, data=written(tmp_path / "odd.csv", odd), output=tmp_path / "odd")
    assert (
        evaluate(run, data=str(tmp_path / "odd.csv"), output=tmp_path / "odd", positive="x").details["anomalies"] == 20
    )
    with pytest.raises(UserError, match="leave --positive out"):
        evaluate(auto, positive="yes")


def test_another_threshold_is_chosen_on_validation_rows(auto, tmp_path):
    few = evaluate(auto, output=tmp_path / "few", false_alarm_rate=0.02)
    many = evaluate(auto, output=tmp_path / "many", contamination=0.4)
    alarms = [
        read_table(tmp_path / name / "answers.parquet")["anomalous"].to_pylist().count(True) for name in ("few", "many")
    ]
    assert alarms[0] < alarms[1] and many.protocol["threshold"] < few.protocol["threshold"]
    assert many.protocol["threshold_chosen_by"] == "contamination 0.4"


def test_a_cut_training_goes_on_to_the_same_weights(folder, monkeypatch):
    card = card_of(folder, "whole", given(machine_rows()), detector="autoencoder", epochs=2)
    whole = train(card)
    from horngate.models.anomaly.learnt_detectors import Fed

    batch, calls = Fed.batch, []

    def stopping(self, rows, epoch):
        calls.append(epoch)
        if len(calls) == 12:
            progress.stop.set()
        return batch(self, rows, epoch)

    monkeypatch.setattr(Fed, "batch", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(replace(card, output=str(folder / "cut")))
    progress.stop.clear()
    monkeypatch.undo()
    (begun,) = (path.parent for path in (folder / "cut").glob("*/recipe.yaml"))
    assert list((begun / "checkpoints").iterdir()) and not (begun / "run.json").exists()
    resumed = train(resume=begun)
    scores = [read_table(run / "evaluation/test/answers.parquet")["score"] for run in (whole, resumed)]
    assert scores[0].equals(scores[1])
    assert (whole / "history.csv").read_text() == (resumed / "history.csv").read_text()


def test_an_infinite_number_is_quarantined_and_a_cell_left_out_is_an_error_row(tmp_path):
    rows = [{"size": float(row["size"]), "heat": 3 * float(row["size"])} for row in machine_rows()]
    sides = ["train", "train", "validation", "test"]
    rows = [row | {"split": sides[place % 4]} for place, row in enumerate(rows)]
    rows[0]["size"] = float("-inf")
    del rows[2]["heat"], rows[3]["heat"]  # one of validation, one of test
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    card = Table(data=str(tmp_path / "rows.jsonl"), split_column="split", detector="pca", output=str(tmp_path))
    run = train(card)
    assert "infinite" in (run / "quarantine.csv").read_text()
    assert run.summary["rows"] == {"train": 119, "validation": 60, "test": 60, "quarantined": 1}
    answers = read_table(run / "evaluation/test/answers.parquet")
    assert answers["error"].to_pylist() == ['column "heat" is missing'] + [None] * 59


def finding_codes(card: Table) -> dict[str, str]:
    return {finding["code"]: finding["message"] for finding in check(card)["findings"]}


def test_check_finds_constant_columns_row_numbers_and_answers(tmp_path):
    rows = machine_rows()
    for place, row in enumerate(rows):
        known = row["label"] == "yes"
        row |= {"always": "7", "row": str(place), "grade": f"{place % 7 + (50 if known else 0)}"}
        row |= {
            "broken": str(int(known and place % 24 == 5)),
            "stopped": str(int(known)),
            "dusty": str(int(place % 40 == 0)),
        }
    path = written(tmp_path / "rows.csv", rows)
    codes = finding_codes(Table(data=path, drop_column=("note", "split")))
    assert codes["constant_columns"].endswith(": always") and codes["row_numbers"].endswith(": row")
    flags = [finding["message"] for finding in check(Table(data=path, drop_column=("note", "split")))["findings"]]
    assert any("grade (area 1.000)" in message for message in flags)
    assert any("broken, stopped" in message for message in flags)
    assert codes["beside_the_answer"].endswith(": dusty")
    assert (
        not {"constant_columns", "gives_the_answer"}
        & finding_codes(
            Table(data=path, drop_column=("note", "split", "always", "row", "grade", "broken", "stopped", "dusty"))
        ).keys()
    )


def test_check_finds_the_leaks_of_ai4i(realdata):
    data = str(realdata / "anomaly/ai4i2020/ai4i2020.csv")
    seen = finding_codes(Table(data=data, target_column="Machine failure", drop_column=("Product ID",)))
    assert all(name in seen["gives_the_answer"] for name in ("TWF", "HDF", "PWF", "OSF"))
    assert "RNF" in seen["beside_the_answer"] and "UID" in seen["row_numbers"]


def test_unusable_columns_are_one_line_with_the_fix():
    rows = [cells_of(json.dumps({"a": place, "text": f"word {place}"}).encode()) for place in range(50)]
    with pytest.raises(UserError, match='--drop-column "text"'):
        settled(rows, None, ())
    mixed = [{"a": place if place % 9 else f"about {place}"} for place in range(50)]
    with pytest.raises(UserError, match="44 numbers and 6 texts"):
        settled(mixed, None, ())
    with pytest.raises(UserError, match="constant"):
        settled([{"a": 1.0, "b": "x"}] * 9, None, ())
    with pytest.raises(UserError, match="no column is left"):
        settled(rows, None, ("a", "text"))
    with pytest.raises(UserError, match='no column "z"'):
        settled(rows, ("z",), ())


def test_a_row_is_read_by_the_schema_alone():
    columns = [{"name": "a", "type": "number"}, {"name": "b", "type": "category", "categories": ["x", "y"]}]
    codes = [{}, {"x": 0, "y": 1}]
    row = vector_of({"b": "y", "a": "1.5", "c": 3}, columns, codes)
    assert row.tolist() == [1.5, 1.0] and row.dtype == np.float32
    assert np.isnan(vector_of({"a": "NA", "b": None}, columns, codes)).all()
    assert vector_of({"a": True, "b": "never seen"}, columns, codes).tolist() == [1.0, 2.0]
    for bad in ({"a": "x", "b": "x"}, {"a": 1}, {"a": float("inf"), "b": "x"}, {"a": 1e39, "b": "x"}):
        with pytest.raises(Unreadable):
            vector_of(bad, columns, codes)
    with pytest.raises(Unreadable, match="no row of a table"):
        cells_of(b"[1, 2]")


def test_few_or_constant_training_rows_are_one_line(tmp_path):
    few = Table(
        data=written(tmp_path / "few.csv", machine_rows(4)), drop_column=("note", "split"), output=str(tmp_path)
    )
    with pytest.raises(UserError, match=r"too few|belong together"):
        train(replace(few, validation=0.0, test=0.0))
    same = [{"size": "1", "heat": "2", "label": "no"}] * 30
    with pytest.raises(UserError, match="constant"):
        train(Table(data=written(tmp_path / "same.csv", same), output=str(tmp_path)))
