"""Retrieval from a user's own log: what is read, how it is split, what is masked, what is said."""

import csv
import json
import math
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from horngate.pipelines import check, evaluate, predict, train
from horngate.pipelines.recommendation import Retrieve
from horngate.pipelines.recommendation.interactions.inspection import inspect_log
from horngate.pipelines.recommendation.interactions.side_files import read_side_table
from horngate.pipelines.report.figures import learning_curves
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json, read_table
from horngate.pipelines.tasks.task import task_of
from horngate.pipelines.verbs.export import export

pytestmark = pytest.mark.usefixtures("undrawn")

START = 1_700_000_000


def interactions(seed=0, users=40, items=30):
    """Return (user, item, seconds) of two crowds, each with half of the items to itself."""
    draw, found = np.random.default_rng(seed), []
    for user in range(users):
        own = draw.permutation(items // 2)[: draw.integers(6, 12)] + (user % 2) * (items // 2)
        found += [(f"u{user}", f"i{item}", START + int(draw.integers(0, 10**7))) for item in own]
    return found


def written(path, rows, header=("user", "item", "time"), separator=","):
    lines = [separator.join(header), *(separator.join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """A log with side tables, which hold a user and an item that the log doesn't."""
    root = tmp_path_factory.mktemp("shop")
    written(root / "log.csv", interactions())
    users = [(f"u{user}", "left" if user % 2 == 0 else "right", 20 + user) for user in range(40)]
    written(root / "users.csv", [*users, ("newcomer", "right", 30)], ("user", "side", "age"))
    items = [(f"i{item}", "left" if item < 15 else "right") for item in range(30)]
    written(root / "items.tsv", [*items, ("novelty", "right")], ("item", "side"), "\t")
    return root


@pytest.fixture(scope="session")
def trained(shop, tmp_path_factory):
    """A function that trains a model on the shop's log, once per set of knobs."""
    made = {}

    def run(**knobs):
        key = json.dumps(knobs, sort_keys=True)
        if key not in made:
            card = {"data": str(shop / "log.csv"), "output": str(tmp_path_factory.mktemp("runs")), "dimension": 8}
            made[key] = train(Retrieve(**card | {"model": "mf", "epochs": 4, "split_rule": "per-user"} | knobs))
        return made[key]

    return run


def looked(path, **knobs):
    return inspect_log(Retrieve(data=str(path), **knobs))


def messages(found):
    return " | ".join(finding.message for finding in found.findings)


# Reading


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("seconds since 1970", lambda time: time),
        ("milliseconds since 1970", lambda time: time * 1000),
        ("microseconds since 1970", lambda time: time * 10**6),
        ("seconds since 1970", lambda time: f" {time}.5"),
        ("ISO 8601", lambda time: datetime.fromtimestamp(time, UTC).isoformat()),
        ("ISO 8601", lambda time: datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M")),
        ("ISO 8601", lambda time: datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("ISO 8601", lambda time: datetime.fromtimestamp(time, UTC).date().isoformat()),
    ],
)
def test_times_are_read_and_said(said, told, tmp_path):
    rows = interactions()
    found = looked(written(tmp_path / "log.csv", [(user, item, told(time)) for user, item, time in rows]))
    assert f"times were read as {said}: 2023-11-1" in messages(found)
    assert np.abs(np.sort(found.log.time) - sorted(time for *_, time in rows)).max() <= 86_400


def test_times_with_a_zone_are_moments(tmp_path):
    rows = [("a", f"x{n}", f"2024-01-01T{n:02d}:00:00+02:00") for n in range(5)]
    rows += [("b", f"x{n}", f"2024-01-01 {n:02d}:00:00") for n in range(5)]
    log = looked(written(tmp_path / "log.csv", rows)).log
    names = log.users.to_pylist()
    first = {names[user]: log.time[log.user == user].min() for user in (0, 1)}
    assert first["b"] - first["a"] == 7200


def test_parquet_times_and_number_ids_are_taken_as_they_are(tmp_path):
    user, item, time = zip(*interactions(), strict=True)
    stamps = pa.array([value * 10**6 for value in time], pa.timestamp("us"))
    codes = pa.array([int(name[1:]) for name in item])
    pq.write_table(pa.table({"user": user, "item": codes, "time": stamps}), tmp_path / "log.parquet", row_group_size=50)
    found = looked(tmp_path / "log.parquet")
    assert "times of type timestamp[us]" in messages(found) and set(found.log.items.to_pylist()) == {
        str(n) for n in codes.to_pylist()
    }


def test_rows_that_cannot_be_used_are_quarantined_each_with_its_reason(tmp_path):
    bad = [("", "i1", START, 1), ("u1", " ", START, 1), ("u1", "i1", "2023-13-45", 1), ("u1", "i2", START, "NaN")]
    bad += [("u1", "i2", START, -1), ("u1", "i2", START, 1, "more")]
    rows = [(*row, 1) for row in interactions()]
    found = looked(written(tmp_path / "log.csv", [*bad, *rows], ("user", "item", "time", "weight")))
    reasons = dict(found.quarantined)
    assert found.listed == len(rows) + 6 and found.usable == len(rows)
    assert reasons["row 1"] == "no user" and reasons["row 2"] == "no item" and "time can't be read" in reasons["row 3"]
    assert reasons["row 4"] == reasons["row 5"] == "its weight is no number above 0"
    assert reasons["row 6"] == "5 cells, the header has 4"


def test_numbers_of_rows_count_those_that_are_broken(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item\na,b,c\n" + "".join(f"{user},{item}\n" for user, item, _ in interactions()) + ",x\n")
    assert [name for name, _ in looked(path).quarantined] == ["row 1", f"row {len(interactions()) + 2}"]


def test_a_log_without_one_readable_time_stops_with_the_reason(tmp_path, cli):
    path = written(tmp_path / "log.csv", [(user, item, "yesterday") for user, item, _ in interactions()])
    code, _, err = cli("recommendation", "retrieve", "train", "--data", path, "-o", tmp_path)
    assert code == 1 and "its time can't be read" in err and len(err.strip().splitlines()) <= 3


def test_a_log_of_three_rows_is_one_line(tmp_path, cli):
    path = written(tmp_path / "log.csv", [("a", "x"), ("b", "y"), ("a", "y")], ("user", "item"))
    code, out, err = cli("recommendation", "retrieve", "train", "--data", path, "-o", tmp_path / "runs")
    assert (code, out) == (1, "") and "3 interactions of 2 users with 2 items" in err and len(err.splitlines()) == 1
    assert not list((tmp_path / "runs").glob("*"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("log.csv", "", "is empty"),
        ("log.csv", "user,item\n", "0 interactions"),
        ("log.csv", "user;item\n1;2\n", "semicolons"),
        ("log.csv", "customer,thing\n1,2\n", "has no clear item column"),
        ("log.csv", "user,user_id,item\n1,1,2\n", "--user-column"),
        ("log.jsonl", "", "is empty"),
        ("log.pdf", "x", "is no log"),
    ],
)
def test_what_is_no_log_is_one_line(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=said):
        looked(tmp_path / name)


def test_bytes_of_another_encoding_are_said_with_their_place(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(
        b"user,item\n" + "é,x\n".encode("latin-1") + b"".join(f"{u},{i}\n".encode() for u, i, _ in interactions())
    )
    with pytest.raises(UserError, match="byte 10 can't be decoded.*--encoding"):
        looked(path)
    assert "é" in looked(path, encoding="latin-1").log.users.to_pylist()


def test_every_form_of_one_log_is_read_alike(tmp_path):
    rows = [(user, item) for user, item, _ in interactions()]
    forms = [written(tmp_path / "log.csv", rows, ("user", "item"))]
    forms.append(written(tmp_path / "log.inter", rows, ("user_id:token", "item_id:token"), "\t"))
    (tmp_path / "log.jsonl").write_text("".join(json.dumps({"user": user, "item": item}) + "\n" for user, item in rows))
    (tmp_path / "pairs.txt").write_text("".join(f"{user} {item}\n" for user, item in rows))
    by_user = {}
    for user, item in rows:
        by_user.setdefault(user, []).append(item)
    (tmp_path / "lines.txt").write_text("".join(f"{user} {' '.join(items)}\n" for user, items in by_user.items()))
    forms += [tmp_path / "log.jsonl", tmp_path / "pairs.txt", tmp_path / "lines.txt"]
    tables = [looked(form, split_rule="leave-one-out").table for form in forms]
    wanted = {(row["id"], row["split"], row["target"]) for row in tables[0].to_pylist()}
    for table in tables[1:]:
        assert {(row["id"], row["split"], row["target"]) for row in table.to_pylist()} == wanted


def test_json_of_mixed_types_is_read_row_by_row(tmp_path):
    lines = [
        json.dumps({"user": user if n % 2 else n, "item": item}) for n, (user, item, _) in enumerate(interactions())
    ]
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, "{no"]))
    found = looked(tmp_path / "log.jsonl")
    assert "0" in found.log.users.to_pylist() and found.quarantined[0][1] == "is no JSON"


def test_a_folder_of_lines_gives_its_splits(tmp_path):
    for name in ("train", "valid", "test"):
        lines = [f"u{user} " + " ".join(f"{name}{n}" for n in range(4)) for user in range(6)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    found = looked(tmp_path)
    assert found.notes == ["given: train, validation, test"] and found.protocol["items_only_in_test"] == 4
    assert "4 items stand in the test alone (given)" in messages(found)


# Cleaning and splits


def test_repeated_interactions_are_counted_and_the_first_in_time_is_kept(tmp_path):
    rows = interactions()
    later = [(user, item, time + 10**8) for user, item, time in rows[:7]]
    found = looked(written(tmp_path / "log.csv", later + rows))
    assert len(found.log) == len(rows) and "7 interactions repeat" in messages(found)
    assert found.log.time.max() < START + 10**8


def test_users_and_items_with_few_interactions_are_left_out_until_none_is_left(tmp_path):
    rows = [(f"u{user}", f"i{item}", START + item) for user in range(8) for item in range(6)]
    rows += [("lonely", "rare", START), ("lonely", "i1", START), ("other", "rare", START)]
    found = looked(written(tmp_path / "log.csv", rows), min_user=2, min_item=2)
    assert set(found.log.users.to_pylist()) == {f"u{user}" for user in range(8)}
    assert (found.protocol["min_user"], found.protocol["min_item"]) == (2, 2)
    assert "3 interactions were left out" in messages(found)


def test_a_time_cut_leaves_nothing_later_to_learn_from(shop):
    found = looked(shop / "log.csv")
    latest = [found.log.time[found.sides == side].max() for side in range(3)]
    earliest = [found.log.time[found.sides == side].min() for side in range(3)]
    assert found.rule == "time-cut" and latest[0] < earliest[1] and latest[1] < earliest[2]
    assert (found.sides == 2).sum() == pytest.approx(0.1 * len(found.sides), abs=1)


def test_the_last_interaction_of_each_user_is_left_out(shop):
    found = looked(shop / "log.csv", split_rule="leave-one-out")
    for user in range(40):
        own = np.flatnonzero(found.log.user == user)
        assert found.sides[own].tolist() == [0] * (len(own) - 2) + [1, 2]
        assert (np.diff(found.log.time[own]) >= 0).all()


def test_each_user_gives_a_share_drawn_with_the_seed(shop):
    first, again, other = (looked(shop / "log.csv", split_rule="per-user", seed=seed) for seed in (0, 0, 1))
    assert (np.bincount(first.log.user[first.sides == 2]) == 1).all()
    key = lambda found: set(zip(found.table["id"].to_pylist(), found.table["target"].to_pylist(), strict=True))  # noqa: E731
    assert key(first) == key(again) != key(other)


def test_a_user_with_one_interaction_is_learnt_from_and_not_measured(tmp_path):
    found = looked(written(tmp_path / "log.csv", [*interactions(), ("single", "i1", START)]), split_rule="per-user")
    own = found.log.user == found.log.users.to_pylist().index("single")
    assert found.sides[own].tolist() == [0] and "1 users have one interaction" in messages(found)


def test_given_splits_are_kept_and_another_word_is_refused(tmp_path):
    rows = [
        (user, item, "dev" if n % 9 == 0 else "test" if n % 9 == 1 else "train")
        for n, (user, item, _) in enumerate(interactions())
    ]
    found = looked(written(tmp_path / "log.csv", rows, ("user", "item", "split")), split_column="split")
    assert [(found.sides == side).sum() for side in (1, 2)] == [
        sum(row[2] == name for row in rows) for name in ("dev", "test")
    ]
    path = written(tmp_path / "bad.csv", [(*row[:2], "fold1") for row in rows], ("user", "item", "split"))
    with pytest.raises(UserError, match='Received: "fold1"'):
        looked(path, split_column="split")


def test_a_time_cut_without_times_says_what_to_do(tmp_path):
    path = written(tmp_path / "log.csv", [row[:2] for row in interactions()], ("user", "item"))
    with pytest.raises(UserError, match="--time-column, or take per-user"):
        looked(path, split_rule="time-cut")
    assert looked(path).rule == "per-user"


def test_a_bundle_that_reads_lists_of_items_answers_users_as_its_run(trained, shop, tmp_path, cli):
    run = trained(model="ease")
    code, _, err = cli("export", run.folder, "--format", "onnx", "-o", tmp_path / "bundle")
    assert code == 0, err
    users = written(tmp_path / "users.csv", [("u1",), ("u2",), ("nobody",)], ("user",))
    said = [
        predict(source, users, tmp_path / f"{place}.parquet") for place, source in enumerate((run, tmp_path / "bundle"))
    ]
    ours, bundled = (read_table(tmp_path / f"{place}.parquet") for place in range(len(said)))
    assert ours["items"] == bundled["items"] and bundled["fallback"].to_pylist() == [None, None, "popularity"]
    with pytest.raises(UserError, match="which a bundle doesn't hold"):
        predict(tmp_path / "bundle", users, tmp_path / "why.parquet", why=True)
    with pytest.raises(UserError, match="leave --data out"):
        export(run, "onnx", tmp_path / "other", data=str(shop / "log.csv"))


def test_a_later_log_keeps_the_splits_of_a_run(shop, trained, tmp_path):
    run = trained()
    path = written(tmp_path / "later.csv", [*interactions(), ("u1", "fresh", START), ("guest", "i1", START)])
    found = looked(path, splits=str(run.folder), split_rule="per-user", seed=5)
    old = {(row["id"], row["split"]): set(json.loads(row["target"])) for row in run.splits.to_pylist()}
    new = {(row["id"], row["split"]): set(json.loads(row["target"])) for row in found.table.to_pylist()}
    assert all(items <= new[key] for key, items in old.items())
    assert "keep the split of the earlier run" in found.notes[0]


# Learning, answers, measures


def test_what_was_met_before_is_masked_and_only_then(trained):
    run = trained()
    met = {side: {} for side in ("train", "validation", "test")}
    for row in run.splits.to_pylist():
        met[row["split"]][row["id"]] = set(json.loads(row["target"]))
    for split, before in (("validation", ("train",)), ("test", ("train", "validation"))):
        answers = read_table(run / "evaluation" / split / "answers.parquet").to_pylist()
        assert answers and any(set(row["items"]) & set(json.loads(row["target"])) for row in answers)
        for row in answers:
            assert not set(row["items"]) & set().union(*(met[side].get(row["id"], set()) for side in before))
            assert len(row["items"]) == len(set(row["items"])) == len(row["scores"])
            assert row["scores"] == sorted(row["scores"], reverse=True)


def test_the_report_says_what_its_scores_depend_on(trained):
    report = read_json(trained() / "evaluation/test/report.json")
    protocol = report["protocol"]
    assert protocol["split_rule"] == "per-user" and protocol["split"] == [
        "drawn of each user with seed 0: validation, test"
    ]
    assert "full ranking" in protocol["candidates"] and "seed 0" in protocol["ties"] and protocol["min_user"] == 1
    assert set(report["references"]) == {"popularity", "item_knn", "ease"}
    assert report["references"]["popularity"]["ndcg_at_10"]["value"] == report["metrics"]["ndcg_at_10"]["baseline"]
    assert {part["column"] for part in report["slices"]} <= {"user_activity", "item_popularity", "cold_start"}


def test_two_crowds_are_told_apart(trained):
    report = read_json(trained() / "evaluation/test/report.json")
    assert report["metrics"]["ndcg_at_10"]["low"] > report["metrics"]["ndcg_at_10"]["baseline"]


def test_ties_never_favour_what_was_held_out(trained):
    """With one score for all items a target is as often found as chance has it, whatever its place in the log."""
    run = trained()
    task = task_of(run.card).opened(run)
    store = task.fitted.decisions
    task.predictor.scores = lambda users, past: np.zeros((len(users), len(store.log.items)), np.float32)
    table, *_ = task.rows.own_rows(run, "test")
    (said,) = task.predictor.predict([table], True)
    codes = store.items_of(said.columns["items"].flatten())
    order = np.random.default_rng((run.card.seed, 7)).permutation(30)
    assert sorted(order.tolist()) == list(range(30)) and (np.diff(codes.reshape(-1, 20)[:, :3]) > 0).all()
    assert store.log.items.to_pylist() != sorted(store.log.items.to_pylist())


def test_users_unknown_to_the_run_get_what_is_popular_and_are_told(trained, tmp_path, heard):
    path = written(tmp_path / "users.csv", [("u3", "x"), ("stranger", "y"), ("", "z")], ("user", "note"))
    done = predict(trained(), path, tmp_path / "recs.parquet", k=5)
    rows = pq.read_table(tmp_path / "recs.parquet").to_pylist()
    assert (done.rows, done.errors) == (3, 1)
    assert [row["fallback"] for row in rows] == [None, "popularity", None] and rows[2]["error"] == "no user"
    assert [row["note"] for row in rows] == ["x", "y", "z"] and len(rows[0]["items"]) == len(rows[1]["items"]) == 5
    assert rows[2]["items"] is None
    assert "1 user got what is popular, since the run knows nothing of them; `fallback` says who" in heard.notices


def test_seen_items_come_back_on_request(trained, tmp_path):
    path = written(tmp_path / "users.csv", [(f"u{user}",) for user in range(40)], ("user",))
    met = {row["id"]: set(json.loads(row["target"])) for row in trained().splits.to_pylist() if row["split"] == "train"}
    shares = []
    for name, option in (("with", {"include_seen": True}), ("without", {"exclude_seen": True})):
        predict(trained(), path, tmp_path / f"{name}.parquet", k=10, **option)
        rows = pq.read_table(tmp_path / f"{name}.parquet").to_pylist()
        shares.append(np.mean([len(set(row["items"]) & met[row["id"]]) for row in rows]))
    assert shares[0] > 3 and shares[1] == 0
    with pytest.raises(UserError, match="give one of"):
        predict(trained(), path, tmp_path / "both.parquet", include_seen=True, exclude_seen=True)


def test_only_candidates_are_recommended(trained, tmp_path, heard):
    (tmp_path / "few.txt").write_text("i1\ni2\ni20\nunheard-of\n")
    path = written(tmp_path / "users.csv", [("u3",), ("stranger",)], ("user",))
    predict(trained(), path, tmp_path / "recs.parquet", candidates=str(tmp_path / "few.txt"))
    for row in pq.read_table(tmp_path / "recs.parquet").to_pylist():
        assert set(row["items"]) <= {"i1", "i2", "i20"}
    assert "1 of 4 candidates" in " ".join(heard.notices)
    (tmp_path / "few.txt").write_text("i1\n")
    with pytest.raises(UserError, match="made from another model, option or listing"):
        predict(trained(), path, tmp_path / "recs.parquet", candidates=str(tmp_path / "few.txt"))
    (tmp_path / "few.txt").write_text("unheard-of\n")
    with pytest.raises(UserError, match="names no item that the run knows"):
        predict(trained(), path, tmp_path / "other.parquet", candidates=str(tmp_path / "few.txt"))


def test_reasons_are_the_past_items_that_are_nearest(trained, tmp_path):
    path = written(tmp_path / "users.csv", [("u3",), ("stranger",)], ("user",))
    predict(trained(), path, tmp_path / "recs.parquet", why=True, k=4)
    known, stranger = pq.read_table(tmp_path / "recs.parquet").to_pylist()
    past = {
        item
        for row in trained().splits.to_pylist()
        if row["id"] == "u3" and row["split"] != "test"
        for item in json.loads(row["target"])
    }
    assert [len(reasons) for reasons in known["why"]] == [3] * 4 and {
        item for part in known["why"] for item in part
    } <= past
    assert stranger["why"] == [[], [], [], []]


def test_similar_items_are_of_the_same_crowd(trained, cli):
    code, out, _ = cli("recommendation", "retrieve", "similar-items", trained().folder, "i3", "-k", "5", "--json")
    found = json.loads(out)
    assert code == 0 and len(found) == 5 and sum(int(row["item"][1:]) < 15 for row in found) >= 4
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    code, _, err = cli("recommendation", "retrieve", "similar-items", trained().folder, "i333")
    assert code == 1 and 'has not learnt an item "i333"' in err and "Did you mean" in err


def test_sampled_candidates_are_named_and_stand_beside_no_full_ranking(trained, tmp_path):
    report = evaluate(trained(), sampled=5, output=tmp_path / "sampled")
    full = read_json(trained() / "evaluation/test/report.json")
    assert report.protocol["candidates"].startswith("5 drawn items") and report.references == {}
    assert report.metrics["ndcg_at_10"].value > full["metrics"]["ndcg_at_10"]["value"]


def test_another_log_is_measured_without_what_the_run_knows(trained, tmp_path, heard):
    rows = [
        *interactions()[:20],
        *((f"u{user}", f"i{(user % 2) * 15 + 14}", START) for user in range(10)),
        ("guest", "i2", START),
    ]
    report = evaluate(trained(), data=written(tmp_path / "new.csv", rows), output=tmp_path / "new")
    answers = read_table(tmp_path / "new/answers.parquet").to_pylist()
    guest = next(row for row in answers if row["id"] == "guest")
    assert guest["fallback"] == "popularity" and guest["cold_start"] == "new user"
    assert "are known to the run and are no targets" in " ".join(heard.notices) and report.references == {}


@pytest.mark.parametrize("model", ["ease", "multvae"])
def test_every_model_reopens_to_the_answers_it_was_measured_on(model, trained, tmp_path):
    run = trained(model=model)
    evaluate(run, output=tmp_path / "again")
    again, before = (read_table(folder / "answers.parquet") for folder in (tmp_path / "again", run / "evaluation/test"))
    assert again.equals(before) and run.summary["method"] == model


def test_towers_answer_for_users_and_items_by_features_alone(shop, trained, tmp_path):
    run = trained(model="towers", users=str(shop / "users.csv"), items=str(shop / "items.tsv"), epochs=30)
    path = written(tmp_path / "users.csv", [("newcomer",), ("stranger",)], ("user",))
    predict(run, path, tmp_path / "recs.parquet", k=10)
    newcomer, stranger = pq.read_table(tmp_path / "recs.parquet").to_pylist()
    assert newcomer["fallback"] is None and stranger["fallback"] == "popularity"
    assert sum(item == "novelty" or int(item[1:]) >= 15 for item in newcomer["items"]) >= 8
    predict(run, path, tmp_path / "all.parquet", k=31, include_seen=True)
    assert "novelty" in pq.read_table(tmp_path / "all.parquet")["items"][0].as_py()


def test_towers_without_side_tables_are_one_line(shop, tmp_path, cli):
    words = ("--data", shop / "log.csv", "--model", "towers", "-o", tmp_path)
    code, _, err = cli("recommendation", "retrieve", "train", *words)
    assert code == 1 and "--users and --items" in err


def test_rows_of_side_tables_without_a_sure_id_are_left_out_and_counted(shop, tmp_path):
    rows = [("u1", "x", 1), ("u1", "y", 1), ("", "z", 1), ("nobody", "w", 1), ("u2", "v", 1, "more")]
    rows += [("u3", "v", 1), ("u3", "v", 1), ("u4", "v", "inf")]
    names = ("user", "colour", "age")
    found = looked(shop / "log.csv", users=written(tmp_path / "users.csv", rows, names))
    said = messages(found)
    assert "1 users of users.csv have rows that differ, such as u1; none of them counts" in said
    assert "2 rows of users.csv can't be used: they have no id, or too many cells" in said
    assert "1 rows of users.csv can't be used: they hold an infinite number" in said
    assert found.tables["user"].ids == ["nobody", "u3"] and found.tables["user"].columns["colour"] == ["w", "v"]
    assert "39 users of the log are not in users.csv" in said and "1 users of users.csv are not in the log" in said
    with pytest.raises(UserError, match="knows none of the log's users"):
        looked(shop / "log.csv", users=written(tmp_path / "far.csv", [("q", "x")], ("user", "colour")))
    with pytest.raises(UserError, match="nothing to learn from it"):
        looked(shop / "log.csv", users=written(tmp_path / "bare.csv", [("u1",)], ("user",)))


def test_ids_that_became_decimals_are_those_that_they_were(tmp_path):
    log = pa.table({"user": [1, 2, 2, 3], "item": ["a", "a", "b", "b"]})
    pq.write_table(log, tmp_path / "log.parquet")
    table = pa.table(
        {"user": pa.array([1.0, 2.0, None, math.nan]), "age": [31.0, 2.5, 3.0, 4.0]}
    )  # what a gap makes of whole numbers
    pq.write_table(table, tmp_path / "users.parquet")
    side = read_side_table(str(tmp_path / "users.parquet"), Retrieve(data=str(tmp_path / "log.parquet")), "user")
    assert side.ids == ["1", "2"] and side.columns["age"] == ["31", "2.5"]
    pq.write_table(log.set_column(0, "user", pa.array([1.0, 2.0, None, 3.0])), tmp_path / "log.parquet")
    found = looked(tmp_path / "log.parquet", users=str(tmp_path / "users.parquet"))
    assert found.log.users.to_pylist() == ["1", "2", "3"] and found.quarantined == [("row 3", "no user")]


def test_auto_keeps_the_best_on_validation_and_a_refit_learns_from_that_too(trained):
    run = trained(model="auto", epochs=2, refit=True)
    scores, method = run.summary["protocol"]["ndcg_at_10_on_validation"], run.summary["method"]
    assert set(scores) == {"mf", "multvae", "lightgcn"} and method == max(scores, key=scores.get)
    assert set(run.summary["costs_seconds"]) == {*scores, f"{method}-refit"}
    report = read_json(run / "evaluation/validation/report.json")
    assert report["protocol"]["refit"] is True and report["protocol"]["learnt_from_these_rows"] is True


def test_a_loss_and_ndcg_on_validation_are_curves_of_their_own(trained):
    run = trained()
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    shown = float(run.summary["protocol"]["ndcg_at_10_on_validation"]["mf"])
    assert max(float(row["val_ndcg_at_10"]) for row in rows) == pytest.approx(shown, abs=1e-4)
    titles = [plot.title for plot in learning_curves(run / "history.csv")]
    assert titles == ["mf: loss", "mf: ndcg at 10"]


def test_the_sample_tells_how_close_to_its_oracle_a_run_came(tiny_runs):
    report = read_json(tiny_runs("recommendation", "retrieve") / "evaluation/test/report.json")
    oracle = report["references"]["oracle"]["ndcg_at_10"]["value"]
    assert oracle > max(
        scores["ndcg_at_10"]["value"] for name, scores in report["references"].items() if name != "oracle"
    )
    assert oracle > report["metrics"]["ndcg_at_10"]["value"]


def test_a_large_catalogue_leaves_ease_out_in_one_line(trained, monkeypatch, heard):
    from horngate.pipelines.recommendation.retrieval import baselines

    monkeypatch.setattr(baselines, "MOST_OF_EASE", 10)
    found = baselines.fitted_baselines(task_of(trained().card).recalled(trained().folder).fitted.decisions)
    assert set(found) == {"popularity", "item_knn"}
    assert sum("ease is left out: 30 items" in line for line in heard.notices) == 1


def test_models_that_a_large_catalogue_is_too_much_for_are_left_out(heard):
    from horngate.pipelines.recommendation.retrieve.learner import contenders

    assert contenders(Retrieve(), 60_000) == ("mf", "multvae", "lightgcn")
    assert contenders(Retrieve(items="items.csv"), 60_001) == ("mf", "lightgcn", "towers")
    assert "multvae is left out" in " ".join(heard.notices)
    assert contenders(Retrieve(), 100, judged=False) == ("mf",)
    with pytest.raises(UserError, match="up to 20,000 items, and the log has 20,001"):
        contenders(Retrieve(model="ease"), 20_001)


def test_a_later_log_is_compared_with_what_was_learnt(trained, tmp_path, cli):
    rows = [(user, item, time + 10**7) for user, item, time in interactions(seed=3)]
    path = written(tmp_path / "log.csv", [*rows, *((f"u{n}", f"new{n % 4}", START) for n in range(40))])
    code, out, _ = cli("recommendation", "retrieve", "check", path, "--against", trained().folder, "--json")
    drift = json.loads(out)["drift"]
    assert code == 0 and {part["name"] for part in drift["inputs"]} >= {"share of items that are known"}


def test_two_runs_on_one_split_are_compared_user_by_user(trained, cli):
    code, out, err = cli("compare", trained().folder, trained(model="ease").folder, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["rows"]["shared"] == 40 and "ndcg_at_10" in found["comparisons"][0]["metrics"]


def test_litert_is_no_choice(trained, tmp_path, cli):
    code, _, err = cli("predict", trained().folder, "sample:made-up-readers", "--runtime", "litert", "-o", "-")
    assert code == 2 and "'litert' is not one of 'auto', 'tensorflow'" in err
    with pytest.raises(UserError, match="leave --runtime litert out"):
        predict(trained(), "sample:made-up-readers", tmp_path / "recs.parquet", runtime="litert")


def test_check_says_what_stands_in_the_test_alone(tmp_path):
    rows = [
        *interactions(),
        *((f"u{user}", "latest", START + 10**9) for user in range(3)),
        ("late", "i1", START + 10**9),
    ]
    seen = check(Retrieve(data=written(tmp_path / "log.csv", rows)))
    said = " ".join(finding["message"] for finding in seen["findings"])
    assert "1 items stand in the test alone (time-cut)" in said and "1 users stand in the test alone" in said
    assert seen["listed"] == seen["usable"] == len(rows)
