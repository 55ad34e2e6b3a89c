"""`vision classify` beyond what all tasks promise: several labels, decisions, transfer, and real photographs."""

import json

import numpy as np
import pytest
from conftest import few_flowers, fill_class_folders

from horngate.pipelines import evaluate, predict, train
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_table
from horngate.pipelines.vision import Classify

pytestmark = pytest.mark.usefixtures("undrawn")


def several_labels(photos):
    lines = ["path,labels"]
    for number in range(12):
        for name in ("red", "green", "blue"):
            extra = "|bright" if number % 2 else ""
            lines.append(f"{name}/{number:03d}.png,{name}{extra}")
    (photos / "t.csv").write_text("\n".join(lines))
    return photos / "t.csv"


def test_several_labels_are_scored_one_by_one(photos, tmp_path):
    table = several_labels(photos)
    run = train(Classify(data=str(table), label_separator="|", image_size=16, epochs=2, output=str(tmp_path), test=0.3))
    labels = json.loads((run / "labels.json").read_text())
    assert labels["labels"] == ["blue", "bright", "green", "red"] and labels["separator"] == "|"
    report = json.loads((run / "evaluation/test/report.json").read_text())
    assert list(report["metrics"])[:2] == ["macro_average_precision", "micro_f1"]
    answers = read_table(run / "evaluation/test/answers.parquet").to_pylist()
    for row in answers:
        said = [name for name, score in zip(labels["labels"], row["scores"], strict=True) if score >= 0.5]
        assert row["label"] == "|".join(said)


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory):
    """A run on two classes with a threshold and conformal sets."""
    root = fill_class_folders(tmp_path_factory.mktemp("two"), each=60, names=("green", "red"))
    card = Classify(data=str(root), image_size=16, epochs=2, sensitivity=0.9, conformal=0.8, validation=0.3, test=0.2)
    return train(changed_output(card, tmp_path_factory.mktemp("runs")))


def changed_output(card, folder):
    from dataclasses import replace

    return replace(card, output=str(folder))


def test_two_classes_have_a_positive_one_and_an_operating_point(two_classes):
    labels = json.loads((two_classes / "labels.json").read_text())
    report = json.loads((two_classes / "evaluation/validation/report.json").read_text())
    assert labels["positive"] == "red" and labels["threshold"] is not None
    assert {"auroc", "average_precision", "brier"} <= report["metrics"].keys()
    assert report["details"]["operating_point"]["sensitivity"] >= 0.9
    place = labels["labels"].index("red")
    for row in read_table(two_classes / "evaluation/test/answers.parquet").to_pylist():
        assert (row["label"] == "red") == (row["scores"][place] >= np.float32(labels["threshold"]))
        assert row["abstain"] == (len(row["set"]) != 1)


def test_decisions_can_be_asked_for_at_evaluation_and_leave_the_run_alone(two_classes, tmp_path):
    before = (two_classes / "labels.json").read_bytes()
    report = evaluate(two_classes, specificity=0.9, conformal=0.95, output=tmp_path / "e")
    assert (
        report.protocol["conformal"]["coverage"] == 0.95 and report.details["operating_point"]["threshold"] is not None
    )
    assert (two_classes / "labels.json").read_bytes() == before
    with pytest.raises(UserError, match="not both"):
        evaluate(two_classes, specificity=0.9, sensitivity=0.9, output=tmp_path / "e")


def test_wide_answers_have_a_column_per_class(two_classes, tmp_path, photos):
    done = predict(two_classes, [str(photos / "red")], tmp_path / "wide.parquet", wide=True)
    table = read_table(done.path)
    assert table.column_names[:5] == ["id", "label", "score", "score_green", "score_red"]
    with pytest.raises(UserError, match="--overwrite"):
        predict(two_classes, [str(photos / "red")], tmp_path / "wide.parquet")
    assert (
        "scores" in read_table(predict(two_classes, [str(photos / "red")], done.path, overwrite=True).path).column_names
    )


def test_a_table_to_predict_may_name_its_columns_and_carries_keys_through(two_classes, tmp_path, photos):
    (photos / "t.csv").write_text("file_name,order,note\nred/000.png,007,a\ngone.png,8,b\n../x.png,9,c\n")
    given = {"input_column": "file_name", "id_column": "order", "keep_column": ("note",)}
    done = predict(two_classes, photos / "t.csv", tmp_path / "out.jsonl", **given)
    rows = [json.loads(line) for line in done.path.read_text().splitlines()]
    assert [row["id"] for row in rows] == ["007", "8", "9"] and [row["note"] for row in rows] == ["a", "b", "c"]
    assert [row["error"] is None for row in rows] == [True, False, False] and "--allow-outside" in rows[2]["error"]
    outside = predict(two_classes, photos / "t.csv", tmp_path / "outside.jsonl", **given, allow_outside=True)
    assert json.loads(outside.path.read_text().splitlines()[2])["error"] == "missing"
    with pytest.raises(UserError, match="no clear input column"):
        predict(two_classes, photos / "t.csv", tmp_path / "other.jsonl")


def test_other_data_is_evaluated_under_its_own_name(two_classes, photos):
    report = evaluate(two_classes, data=str(photos), by=("target",))
    assert report.rows == 36 and (two_classes / "evaluation" / "photos" / "report.json").is_file()
    assert report.details["unlearnt_labels"] == ["blue"] and {part["value"] for part in report.slices} == {
        "red",
        "green",
        "blue",
    }
    assert report.references == {}
    with pytest.raises(UserError, match="--name"):
        evaluate(two_classes, data=str(photos), name="test")


def test_grad_cam_pictures_show_mistakes(two_classes, photos, tmp_path):
    report = evaluate(two_classes, data=str(photos), grad_cam=3, output=tmp_path / "e")
    names = [mistake.get("picture") for mistake in report.details["mistakes"][:3]]
    assert (
        names == [f"grad_cam/{number:03d}.png" for number in (1, 2, 3)]
        and (tmp_path / "e" / names[0]).stat().st_size > 100
    )


def test_wishes_that_need_two_classes_say_so(photos, tmp_path):
    with pytest.raises(UserError, match="need two classes"):
        train(Classify(data=str(photos), image_size=16, epochs=1, sensitivity=0.9, output=str(tmp_path)))
    with pytest.raises(UserError, match="one of two classes"):
        train(Classify(data=str(photos), image_size=16, epochs=1, positive="red", output=str(tmp_path)))


@pytest.fixture(scope="module")
def quarantined(tmp_path_factory):
    """A folder of pictures of which two can't be read, and a run on it."""
    root = fill_class_folders(tmp_path_factory.mktemp("quarantined") / "photos")
    (root / "red" / "broken.png").write_text("no picture")
    (root / "red" / "empty.png").write_bytes(b"")
    knobs = {"image_size": 16, "epochs": 1, "max_quarantine": 0.2, "output": str(root.parent / "runs")}
    return root, train(Classify(data=str(root), **knobs))


def test_quarantined_rows_have_their_reason_and_nothing_is_lost(quarantined):
    _, run = quarantined
    rows = (run / "quarantine.csv").read_text().splitlines()
    assert rows[0] == "id,reason" and rows[2] == "red/empty.png,empty: 0 bytes" and "no picture" in rows[1]
    assert run.summary["rows"]["quarantined"] == 2 and run.splits.num_rows == 36


def test_a_run_without_its_data_predicts_and_says_why_it_cannot_evaluate(quarantined, tmp_path):
    photos, run = quarantined
    kept = tmp_path / "one.png"
    kept.write_bytes((photos / "red" / "000.png").read_bytes())
    before = predict(run, [str(kept)], tmp_path / "a.jsonl").path.read_text()
    photos.rename(tmp_path / "gone")
    try:
        assert predict(run, [str(kept)], tmp_path / "b.jsonl").path.read_text() == before
        with pytest.raises(UserError, match=r"can't be listed any more.*report.json"):
            evaluate(run)
    finally:
        (tmp_path / "gone").rename(photos)


def pretrained(realdata, **knobs):
    weights = str(realdata / "weights" / "mobilenet_v1_0.25_128_no_top.weights.h5")
    return Classify(backbone="mobilenet", alpha=0.25, weights=weights, image_size=96, **knobs)


@pytest.mark.realdata
def test_transfer_climbs_the_ladder_on_real_photographs(realdata, tmp_path):
    data = few_flowers(realdata, tmp_path / "d")
    card = pretrained(
        realdata, data=data, output=str(tmp_path / "runs"), method="auto", epochs=2, test=0.3, validation=0.2
    )
    run = train(card)
    summary = run.summary
    assert summary["method"] in ("probe", "finetune") and set(summary["costs_seconds"]) == {"probe", "finetune"}
    assert "from probe to finetune" in summary["protocol"]["chosen_because"]
    score = summary["metrics"]["test"]["accuracy"]
    assert score["low"] > score["baseline"]


@pytest.mark.realdata
def test_a_refit_says_so_and_forbids_choices_on_seen_rows(realdata, tmp_path):
    data = few_flowers(realdata, tmp_path / "d", each=20)
    card = pretrained(realdata, data=data, output=str(tmp_path / "runs"), method="probe", refit=True, epochs=3)
    run = train(card)
    assert run.summary["protocol"]["refit"] is True and run.summary["protocol"]["temperature"] == 1.0
    assert json.loads((run / "evaluation/validation/report.json").read_text())["protocol"]["learnt_from_these_rows"]
    with pytest.raises(UserError, match="has seen its validation rows"):
        evaluate(run, conformal=0.9)
    from dataclasses import replace

    with pytest.raises(UserError, match="no unseen validation rows"):
        train(replace(card, conformal=0.9))


@pytest.mark.realdata
def test_augmented_views_and_balanced_classes_learn(realdata, tmp_path):
    data = few_flowers(realdata, tmp_path / "d", each=20)
    card = pretrained(
        realdata, data=data, output=str(tmp_path), method="probe", views=3, augment="light", class_weights="balanced"
    )
    assert train(card).summary["metrics"]["test"]["accuracy"]["value"] > 0.5
