"""`recommendation rank` beyond what all tasks promise: kinds of targets, side tables, lists, new ids, time, bad input."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from horngate.pipelines import check, evaluate, export, predict, train
from horngate.pipelines.recommendation import Rank
from horngate.pipelines.recommendation.interactions.side_tables import SideTables
from horngate.pipelines.recommendation.rank.features import settled
from horngate.pipelines.recommendation.rank.target_encoder import TargetEncoder
from horngate.pipelines.runtimes.golden import replayed
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import progress
from horngate.pipelines.system.files import read_json, read_table
from horngate.pipelines.tables.columns import values_in, width_of
from horngate.pipelines.tasks.task import task_of

pytestmark = pytest.mark.usefixtures("undrawn")

KINDS = ("comedy", "drama", "sport")
SMALL = {"model": "deepfm", "epochs": 2, "embedding": 3, "runtime": "tensorflow", "split_column": "split"}


def written(path: Path, rows: list[dict]) -> str:
    """Write rows as CSV, or as JSON lines where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def views(count: int = 360, seed: int = 0) -> list[dict]:
    """Return views of 10 items by 20 users: the young click on comedy; the last two users are in the test alone."""
    draw = np.random.default_rng(seed)
    rows = []
    for place in range(count):
        user, item = int(draw.integers(0, 20)), int(draw.integers(0, 10))
        chance = 0.9 if (user % 2 == 0) == (item % 3 == 0) else 0.2
        side = "test" if user >= 18 or place % 5 == 0 else "validation" if place % 5 == 1 else "train"
        row = {"user_id": str(user), "item_id": f"i{item}", "hour": "" if place % 17 == 3 else str(place % 24)}
        rows.append(row | {"click": str(int(draw.random() < chance)), "time": str(10_000 + place), "split": side})
    return rows


def users() -> list[dict]:
    return [{"user_id": str(one), "age": str(20 + one), "group": "old" if one % 2 else "young"} for one in range(20)]


def items() -> list[dict]:
    return [{"item_id": f"i{one}", "kinds": [KINDS[one % 3], *(["odd"] if one % 2 else [])]} for one in range(10)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("views")


@pytest.fixture(scope="module")
def tables(folder) -> dict[str, str]:
    made = {"data": written(folder / "views.csv", views()), "users": written(folder / "users.csv", users())}
    return made | {"items": written(folder / "items.jsonl", items())}


@pytest.fixture(scope="module")
def clicks(folder, tables):
    """A run on clicks with tables of users and items."""
    return train(Rank(**tables, **SMALL, output=str(folder / "clicks")))


@pytest.fixture(scope="module")
def ratings(folder):
    """A run on ratings: both networks, two of the better one, refitted."""
    rows = [row | {"click": str(1 + int(row["user_id"]) % 2 + 3 * int(row["click"]))} for row in views()]
    data = written(folder / "ratings.csv", rows)
    knobs = SMALL | {"model": "auto", "epochs": 1, "members": 2, "refit": True, "target_column": "click"}
    return train(Rank(data=data, **knobs, output=str(folder / "ratings")))


def asked(run, rows: list[dict], folder: Path, name: str = "asked.csv", **options) -> list[dict]:
    """Return the answers to rows."""
    predict(run, written(folder / name, rows), folder / "answers.jsonl", overwrite=True, **options)
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]


@pytest.fixture
def notices(monkeypatch) -> list[str]:
    """The lines that are told."""
    told: list[str] = []
    monkeypatch.setattr(progress, "notice", told.append)
    return told


def test_columns_of_rows_and_tables_are_typed_by_the_training_rows(clicks):
    columns = {column["name"]: column for column in read_json(clicks / "schema.json")["columns"]}
    kinds = {name: column["type"] for name, column in columns.items()}
    assert kinds == {
        "user_id": "category",
        "item_id": "category",
        "hour": "number",
        "age": "number",
        "group": "category",
        "kinds": "list",
    }
    assert columns["kinds"]["slots"] == 2 and set(columns["kinds"]["categories"]) == {*KINDS, "odd"}
    assert (
        len(columns["user_id"]["categories"]) == 18
        and sum(columns["user_id"]["counts"]) == clicks.summary["rows"]["train"]
    )


def test_two_values_are_clicks_and_more_numbers_are_ratings(clicks, ratings):
    assert clicks.summary["protocol"]["kind"] == "click" and ratings.summary["protocol"]["kind"] == "rating"
    assert list(clicks.summary["metrics"]["test"]) == ["auroc", "gauc", "log_loss", "ece"]
    assert list(ratings.summary["metrics"]["test"]) == ["rmse", "mae"]
    names = [set(read_json(run / "references.json")) for run in (clicks, ratings)]
    assert names == [{"logistic_regression", "gradient_boosting"}, {"user_item_bias", "gradient_boosting"}]


def test_a_report_names_unseen_users_and_the_worst_and_slices(clicks):
    report = read_json(clicks / "evaluation/test/report.json")
    strangers = [row for row in views() if row["split"] == "test" and int(row["user_id"]) >= 18]
    assert report["details"]["unseen"] == {"nothing": report["rows"] - len(strangers), "user": len(strangers)}
    assert clicks.summary["protocol"]["unseen"]["test"] == {"user": len(strangers), "item": 0}
    assert {"unseen", "user_activity", "data_group"} <= {part["column"] for part in report["slices"]}
    assert "over users" in report["protocol"]["interval"] and report["details"]["users"] == 20
    (worst,) = report["details"]["tables"]
    losses = [row[2] for row in worst["rows"]]
    assert losses == sorted(losses, reverse=True) and all(row[1] >= 5 for row in worst["rows"])
    page = (clicks / "evaluation/test/report.html").read_text()
    assert "Worst users" in page and "plot-reliability" in page and "Farthest off" in page


def test_auto_keeps_the_network_with_the_lower_loss_and_refits_it(ratings):
    with (ratings / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    losses = {row["phase"]: float(row["val_loss"]) for row in rows if row["phase"] in ("dcn", "deepfm")}
    protocol = ratings.summary["protocol"]
    kept = protocol["method"]
    assert len(losses) == 2 and kept == min(losses, key=losses.get) and "lowest loss" in protocol["chosen_because"]
    assert {row["phase"] for row in rows} == {"dcn", "deepfm", f"{kept} 2", f"refit {kept}", f"refit {kept} 2"}
    assert protocol["members"] == 2 and protocol["refit"] is True
    fitted = task_of(ratings.card).opened(ratings).fitted
    single = [layer for layer in fitted.model.layers if layer.name.startswith(kept)]
    assert len(single) == 2
    rows = np.array([[0, 1, 5, 12], [3, np.nan, 2, np.nan]], np.float32)[:, : width_of(fitted.schema["columns"])]
    mean = np.mean([np.asarray(member(rows)) for member in single], 0)
    wanted = np.clip(fitted.decisions.mean + fitted.decisions.spread * mean, 1, 5)
    assert np.allclose(fitted.model(rows), wanted, atol=1e-5)


def test_side_tables_are_kept_in_the_run_and_new_users_come_in_a_table(clicks, folder, tmp_path, notices):
    rows = [{name: row[name] for name in ("user_id", "item_id", "hour")} for row in views(8)]
    before = asked(clicks, rows, tmp_path)
    for name in ("users.csv", "items.jsonl"):
        (folder / name).rename(folder / f"gone-{name}")
    try:
        assert asked(clicks, rows, tmp_path) == before
    finally:
        for name in ("users.csv", "items.jsonl"):
            (folder / f"gone-{name}").rename(folder / name)
    new = {"user_id": "new", "item_id": "i0", "hour": "3"}
    notices.clear()
    bare = asked(clicks, [new, new | {"item_id": "i99"}], tmp_path)
    assert bare[0]["error"] is None and 0 < bare[0]["score"] < 1
    assert {"rows with a user that --users doesn't hold: 2", "rows with a user that no training row had: 2"} <= set(
        notices
    )
    assert {"rows with an item that --items doesn't hold: 1", "rows with an item that no training row had: 1"} <= set(
        notices
    )
    known = written(tmp_path / "more.csv", [{"user_id": "new", "age": "22", "group": "young"}])
    notices.clear()
    better = asked(clicks, [new], tmp_path, users=known)
    assert better[0]["score"] != bare[0]["score"] and not any("--users" in line for line in notices)
    with pytest.raises(UserError, match="no column age"):
        asked(clicks, [new], tmp_path, users=written(tmp_path / "less.csv", [{"user_id": "new", "group": "young"}]))


def test_a_bundle_takes_the_side_tables_along(clicks, tmp_path):
    bundle = export(clicks, "onnx", tmp_path / "bundle")
    assert replayed(bundle).problems == [] and (bundle / "sides.parquet").is_file()
    rows = [{name: row[name] for name in ("user_id", "item_id", "hour")} for row in views(20)]
    ours, theirs = ([row["score"] for row in asked(source, rows, tmp_path)] for source in (clicks, bundle))
    assert np.allclose(ours, theirs, atol=1e-5)


def test_columns_may_come_in_any_order_and_form(clicks, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("user_id", "item_id", "hour")
    rows = [{name: row[name] for name in names} for row in views(30) if row["hour"]]
    straight = [row["score"] for row in asked(clicks, rows, tmp_path)]
    turned = [{"more": "x", "hour": row["hour"], "item_id": row["item_id"], "user_id": row["user_id"]} for row in rows]
    assert [row["score"] for row in asked(clicks, turned, tmp_path)] == straight
    typed = [row | {"hour": float(row["hour"]), "user_id": float(row["user_id"])} for row in rows]
    pq.write_table(pa.Table.from_pylist(typed), tmp_path / "rows.parquet")
    predict(clicks, tmp_path / "rows.parquet", tmp_path / "typed.parquet")
    assert read_table(tmp_path / "typed.parquet")["score"].to_pylist() == straight


def test_a_missing_column_or_a_bad_cell_is_an_error_row(clicks, tmp_path):
    good = {"user_id": "1", "item_id": "i1", "hour": "3"}
    said = asked(clicks, [good | {"hour": "late"}, good | {"hour": "inf"}, good | {"hour": "nan"}, good], tmp_path)
    assert [bool(row["error"]) for row in said] == [True, True, False, False]
    assert "should be a number" in said[0]["error"] and "infinite" in said[1]["error"]
    said = asked(clicks, [{"user_id": "1", "item_id": "i1"}] * 2, tmp_path)
    assert {row["error"] for row in said} == {'column "hour" is missing'}


def test_lists_are_read_from_lists_json_and_separators():
    assert values_in(["a", None, "b", "a"]) == values_in('["a", "b"]') == values_in("a|b|", "|") == ["a", "b"]
    assert values_in("a|b") == ["a|b"] and values_in(None) == [] and values_in("") == [] and values_in(7.0) == ["7"]
    names = {"user": None, "item": None}
    rows = [{"kinds": "a|b"}, {"kinds": "c"}, {"kinds": ""}, {"kinds": "b"}]
    (column,) = settled(rows, Rank(list_separator="|"), names)
    assert (column["type"], column["slots"], column["categories"]) == ("list", 2, ["b", "a", "c"])
    (column,) = settled(rows, Rank(list_separator="|", rarest=2), names)
    assert column["categories"] == ["b"]


def test_a_longer_list_than_any_before_is_cut_and_told(clicks, tmp_path, notices):
    more = written(tmp_path / "more.jsonl", [{"item_id": "i0", "kinds": ["comedy", "odd", "drama"]}])
    said = asked(clicks, [{"user_id": "1", "item_id": "i0", "hour": "3"}], tmp_path, items=more)
    assert said[0]["error"] is None and any('more values of "kinds"' in line for line in notices)


def test_numbers_of_users_items_and_ids_are_names():
    rows = [
        {"user": str(place % 5), "shop_id": place % 3, "zip": str(9000 + place % 4), "age": place}
        for place in range(40)
    ]
    names = {"user": "user", "item": None}
    kinds = {column["name"]: column["type"] for column in settled(rows, Rank(category_column=("zip",)), names)}
    assert kinds == {"user": "category", "shop_id": "category", "zip": "category", "age": "number"}
    chosen = settled(rows, Rank(feature_column=("age",), drop_column=("zip",)), names)
    assert [column["name"] for column in chosen] == ["user", "age"]


@pytest.mark.parametrize(
    ("cells", "knobs", "said"),
    [
        (lambda place: {"text": f"word {place}"}, {}, '--drop-column "text"'),
        (lambda place: {"a": place if place % 9 else f"about {place}"}, {}, "numbers and 6 texts"),
        (lambda place: {"a": 1, "b": "x"}, {}, "constant"),
        (lambda place: {"a": place}, {"drop_column": ("a",)}, "no column is left"),
        (lambda place: {"a": place}, {"feature_column": ("z",)}, 'no column "z"'),
    ],
)
def test_unusable_columns_are_one_line_with_the_fix(cells, knobs, said):
    with pytest.raises(UserError, match=said):
        settled([cells(place) for place in range(50)], Rank(**knobs), {"user": None, "item": None})


def test_targets_tell_what_they_are_unless_they_are_told():
    assert TargetEncoder.of(["1.0", "0", "1"], Rank()).names == ("0", "1")
    assert TargetEncoder.of(["no", "yes"], Rank()).names == ("no", "yes")
    assert TargetEncoder.of(["no", "yes"], Rank(positive="no")).names == ("yes", "no")
    assert TargetEncoder.of(["1", "5"], Rank(kind="rating")).kind == "rating"
    assert TargetEncoder.of(["1", "2.5", "3"], Rank()).kind == "rating"
    assert TargetEncoder.of(["0", "1"], Rank()).encode(["1", "0.0", " 1"]).tolist() == [1, 0, 1]
    wrong = [
        (["1", "1"], {}, "all rows have the target 1"),
        (["1", "2", "good"], {}, "two values .* or numbers"),
        (["1", "2", "3"], {"kind": "click"}, "two different targets. Found: 3"),
        (["1", "2", "3"], {"positive": "3"}, "leave it out"),
        (["0", "1"], {"positive": "2"}, "one of 0, 1"),
    ]
    for targets, knobs, said in wrong:
        with pytest.raises(UserError, match=said):
            TargetEncoder.of(targets, Rank(**knobs))
    with pytest.raises(UserError, match="the target of row 1 should be 0 or 1. Received: 7"):
        TargetEncoder.of(["0", "1"], Rank()).encode(["0", "7"], ["row 0", "row 1"])


def test_rows_without_a_finite_target_are_quarantined(folder):
    rows = views(60)
    for place, target in enumerate(("nan", "inf", "", "-1e400")):
        rows[place]["click"] = target
    data = written(folder / "gaps.csv", rows)
    seen = check(Rank(data=data, max_quarantine=0.2))
    assert [row["reason"].split(" (")[0] for row in seen["quarantined"]] == [
        "no target",
        "its target is infinite, or too large",
        "no target",
        "its target is infinite, or too large",
    ]
    assert "clicks: 1 against 0" in {one["code"]: one["message"] for one in seen["findings"]}["kind"]


def test_a_bad_side_table_is_one_line_with_the_fix(folder, tables, tmp_path):
    card = Rank(**tables, **SMALL, output=str(tmp_path))
    wrong = [
        ([{"name": "0", "age": "1"}], "no column to join it by: user_id or user"),
        ([row | {"hour": "1"} for row in users()], 'the column "hour" stands in two of the tables'),
    ]
    for rows, said in wrong:
        with pytest.raises(UserError, match=said):
            train(replace(card, users=written(tmp_path / "users.csv", rows)))
    with pytest.raises(UserError, match="should be a file"):
        train(replace(card, users=str(tmp_path / "none.csv")))
    lonely = written(tmp_path / "lonely.csv", [{"hour": row["hour"], "click": row["click"]} for row in views(50)])
    with pytest.raises(UserError, match="--user-column"):
        train(Rank(data=lonely, users=tables["users"], output=str(tmp_path)))


def test_rows_of_side_tables_that_nobody_can_trust_are_told(folder, tables, tmp_path):
    rows = [*users(), users()[0] | {"age": "99"}, {"user_id": "", "age": "1", "group": "x"}]
    rows[2]["age"] = "inf"
    findings = check(Rank(**tables | {"users": written(tmp_path / "users.csv", rows)}))["findings"]
    told = [one["message"] for one in findings if one["code"] == "users_table"]
    assert [said.split(" users.csv ")[0] for said in told] == ["1 rows of", "1 rows of", "1 users of"]
    assert "such as 0; none of them counts" in told[2]


def test_users_that_their_table_lacks_are_counted(folder, tables, tmp_path):
    few = written(tmp_path / "few.csv", users()[:15])
    found = {one["code"]: one for one in check(Rank(**tables | {"users": few}))["findings"]}
    lacking = sum(int(row["user_id"]) >= 15 for row in views())
    assert found["missing_users"]["rows"] == lacking and "--users doesn't hold" in found["missing_users"]["message"]


def test_kept_side_tables_read_back(tables, tmp_path):
    made = SideTables.read(Rank(**tables), {"user": "user_id", "item": "item_id"})
    made.write(tmp_path / "sides.parquet")
    again = SideTables.kept(tmp_path / "sides.parquet")
    assert again == made and again.fingerprint == made.fingerprint
    assert made.joined({"user_id": 3.0, "item_id": "i1"}, {"user": "user_id", "item": "item_id"})["group"] == "old"
    assert SideTables.kept(tmp_path / "none.parquet") == SideTables()


def test_check_finds_constant_columns_and_answers(tmp_path):
    rows = [row | {"always": "7", "paid": str(3 * int(row["click"]))} for row in views()]
    found = {one["code"]: one["message"] for one in check(Rank(data=written(tmp_path / "rows.csv", rows)))["findings"]}
    assert found["constant_columns"].endswith(": always") and "paid (area 1.000)" in found["gives_the_answer"]
    clean = check(Rank(data=written(tmp_path / "clean.csv", views())))["findings"]
    assert not {"constant_columns", "gives_the_answer"} & {one["code"] for one in clean}


def test_repeated_events_are_each_their_own(tmp_path, folder):
    rows = [{"user": f"u{place % 4}", "ad": "ab"[place % 2], "click": str(int(place % 3 == 0))} for place in range(80)]
    seen = check(Rank(data=written(tmp_path / "rows.csv", rows)))
    alike = [one for one in seen["findings"] if "duplicates" in one["code"] or one["code"] == "two_labels"]
    assert [one["grade"] for one in alike] == ["note"]
    run = train(Rank(data=str(tmp_path / "rows.csv"), **SMALL | {"split_column": None}, output=str(tmp_path)))
    assert run.summary["rows"] == {"train": 64, "validation": 8, "test": 8, "quarantined": 0}


def test_a_cut_by_time_holds_out_the_latest_rows(tmp_path):
    rows = [{name: cell for name, cell in row.items() if name != "split"} for row in views(100)]
    for place, row in enumerate(rows):
        row["time"] = "2024-01-01T00:00:00" if place in (3, 7, 60) else f"2023-0{1 + place % 9}-{1 + place % 28:02d}"
    order = np.random.default_rng(0).permutation(100)
    data = written(tmp_path / "rows.csv", [rows[place] for place in order])
    knobs = SMALL | {"split_column": None, "epochs": 1, "split_rule": "time-cut"}
    run = train(Rank(data=data, **knobs, test=0.02, output=str(tmp_path)))
    sides = np.array(run.splits["split"].to_pylist())
    times = np.array([rows[place]["time"][:10] for place in order])
    assert (sides == "test").sum() == 3 and set(times[sides == "test"]) == {"2024-01-01"}  # the tie stays together
    assert max(times[sides == "train"]) < min(times[sides == "validation"])
    assert "time" not in {column["name"] for column in read_json(run / "schema.json")["columns"]}
    rows[5]["time"] = "yesterday"
    with pytest.raises(UserError, match='row 6 can\'t be put in order of time: .* "yesterday"'):
        train(Rank(data=written(tmp_path / "bad.csv", rows), **knobs, output=str(tmp_path)))
    with pytest.raises(UserError, match="--time-column"):
        bare = [{name: cell for name, cell in row.items() if name != "time"} for row in rows]
        train(Rank(data=written(tmp_path / "none.csv", bare), **knobs, output=str(tmp_path)))


def test_a_cut_training_goes_on_to_the_same_weights(clicks, folder, tables, monkeypatch):
    from horngate.models.recommendation.rankers import Forgetting

    batch, calls = Forgetting.batch, []

    def stopping(self, rows, epoch):
        if epoch is not None:
            calls.append(epoch)
        if len(calls) == 9:
            progress.stop.set()
        return batch(self, rows, epoch)

    monkeypatch.setattr(Forgetting, "batch", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(replace(clicks.card, output=str(folder / "cut")))
    progress.stop.clear()
    monkeypatch.undo()
    (begun,) = (path.parent for path in (folder / "cut").glob("*/recipe.yaml"))
    assert list((begun / "checkpoints").iterdir()) and not (begun / "run.json").exists()
    resumed = train(resume=begun)
    assert (clicks / "history.csv").read_text() == (resumed / "history.csv").read_text()
    scores = [read_table(run / "evaluation/test/answers.parquet")["score"] for run in (clicks, resumed)]
    assert scores[0].equals(scores[1])


def test_other_rows_are_measured_with_their_users_table(clicks, tmp_path):
    rows = [{name: row[name] for name in ("user_id", "item_id", "hour", "click", "split")} for row in views(60, seed=5)]
    data = written(tmp_path / "later.csv", rows)
    report = evaluate(clicks, data=data, output=tmp_path / "later")
    assert report.rows == 60 and report.details["users"] == len({row["user_id"] for row in rows})
    with pytest.raises(UserError, match="should be 0 or 1. Received: 2"):
        rows[4]["click"] = "2"
        evaluate(clicks, data=written(tmp_path / "odd.csv", rows), output=tmp_path / "odd")
    with pytest.raises(UserError, match="without --users"):
        task = task_of(clicks.card).recalled(clicks.folder)
        bare = task.with_fitted(task.fitted.having(lookup=SideTables()))
        bare.configured(clicks, {"users": clicks.card.users})


def test_the_example_reads_a_row_as_the_run_does(clicks, tmp_path):
    from horngate.pipelines.recommendation.rank.predictor import EXAMPLE

    task = task_of(clicks.card).recalled(clicks.folder)
    cells = {"user_id": "3", "item_id": "i5", "hour": None, "age": 23, "group": "old", "kinds": ["drama", "never"]}
    (tmp_path / "row.json").write_text(json.dumps(cells))
    (tmp_path / "schema.json").write_text((clicks / "schema.json").read_text())
    scope = {"Path": Path, "__file__": str(tmp_path / "example.py")}
    exec(EXAMPLE, scope)
    bare = {name: cells[name] for name in ("user_id", "item_id", "hour")}
    task.fitted.lookup.rows["item"]["i5"]["kinds"] = cells["kinds"]
    wanted = task.reader.read(json.dumps(bare).encode())
    assert np.array_equal(scope["read"](tmp_path / "row.json"), wanted, equal_nan=True)


def test_the_oracle_of_a_sample_is_what_its_targets_were_drawn_from():
    from horngate.pipelines.data.samples import made_up_clicks, made_up_ratings

    for made, spread in ((made_up_clicks.table(), None), (made_up_ratings.table(), 0.75)):
        said, given = (np.array(made[name].to_pylist(), float) for name in ("oracle", "target"))
        variance = said * (1 - said) if spread is None else np.full(len(said), spread**2)
        for rows in np.array_split(np.argsort(said), 5):
            assert abs((given - said)[rows].sum()) < 4 * np.sqrt(variance[rows].sum())
    assert np.ptp(said) > 2 and made.num_rows == 6000
