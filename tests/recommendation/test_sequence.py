"""Sequences: looking back only, learning from all places, drawn items, and what a run says of what comes next."""

import csv
import threading

import numpy as np
import pyarrow.parquet as pq
import pytest

from horngate.pipelines.recommendation import Sequence
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json
from horngate.pipelines.tasks.task import task_of

pytestmark = pytest.mark.usefixtures("undrawn")

SMALL = {"dimension": 8, "blocks": 1, "dropout": 0.0, "max_length": 6}
both = pytest.mark.parametrize("name", ["sasrec", "gru4rec"])


def layer_of(name: str, items: int = 12):
    """Return a built network, its vectors large enough for answers to differ."""
    from horngate.models.recommendation.sequence_learning import SequenceSettings, network

    layer = network(name, items, SequenceSettings(phase="test", **SMALL))
    for variable in layer.trainable_variables:
        variable.assign(5 * variable)
    return layer


def made_lists(seed: int = 0, users: int = 40, items: int = 12, longest: int = 15):
    """Return what made-up users met."""
    from horngate.models.recommendation.interactions import Lists

    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, longest, users)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    weights = draw.uniform(0.5, 2.0, offsets[-1]).astype(np.float32)
    return Lists(offsets, draw.integers(0, items, offsets[-1]).astype(np.int32), items, weights)


@both
def test_a_later_item_never_changes_what_is_said_of_an_earlier_place(name):
    layer = layer_of(name)
    first = np.array(layer.states(np.array([[3, 7, 1, 4, 9, 2]], np.int32)))
    second = np.array(layer.states(np.array([[3, 7, 1, 12, 5, 0]], np.int32)))
    np.testing.assert_array_equal(first[:, :3], second[:, :3])
    assert np.abs(first[:, 3:] - second[:, 3:]).max() > 1e-3


@both
def test_the_order_of_items_counts(name):
    layer = layer_of(name)
    there, back = (np.array(layer(np.array([row], np.int32))) for row in ([3, 7, 1], [7, 3, 1]))
    assert np.abs(there - back).max() > 1e-3


@both
def test_answers_depend_neither_on_padding_nor_on_neighbours(name):
    layer = layer_of(name)
    alone = np.array(layer(np.array([[3, 7, 1]], np.int32)))
    among = np.array(layer(np.array([[5, 5, 5, 2, 8, 1], [3, 7, 1, 0, 0, 0], [4, 0, 0, 0, 0, 0]], np.int32)))
    np.testing.assert_allclose(among[1], alone[0], rtol=1e-4, atol=1e-5)


def test_every_step_from_item_to_item_is_learnt_once():
    from horngate.models.recommendation.sequence_learning import Stretches

    lists = made_lists()
    rows = Stretches(lists, 4)
    inputs, targets, weights = rows.batch(np.arange(rows.count), 0)
    there = targets > 0
    learnt = sorted(zip(inputs[there], targets[there], weights[there], strict=True))
    wanted = [
        (lists.items[at - 1] + 1, lists.items[at] + 1, lists.weights[at])
        for user in range(lists.users)
        for at in range(lists.offsets[user] + 1, lists.offsets[user + 1])
    ]
    assert learnt == sorted(wanted)
    assert inputs.shape[1] == 4 and (there.sum(1) == rows.lengths).all() and not weights[~there].any()


@both
def test_the_loss_is_the_weighted_mean_surprise_at_what_came_next(name):
    from horngate.models.recommendation.sequence_learning import Stretches
    from horngate.models.recommendation.sequences import Following

    layer, rows = layer_of(name), Stretches(made_lists(users=8), 6)
    lists, targets, weights = rows.batch(np.arange(rows.count), 0)
    model = Following(layer, rows.lists.items)
    found = float(model.compute_loss(lists, targets, layer.states(lists), weights))
    surprise = []
    for row, place in zip(*np.nonzero(targets), strict=True):
        before = np.where(np.arange(6) <= place, lists[row], 0)
        scores = np.array(layer(before[None]), np.float64)[0]
        surprise.append(np.log(np.exp(scores).sum()) - scores[targets[row, place] - 1])
    assert found == pytest.approx(np.average(surprise, weights=weights[targets > 0]), rel=1e-4)


def test_drawn_items_stand_for_all_of_them_without_bias():
    import keras

    from horngate.models.recommendation.sequences import Following

    layer = layer_of("sasrec", items=30)
    met = np.random.default_rng(1).zipf(1.5, 2000).clip(1, 30).astype(np.int32) - 1
    states = keras.random.normal((3, 8), seed=2)
    wanted = np.array([0, 4, 29], np.int32)
    scores = np.array(layer.scores(states), np.float64)
    own = scores[np.arange(3), wanted]
    model = Following(layer, met, negatives=20)
    sums = np.array([np.exp(np.array(model.surprise(states, wanted)) + own) for _ in range(200)])
    whole = np.exp(scores).sum(1)
    error = sums.std(0) / np.sqrt(len(sums))
    assert (np.abs(sums.mean(0) - whole) < 4 * error).all()
    assert (error < 0.07 * whole).all()


def test_a_drawn_item_that_is_the_target_does_not_count_twice(monkeypatch):
    import keras

    from horngate.models.recommendation.sequences import Following

    model = Following(layer_of("sasrec"), np.arange(12, dtype=np.int32), negatives=5)
    monkeypatch.setattr(model, "drawn", lambda: np.full(5, 3, np.int32))
    surprise = np.array(model.surprise(keras.random.normal((2, 8), seed=2), np.array([3, 4], np.int32)))
    assert surprise[0] == pytest.approx(0.0, abs=1e-5)
    assert surprise[1] > 0.01


@pytest.mark.parametrize(("name", "negatives"), [("sasrec", 6), ("gru4rec", None)])
def test_a_cut_training_goes_on_to_equal_weights(name, negatives, tmp_path):
    import keras

    from horngate.models.recommendation.sequence_learning import SequenceSettings, followed
    from horngate.models.training.learning import CheckpointPolicy, Interrupted
    from horngate.pipelines.system.device import set_up

    set_up("cpu", "float32", 0)
    lists, held = made_lists(longest=9), made_lists(seed=3, longest=2)
    settings = SequenceSettings(phase="p", **SMALL | {"dropout": 0.3}, negatives=negatives, epochs=2, batch_size=8)

    def learnt(policy):
        return followed(name, lists, held, settings, policy).answers.get_weights()

    whole = learnt(CheckpointPolicy())
    stop = threading.Event()
    cut = CheckpointPolicy(tmp_path, stop=stop, stepped=lambda phase, step, steps: stop.set() if step == 3 else None)
    with pytest.raises(Interrupted):
        learnt(cut)
    keras.utils.set_random_seed(99)
    for first, second in zip(whole, learnt(CheckpointPolicy(tmp_path)), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.fixture(scope="session")
def listeners(tmp_path_factory):
    """A run that learnt the made-up listeners."""
    from horngate.pipelines import train

    knobs = {"dimension": 32, "blocks": 1, "dropout": 0.1, "max_length": 12, "learning_rate": 5e-3}
    output = str(tmp_path_factory.mktemp("listeners"))
    return train(
        Sequence(data="sample:made-up-listeners", model="sasrec", epochs=15, batch_size=64, output=output, **knobs)
    )


def written(path, rows: list[dict]):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_rivals_go_by_the_same_past_as_the_models(listeners):
    from horngate.pipelines.recommendation.retrieval.baselines import fitted_baselines

    task = task_of(listeners.card).recalled(listeners.folder)
    store, past = task.fitted.decisions, task.learner.past("test")
    users = np.arange(len(store.log.users))
    near = fitted_baselines(store)["item_knn"]
    said = [near(users, store.seen("test"), one) for one in (past, store.learnt)]
    assert past.nnz > store.learnt.nnz and (said[0] != said[1]).any()


def test_a_known_chain_is_learnt_nearly_as_well_as_its_oracle_knows_it(listeners):
    report = read_json(listeners / "evaluation/test/report.json")
    found, rivals = report["metrics"]["ndcg_at_10"]["value"], report["references"]
    assert found > 0.85 * rivals["oracle"]["ndcg_at_10"]["value"]
    assert found > 2 * max(rivals[name]["ndcg_at_10"]["value"] for name in ("popularity", "item_knn", "ease"))
    assert report["protocol"]["split_rule"] == "leave-one-out"


def test_unknown_users_get_what_is_popular_unless_they_bring_a_history(listeners, cli, tmp_path):
    users = written(tmp_path / "users.csv", [{"user": "listener-007"}, {"user": "stranger"}])
    since = written(
        tmp_path / "since.csv", [{"user": "stranger", "item": "song-05"}, {"user": "stranger", "item": "?"}]
    )
    assert cli("predict", listeners.folder, users, "-o", tmp_path / "plain.parquet", "-k", 3)[0] == 0
    plain = pq.read_table(tmp_path / "plain.parquet").to_pylist()
    assert [row["fallback"] for row in plain] == [None, "popularity"]
    words = ("-o", tmp_path / "with.parquet", "-k", 3, "--histories", since, "--why")
    code, _, err = cli("predict", listeners.folder, users, *words)
    told = pq.read_table(tmp_path / "with.parquet").to_pylist()
    assert code == 0 and "1 interactions" in err and "doesn't know" in err
    assert [row["fallback"] for row in told] == [None, None]
    assert told[0]["items"] == plain[0]["items"] and told[0]["scores"] == pytest.approx(plain[0]["scores"], rel=1e-4)
    assert "song-05" not in told[1]["items"] and told[1]["why"] == [["song-05"]] * 3


def test_a_history_goes_on_where_the_run_ends(listeners, cli, tmp_path):
    from horngate.pipelines.recommendation.interactions.samples.made_up_listeners import chances

    likely = chances()
    users = written(tmp_path / "users.csv", [{"user": "new"}])
    for song in (11, 60):
        since = written(tmp_path / f"{song}.csv", [{"user": "new", "item": f"song-{song:02d}"}])
        out = tmp_path / f"{song}.parquet"
        assert cli("predict", listeners.folder, users, "-o", out, "-k", 2, "--histories", since)[0] == 0
        best = pq.read_table(out)["items"].to_pylist()[0]
        assert f"song-{likely[song].argmax():02d}" in best


def test_what_is_known_already_is_not_taken_twice(listeners):
    from horngate.pipelines.recommendation.interactions.log_update import continued

    store = task_of(listeners.card).recalled(listeners.folder).fitted.decisions
    path = listeners.folder / "again.csv"
    log = store.log
    users, items = log.users.to_pylist(), log.items.to_pylist()
    rows = [{"user": users[user], "item": items[item]} for user, item in zip(log.user[:30], log.item[:30], strict=True)]
    user = int(log.user[0])
    unheard = next(code for code in range(len(items)) if code not in log.item[log.user == user])
    new = continued(store, str(written(path, [*rows, {"user": users[user], "item": items[unheard]}])), listeners.card)
    assert len(new.log) == len(log) + 1
    assert new.log.item[new.log.user == user].tolist() == [*log.item[log.user == user].tolist(), unheard]
    assert (new.learnt != store.learnt).nnz == 0


@pytest.fixture
def plays(tmp_path):
    """A log of users who come back to items again and again."""
    draw = np.random.default_rng(4)
    return written(
        tmp_path / "plays.csv",
        [
            {"user": f"u{user}", "item": f"i{(user + step) % 4 + 4 * (draw.random() < 0.1)}"}
            for user in range(30)
            for step in range(9)
        ],
    )


@pytest.mark.parametrize("repeats", [False, True])
def test_masked_repeats_are_told_of(plays, heard, monkeypatch, repeats):
    from horngate.pipelines.recommendation.retrieval.selection import Selected
    from horngate.pipelines.recommendation.sequence.learner import SequenceSelection

    monkeypatch.setattr(SequenceSelection, "select", lambda self: Selected(None, "sasrec", "asked for", {}))
    task = task_of(Sequence(data=str(plays), repeats=repeats))
    seen = task.rows.survey()
    found = task.learner.select(seen.store(), seen, None)
    said = [line for line in heard.notices if "repeat what the user met before" in line and "--repeats" in line]
    assert len(said) == (not repeats)
    assert 20 < found.protocol["test_interactions_that_repeat"] <= 30


def test_what_users_come_back_to_is_ranked_on_request(plays, cli, tmp_path):
    from horngate.pipelines import train

    run = train(Sequence(data=str(plays), model="sasrec", epochs=1, dimension=8, repeats=True, output=str(tmp_path)))
    report = read_json(run / "evaluation/test/report.json")
    assert "seen ones too" in report["protocol"]["candidates"]
    assert report["metrics"]["hit_rate_at_10"]["value"] == 1.0  # of eight items at most
    users = written(tmp_path / "users.csv", [{"user": "u1"}])
    assert cli("predict", run.folder, users, "-o", tmp_path / "out.parquet")[0] == 0
    assert cli("predict", run.folder, users, "-o", tmp_path / "new.parquet", "--exclude-seen")[0] == 0
    listed = [pq.read_table(tmp_path / name)["items"].to_pylist()[0] for name in ("out.parquet", "new.parquet")]
    met = {row["item"] for row in csv.DictReader(plays.open()) if row["user"] == "u1"}
    assert len(listed[0]) == 8 and not met & set(listed[1])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"user": "a", "item": "nothing"}], "has none of the items that the run learnt"),
        ([{"user": "a", "thing": "song-01"}], "has no clear item column"),
    ],
)
def test_a_history_that_says_nothing_is_one_line(listeners, cli, tmp_path, rows, said):
    users = written(tmp_path / "users.csv", [{"user": "a"}])
    since = written(tmp_path / "since.csv", rows)
    code, out, err = cli("predict", listeners.folder, users, "-o", "-", "--histories", since)
    assert (code, out) == (1, "") and said in err and "Traceback" not in err
    code, _, err = cli("predict", listeners.folder, users, "-o", "-", "--histories", tmp_path / "gone.csv")
    assert code == 1 and "doesn't exist" in err


def test_a_log_that_is_too_small_or_a_rule_without_order_is_refused(cli, tmp_path):
    from horngate.pipelines import train

    path = written(tmp_path / "three.csv", [{"user": "a", "item": f"i{number}"} for number in range(3)])
    with pytest.raises(UserError, match="at least 10"):
        train(Sequence(data=str(path), output=str(tmp_path)))
    code, _, err = cli("recommendation", "sequence", "train", "--data", path, "--split-rule", "per-user")
    assert code == 2 and "leave-one-out" in err
    assert cli("recommendation", "sequence", "train", "--data", path, "--max-length", 0)[0] == 2


def test_there_are_no_side_tables_since_nothing_would_come_of_them(cli, tmp_path):
    path = written(tmp_path / "items.csv", [{"item": "song-01", "kind": "loud"}])
    code, _, err = cli("recommendation", "sequence", "train", "--recipe", "tiny", "--items", path, "-o", tmp_path)
    assert code == 2 and "No such option" in err and "--items" in err


def test_users_with_one_item_are_answered_and_teach_nothing(tmp_path):
    from horngate.pipelines import train

    path = tmp_path / "log.csv"
    rows = [{"user": f"u{user}", "item": f"i{user % 5}"} for user in range(20)]
    with pytest.raises(UserError, match="more than one"):
        train(Sequence(data=str(written(path, rows)), output=str(tmp_path)))
